"""Numbers behind a word that says what they are and is glued to them, as in names of files and labels: `card_4111111111111111`,
`ip-203.0.113.77`, `tel+4915123456789`. Behind other words they may be anything: `build_10.0.15.3`, `sku-4111111111111111`."""

from __future__ import annotations

import re
from typing import Final

from consentryd.privacy.detect.card import is_card
from consentryd.privacy.detect.check_digit import is_ssn
from consentryd.privacy.detect.detector import Detector, Gate
from consentryd.privacy.detect.national_id import KIND
from consentryd.privacy.detect.network import is_octets
from consentryd.privacy.detect.phone import is_e164

_NUMBER: Final = "(?:[_-]?(?:no|nr|num|number))?"
_CARD: Final = (
    rf"(?:(?:credit|debit|payment)?_?card|cc|pan|visa|master_?card|maestro|amex|kreditkarte|tarjeta|carte){_NUMBER}[_-]?"
)
_SSN: Final = rf"ssn{_NUMBER}[_-]?"
_GLUED: Final = re.compile(rf"(?i:(?<![A-Za-z])(?:{_CARD}|{_SSN}))(?=[0-9])".encode())
#: One of them stands in whatever that fits, and is found sooner.
_WORDS: Final = (b"card", b"cc", b"pan", b"visa", b"maestro", b"amex", b"karte", b"tarjeta", b"carte", b"ssn")


def is_named(data: bytes) -> bool:
    """Whether digits are glued to a word that says that they are a card's or of social security, and are no part of that word."""
    lower = data.lower()
    return any(word in lower for word in _WORDS) and _GLUED.search(data) is not None


def _behind(words: str, number: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z])(?i:{words})(?P<number>{number})", re.ASCII)


CARD: Final = Detector(
    name="card",
    gate=Gate.DIGITS,
    pattern=_behind(_CARD, r"[1-9]\d{3}(?:[ -]?\d){8,15}(?!\d)"),
    check=lambda match: is_card(match["number"]),
    group="number",
)
SSN: Final = Detector(
    name="us_ssn",
    gate=Gate.DIGITS,
    pattern=_behind(_SSN, r"[0-8]\d{2}-?\d{2}-?\d{4}(?!\d)"),
    check=lambda match: is_ssn(match["number"]),
    group="number",
    kind=KIND,
)
PHONE: Final = Detector(
    name="phone",
    gate=Gate.PLUS,
    sign="+",
    pattern=_behind(
        rf"(?:tel|tele(?:fon|phone)|phone|mobile?|mobil|cell|handy|sms|fax|whats_?app|call|msisdn){_NUMBER}",
        r"\+[1-9]\d{7,14}(?!\d)",
    ),
    check=lambda match: is_e164(match["number"][1:]),
    group="number",
)
IP: Final = Detector(
    name="ip",
    gate=Gate.ADDRESS,
    sign=".",
    pattern=_behind(r"(?:ip(?:v4)?|(?:ip|remote|client)_?addr(?:ess)?)[_-]?", r"\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)"),
    check=lambda match: is_octets(match["number"]),
    group="number",
)
MAC: Final = Detector(
    name="mac",
    gate=Gate.ADDRESS,
    pattern=_behind(
        r"(?:mac|bssid|(?:hw|mac)_?addr(?:ess)?)[_-]?",
        r"[0-9A-Fa-f]{2}(?P<sign>[:-])(?:[0-9A-Fa-f]{2}(?P=sign)){4}[0-9A-Fa-f]{2}(?![0-9A-Za-z])",
    ),
    group="number",
)

DETECTORS: Final = (CARD, SSN, PHONE, IP, MAC)
