"""The client: `Consentry`."""

from __future__ import annotations

import atexit
import json
import os
import ssl
import weakref
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, Union

from consentry.bound import Bound
from consentry.call import Id, Writer, as_text, to_json
from consentry.consent import Consent, ConsentLike, as_context
from consentry.delivery import Delivery, Pace
from consentry.failure import ConsentryError, OnFailure, Stats
from consentry.redact import TooLong
from consentry.store import MemoryStore, Store
from consentry.transport import HttpTransport, Transport

Properties = Mapping[str, Any]

#: The gateway's limit for one event.
_EVENT_BYTES = 32 * 1024
_OK = 200

_open: weakref.WeakSet[Consentry] = weakref.WeakSet()


class Consentry:
    """Sends events of a server to the gateway, in the background.

    `write_key` is a server key (`csy_server_...`) or a write key; `host` the gateway, such as `https://events.example.com`.

    `consent` goes with every call that has none of its own. `spool` is a directory in which accepted events wait instead of in memory;
    `fsync` is `"never"`, `"interval"` (every second) or `"always"` (before `track` returns). `queue_events` and `queue_bytes` bound what
    waits in memory, `spool_bytes` what waits on disk. A batch goes at `batch_events`, `batch_bytes`, or `batch_age` seconds after its
    first event. `redact=False` leaves texts as they are. `on_failure` is called with a `Failure` for each event that will never be stored,
    but for those that are lost in it.

    Raises `ValueError` for arguments that cannot work, `OSError` if the spool cannot be made. Calls never raise for what happens to an
    event: they answer False, count it and call `on_failure`.
    """

    def __init__(
        self,
        write_key: str,
        host: str = "http://127.0.0.1:8088",
        *,
        consent: Optional[ConsentLike] = None,
        spool: Union[str, os.PathLike[str], None] = None,
        fsync: str = "interval",
        queue_events: int = 10_000,
        queue_bytes: int = 32 * 1024 * 1024,
        spool_bytes: int = 256 * 1024 * 1024,
        batch_events: int = 500,
        batch_bytes: int = 384 * 1024,
        batch_age: float = 1.0,
        retry_first: float = 0.5,
        retry_longest: float = 60.0,
        timeout: float = 10.0,
        close_timeout: float = 5.0,
        redact: bool = True,
        on_failure: Optional[OnFailure] = None,
        transport: Optional[Transport] = None,
        tls: Optional[ssl.SSLContext] = None,
    ) -> None:
        if not write_key or not write_key.isascii() or not write_key.isprintable() or " " in write_key:
            raise ValueError("write_key is empty, or has characters that no key has, such as the end of a line")
        if batch_events < 1 or batch_bytes < 1 or queue_events < 1:
            raise ValueError("batch_events, batch_bytes and queue_events must be 1 or more")
        self._consent = None if consent is None else as_context(consent)
        self._default_context = to_json({"consent": self._consent}) if self._consent else ""
        self._last_consent: tuple[Mapping[str, Optional[bool]], list[type], str] = ({}, [], "")
        self._close_timeout = close_timeout
        self._writer = Writer(clean=redact)
        pace = Pace(batch_events, batch_bytes, batch_age, retry_first, retry_longest)
        store: Store = MemoryStore(queue_events, queue_bytes) if spool is None else self._open_spool(spool, spool_bytes, fsync)
        self._delivery = Delivery(store, transport or HttpTransport(host, timeout, tls), write_key, pace, on_failure, owner=self)
        _open.add(self)
        if store.lasting:
            store.look_after()
            self._delivery.start()

    def _open_spool(self, spool: Union[str, os.PathLike[str]], most_bytes: int, fsync: str) -> Store:
        try:
            from consentry.spool import SpoolStore  # noqa: PLC0415 -- needs POSIX's flock
        except ImportError as error:
            raise ValueError("a spool needs POSIX file locks, which this system does not have") from error
        return SpoolStore(Path(spool), most_bytes, fsync, on_torn=lambda lines: self._delivery.lose_torn(lines))  # noqa: PLW0108 -- it is made later

    # -- calls; all take the same keyword arguments

    def track(
        self,
        event: str,
        properties: Optional[Properties] = None,
        *,
        user_id: Optional[Id] = None,
        anonymous_id: Optional[Id] = None,
        session_id: Optional[Id] = None,
        consent: Optional[ConsentLike] = None,
        context: Optional[Properties] = None,
        timestamp: Optional[datetime] = None,
        message_id: Optional[Id] = None,
    ) -> bool:
        """Something a person did. Whether it was accepted; raises `ValueError` without a name."""
        if not event:
            raise ValueError("event is empty")
        ids = {"event": event, "userId": user_id, "anonymousId": anonymous_id, "sessionId": session_id}
        return self._call("track", ids, properties, consent, context, timestamp, message_id)

    def identify(self, user_id: Id, traits: Optional[Properties] = None, **options: Any) -> bool:
        """Who a person is."""
        return self._named("identify", {"userId": _needed("user_id", user_id)}, traits, **options)

    def page(self, name: Optional[str] = None, properties: Optional[Properties] = None, **options: Any) -> bool:
        """A page was viewed."""
        return self._named("page", {"name": name}, properties, **options)

    def screen(self, name: Optional[str] = None, properties: Optional[Properties] = None, **options: Any) -> bool:
        """A screen of an app was viewed."""
        return self._named("screen", {"name": name}, properties, **options)

    def group(self, group_id: Id, traits: Optional[Properties] = None, **options: Any) -> bool:
        """The group a person belongs to."""
        return self._named("group", {"groupId": _needed("group_id", group_id)}, traits, **options)

    def alias(self, user_id: Id, previous_id: Id, **options: Any) -> bool:
        """Two ids are one person."""
        ids: dict[str, Optional[Id]] = {"userId": _needed("user_id", user_id), "previousId": _needed("previous_id", previous_id)}
        return self._named("alias", ids, None, **options)

    def bind(self, **options: Any) -> Bound:
        """Calls with these keyword arguments already given, such as those of one request."""
        return Bound(self, options)

    def _named(
        self,
        kind: str,
        ids: dict[str, Optional[Id]],
        body: Optional[Properties],
        *,
        user_id: Optional[Id] = None,
        anonymous_id: Optional[Id] = None,
        session_id: Optional[Id] = None,
        consent: Optional[ConsentLike] = None,
        context: Optional[Properties] = None,
        timestamp: Optional[datetime] = None,
        message_id: Optional[Id] = None,
    ) -> bool:
        ids.setdefault("userId", user_id)
        ids["anonymousId"], ids["sessionId"] = anonymous_id, session_id
        return self._call(kind, ids, body, consent, context, timestamp, message_id)

    def _call(
        self,
        kind: str,
        ids: Mapping[str, Optional[Id]],
        body: Optional[Properties],
        consent: Optional[ConsentLike],
        context: Optional[Properties],
        timestamp: Optional[datetime],
        message_id: Optional[Id],
    ) -> bool:
        try:
            if context is not None:
                text = self._context(consent, context)
            else:
                text = self._default_context if consent is None else self._consent_only(consent)
            raw = self._writer.write(kind, ids, body, text, timestamp, message_id)
        except TooLong:
            self._delivery.lose("too_large", self._writer.write(kind, ids, None, text, timestamp, message_id))
            return False
        except Exception:  # noqa: BLE001 -- a value's own code runs here, and may raise whatever it likes
            self._delivery.lose("not_json")
            return False
        if len(raw) > _EVENT_BYTES:
            self._delivery.lose("too_large", raw)
            return False
        return self._delivery.put(raw)

    def _consent_only(self, consent: ConsentLike) -> str:
        """The last text again where the same is said again: most events say the same, and writing it costs a quarter of a call."""
        if isinstance(consent, Consent):
            return self._context(consent, {})
        said, kinds, text = self._last_consent
        # with the types: 1 equals True, and is no grant
        if said != consent or kinds != [*map(type, consent.values())]:
            said = dict(consent)
            text = self._context(said, {})
            self._last_consent = (said, [*map(type, said.values())], text)
        return text

    def _context(self, consent: Optional[ConsentLike], context: Properties) -> str:
        said = self._consent if consent is None else as_context(consent)
        full = dict(context)
        own = full.pop("consent", None)
        if isinstance(own, Consent):
            own = own.as_context()
        if said:
            own = {**said, **(own or {})}
        if own is not None:
            full["consent"] = own
        return to_json(full) if full else ""

    # -- choices

    def set_consent(
        self,
        purposes: Mapping[str, bool],
        *,
        user_id: Optional[Id] = None,
        anonymous_id: Optional[Id] = None,
        notice: Optional[str] = None,
        language: Optional[str] = None,
    ) -> dict[str, Any]:
        """Record what a person chose: `{"analytics": True, "marketing": False}`. The gateway's answer with the signed receipt; keep that.

        Waits for the answer: from then on it is in force, for events that wait here too. Raises `ConsentryError` if it was not recorded;
        asking again is safe.
        """
        body = {
            "purposes": dict(purposes),
            "userId": None if user_id is None else as_text(user_id),
            "anonymousId": None if anonymous_id is None else as_text(anonymous_id),
            "notice": notice,
            "language": language,
        }
        try:
            answer = self._delivery.ask("/v1/consent", {name: value for name, value in body.items() if value is not None})
        except OSError as error:
            raise ConsentryError("the gateway cannot be reached") from error
        try:
            told = json.loads(answer.body)
        except ValueError:
            told = None
        # a page in the gateway's place has recorded nothing
        if answer.status != _OK or not isinstance(told, dict) or not isinstance(told.get("receipt"), dict):
            said = told.get("error") if isinstance(told, dict) else None
            code = said.get("code") if isinstance(said, dict) else None
            raise ConsentryError(f"the choice was not recorded ({answer.status})", answer.status, code)
        return told

    # -- life

    @property
    def stats(self) -> Stats:
        return self._delivery.stats()

    def flush(self, timeout: Optional[float] = 10.0) -> bool:
        """Send now; whether everything accepted before was settled within `timeout` seconds (None: no limit)."""
        return self._delivery.flush(timeout)

    def close(self, timeout: Optional[float] = None) -> None:
        """Send what can be sent within `timeout` seconds (default: `close_timeout`), then stop. Runs by itself at exit."""
        _open.discard(self)
        self._delivery.close(self._close_timeout if timeout is None else timeout)

    def __enter__(self) -> Consentry:  # noqa: PYI034 -- Python 3.9 has no `Self`
        return self

    def __exit__(
        self, _kind: Optional[type[BaseException]], _error: Optional[BaseException], _trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def _after_fork(self) -> None:
        self._writer.renew()
        self._delivery.after_fork()


def _needed(name: str, value: Id) -> Id:
    if not value:
        raise ValueError(f"{name} is empty")
    return value


def _close_all() -> None:
    for client in list(_open):
        client.close()


def _renew_all() -> None:
    for client in list(_open):
        client._after_fork()  # noqa: SLF001 -- the class is of this module


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)

__all__ = ["Consent", "Consentry"]
