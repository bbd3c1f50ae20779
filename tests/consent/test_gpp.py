import json
import time
import timeit
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentryd.config.settings import Consent
from consentryd.consent.policy import Policy
from consentryd.consent.purposes import load_purposes
from consentryd.consent.signals.freshness import Freshness
from consentryd.consent.signals.gpp import decode_gpp, decode_header, read_gpp
from consentryd.consent.signals.reading import Invalid, InvalidSignal
from tests.consent.strings import DAY, NOW, field, pack, tcf, vendors

DATA = Path(__file__).parent.parent / "data"
VECTORS = json.loads((DATA / "consent-vectors.json").read_text())
MORE = json.loads((DATA / "consent-vectors-more.json").read_text())
PURPOSES = load_purposes(Consent())
FRESHNESS = Freshness(NOW, 395 * DAY, DAY)


def read(text, sections="", vendor=None):
    return read_gpp(text, sections, PURPOSES, vendor, FRESHNESS)


def refusal(text, sections=""):
    with pytest.raises(InvalidSignal) as caught:
        read(text, sections)
    return caught.value.reason


def plain(us):
    return {
        name: {
            key: list(value) if isinstance(value, tuple) else value == 1 if key == "Gpc" else value
            for key, value in fields.items()
        }
        for name, fields in us.items()
    }


def fibonacci(number: int) -> str:
    weights = [1, 2]
    while weights[-1] <= number:
        weights.append(weights[-1] + weights[-2])
    bits = ""
    for weight in reversed([weight for weight in weights if weight <= number]):
        bits += "1" if weight <= number else "0"
        number -= weight if weight <= number else 0
    return bits[::-1] + "1"


def header(*sections, padding=8) -> str:
    offsets = [after - before for before, after in zip((0, *sections), sections, strict=False)]
    return pack("000011000001" + f"{len(sections):012b}" + "".join("0" + fibonacci(offset) for offset in offsets), padding)


@pytest.mark.parametrize("vector", VECTORS["gpp"], ids=range(len(VECTORS["gpp"])))
def test_a_string_of_the_reference_library_decodes_exactly(vector):
    decoded = decode_gpp(vector["s"])
    assert list(decoded.sections) == vector["sections"]
    assert plain(decoded.us) == vector["obj"]


def test_every_us_section_is_among_the_vectors():
    assert {number for vector in VECTORS["gpp"] for number in vector["sections"]} == set(range(7, 28))


@pytest.mark.parametrize("vector", [v for v in MORE["gpp"] if v["sections"] == [5]], ids=range(4))
def test_a_canadian_string_of_the_reference_library_decodes_exactly(vector):
    decoded, expected = decode_gpp(vector["s"]).canada, vector["obj"]["tcfcav1"]
    flags = [position for position, on in enumerate(expected["PurposesExpressConsent"], 1) if on]
    publisher = [position for position, on in enumerate(expected["PubPurposesExpressConsent"], 1) if on]
    assert sorted(decoded.consents) == flags
    assert sorted(decoded.publisher.consents) == publisher
    assert list(decoded.vendors.each()) == expected["VendorExpressConsent"]
    assert list(decoded.vendor_implied.each()) == expected["VendorImpliedConsent"]
    assert (decoded.cmp_id, decoded.language) == (expected["CmpId"], expected["ConsentLanguage"])
    assert decoded.updated // 1000 == datetime.fromisoformat(expected["LastUpdated"]).astimezone(UTC).timestamp() * 1000


def test_us_privacy_travels_in_a_gpp_string():
    vector = next(vector for vector in MORE["gpp"] if vector["sections"] == [6, 7])
    us = plain(decode_gpp(vector["s"]).us)
    assert us.pop("uspv1").items() <= vector["obj"].pop("uspv1").items()
    assert us == vector["obj"]


@pytest.mark.parametrize("text", VECTORS["gpp_invalid"])
def test_a_string_of_the_invalid_list_is_refused(text):
    assert refusal(text) in Invalid


@pytest.mark.parametrize(
    ("text", "sections"),
    [("DBABM", (2,)), ("DBABMA", (2,)), ("DBACNY", (2, 6)), ("DBABjw", (5, 6)), ("DBABLA", (7,)), ("DBABL", (7,)), ("DBAA", ())],
)
def test_headers_of_the_specification_and_of_the_library_name_their_sections(text, sections):
    assert decode_header(text) == sections


@given(st.sets(st.integers(1, 27), min_size=1), st.sampled_from([6, 8]))
def test_any_header_decodes_to_the_sections_it_was_made_of(sections, padding):
    assert decode_header(header(*sorted(sections), padding=padding)) == tuple(sorted(sections))


USNAT_1 = "000001" + "00" * 6 + "01" + "00" * 2 + "00" * 12 + "00" * 2 + "00" + "000000"


@pytest.mark.parametrize("padding", [6, 8])
def test_the_first_version_of_the_national_section_has_its_own_layout(padding):
    us = decode_gpp(f"{header(7)}~{pack(USNAT_1, padding)}").us["usnat"]
    assert us["SaleOptOut"] == 1
    assert len(us["SensitiveDataProcessing"]) == 12


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("DBAA~1YNN", Invalid.TRUNCATED),
        ("DBA", Invalid.TRUNCATED),
        (header(28) + "~BAAA", Invalid.UNKNOWN_SECTION),
        (header(1) + "~BAAA", Invalid.UNKNOWN_SECTION),
        (header(4) + "~BAAA", Invalid.UNKNOWN_SECTION),
        (header(7) + "~" + pack("000011" + "0" * 64, 8), Invalid.UNSUPPORTED_VERSION),
        (header(7, 8) + "~" + pack(USNAT_1, 8), Invalid.TRUNCATED),
        (header(7) + "~" + pack(USNAT_1, 8) + "~1YNN", Invalid.TRUNCATED),
        (header(7) + "~" + pack(USNAT_1.replace("01", "11", 1), 8), Invalid.UNSUPPORTED_VERSION),
        (header(7) + "~" + pack(USNAT_1[:-2] + "11", 8), Invalid.MALFORMED),
        (header(7) + "~" + pack(USNAT_1, 8) + ".gA", Invalid.MALFORMED),
        (header(7) + "~" + pack(USNAT_1, 8) + ".YA.YA", Invalid.MALFORMED),
        (header(7) + "~" + pack(USNAT_1, 8) + "AAAA", Invalid.MALFORMED),
        (header(13) + "~BAEAAABA.YA", Invalid.MALFORMED),
        (header(6) + "~1YN", Invalid.MALFORMED),
        (header(6) + "~2YNN", Invalid.MALFORMED),
        (header(2) + "~" + tcf(service_specific=0), Invalid.WRONG_SCOPE),
        (header(2) + "~" + tcf(at=NOW - 400 * DAY), Invalid.EXPIRED),
        (pack("000011000010" + f"{1:012b}0" + fibonacci(7), 8) + "~" + pack(USNAT_1, 8), Invalid.UNSUPPORTED_VERSION),
        (pack("000010000001" + f"{1:012b}0" + fibonacci(7), 8) + "~" + pack(USNAT_1, 8), Invalid.MALFORMED),
        (pack("000011000001" + f"{1:012b}" + "0" * 24, 8), Invalid.MALFORMED),
        ("D" * 20_000, Invalid.TOO_LONG),
    ],
)
def test_a_bad_string_is_refused_with_its_reason(text, reason):
    assert refusal(text) is reason


ADS = frozenset({"marketing", "attribution", "location", "sensitive"})


@pytest.mark.parametrize(
    ("text", "opts_out", "denies", "child"),
    [
        ("DBABLA~CAASAAAAAABA.YA", ADS, set(), False),
        ("DBABLA~CAAkAAAAAABA.QA", ADS, set(), False),
        ("DBABUw~BAgAAAABAA.QA", set(), set(), False),
        ("DBABzw~1YYN~CEAQGAAAACBA.QA", ADS, {"location", "sensitive"}, True),
        (header(6) + "~1YNN", set(), set(), False),
        ("DBAA", set(), set(), False),
        (header(6) + "~1NYN", ADS, set(), False),
        (header(6) + "~1---", set(), set(), False),
    ],
)
def test_us_sections_opt_out_deny_and_name_children_but_never_grant(text, opts_out, denies, child):
    reading = read(text)
    assert (reading.grants, reading.opt_outs, reading.denies, reading.child) == (set(), opts_out, denies, child)


def test_refused_further_processing_denies_what_opt_outs_cover():
    text = header(7) + "~" + pack(USNAT_1[:-8] + "01" + "000000", 8)
    assert read(text).denies == ADS


@pytest.mark.parametrize(
    ("sections", "granted"),
    [("", {"analytics"}), ("2", {"analytics"}), ("7", set()), ("2,7", {"analytics"}), ("6_2", {"analytics"}), ("-1", set())],
)
def test_the_european_section_grants_only_where_it_applies(sections, granted):
    assert read(f"{header(2)}~{tcf(publisher=(1, 8, 9))}", sections).grants == granted


@pytest.mark.parametrize(
    ("sections", "dated"),
    [
        ((2,), True),
        ((2, 5), False),
        ((2, 7), False),
        ((5,), True),
    ],
)
def test_a_string_is_dated_by_sections_of_one_moment_that_leave_no_undated_refusal(sections, dated):
    refusing = pack(USNAT_1[:-8] + "01" + "000000", 8)
    earlier, later = tcf(at=NOW - 2 * DAY, publisher=(1, 8, 9)), canada((8,), at=NOW).partition("~")[2]
    text = "~".join([header(*sections), *({2: earlier, 5: later, 7: refusing}[section] for section in sections)])
    assert (read(text).at is not None) == dated


def test_the_newest_choice_does_not_outweigh_what_a_section_without_a_date_refuses():
    newest = Policy(Consent(conflict="newest", events={"ad": "marketing"}))
    own = {"purposes": {"marketing": True}, "at": (NOW - DAY) // 1000}
    european = tcf(at=NOW - 2 * DAY, publisher=(1, 2, 3, 4, 7))
    further_processing = "000001" + "00" * 23 + "01" + "000000"
    text = f"{header(2, 7)}~{european}~{pack(further_processing, 8)}"
    signals = newest.read({"consent": {**own, "gpp": text}}, {}, NOW)
    assert newest.trace(signals, "DE", None, "ad", "off", (), NOW).winner == "denial"


@pytest.mark.parametrize("sections", ["x", "2,", "2;7", "1" * 9, ",".join(["2"] * 40), "²"])
def test_a_list_of_sections_that_is_none_refuses_the_string(sections):
    assert refusal(f"{header(2)}~{tcf(publisher=(1, 8, 9))}", sections) is Invalid.MALFORMED


def canada(publisher=(), at=NOW, vendor=(), restrictions=None, disclosed=None) -> str:
    head = f"000001{at // 100_000:036b}{at // 100_000:036b}{1:012b}{1:012b}{1:06b}{5:06b}{17:06b}{9:012b}{2:06b}0"
    core = head + "0" * 12 + field((8, 9), 24) + "0" * 24 + vendors(vendor) + vendors(())
    if restrictions is not None:
        core += f"{len(restrictions):012b}" + "".join(
            f"{purpose:06b}{kind:02b}{vendors((who,))}" for purpose, kind, who in restrictions
        )
    segments = [core]
    if disclosed is not None:
        segments.append("001" + vendors(disclosed))
    if publisher:
        segments.append("011" + field(publisher, 24) + "0" * 24 + "0" * 6)
    return f"{header(5)}~{'.'.join(pack(bits, 8) for bits in segments)}"


@pytest.mark.parametrize(
    ("made", "granted"),
    [
        ({"vendor": (52,)}, True),
        ({"vendor": (51,)}, False),
        ({"vendor": (52,), "disclosed": (52,)}, True),
        ({"vendor": (52,), "disclosed": (51,)}, False),
        ({"vendor": (52,), "restrictions": ((9, 0, 52),)}, False),
        ({"vendor": (52,), "restrictions": ((9, 1, 52),)}, True),
        ({"vendor": (52,), "restrictions": ((9, 2, 52),)}, False),
        ({"vendor": (52,), "restrictions": ((9, 0, 51),)}, True),
    ],
)
def test_a_vendor_in_canada_needs_its_bit_and_no_restriction(made, granted):
    assert read(canada(**made), vendor=52).grants == ({"analytics"} if granted else set())


@pytest.mark.parametrize(
    "text",
    [
        canada((8, 9)).replace("~B", "~C"),
        canada((8, 9)) + ".YAAAAAAAAAA",
        canada((8, 9)) + ".gAAA",
        canada(vendor=(5,), restrictions=((0, 1, 5),)),
        canada(vendor=(5,), restrictions=((9, 3, 5),)),
    ],
)
def test_a_canadian_section_that_is_none_is_refused(text):
    assert refusal(text) in {Invalid.MALFORMED, Invalid.UNSUPPORTED_VERSION}


def test_a_gpp_string_counts_no_longer_than_its_oldest_choice():
    for text in (f"{header(2)}~{tcf(at=NOW - 395 * DAY, publisher=(1, 8, 9))}", canada((8, 9), at=NOW - 395 * DAY)):
        assert (read(text).grants, read(text).until, read(text).at) == ({"analytics"}, NOW + 1, NOW - 395 * DAY)


def test_the_canadian_section_grants_by_the_publishers_express_consent():
    assert read(canada((8, 9))).grants == {"analytics"}
    assert read(canada((8,))).grants == set()
    assert read(canada(())).grants == set()
    assert refusal(canada((8, 9), at=NOW - 400 * DAY)) is Invalid.EXPIRED


@given(
    st.sampled_from([vector["s"] for vector in VECTORS["gpp"]] + [f"{header(2)}~{tcf(publisher=(1, 8, 9))}", canada((8, 9))]),
    st.data(),
)
def test_a_damaged_string_grants_nothing_new(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    more = data.draw(st.text(alphabet="ABYZaz09-_.~=", max_size=2)) if start == end else ""
    damaged = text[:start] + more + text[end:]
    try:
        granted = read(damaged).grants
    except InvalidSignal:
        granted = frozenset()
    assert granted <= read(text).grants


def test_a_string_made_to_be_long_to_read_is_not():
    honest = VECTORS["gpp"][0]["s"]
    hostile = pack(f"{3:06b}{1:06b}{4095:012b}" + ("0" + fibonacci(16)) * 3600, 6) + "~BAAA"
    assert refusal(hostile) == Invalid.UNKNOWN_SECTION
    assert cost(hostile) < 40 * cost(honest)


def cost(text):
    """Seconds of this process's own time: the least of some tries."""
    return min(timeit.repeat(lambda: decoded(text), number=3, repeat=5, timer=time.process_time))


def decoded(text):
    try:
        return decode_gpp(text)
    except InvalidSignal as error:
        return error.reason


def test_strings_that_decode_to_much_leave_nothing_behind():
    policy = Policy(Consent())
    vendor_set = f"{65535:016b}1{4095:012b}" + ("0" + fibonacci(2)) * 4095
    tracemalloc.start()
    try:
        for number in range(8):
            core = f"{1:06b}{0:072b}{number:012b}{0:018b}{0:091b}{vendor_set * 2}"
            signals = policy.read({"consent": {"gpp": f"{header(5)}~{pack(core, 8)}"}}, {}, NOW)
            assert signals.invalid == (Invalid.EXPIRED,)
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
