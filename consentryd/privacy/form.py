"""The form of an event's properties: what their JSON has in common with that of other events of its kind.

Two bodies have one form if they differ only in which digits stand where, in UUIDs that are whole values, and in the first digits and
lengths of numbers that are nobody's: those of up to ten digits, and times in milliseconds. What `gate` looks for depends on none of
these (`harmless`), so what was found of one body holds for all of its form, if the form `is_general`.
"""

from __future__ import annotations

import re
from typing import Final

from consentryd.model.memory import keep_seen
from consentryd.privacy.pair import NAMES, VALUES

MOST_FORMS: Final = 16_384
LONGEST_BODY: Final = 2_048

_ZEROS: Final = bytes.maketrans(b"123456789", b"0" * 9)

#: A UUID that is a whole value, of which all but its first group is matched: few bytes are dashes.
_UUID: Final = re.compile(rb'-[0a-fA-F]{4}-[0a-fA-F]{4}-[0a-fA-F]{4}-[0a-fA-F]{12}(?="[,}\]])(?<="[0a-fA-F]{8}-[0a-fA-F-]{27})')
_FIRST_GROUP: Final = 8

#: More digits than a harmless number has, if it is no time.
_LONG: Final = b"0" * 11
_TIME: Final = b'":0000000000000'
_DIGITS: Final = len(_TIME) - 2
_FIRST_OF_TIME: Final = ord("1")  # the years 2001 to 2033
_ENDS: Final = b",]}"

_NUMBER: Final = re.compile(rb'":[0.]+')
_NUMBERED_KEY: Final = re.compile(rb'0[^"]*":')
_VALUE: Final = re.compile(rb'"(?:%b)":' % "|".join(sorted(VALUES)).encode())
_NUMBERED_NAME: Final = re.compile(rb'"(?:%b)":"[^"]*0' % "|".join(NAMES).encode())
_NUMBERED_FIRST: Final = re.compile(rb'\["[^"]*0[^"]*",[^,\]]+\]')

#: Where fewer than one event in three has a known form, looking for it costs more than it saves: then it is left for a while.
_PATIENCE: Final = 512
_PAUSE: Final = 8_192

#: Shorter bodies come again as they are.
_SHORT: Final = 256

#: In the place of a form that is known.
KNOWN: Final = b""


class Forms:
    """The forms in which nothing was found, by their hash; and those seen once, for what comes but once is not worth remembering."""

    def __init__(self) -> None:
        self._harmless: Final[set[int]] = set()
        self._once: Final[set[int]] = set()
        self._bodies: Final[set[int]] = set()
        self._patience = _PATIENCE

    def new(self, body: bytes) -> bytes | None:
        """The form of compact JSON if it is not known, `KNOWN` if it is, None if it has none or a look is not worth it."""
        if len(body) <= _SHORT and hash(body) in self._bodies:
            return KNOWN
        if self._patience <= 0:
            self._patience = self._patience + 1 or _PATIENCE
            return None
        form = form_of(body) if len(body) <= LONGEST_BODY else None
        if form is None or (hash(form) not in self._harmless and not self._is_alike(form)):
            return form
        if self._patience < _PATIENCE:
            self._patience += 2
        if len(body) <= _SHORT:
            keep_seen(self._bodies, hash(body), MOST_FORMS)
        return KNOWN

    def _is_alike(self, form: bytes) -> bool:
        """Whether a form is known but for the lengths of its numbers."""
        if hash(without_numbers(form)) not in self._harmless:
            self._patience = self._patience - 1 or -_PAUSE
            return False
        keep_seen(self._harmless, hash(form), MOST_FORMS)
        return True

    def is_again(self, form: bytes) -> bool:
        """Whether a form was seen before, but for the lengths of its numbers."""
        seen = hash(without_numbers(form))
        if seen in self._once:
            return True
        keep_seen(self._once, seen, MOST_FORMS)
        return False

    def remember(self, form: bytes) -> None:
        """Keep the form of properties in which nothing was found, if that holds for all of its kind."""
        if is_general(form):
            keep_seen(self._harmless, hash(form), MOST_FORMS)
            keep_seen(self._harmless, hash(without_numbers(form)), MOST_FORMS)


def form_of(body: bytes) -> bytes | None:
    """The form of compact JSON; None where a long run of digits is no time."""
    form = body.translate(_ZEROS)
    start = form.find(_LONG)
    while start >= 0:
        end = start + _DIGITS
        if form[start - 2 : end] != _TIME or body[start] != _FIRST_OF_TIME or form[end] not in _ENDS:
            return None
        start = form.find(_LONG, end)
    pieces = _UUID.split(form)
    form = pieces[0]
    for piece in pieces[1:]:
        form = form[:-_FIRST_GROUP] + piece
    return form


def without_numbers(form: bytes) -> bytes:
    """A form in which numbers of one digit and of ten are alike."""
    return _NUMBER.sub(b'":0', form)


def is_general(form: bytes) -> bool:
    """Whether what a form does not tell can be of no account. A digit in a key or in a name beside a value is
    (`ipv4`), and so it is in an escaped character."""
    if b"\\" in form or _NUMBERED_KEY.search(form) is not None or _NUMBERED_FIRST.search(form) is not None:
        return False
    return _VALUE.search(form) is None or _NUMBERED_NAME.search(form) is None
