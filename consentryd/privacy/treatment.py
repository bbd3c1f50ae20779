"""What each action makes of a value. Every result is recognised as one, so that scrubbing twice changes nothing."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple, Protocol

from consentryd.privacy.age import AGE
from consentryd.privacy.decode import holds_base64
from consentryd.privacy.redaction import TYPE, USER_ID, Action
from consentryd.privacy.rules import detector_names
from consentryd.privacy.seal import Place, SubjectKeys, seal

#: Stands for a value that is to be taken out whole.
DROPPED: Final = object()

_KEPT: Final = 4
_LEAST_MASKED: Final = 8
_MASKED: Final = frozenset({"card", "iban", "phone", "imei", "national_id"})
_LETTERS: Final = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
_OUTPUT: Final = re.compile(
    r"\[(?P<name>[a-z_]+)(?::[a-p]{32})?\]|\[enc:(?P<seal>[A-Za-z0-9_-]{39,})\]|\*{4}[0-9A-Za-z]{4}|\*{3}@[\w.-]{1,255}"
)
_NAMES: Final = detector_names()
_NOT_ALNUM: Final = re.compile(r"[\W_]+")
_YEAR: Final = re.compile(r"(?<![0-9])(?:1[89]|20)[0-9]{2}(?![0-9])")
_COMPACT_DATE: Final = re.compile(
    r"((?:19|20)[0-9]{2})(?:0[1-9]|1[0-2])[0-3][0-9]|[0-3][0-9](?:0[1-9]|1[0-2])((?:19|20)[0-9]{2})"
)
_DECIMAL: Final = re.compile(r"[0-9]+\.[0-9]+")
_COMMA: Final = re.compile(r"(?<![0-9,])([0-9]{1,3}),([0-9]+)")  # as most of Europe writes decimals
_SCALED: Final = re.compile(r"[0-9]{4,}")
#: Degrees, minutes and maybe seconds.
_ARC: Final = re.compile(
    r"(?<![0-9.,])([0-9]{1,3})[ ]?[\u00b0\u00ba][ ]?([0-9]{1,2}(?:[.,][0-9]+)?)[ ]?['\u2032\u2019]?"
    r"(?:[ ]?([0-9]{1,2}(?:[.,][0-9]+)?)[ ]?(?:[\"\u2033\u201d]|''|\u2032\u2032)?)?"
)
_MOST_DEGREES: Final = 360
_E7: Final = 7  # decimals of scaled integers; where there were but six, one more is lost
_DOMAIN: Final = re.compile(r"@([\w.-]{1,255})>?$")
_BAND: Final = re.compile(r"[0-9]{1,2}-[0-9]{1,2}|100\+")
_AGE: Final = re.compile(AGE, re.IGNORECASE)
_OLDEST: Final = 130
_CENTENARY: Final = 100


class Spot(NamedTuple):
    """Where a finding was made: the leaf it can be unsealed at, its event's place and its subject's handle (None: nobody's)."""

    path: str
    place: Place
    handle: bytes | None


class Spots(Protocol):
    """The work on an event, which knows where its values are stored."""

    def spot(self, path: str) -> Spot: ...


def is_output(value: Any, own: str = "") -> bool:
    """Whether a text is what an action leaves behind; a sender's `[john]` is not. `own` is a name that may stand here besides detectors'."""
    if not isinstance(value, str) or value[:1] not in {"[", "*"}:
        return False
    match = _OUTPUT.fullmatch(value)
    return match is not None and (_is_ours(match) or (own != "" and match["name"] == own))


def without_outputs(text: str) -> str:
    """What is left of a text besides what actions left behind."""
    return _OUTPUT.sub(lambda match: "" if _is_ours(match) else match[0], text) if "[" in text or "*" in text else text


def _is_ours(match: re.Match[str]) -> bool:
    """Known names, and seals that look random: base64 of a text is none."""
    name, sealed = match["name"], match["seal"]
    if name is not None:
        return name in _NAMES
    return sealed is None or (len(sealed) % 4 != 1 and not holds_base64(sealed))


class Treatment:
    """The actions, with a region's key for hashed properties."""

    def __init__(
        self, property_key: bytes, subject_keys: SubjectKeys | None, decimals: int, random: Callable[[int], bytes]
    ) -> None:
        self._key: Final = property_key
        self._subject_keys: Final = subject_keys
        self._decimals: Final = decimals
        self._random: Final = random

    def apply(self, action: Action, detector: str, kind: str, value: Any, path: str, spots: Spots) -> Any:  # noqa: PLR0911  one a case
        """The value that takes the place of `value` at `path`, or `DROPPED`. An action that has no form for a detector becomes `type`."""
        if action is TYPE:  # the usual one
            return _token(detector)
        match action:
            case Action.KEEP:
                return value
            case Action.DROP:
                return DROPPED
            case Action.HASH:
                return self.hashed(detector, value)
            case Action.ENCRYPT:
                return self._sealed(value, spots.spot(path))
            case Action.MASK:
                return _masked(detector, kind, str(value))
            case Action.GENERALISE:
                return self._generalised(detector, value)

    def hashed(self, detector: str, value: Any) -> str:
        """`[email:...]`: HMAC-SHA256 under the region's property key with the detector as domain label, 128 bits as 32 letters a to p.

        The same value, however it is spaced or capitalised, has the same token in its region and another one elsewhere. Ids are taken
        exactly as they are.
        """
        text = str(value).strip().lower()
        canonical = text if detector == "email" else _NOT_ALNUM.sub("", text) or text
        if detector == USER_ID:
            canonical = str(value).strip()
        digest = hmac.digest(
            self._key, f"consentry property\0{detector}\0{canonical}".encode("utf-8", "surrogatepass"), hashlib.sha256
        )
        return f"[{detector}:{digest[:16].hex().translate(_LETTERS)}]"

    def _sealed(self, value: Any, spot: Spot) -> Any:
        if self._subject_keys is None or spot.handle is None:
            return DROPPED
        return seal(value, self._subject_keys.key_for(spot.handle), spot.place.bound_to(spot.path), self._random)

    def _generalised(self, detector: str, value: Any) -> Any:
        if detector == "birth_date":
            return _year(value)
        if detector == "age":
            return _band(value)
        if detector == "coordinate":
            return self._rounded(value)
        return _token(detector)

    def _rounded(self, value: Any) -> Any:
        if isinstance(value, int):
            return value if -_MOST_DEGREES <= value <= _MOST_DEGREES else round(value, self._decimals - _E7)
        if isinstance(value, float):
            return round(value, self._decimals)
        value = _ARC.sub(self._degrees, value)
        if "." not in value:
            value = _COMMA.sub(r"\1.\2", value) if _COMMA.search(value) else _SCALED.sub(self._scaled, value)
        if _DECIMAL.search(value) is None and any(map(str.isdecimal, value)) and not re.fullmatch(r"[-+0-9 ,;]+", value):
            return _token("coordinate")
        return _DECIMAL.sub(lambda match: str(round(float(match[0]), self._decimals)), value)

    def _degrees(self, match: re.Match[str]) -> str:
        minutes, seconds = (float((part or "0").replace(",", ".")) for part in match.groups()[1:])
        return f"{round(int(match[1]) + minutes / 60 + seconds / 3600, self._decimals)}\u00b0"

    def _scaled(self, match: re.Match[str]) -> str:
        return str(round(int(match[0]), self._decimals - _E7))


@cache
def _token(detector: str) -> str:
    return f"[{detector.partition(':')[0]}]"


def _masked(detector: str, kind: str, text: str) -> str:
    if detector == "email":
        domain = _DOMAIN.search(text)
        return _token(detector) if domain is None else f"***@{domain[1]}"
    kept = _NOT_ALNUM.sub("", text)
    if (detector in _MASKED or kind in _MASKED) and len(kept) >= _LEAST_MASKED and kept[-_KEPT:].isascii():
        return "****" + kept[-_KEPT:]
    return _token(detector)


def _year(value: Any) -> str:
    text = str(value)
    match = _YEAR.search(text)
    if match is not None:
        return match[0]
    compact = _COMPACT_DATE.fullmatch(text)
    return _token("birth_date") if compact is None else compact[1] or compact[2]


def _band(value: Any) -> Any:
    """Ten years: 34 is `30-39`."""
    if isinstance(value, str) and _BAND.fullmatch(value):
        return value
    try:
        told = _AGE.fullmatch(value.strip()) if isinstance(value, str) else None
        age = int(float(told["years"] if told else value))
    except (ValueError, OverflowError):
        return _token("age")
    if not 0 <= age <= _OLDEST:
        return value
    return f"{age // 10 * 10}-{age // 10 * 10 + 9}" if age < _CENTENARY else "100+"
