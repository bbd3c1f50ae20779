import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentryd.config.settings import Consent
from consentryd.consent.policy import Policy
from consentryd.consent.reader import CARRIED
from consentryd.consent.signals.google import decode_gcd
from consentryd.consent.signals.reading import INVALID_TEXT, Invalid
from tests.consent.strings import DAY, NOW, tcf

CATEGORIES = {"C0002": ["analytics", "product"], "Statistik": ["analytics"], "C0004": ["marketing"]}
POLICY = Policy(Consent(categories=CATEGORIES))
ADS = {"marketing", "attribution", "location", "sensitive"}
ALL = ADS | {"analytics", "product", "personalization", "profiling"}
GOOD = tcf(publisher=(1, 8, 9))


def heard(consent=None, managed=None, carried=None, policy=POLICY, now=NOW):
    """What all signals of an event say together: grants, denies, opt-outs, refusals."""
    context = {key: value for key, value in (("consent", consent), ("consentManagement", managed)) if value is not None}
    readings = policy.read(context, carried or {}, now).readings
    every = [set().union(*(getattr(reading, name) for reading in readings)) for name in ("grants", "denies", "opt_outs")]
    return (*every, [reading.invalid for reading in readings if reading.invalid])


@pytest.mark.parametrize(
    ("consent", "grants", "denies"),
    [
        ({}, set(), set()),
        ({"purposes": {}}, set(), set()),
        ({"purposes": {"analytics": True, "marketing": False}}, {"analytics"}, {"marketing"}),
        ({"purposes": {"Analytics": True}}, {"analytics"}, set()),
        ({"purposes": {"analytics": None, "marketing": False}}, set(), {"marketing"}),
        ({"purposes": {"unheard_of": True}}, set(), set()),
        ({"purposes": {" analytics": False, "Marketing ": True}}, {"marketing"}, {"analytics"}),
        ({"purposes": {"C0002": True}}, {"analytics", "product"}, set()),
        ({"purposes": {"C0002": True, "statistik": False}}, {"product"}, {"analytics"}),
        ({"purposes": {"analytics": True}, "notice": "2026-11", "at": "2026-11-20T10:00:00Z"}, {"analytics"}, set()),
        ({"purposes": {"analytics": True}, "at": NOW // 1000}, {"analytics"}, set()),
        ({"purposes": {"analytics": True}, "at": "2026-11-20t24:00:00z"}, {"analytics"}, set()),
        ({"categoryPreferences": {"C0002": True, "C0004": False}}, {"analytics", "product"}, {"marketing"}),
        ({"tcf": GOOD}, {"analytics"}, {"product", "personalization", "attribution", "marketing", "location"}),
        ({"notice": "2026-11", "at": NOW // 1000}, set(), set()),
        ({"purposes": {"analytics": True}, "unknown": 1}, {"analytics"}, set()),
        ({"gpc": "false", "dnt": "yes"}, set(), set()),
        ({"tcf": None, "gpp": None}, set(), set()),
    ],
)
def test_a_choice_in_the_event_says_what_it_says(consent, grants, denies):
    assert heard(consent) == (grants, denies, set(), [])


@pytest.mark.parametrize(
    ("managed", "grants", "denies"),
    [
        (
            {"allowedConsentIds": ["C0002"], "deniedConsentIds": ["C0004"], "provider": "oneTrust"},
            {"analytics", "product"},
            {"marketing"},
        ),
        (
            {"allowedConsentIds": ["C0002"], "deniedConsentIds": ["Statistik"], "resolutionStrategy": "or"},
            {"product"},
            {"analytics"},
        ),
        ({"allowedConsentIds": {}, "deniedConsentIds": []}, set(), set()),
        ({"provider": "oneTrust"}, set(), set()),
        ({}, set(), set()),
    ],
)
def test_rudder_ids_say_what_they_say(managed, grants, denies):
    assert heard(managed=managed) == (grants, denies, set(), [])


@pytest.mark.parametrize(
    ("carried", "opt_outs"),
    [
        ({"sec-gpc": "1"}, ADS),
        ({"sec-gpc": "1, 1"}, ADS),
        ({"sec-gpc": "0, 1"}, ADS),
        ({"sec-gpc": "0"}, set()),
        ({"sec-gpc": "true"}, set()),
        ({"sec-gpc": "11"}, set()),
        ({"sec-gpc": ""}, set()),
        ({"us_privacy": "1YYN"}, ADS),
        ({"usprivacy": "1-Y-"}, ADS),
        ({"us_privacy": "1YNN"}, set()),
        ({"gpp": "DBABLA~CAASAAAAAABA.YA"}, ADS),
        ({"__gpp": "DBABLA~CAASAAAAAABA.YA", "__gpp_sid": "7"}, ADS),
    ],
)
def test_an_opt_out_that_a_request_carries_is_heard(carried, opt_outs):
    assert heard(carried=carried) == (set(), set(), opt_outs, [])


def test_the_event_itself_may_carry_what_the_browser_says():
    assert heard({"gpc": True})[2] == ADS
    assert heard({"gpc": "1"})[2] == heard({"gpc": "true"})[2] == heard({"gpc": "Yes"})[2] == ADS
    assert heard({"gpc": False}) == (set(), set(), set(), [])
    assert heard({"gpp": f"DBABMA~{GOOD}", "gpp_sid": [2]})[0] == {"analytics"}


def test_with_gpc_scope_all_an_opt_out_stops_every_purpose():
    assert heard(carried={"sec-gpc": "1"}, policy=Policy(Consent(gpc_scope="all")))[2] == ALL


def test_dnt_denies_every_purpose_where_the_operator_heeds_it():
    assert heard(carried={"dnt": "1"}) == (set(), set(), set(), [])
    heeding = Policy(Consent(dnt="deny"))
    assert heard(carried={"dnt": "1"}, policy=heeding)[1] == ALL
    assert heard(carried={"dnt": "0"}, policy=heeding)[1] == set()
    assert heard({"dnt": "yes"}, policy=heeding)[1] == ALL
    assert heard({"dnt": "unspecified"}, policy=heeding) == (set(), set(), set(), [])
    assert heard({"dnt": "maybe"}, policy=heeding)[3] == [Invalid.MALFORMED]


@pytest.mark.parametrize(
    ("carried", "denies"),
    [
        ({"gcs": "G111"}, set()),
        ({"gcs": "G1--"}, set()),
        ({"gcs": "G110"}, {"analytics", "product"}),
        ({"gcs": "G101"}, {"marketing", "attribution"}),
        ({"gcd": "13l3l3l2l1l1"}, set()),
        ({"gcd": "11r1r1r1r5"}, set()),
        ({"gcd": "11q1p1q1q5"}, {"analytics", "product", "marketing", "attribution"}),
        ({"gcd": "11t1m1t1t5"}, {"analytics", "product"}),
        ({"gcd": "11m1v1t1t5"}, {"marketing", "attribution"}),
    ],
)
def test_google_consent_mode_denies_and_never_grants(carried, denies):
    assert heard(carried=carried) == (set(), denies, set(), [])


@pytest.mark.parametrize(
    ("letter", "denied"),
    [("l", False), ("m", True), ("n", False), ("p", True), ("q", True), ("r", False), ("t", False), ("u", True), ("v", False)],
)
def test_each_documented_letter_of_gcd_means_what_google_says(letter, denied):
    assert decode_gcd(f"11{letter}1l1l1l1") == ({"ad_storage"} if denied else set())


BAD = Invalid.MALFORMED


@pytest.mark.parametrize(
    ("consent", "reasons"),
    [
        ("granted", [BAD]),
        (True, [BAD]),
        ([], [BAD]),
        ({"purposes": True}, [BAD]),
        ({"purposes": None}, [BAD]),
        ({"purposes": ["analytics"]}, [BAD]),
        ({"purposes": {"analytics": "true"}}, [BAD]),
        ({"purposes": {"analytics": 1}}, [BAD]),
        ({"categoryPreferences": {"analytics": None}}, [BAD]),
        ({"purposes": {f"p{number}": True for number in range(256)}}, [BAD]),
        ({"purposes": {"analytics": True}, "notice": 7}, [BAD]),
        ({"purposes": {"analytics": True}, "child": "no"}, [BAD]),
        ({"purposes": {"analytics": True}, "at": "yesterday"}, [BAD]),
        ({"purposes": {"analytics": True}, "at": "2026-11-20T10:00:00"}, [BAD]),
        ({"purposes": {"analytics": True}, "at": -1}, [BAD]),
        ({"purposes": {"analytics": True}, "at": True}, [BAD]),
        ({"purposes": {"analytics": True}, "at": "2025-01-01T00:00:00Z"}, [Invalid.EXPIRED]),
        ({"purposes": {"analytics": True}, "at": "2026-11-23T00:00:00Z"}, [Invalid.FUTURE_DATED]),
        ({"categoryPreferences": {"C0002": "yes"}}, [BAD]),
        ({"tcf": 7}, [BAD]),
        ({"tcf": "", "gpp": "", "us_privacy": ""}, [Invalid.TRUNCATED, Invalid.TRUNCATED, BAD]),
        ({"analytics": False}, [BAD]),
        ({"Purposes": {"analytics": False}, "notice": "2026-11"}, [BAD]),
        ({"gpc": "on"}, [BAD]),
        ({"gpc": 2}, [BAD]),
        ({"dnt": "null"}, []),
        ({"gpp_sid": {}}, [BAD]),
    ],
)
def test_a_choice_that_is_not_one_is_refused(consent, reasons):
    assert heard(consent) == (set(), set(), set(), reasons)


@pytest.mark.parametrize(
    "managed",
    [
        [],
        "x",
        {"allowedConsentIds": "C0002"},
        {"allowedConsentIds": [1]},
        {"deniedConsentIds": {"a": 1}},
        {"denied_consent_ids": ["C0002"]},
    ],
)
def test_rudder_ids_that_are_none_are_refused(managed):
    assert heard(managed=managed)[3] == [BAD]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name in ("gdpr_consent", "euconsent-v2", "gpp", "us_privacy", "gcs", "gcd", "gdpr")
        for value in ("", "${MACRO}", "null", "é")
    ],
)
def test_a_carried_signal_that_is_none_is_refused(name, value):
    assert len(heard(carried={name: value})[3]) == 1


def test_one_bad_signal_does_not_hide_the_others():
    assert heard({"purposes": {"analytics": True}}, carried={"gdpr_consent": "C", "sec-gpc": "1"}) == (
        {"analytics"},
        set(),
        ADS,
        [Invalid.TRUNCATED],
    )


def test_a_string_that_comes_twice_is_heard_once():
    readings = POLICY.read({"consent": {"tcf": GOOD}}, {"gdpr_consent": GOOD, "euconsent-v2": GOOD}, NOW).readings
    assert [reading.source for reading in readings] == ["tcf"]


def test_a_notice_and_a_time_beside_categories_count_and_none_need_be_there():
    policy = Policy(Consent(notices=["2026-11"]))
    granted = {"categoryPreferences": {"analytics": True}}
    for notice, reasons in (("2026-11", []), ("2025-01", [Invalid.WRONG_NOTICE]), (None, []), (7, [BAD])):
        assert heard({**granted, "notice": notice}, policy=policy)[3] == reasons
    for at, reasons in ((NOW // 1000, []), ("2025-01-01T00:00:00Z", [Invalid.EXPIRED]), ("yesterday", [BAD])):
        assert heard({**granted, "at": at})[3] == reasons
    assert heard({"categoryPreferences": {"analytics": False}, "notice": "2025-01"}, policy=policy)[1] == {"analytics"}


def test_grants_count_only_under_a_current_notice_and_denials_under_any():
    policy = Policy(Consent(notices=["2026-11"]))
    for notice, reasons in (("2026-11", []), ("2025-01", [Invalid.WRONG_NOTICE]), (None, [Invalid.WRONG_NOTICE])):
        assert heard({"purposes": {"analytics": True}, "notice": notice}, policy=policy)[3] == reasons
    assert heard({"purposes": {"analytics": False}, "notice": "2025-01"}, policy=policy)[1] == {"analytics"}


def test_a_remembered_choice_is_read_again_when_its_time_is_over():
    policy = Policy(Consent())
    context = {"consent": {"tcf": tcf(at=NOW - 395 * DAY, publisher=(1, 8, 9))}}
    assert policy.read(context, {}, NOW).readings[0].grants == {"analytics"}
    assert policy.read(context, {}, NOW) is policy.read(context, {}, NOW)
    assert policy.read(context, {}, NOW + 1).invalid == (Invalid.EXPIRED,)


def test_a_choice_dated_ahead_counts_from_its_moment_on():
    policy = Policy(Consent())
    context = {"consent": {"tcf": tcf(at=NOW + 2 * DAY, publisher=(1, 8, 9))}}
    assert policy.read(context, {}, NOW).invalid == (Invalid.FUTURE_DATED,)
    assert policy.read(context, {}, NOW + DAY).invalid == ()


def test_values_that_python_holds_equal_are_not_confused():
    policy = Policy(Consent())
    assert policy.read({"consent": {"purposes": {"analytics": True}}}, {}, NOW).readings[0].grants
    assert policy.read({"consent": {"purposes": {"analytics": 1}}}, {}, NOW).invalid == (BAD,)
    granting = {"allowedConsentIds": ["analytics"]}
    assert policy.read({"consentManagement": granting}, {}, NOW).readings[0].grants
    assert policy.read({"consent": [None, granting]}, {}, NOW).invalid == (BAD,)


def test_requests_that_carry_different_signals_are_not_confused():
    policy, carried = Policy(Consent()), {"sec-gpc": "1"}
    assert policy.read({}, carried, NOW).names == "gpc"
    carried["sec-gpc"] = "0"
    assert policy.read({}, carried, NOW).names == "none"
    assert policy.read({}, {"sec-gpc": "1"}, NOW).names == "gpc"


def test_memory_is_bounded_however_many_signals_come():
    policy = Policy(Consent(remembered=64))
    for number in range(500):
        context = {"consent": {"purposes": {"analytics": True}, "notice": str(number)}}
        signals = policy.read(context, {"us_privacy": f"x{number}"}, NOW)
        policy.decide(signals, country="DE", subdivision=None, event=str(number), lane="off", anonymous_events=(), now=NOW)
    assert max(len(policy._signals), len(policy._decisions), len(policy._tokens)) <= 64


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
NAMES = st.sampled_from(["purposes", "categoryPreferences", "at", "notice", "child", *CARRIED.values()])


@given(
    st.dictionaries(NAMES, JSON, max_size=4) | JSON,
    JSON,
    st.dictionaries(st.sampled_from(sorted(CARRIED)), st.text(max_size=12), max_size=3),
)
def test_any_input_is_read_without_an_error(consent, managed, carried):
    POLICY.read({"consent": consent, "consentManagement": managed}, carried, NOW)


def test_every_refused_signal_of_every_event_is_counted():
    counted = []
    policy = Policy(Consent(), counted.append)
    for _ in range(2):
        policy.count_invalid(policy.read({"consent": {"tcf": "C"}}, {"us_privacy": "x"}, NOW))
        policy.count_invalid(policy.read({"consent": {"purposes": {"analytics": True}}}, {"sec-gpc": "1"}, NOW))
    assert counted == [Invalid.TRUNCATED, BAD] * 2


def test_every_refusal_has_a_text():
    assert set(INVALID_TEXT) == set(Invalid)
