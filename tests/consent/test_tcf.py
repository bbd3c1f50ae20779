import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentryd.config.settings import Consent
from consentryd.consent.purposes import load_purposes
from consentryd.consent.signals.freshness import Freshness
from consentryd.consent.signals.reading import Invalid, InvalidSignal
from consentryd.consent.signals.tcf import decode_tcf, read_tcf
from tests.consent.strings import DAY, NOW, core_bits, disclosed_bits, pack, publisher_bits, tcf

DATA = Path(__file__).parent.parent / "data"
VECTORS = json.loads((DATA / "consent-vectors.json").read_text())
MORE = json.loads((DATA / "consent-vectors-more.json").read_text())
PURPOSES = load_purposes(Consent())
FRESHNESS = Freshness(NOW, 395 * DAY, DAY)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def refusal(text):
    with pytest.raises(InvalidSignal) as caught:
        read_tcf(text, PURPOSES, None, FRESHNESS)
    return caught.value.reason


def grants(text, vendor=None):
    """What a string grants; a string that is refused grants nothing."""
    try:
        return read_tcf(text, PURPOSES, vendor, FRESHNESS).grants
    except InvalidSignal:
        return frozenset()


@pytest.mark.parametrize("vector", VECTORS["tcf"], ids=range(len(VECTORS["tcf"])))
def test_a_string_of_the_reference_library_decodes_exactly(vector):
    decoded = decode_tcf(vector["s"])
    publisher = decoded.publisher
    assert {
        "policyVersion": decoded.policy,
        "cmpId": decoded.cmp_id,
        "purposeConsents": sorted(decoded.consents),
        "purposeLI": sorted(decoded.interests),
        "specialFeatures": sorted(decoded.special_features),
        "vendorConsents": list(decoded.vendors.each()),
        "vendorLI": list(decoded.vendor_interests.each()),
        "vendorsDisclosed": list(decoded.disclosed.each()) if decoded.disclosed else [],
        "publisherConsents": sorted(publisher.consents) if publisher else [],
        "publisherLI": sorted(publisher.interests) if publisher else [],
        "publisherCC": decoded.country,
        "purposeOneTreatment": decoded.purpose_one_treatment,
    }.items() <= vector.items()
    assert decoded.created == decoded.updated == 1795219200 * 10**6, vector["created"]


@pytest.mark.parametrize("vector", MORE["tcf"], ids=range(len(MORE["tcf"])))
def test_restrictions_and_custom_purposes_decode_exactly(vector):
    decoded = decode_tcf(vector["s"])
    found = [{"purpose": each.purpose, "type": each.type, "vendors": list(each.vendors.each())} for each in decoded.restrictions]
    assert found == vector["restrictions"]
    assert list(decoded.vendors.each()) == vector["vendorConsents"]
    assert sorted(decoded.publisher.custom_consents) == vector["custom"]


@pytest.mark.parametrize("text", VECTORS["tcf_invalid"], ids=range(len(VECTORS["tcf_invalid"])))
def test_a_string_of_the_invalid_list_is_refused(text):
    assert refusal(text) in Invalid


PLAIN = tcf(publisher=(1, 8, 9))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Invalid.TRUNCATED),
        ("C", Invalid.TRUNCATED),
        (tcf(version=1), Invalid.UNSUPPORTED_VERSION),
        (tcf(version=3), Invalid.UNSUPPORTED_VERSION),
        (tcf(service_specific=0), Invalid.WRONG_SCOPE),
        (tcf(policy=3), Invalid.OLD_POLICY),
        (tcf(interests=(3,)), Invalid.FORBIDDEN_INTEREST),
        (tcf(interests=(6,)), Invalid.FORBIDDEN_INTEREST),
        (tcf(at=NOW - 396 * DAY), Invalid.EXPIRED),
        (tcf(at=NOW + DAY + 100_000), Invalid.FUTURE_DATED),
        (tcf(created=NOW + DAY // 2), Invalid.MALFORMED),
        (tcf(language=(26, 0)), Invalid.MALFORMED),
        (tcf(restrictions=((0, 1, 5),)), Invalid.MALFORMED),
        (tcf(restrictions=((9, 3, 5),)), Invalid.MALFORMED),
        (PLAIN + "=", Invalid.MALFORMED),
        (PLAIN + ".", Invalid.TRUNCATED),
        (PLAIN + "." + pack(publisher_bits((1,))), Invalid.MALFORMED),
        (PLAIN + "." + pack("000" + "0" * 54), Invalid.MALFORMED),
        (PLAIN + "." + pack("100" + "0" * 54), Invalid.MALFORMED),
        (PLAIN + "AAAA", Invalid.MALFORMED),
        (PLAIN.replace("C", "+", 1), Invalid.MALFORMED),
        (pack(core_bits(vendor=(60,))) + "." + pack(publisher_bits((1,)), 6), Invalid.MALFORMED),
        (pack(core_bits() + "1"), Invalid.MALFORMED),
        (pack(core_bits()[:-40]), Invalid.TRUNCATED),
        ("C" * 20_000, Invalid.TOO_LONG),
    ],
)
def test_a_bad_string_is_refused_with_its_reason(text, reason):
    assert refusal(text) is reason


@pytest.mark.parametrize("padding", [6, 8, 24])
def test_each_producers_padding_is_accepted(padding):
    assert grants(tcf(publisher=(1, 8, 9), padding=padding)) == {"analytics"}


def test_a_choice_counts_until_its_13_months_are_over_and_not_longer():
    reading = read_tcf(tcf(at=NOW - 395 * DAY, publisher=(1, 8, 9)), PURPOSES, None, FRESHNESS)
    assert reading.grants == {"analytics"}
    assert reading.until == NOW + 1


@pytest.mark.parametrize(
    ("text", "granted"),
    [
        (tcf(publisher=(1, 8, 9)), {"analytics"}),
        (tcf(publisher=(8, 9)), set()),
        (tcf(publisher=(1, 9)), set()),
        (tcf(publisher=(1, 8, 9, 10)), {"analytics", "product"}),
        (tcf(publisher=(1, 2, 3, 4, 5, 6, 7)), {"marketing", "attribution", "personalization"}),
        (tcf(publisher=(1,), features=(1,)), {"location"}),
        (tcf(publisher=(1,), features=(2,)), set()),
        (tcf(consents=range(1, 12)), set()),
        (tcf(consents=range(1, 12), publisher=()), set()),
    ],
)
def test_the_publisher_is_granted_what_its_own_segment_grants(text, granted):
    assert grants(text) == granted


def test_what_the_core_refuses_is_refused_where_nobody_asked_for_the_publisher():
    for text in (tcf(consents=(1, 2, 7)), tcf(consents=(1, 2, 7), publisher=())):
        assert read_tcf(text, PURPOSES, None, FRESHNESS).denies == {
            "analytics",
            "product",
            "personalization",
            "marketing",
            "location",
        }


@pytest.mark.parametrize(
    ("core", "granted"),
    [
        ({"vendor": (52,), "disclosed": (52,)}, True),
        ({"vendor": (51,), "disclosed": (52,)}, False),
        ({"vendor": (52,), "disclosed": (51,)}, False),
        ({"vendor": (52,), "disclosed": None}, False),
        ({"vendor": (52,), "disclosed": (52,), "restrictions": ((9, 0, 52),)}, False),
        ({"vendor": (52,), "disclosed": (52,), "restrictions": ((9, 1, 52),)}, True),
        ({"vendor": (52,), "disclosed": (52,), "restrictions": ((9, 2, 52),)}, False),
        ({"vendor": (52,), "disclosed": (52,), "restrictions": ((9, 0, 53),)}, True),
        ({"vendor": (52,), "disclosed": (52,), "restrictions": ((4, 0, 52),)}, True),
    ],
)
def test_a_vendor_needs_its_bit_its_disclosure_and_no_restriction(core, granted):
    assert grants(tcf(consents=(1, 8, 9), **core), vendor=52) == ({"analytics"} if granted else set())


def test_ranges_that_fall_or_leave_the_bounds_are_refused():
    head = core_bits()[: -(17 * 2 + 12)]
    for entries in (
        "0" + f"{9:016b}" + "0" + f"{9:016b}",
        "1" + f"{9:016b}{8:016b}" + "0" + f"{10:016b}",
        "0" + f"{0:016b}" + "0" + f"{1:016b}",
    ):
        assert refusal(pack(head + f"{20:016b}1{2:012b}" + entries + "0" * 29)) is Invalid.MALFORMED
    over = f"{20:016b}1{1:012b}0{21:016b}"
    assert refusal(pack(head + over + "0" * 29)) is Invalid.MALFORMED


STRINGS = st.sampled_from(
    [vector["s"] for vector in VECTORS["tcf"] + MORE["tcf"]]
    + [tcf(publisher=(1, 8, 9)), tcf(publisher=(4, 9), consents=(1, 8, 9), vendor=(52,), disclosed=(1, 52))]
)
VENDORS = st.sampled_from([None, 52, 139, 1008])


@given(STRINGS, VENDORS, st.data())
def test_a_string_cut_anywhere_grants_nothing_new(text, vendor, data):
    cut = data.draw(st.integers(0, len(text) - 1))
    assert grants(text[:cut], vendor) <= grants(text, vendor)


@given(STRINGS, st.text(min_size=1, max_size=8), st.data())
def test_a_string_with_something_put_in_grants_nothing_new(text, more, data):
    at = data.draw(st.integers(0, len(text)))
    assert grants(text[:at] + more + text[at:]) <= grants(text)


@given(STRINGS, VENDORS, st.sampled_from(ALPHABET + "."), st.data())
def test_a_string_with_a_character_put_in_grants_nothing_new(text, vendor, more, data):
    at = data.draw(st.integers(0, len(text)))
    assert grants(text[:at] + more + text[at:], vendor) <= grants(text, vendor)


@given(STRINGS, st.data())
def test_a_string_with_a_part_left_out_grants_nothing_new(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    assert grants(text[:start] + text[end:]) <= grants(text)


@given(STRINGS, st.data())
def test_a_flipped_bit_grants_only_what_the_bits_in_their_places_say(text, data):
    """Strings carry no signature: a flip may make another valid string. No grant may come out of anything but its own bits."""
    at = data.draw(st.integers(0, len(text) - 1))
    flipped = text[:at] + data.draw(st.sampled_from(ALPHABET + ".=+/ ~")) + text[at + 1 :]
    granted = grants(flipped)
    if granted:
        segments = [segment for segment in flipped.split(".")[1:] if ALPHABET.index(segment[0]) >> 3 == 3]
        bits = "".join(f"{ALPHABET.index(char):06b}" for char in segments[0])
        consented = {number for number in range(1, 25) if bits[2 + number] == "1"}
        for name in granted:
            assert consented.issuperset(PURPOSES.by_name[name].tcf)


@given(st.text(alphabet=ALPHABET + ".", max_size=200).map(lambda tail: "C" + tail))
def test_noise_is_refused_without_another_error(text):
    assert grants(text) == frozenset()


def test_disclosed_vendors_may_be_ranges():
    segment = "001" + f"{60:016b}1{1:012b}1{1:016b}{60:016b}"
    text = pack(core_bits(consents=(1, 8, 9), vendor=(52,))) + "." + pack(segment)
    assert grants(text, 52) == {"analytics"}
    assert grants(pack(core_bits(consents=(1, 8, 9), vendor=(52,))) + "." + pack(disclosed_bits((51,))), 52) == set()
