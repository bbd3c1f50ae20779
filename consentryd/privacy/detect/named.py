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

_NUMBER: Final = "(?:[_-]?(?:no|nr|num|number))?[_-]?"
_CARD: Final = rf"(?:(?:credit|debit|payment)?_?card|cc|pan|visa|master_?card|maestro|amex|kreditkarte|tarjeta|carte){_NUMBER}"
_SSN: Final = rf"ssn{_NUMBER}"
#: What `confirm` looks for before it takes digits at the end of a word for part of that word.
NAMED: Final = re.compile(rf"(?i:(?<![A-Za-z])(?:{_CARD}|{_SSN}))(?=[0-9])".encode())

CARD: Final = Detector(
    name="card",
    gate=Gate.DIGITS,
    pattern=re.compile(rf"(?<![A-Za-z])(?i:{_CARD})(?P<number>[1-9]\d{{3}}(?:[ -]?\d){{8,15}})(?!\d)", re.ASCII),
    check=lambda match: is_card(match["number"]),
    group="number",
)
SSN: Final = Detector(
    name="us_ssn",
    gate=Gate.DIGITS,
    pattern=re.compile(rf"(?<![A-Za-z])(?i:{_SSN})(?P<number>[0-8]\d{{2}}-?\d{{2}}-?\d{{4}})(?!\d)", re.ASCII),
    check=lambda match: is_ssn(match["number"]),
    group="number",
    kind=KIND,
)
PHONE: Final = Detector(
    name="phone",
    gate=Gate.PLUS,
    sign="+",
    pattern=re.compile(
        r"(?<![A-Za-z])(?i:tel|tele(?:fon|phone)|phone|mobile?|mobil|cell|handy|sms|fax|whats_?app|call|msisdn)(?i:[_-]?(?:no|nr|num|number))?"
        r"(?P<number>\+[1-9]\d{7,14})(?!\d)",
        re.ASCII,
    ),
    check=lambda match: is_e164(match["number"][1:]),
    group="number",
)
IP: Final = Detector(
    name="ip",
    gate=Gate.ADDRESS,
    sign=".",
    pattern=re.compile(
        r"(?<![A-Za-z])(?i:ip(?:v4)?|(?:ip|remote|client)_?addr(?:ess)?)[_-]?(?P<number>\d{1,3}(?:\.\d{1,3}){3})(?!\.?\d)",
        re.ASCII,
    ),
    check=lambda match: is_octets(match["number"]),
    group="number",
)
MAC: Final = Detector(
    name="mac",
    gate=Gate.ADDRESS,
    pattern=re.compile(
        r"(?<![A-Za-z])(?i:mac|bssid|(?:hw|mac)_?addr(?:ess)?)[_-]?(?P<number>[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\2){4}[0-9A-Fa-f]{2})"
        r"(?![0-9A-Za-z])",
        re.ASCII,
    ),
    group="number",
)

DETECTORS: Final = (CARD, SSN, PHONE, IP, MAC)
