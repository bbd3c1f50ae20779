"""Google consent mode, `gcs` and `gcd`: a source of denials only. Its format is undocumented, and it takes silence for consent.

`gcs` is `G1` and one of `0`, `1`, `-` for ad and for analytics storage. `gcd` is `1` and a flag, then a letter and a digit for each
signal; the letter holds two bits each for what was declared, defaulted and updated: 1 unset, 2 denied, 3 granted.
"""

from __future__ import annotations

import re
from typing import Final

from consentryd.consent.purposes import Purposes
from consentryd.consent.signals.reading import Invalid, InvalidSignal, Reading

SOURCE: Final = "google"
SIGNALS: Final = ("ad_storage", "analytics_storage", "ad_user_data", "ad_personalization")
DENIED, UNSET = 2, 1
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
_GCS = re.compile(r"G1([01-])([01-])")
# four signals are documented, a fifth pair is sent by some versions
_GCD = re.compile(r"1[0-9]((?:[0-9a-zA-Z_-][0-9]){4,8})")


def decode_gcs(text: str) -> frozenset[str]:
    """The signals that `gcs` denies."""
    found = _GCS.fullmatch(text)
    if found is None:
        raise InvalidSignal(Invalid.MALFORMED, "gcs is not G1 and two of 0, 1, -")
    return frozenset(signal for signal, value in zip(SIGNALS, found.groups(), strict=False) if value == "0")


def decode_gcd(text: str) -> frozenset[str]:
    """The signals that `gcd` denies: updated, else by default, else as declared."""
    found = _GCD.fullmatch(text)
    if found is None:
        raise InvalidSignal(Invalid.MALFORMED, "gcd is not 1, a digit and pairs of letter and digit")
    letters = found[1][::2]
    return frozenset(signal for signal, letter in zip(SIGNALS, letters, strict=False) if _effective(letter) == DENIED)


def _effective(letter: str) -> int:
    value = _LETTERS.index(letter)
    states = (value & 3, value >> 2 & 3, value >> 4)
    return next((state for state in states if state > UNSET), UNSET)


def read_google(denied: frozenset[str], purposes: Purposes) -> Reading:
    denies = frozenset(name for name, purpose in purposes.by_name.items() if denied.intersection(purpose.google))
    return Reading(SOURCE, denies=denies)
