import json

import pytest
from hypothesis import given

from consentryd.consent.decision import RULES
from consentryd.consent.decode import describe
from consentryd.consent.explain import as_data, as_text
from consentryd.consent.signals.freshness import Freshness
from consentryd.consent.signals.reading import Invalid, InvalidSignal
from consentryd.gateway.cli import main
from consentryd.model.clock import SystemClock
from consentryd.model.decision import Decision
from tests.consent.strings import DAY, NOW, core_bits, disclosed_bits, pack, publisher_bits, tcf
from tests.consent.test_decision import CASES, LISTED, POLICY

FRESHNESS = Freshness(NOW, 395 * DAY, DAY)


@pytest.fixture(autouse=True)
def no_settings_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def trace_of(case):
    signals = POLICY.read({"consent": case["consent"]}, case["carried"], NOW)
    return POLICY.trace(
        signals, case["country"], case["subdivision"], case["event"], case["lane"], LISTED, NOW, frozenset(case["withdrawn"])
    )


@given(CASES)
def test_an_explanation_names_every_rule_in_order_and_the_one_that_won(case):
    trace = trace_of(case)
    data = as_data(trace)
    said = [rule["said"] for rule in data["rules"]]
    won = [rule["rule"] for rule in data["rules"]].index(data["won"])
    assert [rule["rule"] for rule in data["rules"]] == [name for name, _ in RULES]
    assert set(said[:won]) <= {"passes it on"}
    assert said[won].startswith(("lets it in", "refuses: "))
    assert set(said[won + 1 :]) <= {"not asked"}
    json.dumps(data)
    text = as_text(trace)
    assert f"-> {data['won']}" in text
    assert (trace.result.ref if isinstance(trace.result, Decision) else trace.result) in text


def test_an_explanation_does_not_repeat_the_signals():
    string = tcf(publisher=(1, 8, 9))
    trace = trace_of(
        {
            "consent": {"tcf": string},
            "carried": {"us_privacy": "1YYN"},
            "country": "DE",
            "subdivision": None,
            "event": "x",
            "lane": "auto",
            "withdrawn": (),
        }
    )
    assert string not in as_text(trace) + json.dumps(as_data(trace))


def test_a_lawyer_reads_place_law_signals_rules_and_result(capsys):
    code = main(["consent", "explain", "--country", "DE", "--signal", "us_privacy:1YNN", "--gpc", "--event", "page_viewed"])
    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert (
        lines[1] == "Place      European Union: opt-in since 2018-05-25 (GDPR Art. 6(1)(a) and 7; ePrivacy Directive Art. 5(3))"
    )
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "Event",
        "Place",
        "Policy",
        "Signals",
        "Rules",
        "Result",
    ]
    assert "gpc: opts out of attribution, location, marketing, sensitive" in "\n".join(lines)
    assert "-> default       the place asks for a grant; refuses: no_consent" in "\n".join(lines)
    assert lines[-1].startswith("Result     not stored as the person's: it is counted without any id; ref p1.")


@pytest.mark.parametrize(
    ("arguments", "won", "result"),
    [
        (["--country", "DE"], "default", "anonymous"),
        (["--country", "DE", "--signal", "own:analytics=true"], "grant", "consented"),
        (["--country", "DE", "--signal", "segment:analytics=true,marketing=false"], "grant", "consented"),
        (["--country", "DE", "--signal", "own:analytics=true", "--signal", "own:marketing=false"], "grant", "consented"),
        (["--country", "US", "--signal", "own:analytics=false,analytics=true", "--lane", "off"], "denial", "consent_denied"),
        (["--country", "US", "--signal", "gcs:G100", "--signal", "gcs:G111", "--lane", "off"], "denial", "consent_denied"),
        (["--country", "US", "--signal", "gcs:G111", "--signal", "gcs:G111"], "default", "consented"),
        (["--country", "US"], "default", "consented"),
        (["--country", "US", "--dnt"], "default", "consented"),
        (["--country", "US", "--child", "--lane", "off"], "default", "no_consent"),
        (["--country", "US", "--subdivision", "CA", "--withdrawn", "analytics", "--lane", "off"], "withdrawal", "withdrawn"),
        (["--signal", "own:analytics=true", "--signal", "at:2020-01-01T00:00:00Z"], "invalid", "anonymous"),
        (["--signal", "tcf:C", "--event", "other"], "invalid", "consent_invalid"),
        ([], "default", "anonymous"),
    ],
)
def test_the_command_explains_as_json(arguments, won, result, capsys):
    assert main(["consent", "explain", *arguments, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["won"] == won
    assert result in (data["result"].get("lane"), data["result"].get("reason"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--signal", "what:x"],
        ["--signal", "own:analytics=maybe"],
        [*("--signal", "gcs:G111"), *("--signal", "gcs:G100"), *("--signal", "gcs:G110")],
        ["--lane", "all"],
        ["--country", "de"],
        ["--country", "US", "--subdivision", "US-CA"],
        ["--subdivision", "CA"],
        ["--withdrawn", "analytcs"],
    ],
)
def test_a_wrong_option_of_explain_is_wrong_usage(arguments):
    assert main(["consent", "explain", *arguments]) == 2


def test_explain_follows_the_settings_file(tmp_path, capsys):
    (tmp_path / "consentry.toml").write_text('[consent]\nexemptions = ["audience-measurement"]\n')
    assert main(["consent", "explain", "--country", "FR", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["won"] == "exempt"


def test_a_grant_may_be_said_to_be_under_a_notice(tmp_path, capsys):
    (tmp_path / "consentry.toml").write_text('[consent]\nnotices = ["2026-11"]\n')
    for notice, won in (("2026-11", "grant"), ("2025-01", "invalid")):
        signals = ["--signal", "own:analytics=true", "--signal", f"notice:{notice}"]
        assert (
            main(["consent", "explain", "--country", "DE", *signals, "--config", str(tmp_path / "consentry.toml"), "--json"]) == 0
        )
        assert json.loads(capsys.readouterr().out)["won"] == won


def test_decode_shows_what_strings_say_as_json(capsys):
    fresh = tcf(at=SystemClock().now() // 100_000 * 100_000, publisher=(1, 8), vendor=(1, 2, 3, 7), disclosed=(1,))
    assert main(["consent", "decode", fresh, "DBABLA~CAASAAAAAABA.YA", "1YNY", "G101", "gcd:11q1l1l1l1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["format"] for entry in found] == ["tcf", "gpp", "us_privacy", "gcs", "gcd"]
    assert (found[0]["publisher"]["consents"], found[0]["vendors"]) == ([1, 8], [[1, 3], 7])
    assert found[1]["usnat"]["Gpc"] == 1
    assert found[2]["lspa_covered"] == "Y"
    assert (found[3]["denied"], found[4]["denied"]) == (["ad_storage"], ["ad_storage"])


def test_decode_refuses_with_the_reason_and_exit_code_1(capsys):
    assert main(["consent", "decode", "1YNN", "CAAA"]) == 1
    captured = capsys.readouterr()
    assert "us_privacy" in captured.out
    assert "CAAA: refused as truncated" in captured.err
    assert main(["consent", "decode", "hello", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == [
        {"string": "hello", "refused": "malformed", "detail": "the string looks like none of TCF, GPP, US Privacy, gcs, gcd"}
    ]


def test_a_string_out_of_its_time_is_refused_by_decode_too():
    old = tcf(at=NOW - 400 * DAY)
    for text in (old, f"DBABMA~{old}"):
        with pytest.raises(InvalidSignal) as caught:
            describe(text, FRESHNESS)
        assert caught.value.reason is Invalid.EXPIRED


def test_vendors_are_shown_as_ranges_and_times_as_dates():
    text = ".".join([pack(core_bits(vendor=(2, 3, 9))), pack(disclosed_bits((1,))), pack(publisher_bits((1,)))])
    shown = describe(text, FRESHNESS)
    assert (shown["vendors"], shown["disclosed"], shown["updated"]) == ([[2, 3], 9], [1], "2026-11-21T12:00:00+00:00")
