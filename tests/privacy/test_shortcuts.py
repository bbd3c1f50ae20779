"""The quick looks lose nothing: what the detectors find in a text when they look at all of it, scrubbing takes out of it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentryd.config.settings import Privacy
from consentryd.privacy.detect import Gate
from consentryd.privacy.detect.placed import placed
from consentryd.privacy.detect.sole import sole
from consentryd.privacy.finder import Finder
from consentryd.privacy.key_class import PLAIN
from consentryd.privacy.rules import load_rules
from consentryd.privacy.scrub import Scrubber
from consentryd.privacy.text import PARAMETER, TextCleaner
from tests.privacy.positive import POSITIVE
from tests.privacy.test_scrub import ENCODINGS

#: Other ways to write what `POSITIVE` has, each of which a quick look could take for something else.
FORMS = {
    "bare card": "4111111111111111",
    "card in dashes": "4111-1111-1111-1111",
    "American Express": "3782 822463 10005",
    "bare American Express": "378282246310005",
    "Visa of 13 digits": "4222222222222",
    "Diners Club": "30569309025904",
    "Maestro of 12 digits": "501800000009",
    "Discover of 19 digits": "6011000000000000001",
    "bare IBAN": "DE89370400440532013000",
    "IBAN in lower case": "gb29 nwbk 6016 1331 9268 19",
    "bare phone": "+4930901820",
    "phone with a trunk zero": "+49 (0)30 901820",
    "phone by 00": "0049 30 901820",
    "phone by 011": "011 49 30 901820",
    "IPv6": "2001:db8:85a3::8a2e:370:7334",
    "short IPv6": "2001:db8::1",
    "MAC in dashes": "0a-1b-2c-3d-4e-5f",
    "IMEI said to be one": "IMEI: 490154203237518",
    "IMEI in a parameter": "imei=490154203237518",
    "Chinese number with an X": "11010519491231002X",
    "NHS number in dashes": "788-762-3286",
    "bare NINO": "AB123456C",
    "bare NIR": "117043865584270",
    "NIR of Corsica": "1 85 05 2A 004 123 56",
    "bare NIR of Corsica": "185052A00412356",
    "bare Belgian number": "61051039539",
    "bare Norwegian number": "19036860319",
    "Finnish number of this century": "120342A614T",
    "Swedish number of twelve": "19600213-3913",
    "Swedish centenarian": "600213+3913",
    "Aadhaar in dashes": "3751-8202-0763",
    "DNI with a dash": "02734646-S",
    "bare AHV": "7564231426358",
    "CURP in lower case": "boxw310820hnerxn09",
    "Ethereum": "0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359",
    "Bech32": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "Bech32 in capitals": "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
    "key of Hugging Face": "hf_" + "aB3" * 12,
    "key of SendGrid": "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",
    "basic with a slash": "Basic em/Dqzp6QUVBNUNJUmk=",
    "bearer in lower case": "authorization: bearer mF_9.B5f41JqM0a9b8c7d6",
    "short basic credentials": "Basic dTpwYXNz",
    "bearer in short runs": "Bearer mF_9.B5f-4.1JqM.x7-Q",
    "MAC in three groups": "0a1b.2c3d.4e5f",
    "Windows path": "C:\\Users\\anna\\x.txt",
}

#: Forms that no quick look knows.
RARE = {
    "card in wide gaps": "4111  1111  1111  1111",
    "card by slashes": "4111/1111/1111/1111",
    "card by dots": "4111.1111.1111.1111",
    "card by underscores": "4111_1111_1111_1111",
    "card with a sign": "-4111111111111111",
    "card with a letter": "4111111111111111x",
    "IBAN by underscores": "DE89_3704_0044_0532_0130_00",
    "phone in brackets": "(+49) 151 23456789",
    "phone by 00 in brackets": "(0049) 151 23456789",
    "phone parted by tabs": "+49\t30\t901820",
    "phone of a link": "tel:4915123456789",
    "phone after a word": "phone: 0151-23456789",
    "phone with a slash between blanks": "+49 30 / 901820",
    "phone of a contact": "TEL;TYPE=CELL:0151 234567",
    "phone of a message": "sms:0151234567",
    "card as a float": "4111111111111111.0",
    "address of Moldova": "ion.popescu@mail.md",
    "coordinates": "geo:52.520008,13.404954",
}

BEFORE = ("", "see ", "x: ", "(", "id=", "\n", "\u201c", "/")
AFTER = ("", ".", ". Then", ",", ")", " and", "\u201d", "?", "&x=1", "...")

#: Credentials and names in paths, and what only looks like them.
SAID = {
    "bearer": "Bearer mF9B5f41JqM0a9b8c7d6e5",
    "bearer with a token of another kind": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "bearer with a key": "Bearer sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "bearer and a dot": "Bearer mF9B5f41JqM0a9b8.7d6e5.",
    "bearer of words": "bearer of-some-certificates",
    "basic": "Basic YW5uYTpzZWNyZXQtc2VjcmV0",
    "padded basic": "Basic YW5uYTpzZWNyZXQtc2VjcmU=",
    "padding in a sentence": "Basic YW5uYTpzZWNyZXQtc2VjcmU= Accept=x",
    "basic English": "basic introductionary course",
    "private key": "-----BEGIN PRIVATE KEY-----\nMIIBVAIBADANBgkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----",
    "padded private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIBVAIBADANBgkqhkiG9w0BAQE=\n-----END RSA PRIVATE KEY-----",
    "private key and more": "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY----- anna@example.com",
    "cut private key": "-----BEGIN PRIVATE KEY-----\nMIIBVAIBADANBgkqhkiG9w0BAQEF",
    "home": "/home/anna/project/main.py",
    "Users": "/Users/anna/Documents/plan.pdf",
    "nobody's home": "/home/runner/project/main.py",
    "homes": "/home/anna/copy/home/jane/main.py",
    "Windows": "C:\\Users\\anna\\Desktop\\plan.docx",
    "everybody's Windows": "C:\\Users\\Public\\Desktop\\plan.docx",
    "Windows with an escape": "C:\\Users\\anna\\x40\\u0041.docx",
    "user": "https://shop.example/users/31415926/orders",
    "user of a path": "/users/anna/orders",
    "page of users": "https://shop.example/users/settings/orders",
    "user with a fragment": "https://shop.example/users/31415926/orders#anna",
    "user with an address": "https://shop.example/users/31415926/orders?to=anna@example.com",
    "user with a page": "https://shop.example/users/31415926/orders?page=2",
    "two users": "https://shop.example/users/31415926/members/271828/x",
    "address for a user": "https://shop.example/users/anna@example.com/orders",
    "foreign name at home": "/home/m\u00fcller/project/main.py",
    "foreign name in Windows": "C:\\Users\\garc\u00eda\\Desktop\\plan.docx",
    "name of two scripts": "/home/m\u0443ller/project/main.py",
    "user of a URL": "https://anna:HULAoYOa@files.example.com/x",
    "foreign user of a URL": "https://nov\u00e1k:HULAoYOa@files.example.com/x",
    "user of a host": "https://anna:HULAoYOa@files.example.com",
    "user without a password": "https://anna@files.example.com/x",
    "user of a repository": "https://git@files.example.com/x",
    "user of a URL with a fragment": "https://anna:HULAoYOa@files.example.com/x#top",
    "password that is a key": "https://anna:sk_live_4eC39HqLyjWDarjtT1zdp7dc@files.example.com/x",
    "password that is a card": "https://anna:4111111111111111@files.example.com/x",
    "fragment": "https://shop.example/cart#95R8fJ7iXzKe",
    "fragment behind a user": "https://shop.example/users/anna#top",
    "fragment of a path": "/cart#top",
    "fragment that is a card": "https://shop.example/cart#4111111111111111",
    "fragment that is a key": "https://shop.example/cart#AKIAIOSFODNN7EXAMPLE",
    "fragment with a parameter": "https://shop.example/cart#token=abc123",
    "fragment of a channel": "see #general",
    "click": "https://shop.example/l?utm_source=x&fbclid=AbCdEf0123456789",
    "click and an address": "https://shop.example/l?q=anna@example.com&gclid=AbCdEf0123456789",
    "click and a card": "https://shop.example/l?gclid=AbCdEf0123456789&q=4111111111111111",
    "click of an address": "https://shop.example/l?gclid=anna@example.com",
    "address in base64": base64.b64encode(b'{"v":"anna@example.com"}').decode(),
    "nobody in base64": base64.b64encode(b'{"v":"shoes"}').decode(),
    "user with a date in it": "https://shop.example/users/20260101/orders/4111111111111111",
}

_FINDER = Finder(load_rules())
_WARM = Scrubber(load_rules(), b"k" * 32, "eu", Privacy())


def texts(value: str) -> list[str]:
    return [f"{before}{value}{after}" for before in BEFORE for after in AFTER]


VALUES = {**FORMS, **RARE, **{detector: value for detector, (key, value) in POSITIVE.items() if key == "note"}}


@pytest.mark.parametrize("form", sorted(VALUES))
def test_what_the_detectors_find_no_quick_look_passes(form: str) -> None:
    found = [text for text in texts(VALUES[form]) if _FINDER.find(text, Gate.ALL, PLAIN)]
    assert len(found) > len(AFTER)
    for text in found:
        assert _WARM.scrub("x", "shop", {"properties": {"note": text}}).redactions, text


@pytest.mark.parametrize("form", sorted(VALUES))
def test_what_is_found_at_once_is_what_the_detectors_find(form: str) -> None:
    found = {text: sole(text) for text in texts(VALUES[form])}
    assert all(finding is None or finding in _FINDER.find(text, Gate.ALL, PLAIN) for text, finding in found.items())


@pytest.mark.parametrize("words", ["Contact: ", "my data was ", "the id of X and AB was ", "Grundst\u00fcck von ", "see: to: "])
def test_words_before_a_datum_hide_nothing_of_it(words: str) -> None:
    for text in VALUES.values():
        alone, behind = sole(text), sole(f"{words}{text}")
        if alone is not None and alone[:2] == (0, len(text)) and alone[2] != "pem":
            assert behind == (len(words), len(words) + len(text), *alone[2:]), text


@pytest.mark.parametrize("text", ["DE 89370400440532013000", "AB 12 34 56 C", "Bearer mF9B5f41JqM0a9b8c7d6e5", "face::12 "])
def test_what_begins_with_a_word_is_found_from_there(text: str) -> None:
    found = sole(text)
    assert found is not None
    assert found in _FINDER.find(text, Gate.ALL, PLAIN)


@pytest.mark.parametrize("form", sorted(SAID))
def test_credentials_and_names_in_paths_become_the_same_at_once_as_by_a_closer_look(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = [
        SAID[form],
        f"Authorization: {SAID[form]}",
        f"{SAID[form]}, and",
        f"({SAID[form]})",
        f"{SAID[form]}?x=1",
        f"x {SAID[form]}",
    ]
    _scrubbed(about)  # what stands around names is known from now on
    at_once = _scrubbed(about)
    monkeypatch.setattr(TextCleaner, "_quickly", lambda *_: None)
    assert at_once == _scrubbed(about)


def _scrubbed(texts: list[str]) -> list[tuple[object, ...]]:
    found = [_WARM.scrub("x", "shop", {"properties": {"note": text}}) for text in texts]
    return [(each.properties, *each.redactions) for each in found]


@pytest.mark.parametrize("form", ["bearer", "basic", "padded basic", "private key"])
def test_credentials_are_found_at_once(form: str) -> None:
    assert sole(SAID[form]) is not None


@pytest.mark.parametrize(
    "form",
    [
        "home",
        "Users",
        "Windows",
        "user",
        "user of a path",
        "foreign name at home",
        "foreign name in Windows",
        "user of a URL",
        "foreign user of a URL",
        "fragment",
        "fragment of a path",
    ],
)
def test_names_in_paths_and_urls_are_found_at_once(form: str) -> None:
    assert placed(SAID[form]) in _FINDER.find(SAID[form], Gate.ALL, PLAIN)


@given(st.text('ab=&?#; .[]%+-\n"', max_size=24))
def test_parameters_are_those_behind_a_separator_or_at_the_start(text: str) -> None:
    usual = re.compile(r"(?:^|(?<=[?&#;\s=]))(?P<name>[\w.\[\]%+-]{1,128})(?==)")
    expected = [(match["name"], match.start("name")) for match in usual.finditer(text)]
    found = [(match["name"], match.start("name") - 1) for match in PARAMETER.finditer(f"&{text}")]
    assert found == expected


def test_texts_of_three_characters_are_known_without_a_look_and_longer_ones_are_not() -> None:
    harmless = Finder(load_rules()).harmless
    assert [text for text in ("b", "new", "a1b", "::ab", "\u20acab", "sale") if harmless.knows(text)] == ["b", "new", "a1b"]
    assert {"b", "new"} == harmless.texts


def test_most_single_data_are_found_at_once() -> None:
    usual = [value for form, value in VALUES.items() if form not in RARE]
    assert sum(sole(value) is not None for value in usual) > 0.8 * len(usual)


@pytest.mark.parametrize("value", ["4111 1111 1111 1111", "de89 3704 0044 0532 0130 00", "788 762 3286", "0049 30 901820"])
def test_a_form_that_writes_its_spaces_as_plus_signs_hides_nothing(value: str) -> None:
    url = f"https://shop.example/find?q={value.replace(' ', '+')}&page=2"
    stored = _WARM.scrub("x", "shop", {"properties": {"note": url}})
    assert len(stored.redactions) == 1
    assert value.partition(" ")[2].replace(" ", "+").encode() not in (stored.properties or b"")


@pytest.mark.parametrize("url", ["https://a.example/?q=red+shoes+42&size=9", "https://a.example/?from=2026+11+21", "a=1+1"])
def test_a_query_with_plus_signs_and_nobody_in_it_stays(url: str) -> None:
    assert not _WARM.scrub("x", "shop", {"properties": {"note": url}}).redactions


def test_cyrillic_letters_among_digits_hide_nothing() -> None:
    for value in ("0\u0430:1b:2c:3d:4e:5f", "0xfb6916095c\u04301df60bb79ce92ce3ea74c37c5d359"):
        assert _WARM.scrub("x", "shop", {"properties": {"note": value}}).redactions
    assert not _WARM.scrub("x", "shop", {"properties": {"note": "\u0434\u043e\u043c 42\u0430"}}).redactions


@pytest.mark.parametrize("before", ["", "x=", "see ", "https://a.example/r/", '{"a":"b"} '])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize(
    "who",
    [
        "J\u00fcrgen M\u00fcller <",
        "na\u00efve ",
        "\u041f\u0440\u044b\u0432\u0435\u0442 ",
        "\u6771\u4eac\u90fd ",
        "\u00e9t\u00e9 ",
        "1\u00e9 ",
        "Ab\u00e9 ",
        "\U0001f600 ",
    ],
)
def test_base64_hides_nothing_whatever_letters_the_text_begins_with(
    who: str, encode: Callable[[bytes], bytes], before: str
) -> None:
    encoded = encode(f"{who}anna@example.com".encode()).decode()
    for text in (encoded, encoded.rstrip("=")):
        assert _WARM.scrub("x", "shop", {"properties": {"note": before + text}}).redactions, text


#: What docs/scrubbing.md says is passed: base64 too short for a sign.
PASSED = {"base64": {"bare NINO", "es_dni", "es_nie", "sg_nric"}}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_encoding_hides_any_kind_of_datum_as_value_key_or_name_of_an_event(encoding: str) -> None:
    hidden = {form: ENCODINGS[encoding](value) for form, value in VALUES.items() if form not in PASSED.get(encoding, ())}
    for form, text in hidden.items():
        for fields in ({"properties": {"note": text}}, {"properties": {text: 1}}, {"event": text}):
            assert _WARM.scrub("x", "shop", fields).redactions, form
