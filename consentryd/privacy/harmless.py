"""A bounded memory of texts in which nothing was found, and of their shapes, so that an event costs what is new in it.

Most new texts are ids and numbers of a known form. No sign that `gate` looks for depends on which digit stands where, except behind a
percent sign: so where `sku-48213` shows none, every text of the shape `sku-00000` shows none. This is exact, not a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from consentryd.model.memory import keep_seen
from consentryd.privacy.confirm import confirm
from consentryd.privacy.decode import without_controls
from consentryd.privacy.detect.detector import Gate
from consentryd.privacy.gate import gate_of
from consentryd.privacy.inner_json import bytes_may_be_json

#: Texts and shapes remembered, in memory only.
MOST_TEXTS: Final = 16_384
MOST_SHAPES: Final = 8_192
LONGEST: Final = 128

#: Times in milliseconds from 2001 to 2033.
FIRST_TIME: Final = 10**12
LAST_TIME: Final = 2 * 10**12

#: The shortest personal datum is an address such as a@b.co.
SHORTEST_TEXT: Final = 6

#: What is shorter is nobody's, whatever it looks like.
LEAST: Final = 4

#: Words without digits or signs, and what scrubbing puts in the place of data: most texts. Decided in half the time that the gate takes.
WORDS: Final = re.compile(r"(?:[A-Za-z]{1,13}(?![A-Za-z])|[ ,;:!?'_()-]|\[[a-z_]{2,20}\]|\.(?: |\Z))*")

_ZEROS: Final = bytes.maketrans(b"123456789", b"0" * 9)
_HEX_ZEROS: Final = bytes.maketrans(b"123456789abcdefABCDEF", b"0" * 21)
_UUID: Final = b"00000000-0000-0000-0000-000000000000"
_UUID_LENGTH: Final = len(_UUID)
_NUMBERED_PARAMETER: Final = re.compile(rb"0[^?&#;\"\s]*=")
_CONFIRMED: Final = Gate.DIGITS | Gate.SHAPE | Gate.RUN | Gate.FOREIGN | Gate.QUERY


class Signs(NamedTuple):
    """A text as UTF-8, what `gate_of` says of it, and whether a label in it tells."""

    raw: bytes
    gate: int
    labelled: bool


class Harmless:
    """`texts` are known to hold nothing and no digits; `tells` says whether a parameter in a text (quoted, as UTF-8) has a telling name,
    `tells_key` whether a key in what looks like JSON has, `tells_label` whether a label has.
    """

    def __init__(
        self, tells: Callable[[bytes], bool], tells_key: Callable[[bytes], bool], tells_label: Callable[[bytes], bool]
    ) -> None:
        self.texts: Final[set[str]] = set()
        self._shapes: Final[set[int]] = set()  # by their hash: the shape of a text without digits is the text
        self._tells: Final = tells
        self._tells_key: Final = tells_key
        self._tells_label: Final = tells_label

    def clear(self, fresh: list[str]) -> bool:
        """Whether nothing can be in any of these texts, by what is remembered of their like or by looking. False is no finding."""
        shapes = self._shapes
        try:
            for text in fresh:
                raw = text.encode()
                if len(raw) == _UUID_LENGTH and raw.translate(_HEX_ZEROS) == _UUID:
                    continue
                shape = raw.translate(_ZEROS)
                if hash(shape) not in shapes and self._signs(raw, shape) is not None:
                    return False
                if shape == raw:
                    self.remember(text)
        except UnicodeEncodeError:
            return False
        return True

    def knows(self, text: str) -> bool:
        """Whether a text, or one of its shape, was found harmless before, or is too short to be anything else."""
        try:
            raw = text.encode()
        except UnicodeEncodeError:
            return False
        shape = raw.translate(_ZEROS)
        if hash(shape) in self._shapes or len(raw) < LEAST:
            if shape == raw:
                self.remember(text)
            return True
        return len(raw) == _UUID_LENGTH and raw.translate(_HEX_ZEROS) == _UUID

    def signs(self, text: str) -> Signs | None:
        """What a closer look is due for; None where nothing can be in the text, by what is remembered or by looking."""
        if text in self.texts or self.knows(text):
            return None
        try:
            raw = text.encode()
        except UnicodeEncodeError:
            raw = text.encode("utf-8", "replace")
            return Signs(raw, gate_of(raw), self._tells_label(raw))
        shape = raw.translate(_ZEROS)
        signs = self._signs(raw, shape)
        if signs is None and shape == raw:
            self.remember(text)
        return signs

    def remember(self, text: str) -> None:
        """Keep a text that shows no sign. Ids and numbers come once, and would drive out the words. URLs are nobody's words, and one with a
        query may name a person to whoever knows the site."""
        if len(text) <= LONGEST and "0" not in text and "://" not in text and "?" not in text:
            keep_seen(self.texts, text, MOST_TEXTS)

    def settle(self, text: str) -> None:
        """Keep a text in which signs were followed and nothing was found. Without digits: with others it may be another matter. Nor one with
        control characters, which is read without them as well."""
        if text.isascii() and not any(map(str.isdecimal, text)) and without_controls(text) == text:
            self._remember_shape(text.encode())

    def _signs(self, raw: bytes, shape: bytes) -> Signs | None:
        is_labelled = self._tells_label(raw)
        if is_labelled or (bytes_may_be_json(raw) and self._tells_key(raw)):
            return Signs(raw, gate_of(raw), is_labelled)
        gate = gate_of(raw) if len(raw) >= SHORTEST_TEXT else 0
        signs = Signs(raw, gate, labelled=False)
        if not gate & ~Gate.QUERY:
            if gate and self._tells(raw):
                return signs
            self._remember_shape(shape)
            return None
        data = b'"%b"' % raw
        if gate & ~_CONFIRMED or confirm(data, gate) & ~Gate.QUERY:
            return signs
        return signs if gate & Gate.QUERY and self._tells(data) else None

    def _remember_shape(self, shape: bytes) -> None:
        if len(shape) > LONGEST or b"%" in shape or (b"=" in shape and _NUMBERED_PARAMETER.search(shape)):
            return
        if b"0" in shape and bytes_may_be_json(shape):  # digits may stand in keys
            return
        keep_seen(self._shapes, hash(shape), MOST_SHAPES)
