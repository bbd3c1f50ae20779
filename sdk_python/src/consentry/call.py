"""A call as the bytes that will be sent. Done once, in the caller's thread: what is changed afterwards changes nothing."""

from __future__ import annotations

import dataclasses
import enum
import json
import os
import time
from collections.abc import Mapping
from datetime import date, datetime, timezone
from datetime import time as clock_time
from decimal import Decimal
from itertools import count
from json.encoder import encode_basestring_ascii as quote
from typing import Any, Callable, Optional, Union
from uuid import UUID

from consentry.event_id import as_read, is_placeholder
from consentry.redact import redact

Clock = Callable[[], float]
#: Text, and what databases have for ids.
Id = Union[str, int, UUID]


def plain(value: Any) -> Any:  # noqa: PLR0911 -- a table, one line a type
    """JSON for what is none by itself: times, UUIDs, decimals, enums, sets, data classes, what numpy has. Raises `TypeError`."""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, (date, clock_time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if type(value).__module__ == "numpy":  # numbers and arrays, which pandas has as well
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def as_text(value: Any) -> str:
    """Text, and what databases have for ids: whole numbers and UUIDs. Raises `TypeError`."""
    if isinstance(value, str):
        return value
    if isinstance(value, UUID) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no text")


def iso(moment: datetime) -> str:
    """UTC; a time without a zone is local, as everywhere in Python."""
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def _plain_and_clean(value: Any) -> Any:
    """What a value turns into is looked at as if it had stood there; digits of a time or a UUID are nobody's number."""
    made = plain(value)
    return made if isinstance(value, (date, UUID)) else redact(made)


def _encoder(default: Callable[[Any], Any]) -> Callable[[Any], str]:
    """`json.JSONEncoder` makes its C encoder anew for every value, which is a fifth of the time; where there is one it is made once."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=default).encode
    encode, join = make(None, default, quote, None, ":", ",", False, False, False), "".join
    return lambda value: join(encode(value, 0))


to_json = _encoder(plain)
_to_clean_json = _encoder(_plain_and_clean)


class Writer:
    """Writes calls, each with an id of its own and the time. `clean` is whether texts are redacted; `token` gives n random bytes.

    An id is 12 random bytes, new in every process, and a number: 16 random bytes for each would cost an eighth of a `track`.
    """

    def __init__(self, *, clean: bool, clock: Clock = time.time, token: Callable[[int], bytes] = os.urandom) -> None:
        self._clean = clean
        self._clock = clock
        self._token = token
        self._stamp = (-1, "")
        self.renew()

    def renew(self) -> None:
        """Another process may write from here on: ids begin anew."""
        self._ids = (self._token(12).hex(), count())

    def write(
        self,
        kind: str,
        ids: Mapping[str, Optional[Id]],
        body: Optional[Mapping[str, Any]],
        context: str,
        timestamp: Optional[datetime],
        message_id: Optional[Id],
    ) -> bytes:
        """The call as compact ASCII JSON, its id first. Raises `TypeError`, `ValueError`, `RecursionError` for what is not JSON.

        `ids` are the text fields beside `type`; `body` is `properties`, of identify and group calls `traits`; `context` is JSON or empty.
        """
        first, numbers = self._ids
        given = "" if message_id is None else as_read(as_text(message_id))
        parts = [
            f'{{"messageId":"{first}-{next(numbers):x}"'
            if not given or is_placeholder(given)
            else f'{{"messageId":{quote(given)}',
            f',"type":"{kind}","timestamp":"{self._now() if timestamp is None else iso(timestamp)}"',
        ]
        parts += [
            f',"{name}":{quote(text if text.__class__ is str else as_text(text))}'
            for name, text in ids.items()
            if text is not None
        ]
        if body:
            name = "traits" if kind in {"identify", "group"} else "properties"
            body = body if body.__class__ is dict else dict(body)
            parts.append(f',"{name}":{_to_clean_json(redact(body)) if self._clean else to_json(body)}')
        if context:
            parts.append(f',"context":{context}')
        parts.append("}")
        return "".join(parts).encode("ascii")

    def _now(self) -> str:
        now = self._clock()
        second = int(now)
        known, prefix = self._stamp
        if second != known:
            prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._stamp = (second, prefix)
        return f"{prefix}.{int((now - second) * 1e6):06d}Z"
