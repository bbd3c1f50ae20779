"""The usual case at once: a text that is one datum, or holds one between words. All forms are tried in one search.

What it finds is what the detectors one by one would find; where it is not sure it finds nothing, and they must look.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from consentryd.privacy.detect import card, crypto, device, email, iban, network, phone, secret
from consentryd.privacy.detect.detector import Detector
from consentryd.privacy.detect.national_id import KIND, NUMBERS, Number, loose, name_of

_BEFORE: Final = re.compile(r"[ =:(<](?=[\w+:])")
#: Words that end with a space, with which no form begins: an account number and a national one may begin with two letters before digits.
_WORDS: Final = re.compile(r"(?:(?!(?i:bearer|basic) )(?:[A-Za-z]{3,12}:? |[A-Za-z]{1,2}:? (?![0-9])))*", re.ASCII)
#: In the user-info of a URL a password before the host looks like an address.
_USER_INFO: Final = re.compile(r"://[^/?#\s\"]*\Z")
_AFTER: Final = r"(?=\Z|[ ,;!?)>&]|\.(?:\Z| ))"

#: Where a search begins makes sure of these already, so that an alternative begins with what it is told by.
_LOOK_BEHIND: Final = re.compile(r"\(\?<!\[[^]:]*\]\)")


#: A run that no word of a sentence is, and in which no JSON web token begins.
_LONG: Final = r"(?=[^\s]*[A-Za-z0-9]{14})(?![^\s]*eyJ)"
#: A private key and nothing else, without the padding that looks like a parameter.
_KEY: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}-----[A-Za-z0-9+/\s]{0,20000}-----END [A-Z0-9 ]{0,40}-----")
KEY_BEGINS: Final = "-----BEGIN "
#: Nothing that is looked for begins so.
_URLS: Final = ("http://", "https://")


#: A `Finding`, but for its name: nobody keeps it.
_Found = tuple[int, int, str, str]


class _Form(NamedTuple):
    """One alternative of the search; `read` says what a match is and where it ends, or None if it is none."""

    pattern: str
    read: Callable[[re.Match[str]], _Found | None]


def _form(detector: Detector) -> _Form:
    check, told = detector.check, (detector.name, detector.kind)
    flag = "a" if detector.pattern.flags & re.ASCII else "u"
    return _Form(
        f"(?{flag}:{_LOOK_BEHIND.sub('', detector.pattern.pattern)})",
        lambda match: match.span() + told if check(match) else None,
    )


def _open_form(detector: Detector, end_of: Callable[[re.Match[str]], int | None]) -> _Form:
    """Of a detector whose pattern goes on behind the datum: only `end_of` knows where that ends."""

    def read(match: re.Match[str]) -> _Found | None:
        end = end_of(match)
        return None if end is None else (match.start(), end, detector.name, detector.kind)

    return _Form(_form(detector).pattern, read)


def _credential_form(detector: Detector, form: str) -> _Form:
    """Of an Authorization value that is long enough to be told by its length, and holds no token of another kind."""

    def read(match: re.Match[str]) -> _Found | None:
        whole = detector.pattern.match(match.string, match.start())
        if whole is None or whole.end() != match.end() or not detector.check(whole):
            return None
        return (*whole.span(detector.group), detector.name, detector.kind)

    return _Form(form, read)


def _number_form(number: Number) -> _Form:
    def read(match: re.Match[str]) -> _Found | None:
        name = name_of(match[0], number.name)
        return None if name is None else (*match.span(), name, KIND)

    return _Form(rf"(?a:(?:{loose(number)})(?![\w-])(?!\.[0-9]))", read)


#: By what they begin with, each in the order of `DETECTORS`, but for MAC addresses: whatever has their form is no version 6 address.
_LETTERED: Final = {"uk_nino", "es_nie", "it_cf", "mx_curp", "in_pan", "sg_nric"}
_OF_LETTERS: Final = (
    *map(_form, (secret.JWT, secret.PROVIDER, email.EMAIL, crypto.BASE58, crypto.BECH32)),
    _open_form(iban.IBAN, iban.end_of),
    *(_number_form(number) for number in NUMBERS if number.name in _LETTERED),
    *map(_form, (network.MAC, network.IPV6)),
    _credential_form(secret.BEARER, rf"(?i:bearer) {_LONG}[A-Za-z0-9._~+/-]{{16,}}"),
    _credential_form(secret.BASIC, rf"(?i:basic) {_LONG}[A-Za-z0-9+/][a-z]*[A-Z0-9+/][A-Za-z0-9+/]*(?:={{1,2}}(?=\Z))?"),
)
_NUMBERS_OF_DIGITS: Final = tuple(_number_form(number) for number in NUMBERS if number.name not in _LETTERED)
_OF_DIGITS: Final = (
    *map(_form, (email.EMAIL, crypto.BASE58, crypto.ETHEREUM, device.IMEI, card.CARD)),
    _open_form(phone.PHONE_IDD, phone.PHONE_IDD.end_of),
    *_NUMBERS_OF_DIGITS,
    *map(_form, (network.IPV4, network.MAC, network.IPV6)),
)
_OTHERS: Final = (_open_form(phone.PHONE, phone.PHONE.end_of), _form(network.IPV6))


_Read = Callable[[re.Match[str]], _Found | None]


def _expression(*families: tuple[str, tuple[_Form, ...]]) -> tuple[Callable[..., re.Match[str] | None], tuple[_Read, ...]]:
    """The search for all forms of families, each told by its first character, and who reads what the group of a number has matched."""
    readers = tuple(form.read for _, family in families for form in family)
    alternatives = "|".join(f"{first}(?:{'|'.join(f'{form.pattern}()' for form in family)})" for first, family in families)
    return re.compile(f"(?:{alternatives}){_AFTER}").match, (_nothing, *readers)


def _nothing(_: re.Match[str]) -> None:
    return None


_DIGIT: Final = "(?=[0-9])"
_sole, _READERS = _expression((_DIGIT, _OF_DIGITS), (r"(?=[^\W0-9])", _OF_LETTERS), ("(?=[+:])", _OTHERS))
#: National numbers in groups of four are no cards, most of the time.
_number, _NUMBER_READERS = _expression((_DIGIT, _NUMBERS_OF_DIGITS))
#: But with more digits behind them they may be the beginning of one.
_MORE: Final = re.compile(" [0-9]")


def sole(text: str) -> _Found | None:
    """The first datum of a text, if it stands at its beginning, after a space or the like, and ends with a word."""
    if text.startswith(KEY_BEGINS):
        return (0, len(text), secret.PEM.name, secret.PEM.kind) if _KEY.fullmatch(text) else None
    start = _WORDS.match(text).end() if " " in text and text[0].isalpha() else 0  # type: ignore[union-attr]  # it matches nothing, too
    match = (None if text.startswith(_URLS) else _sole(text, start)) or _after(text, start)
    if match is None or ("://" in text and "@" in match[0] and _USER_INFO.search(text, 0, match.start())):
        return None
    found = _READERS[match.lastindex or 0](match)
    if found is not None:
        return found
    other = _number(text, match.start())
    if other is not None:
        if _MORE.match(text, other.end()):
            return None
        return _NUMBER_READERS[other.lastindex or 0](other)
    other = _after(text, match.start())  # an account number does not begin with the word before a card's
    return None if other is None else _READERS[other.lastindex or 0](other)


def _after(text: str, start: int) -> re.Match[str] | None:
    """What stands first behind a space or the like. To look for these is cheaper than to try everything everywhere."""
    for before in _BEFORE.finditer(text, start):
        match = _sole(text, before.end())
        if match is not None:
            return match
    return None
