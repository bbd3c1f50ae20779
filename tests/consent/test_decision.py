"""The order of decision, the lanes, the places: through `Policy.read` and `Policy.decide`."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentryd.config.settings import Consent
from consentryd.consent.decision import RULES
from consentryd.consent.jurisdiction import Jurisdiction, Jurisdictions, load_jurisdictions
from consentryd.consent.policy import Policy
from consentryd.consent.signals.reading import Reading, Signals
from consentryd.model.decision import Decision, Lane
from consentryd.model.error import ConfigError
from consentryd.model.outcome import Reason
from tests.consent.strings import DAY, NOW, tcf

EVENTS = {"ad_*": "marketing", "diagnosis_*": "sensitive", "locate": "location"}
POLICY = Policy(Consent(events=EVENTS))
LISTED = ("page_viewed", "ad_shown", "diagnosis_read")

YES = {"purposes": {"analytics": True, "marketing": True, "sensitive": True}}
NO = {"purposes": {"analytics": False, "marketing": False, "sensitive": False}}
BROKEN = {"purposes": "all"}
GPC = {"sec-gpc": "1"}
STRING = tcf(publisher=(1, 8, 9))
REFUSING = tcf(publisher=(1,))


def decide(
    consent=None,
    country="DE",
    *,
    policy=POLICY,
    carried=None,
    event="page_viewed",
    lane="auto",
    subdivision=None,
    withdrawn=(),
    now=NOW,
):
    signals = policy.read({"consent": consent} if consent is not None else {}, carried or {}, now)
    return policy.decide(
        signals,
        country=country,
        subdivision=subdivision,
        event=event,
        lane=lane,
        anonymous_events=LISTED,
        now=now,
        withdrawn=frozenset(withdrawn),
    )


def outcome(*args, **kwargs):
    """`consented`, `counted`, `token` or the reason, and the rule that won."""
    result = decide(*args, **kwargs)
    if isinstance(result, Reason):
        return result.value
    word = "consented" if result.lane is Lane.CONSENTED else "token" if result.visitor else "counted"
    return f"{word} {result.ref.rsplit('/', 1)[1]}"


def refusal(*args, **kwargs):
    return outcome(*args, lane="off", **kwargs)


@pytest.mark.parametrize(
    ("consent", "carried", "withdrawn", "reason"),
    [
        (None, {}, (), "no_consent"),
        ({}, {}, (), "no_consent"),
        (YES, {}, (), "consented grant"),
        (YES, {"gdpr_consent": STRING}, (), "consented grant"),
        (None, {"gdpr_consent": STRING}, (), "consented grant"),
        (YES, {}, ("analytics",), "withdrawn"),
        (YES, {}, ("marketing",), "consented grant"),
        (YES, {"gdpr_consent": REFUSING}, (), "consent_denied"),
        (NO, {"gdpr_consent": STRING}, (), "consent_denied"),
        (YES, {"gdpr_consent": "C"}, (), "consent_invalid"),
        (NO, {"gdpr_consent": "C"}, (), "consent_denied"),
        (BROKEN, {"gdpr_consent": STRING}, (), "consent_invalid"),
        (NO, GPC, ("analytics",), "withdrawn"),
        (YES, GPC, (), "consented grant"),
    ],
)
def test_the_most_restrictive_word_about_analytics_wins(consent, carried, withdrawn, reason):
    assert refusal(consent, carried=carried, withdrawn=withdrawn) == reason


@pytest.mark.parametrize(
    ("consent", "carried", "reason"),
    [
        (YES, {}, "consented grant"),
        (YES, GPC, "opted_out"),
        (NO, GPC, "opted_out"),
        (BROKEN, GPC, "opted_out"),
        (None, GPC, "opted_out"),
        (None, {"us_privacy": "1YYN"}, "opted_out"),
        (None, {"gpp": "DBABLA~CAASAAAAAABA.YA"}, "opted_out"),
        (None, {"us_privacy": "1YNN"}, "consented default"),
        (None, {"gcs": "G101"}, "consent_denied"),
    ],
)
def test_an_opt_out_beats_a_grant_of_advertising_anywhere(consent, carried, reason):
    assert refusal(consent, "US", carried=carried, event="ad_shown", subdivision="CA") == reason


@pytest.mark.parametrize(
    ("country", "subdivision", "analytics", "ads"),
    [
        (None, None, "no_consent", "no_consent"),
        ("XX", None, "no_consent", "no_consent"),
        ("DE", None, "no_consent", "no_consent"),
        ("NO", None, "no_consent", "no_consent"),
        ("FR", None, "no_consent", "no_consent"),
        ("GB", None, "no_consent", "no_consent"),
        ("BR", None, "no_consent", "no_consent"),
        ("KR", None, "no_consent", "no_consent"),
        ("IN", None, "no_consent", "no_consent"),
        ("ZA", None, "no_consent", "no_consent"),
        ("CN", None, "no_consent", "no_consent"),
        ("CH", None, "consented default", "consented default"),
        ("US", None, "consented default", "consented default"),
        ("US", "CA", "consented default", "consented default"),
        ("US", "WY", "consented default", "consented default"),
        ("CA", "QC", "no_consent", "no_consent"),
        ("CA", "ON", "consented default", "consented default"),
        ("CA", None, "no_consent", "no_consent"),
    ],
)
def test_without_a_signal_the_place_decides_and_the_unknown_is_strictest(country, subdivision, analytics, ads):
    assert refusal(None, country, subdivision=subdivision) == analytics
    assert refusal(None, country, subdivision=subdivision, event="ad_shown") == ads


@pytest.mark.parametrize(
    ("exemption", "country", "won"),
    [
        ("audience-measurement", "FR", "consented exempt"),
        ("audience-measurement", "ES", "consented exempt"),
        ("audience-measurement", "IT", "consented exempt"),
        ("audience-measurement", "NL", "consented exempt"),
        ("audience-measurement", "DE", "no_consent"),
        ("audience-measurement", "GB", "no_consent"),
        ("statistics", "GB", "consented exempt"),
        ("statistics", "FR", "no_consent"),
    ],
)
def test_an_exemption_counts_where_it_is_law_and_claimed(exemption, country, won):
    policy = Policy(Consent(exemptions=[exemption], events=EVENTS))
    assert refusal(None, country, policy=policy) == won
    assert refusal(NO, country, policy=policy) == "consent_denied"
    assert refusal({"child": True}, country, policy=policy) == "no_consent"
    assert refusal(None, country, policy=policy, event="ad_shown") == "no_consent"


def test_the_british_exception_holds_from_its_day_on():
    policy = Policy(Consent(exemptions=["statistics"]))
    day = int(datetime(2026, 2, 5, tzinfo=UTC).timestamp()) * 10**6
    assert [refusal(None, "GB", policy=policy, now=now) for now in (day - 1, day, day - 1, NOW)] == [
        "no_consent",
        "consented exempt",
        "no_consent",
        "consented exempt",
    ]
    asked = Policy(Consent())
    assert [asked.place("GB", None, now).exemption for now in (day, day - 1, day)] == ["statistics", "", "statistics"]


@pytest.mark.parametrize(
    ("consent", "carried", "event", "reason"),
    [
        (None, {}, "diagnosis_read", "no_consent"),
        (YES, {}, "diagnosis_read", "consented grant"),
        (None, {}, "locate", "no_consent"),
        ({"child": True}, {}, "page_viewed", "no_consent"),
        ({"child": False}, {}, "page_viewed", "consented default"),
        ({"child": True, **YES}, {}, "page_viewed", "consented grant"),
        (None, {"gpp": "DBABzw~1YYN~CEAQGAAAACBA.QA"}, "page_viewed", "no_consent"),
        (None, {"gdpr": "1"}, "page_viewed", "no_consent"),
        (None, {"gdpr": "0"}, "page_viewed", "consented default"),
        (YES, {"gdpr": "1"}, "page_viewed", "consented grant"),
    ],
)
def test_sensitive_purposes_children_and_the_gdpr_claim_need_a_grant_everywhere(consent, carried, event, reason):
    assert refusal(consent, "US", carried=carried, event=event) == reason


def test_a_claim_that_the_gdpr_does_not_apply_is_not_believed():
    assert refusal(None, "DE", carried={"gdpr": "0"}) == "no_consent"


@pytest.mark.parametrize(
    ("lane", "event", "consent", "result"),
    [
        ("auto", "page_viewed", None, "counted default"),
        ("counts", "page_viewed", None, "counted default"),
        ("daily", "page_viewed", None, "token default"),
        ("off", "page_viewed", None, "no_consent"),
        ("auto", "secret_act", None, "not_allowed_anonymously"),
        ("auto", "page_viewed", NO, "counted denial"),
        ("daily", "page_viewed", NO, "counted denial"),
        ("daily", "page_viewed", BROKEN, "counted invalid"),
        ("off", "page_viewed", NO, "consent_denied"),
        ("auto", "secret_act", NO, "consent_denied"),
        ("auto", "diagnosis_read", None, "no_consent"),
        ("daily", "diagnosis_read", NO, "consent_denied"),
        ("daily", "page_viewed", YES, "consented grant"),
    ],
)
def test_without_a_grant_an_event_is_counted_where_lane_and_list_allow_it(lane, event, consent, result):
    assert outcome(consent, lane=lane, event=event) == result


@pytest.mark.parametrize("lane", ["counts", "daily"])
def test_people_who_objected_are_counted_without_a_token_or_not_at_all(lane):
    quiet = Policy(Consent(events=EVENTS, anonymous_after_denial="nothing"))
    for consent, carried, event, withdrawn, reason in (
        (NO, {}, "page_viewed", (), "consent_denied"),
        (BROKEN, {}, "page_viewed", (), "consent_invalid"),
        (YES, GPC, "ad_shown", (), "opted_out"),
        (YES, {}, "page_viewed", ("analytics",), "withdrawn"),
    ):
        given_ = {"carried": carried, "event": event, "withdrawn": withdrawn, "lane": lane}
        assert outcome(consent, **given_).startswith("counted ")
        assert outcome(consent, policy=quiet, **given_) == reason
    assert outcome(None, policy=quiet, lane="counts") == "counted default"


def test_a_decision_names_its_evidence_without_personal_data():
    decision = decide(YES, carried={"gdpr_consent": STRING, **GPC})
    assert decision == Decision(Lane.CONSENTED, "analytics", f"{POLICY.version}/opt-in/own+tcf+gpc/grant")
    assert decide(None, "US").ref == f"{POLICY.version}/opt-out/none/default"


def test_the_newest_choice_wins_only_where_the_operator_says_so_and_all_are_dated():
    newest = Policy(Consent(conflict="newest"))
    earlier, later = tcf(at=NOW - 2 * DAY, publisher=(1,)), {**YES, "at": (NOW - DAY) // 1000}
    assert refusal(later, carried={"gdpr_consent": earlier}, policy=newest) == "consented grant"
    assert refusal(later, carried={"gdpr_consent": earlier}) == "consent_denied"
    assert refusal(YES, carried={"gdpr_consent": earlier}, policy=newest) == "consent_denied"
    undated = {"categoryPreferences": {"analytics": False}, **later}
    assert refusal(undated, carried={"gdpr_consent": earlier}, policy=newest) == "consent_denied"
    assert (
        refusal(
            {**NO, "at": (NOW - DAY) // 1000}, carried={"gdpr_consent": tcf(at=NOW - 2 * DAY, publisher=(1, 8, 9))}, policy=newest
        )
        == "consent_denied"
    )
    assert refusal(later, carried={"gdpr_consent": earlier}, withdrawn=("analytics",), policy=newest) == "withdrawn"


@pytest.mark.parametrize(
    ("granted", "denied", "wins"),
    [
        ((4, 1), (3, 2), "grant"),
        ((3, 2), (4, 1), "denial"),
        ((1,), (3, 2), "grant"),
        ((2,), (2,), "denial"),
        ((3, 1), (1,), "denial"),
    ],
)
def test_the_newest_grant_is_weighed_against_the_newest_denial(granted, denied, wins):
    """By how many days ago each was given; those of one moment are a conflict that the denial wins."""
    policy = Policy(Consent(conflict="newest"))
    readings = [Reading("own", grants=frozenset({"analytics"}), at=NOW - days * DAY) for days in granted]
    readings += [Reading("tcf", denies=frozenset({"analytics"}), at=NOW - days * DAY) for days in denied]
    assert policy.trace(Signals.of(tuple(readings)), "DE", None, "page_viewed", "off", (), NOW).winner == wins


def test_the_first_pattern_of_an_event_name_gives_its_purpose():
    policy = Policy(Consent(events={"ad_view*": "attribution", "ad_*": "marketing", "checkout": "product"}))
    found = [
        policy.purposes.of_event(event).name for event in ("ad_viewed", "ad_clicked", "checkout", "checkout_done", "AD_clicked")
    ]
    assert found == ["attribution", "marketing", "product", "analytics", "analytics"]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"events": {"x": "nothing"}}, "consent.events names the purpose 'nothing'"),
        ({"default_purpose": "nothing"}, "consent.default_purpose"),
        ({"categories": {"C1": ["analytics", "nothing"]}}, "consent.categories"),
    ],
)
def test_a_purpose_that_does_not_exist_stops_start_up(settings, text):
    with pytest.raises(ConfigError, match=text):
        Policy(Consent(**settings))


def test_the_operators_own_tables_replace_those_that_ship(tmp_path):
    purposes, places = tmp_path / "purposes.toml", tmp_path / "places.toml"
    purposes.write_text('version = 1\n[purpose.usage]\ntext = "Usage"\ntcf = [8]\n')
    places.write_text(
        'version = 7\n[[jurisdiction]]\ncodes = ["*"]\nname = "All"\nregime = "opt-out"\neffective_from = 2020-01-01\nlaw = "none"\n'
    )
    policy = Policy(Consent(default_purpose="usage", purposes_file=purposes, jurisdictions_file=places))
    assert outcome(None, "DE", policy=policy) == "consented default"
    assert policy.version.startswith("p7.")
    for file, text in (
        (purposes, "version = 1"),
        (places, "version ="),
        (places, 'version = 1\n[[jurisdiction]]\ncodes = ["*"]'),
        (places, places.read_text().replace("7", '"seven"')),
        *(
            (places, places.read_text().replace('"*"', codes))
            for codes in ('"de"', '"UK"', '"US_CA"', '"US-"', '"EU"', '"FR", "FR"')
        ),
    ):
        old = file.read_text()
        file.write_text(text)
        with pytest.raises(ConfigError):
            Policy(Consent(default_purpose="usage", purposes_file=purposes, jurisdictions_file=places))
        file.write_text(old)


@pytest.mark.parametrize(
    ("rows", "regime"),
    [
        ([("US-CA", "opt-in", ""), ("US", "opt-out", "")], "opt-in"),
        ([("US", "opt-out", ""), ("US-CA", "opt-in", "statistics"), ("US-NY", "opt-in", "")], "opt-in"),
        ([("US-CA", "opt-out", ""), ("US-NY", "opt-out", "")], "opt-out"),
        ([("USA", "opt-out", ""), ("GB", "opt-out", "")], "elsewhere"),
    ],
)
def test_of_a_country_whose_part_is_not_known_the_strictest_row_holds(rows, regime):
    def law(code, regime, exemption, universal=False):
        fields = {"regime": regime, "exemption": exemption, "universal_opt_out": universal}
        return Jurisdiction.model_construct(codes=(code,), name=code, effective_from=date(2020, 1, 1), law="", **fields)

    places = Jurisdictions([law("*", "opt-in", "", universal=True), *(law(*row) for row in rows)], NOW)
    found = places.of("US", None)
    assert (found.regime if found.name != "*" else "elsewhere") == regime
    assert not found.exemption


def test_every_change_of_the_policy_changes_its_version():
    versions = {
        Policy(settings).version
        for settings in (Consent(), Consent(gpc_scope="all"), Consent(dnt="deny"), Consent(events=EVENTS))
    }
    assert len(versions) == 4
    assert Policy(Consent()).version == Policy(Consent(remembered=99)).version


@pytest.mark.parametrize("lanes", [("daily", "off"), ("off", "daily"), ("counts", "off")])
def test_of_places_alike_the_one_that_counts_least_is_the_strictest(lanes):
    row = {"name": "x", "regime": "opt-in", "effective_from": date(2020, 1, 1), "law": ""}
    rows = [Jurisdiction(codes=(code,), anonymous=lane, **row) for code, lane in zip(("CA", "CA-QC"), lanes, strict=True)]
    assert Jurisdictions(rows, NOW).of("CA", None).anonymous == "off"


def test_before_the_first_row_is_in_force_the_strictest_rule_holds():
    _, rows = load_jurisdictions(Consent())
    assert Jurisdictions(rows, 0).of("US", "CA").regime == "opt-in"
    first = min(row.effective_from for row in rows)
    assert first > date(1999, 1, 1)


def test_what_a_request_carried_is_not_taken_for_what_another_one_did_when_old_ones_make_room():
    policy = Policy(Consent(remembered=64))
    requests = [
        {**GPC, "cookie": str(number)} if number % 3 else {"gdpr_consent": STRING, "cookie": str(number)} for number in range(200)
    ]
    names = [policy.read({"consent": YES}, carried, NOW).names for carried in requests]
    assert names == ["own+gpc" if number % 3 else "own+tcf" for number in range(200)]


CONSENTS = st.sampled_from(
    [None, YES, NO, BROKEN, {}, {"child": True}, {"tcf": STRING}, {"tcf": REFUSING}, {"tcf": "C"}, {"gpc": True}, {"gcs": "G100"}]
)
CASES = st.fixed_dictionaries(
    {
        "consent": CONSENTS,
        "country": st.sampled_from([None, "DE", "FR", "GB", "CH", "US", "CA", "ZZ"]),
        "subdivision": st.sampled_from([None, "CA", "QC", "WY"]),
        "event": st.sampled_from(["page_viewed", "ad_shown", "diagnosis_read", "locate", "other"]),
        "lane": st.sampled_from(["auto", "off", "counts", "daily"]),
        "withdrawn": st.sampled_from([(), ("analytics",), ("marketing", "sensitive")]),
        "carried": st.sampled_from([{}, GPC, {"gdpr_consent": STRING}, {"us_privacy": "1YYN"}, {"gpp": "D"}, {"gdpr": "1"}]),
    }
)
POLICIES = [
    POLICY,
    Policy(Consent(events=EVENTS, exemptions=["audience-measurement", "statistics"])),
    Policy(Consent(events=EVENTS, conflict="newest", gpc_scope="all", anonymous_after_denial="nothing")),
]


@given(CASES, st.sampled_from(POLICIES))
def test_a_remembered_decision_is_the_traced_one(case, policy):
    traced = policy.trace(
        policy.read({"consent": case["consent"]}, case["carried"], NOW),
        case["country"],
        case["subdivision"],
        case["event"],
        case["lane"],
        LISTED,
        NOW,
        frozenset(case["withdrawn"]),
    )
    assert decide(policy=policy, **case) == traced.result == decide(policy=policy, **case)
    assert [step.rule for step in traced.steps] == [name for name, _ in RULES]


@given(
    CASES,
    st.sampled_from(POLICIES),
    st.sampled_from([NO, BROKEN]),
    st.sampled_from([GPC, {"gdpr_consent": "C"}, {"gdpr_consent": REFUSING}]),
)
def test_more_objections_never_open_a_lane(case, policy, consent, carried):
    def openness(result):
        return 0 if isinstance(result, Reason) else 3 if result.lane is Lane.CONSENTED else 1 + result.visitor

    before = openness(decide(policy=policy, **case))
    assert openness(decide(policy=policy, **{**case, "withdrawn": (*case["withdrawn"], "analytics")})) <= before
    assert openness(decide(policy=policy, **{**case, "carried": {**case["carried"], **carried}})) <= before
    if case["consent"] in (None, {}, YES):
        assert openness(decide(policy=policy, **{**case, "consent": consent})) <= before


@given(CASES, st.sampled_from(POLICIES))
def test_what_was_not_granted_never_travels_as_a_persons_where_a_grant_is_needed(case, policy):
    result = decide(policy=policy, **case)
    if isinstance(result, Decision) and result.lane is Lane.CONSENTED and case["country"] in (None, "DE", "ZZ"):
        signals = policy.read({"consent": case["consent"]}, case["carried"], NOW)
        assert any(result.purpose in reading.grants for reading in signals.readings)
