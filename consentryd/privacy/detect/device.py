"""Device numbers: IMEI, written in its groups or said to be one. Advertising ids are known by their keys (`pii_rules.toml`)."""

from __future__ import annotations

import re
from typing import Final

from consentryd.privacy.detect.detector import Detector, Gate, digits_of, luhn

IMEI: Final = Detector(
    name="imei",
    gate=Gate.DIGITS,
    pattern=re.compile(
        r"(?<![\w.-])(?:[0-9]{2}[ -][0-9]{6}[ -][0-9]{6}[ -][0-9]|(?:(?<=imei )|(?<=imei:)|(?<=imei=)|(?<=imei: )|(?<=IMEI )|(?<=IMEI:)"
        r"|(?<=IMEI: )|(?<=IMEI=))[0-9]{15})(?![\w-])",
        re.ASCII,
    ),
    check=lambda match: luhn(digits_of(match[0])),
)

DETECTORS: Final = (IMEI,)
