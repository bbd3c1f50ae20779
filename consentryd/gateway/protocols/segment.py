"""Segment's Tracking API, in its camelCase and in snake_case, as Segment's and RudderStack's SDKs speak it.

A batch is `{"batch": [...]}` or a bare array; a single call is one object. What differs between the dialects is settled here:
RudderStack says `originalTimestamp`, puts identify traits and the session into `context`, and writes `""` for an id it does not have.

A body is parsed no further than its events' names, ids and times: properties, traits and contexts stay JSON until a stage looks into them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypedDict

import msgspec

from consentryd.gateway import document
from consentryd.gateway.document import Unread, look_into
from consentryd.gateway.protocols.envelope import Envelope
from consentryd.model.error import BadRequest, TooLarge
from consentryd.model.event import RawEvent
from consentryd.model.made import made

_PAGES: Final = ("page", "screen")  # a tuple: a type may be anything, also what cannot be hashed
_NO_EVENT: Final = RawEvent(type="track")
_NOTHING: Final[dict[str, Any]] = {}


class _Event(TypedDict, total=False):
    """What is read of an event; all else is passed over."""

    type: Any
    event: Any
    event_name: Any
    messageId: Any
    message_id: Any
    event_id: Any
    userId: Any
    user_id: Any
    anonymousId: Any
    anonymous_id: Any
    sessionId: Any
    session_id: Any
    groupId: Any
    group_id: Any
    previousId: Any
    previous_id: Any
    timestamp: Any
    originalTimestamp: Any
    original_timestamp: Any
    sentAt: Any
    sent_at: Any
    name: Any
    category: Any
    properties: msgspec.Raw
    traits: msgspec.Raw
    context: msgspec.Raw


class _Body(_Event, total=False):
    """A batch, or one event."""

    batch: list[_Event]
    writeKey: Any
    write_key: Any
    region: Any
    dropped: Any


class _Loose(_Event, total=False):
    """A batch whose events are looked into one by one."""

    batch: list[msgspec.Raw]
    writeKey: Any
    write_key: Any
    region: Any
    dropped: Any


_BODY: Final = msgspec.json.Decoder(_Body)
_BARE: Final = msgspec.json.Decoder(list[_Event])
#: These read a number beyond all bounds, which JSON allows, as infinite, which no event may have anywhere.
_LOOSE_BODY: Final = msgspec.json.Decoder(_Loose, float_hook=float)
_LOOSE_BARE: Final = msgspec.json.Decoder(list[msgspec.Raw])
_LOOSE_EVENT: Final = msgspec.json.Decoder(_Event, float_hook=float)


def parse(body: bytes) -> Any:
    """A body for `read_envelope`. What is not as expected, in form or in characters, is parsed whole. Raises `BadRequest`."""
    try:
        if not body.isascii():
            body.decode()
        return (_BARE if body[:1] == b"[" else _BODY).decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return document.parse(body)
    except BadRequest:
        loose = _parse_loosely(document.mended(body))
        if loose is None:
            raise
        return loose


def _parse_loosely(body: bytes) -> Any:
    """A body in which a number is beyond all bounds, which is its event's fault and not its neighbours'; None if it is no JSON."""
    try:
        body.decode()
        if body[:1] == b"[":
            return [_parse_event(item) for item in _LOOSE_BARE.decode(body)]
        told: Any = _LOOSE_BODY.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if "batch" in told:
        told["batch"] = [_parse_event(item) for item in told["batch"]]
    return told


def _parse_event(item: msgspec.Raw) -> Any:
    """None for what is no event."""
    try:
        return _LOOSE_EVENT.decode(item)
    except (msgspec.MsgspecError, RecursionError):
        return None


def read_envelope(body: Any, call: str | None, limit: int) -> Envelope:
    """The events of a parsed body. `call` is the type that the path names, which a single event need not repeat.

    Raises `BadRequest` for a body that is neither an object nor an array, `TooLarge` for more than `limit` events.
    """
    if isinstance(body, list):
        return Envelope(_read_all(body, call, limit))
    if not isinstance(body, dict):
        raise BadRequest("bad_body", "The body must be an object or an array of objects.")
    get = body.get
    key = get("writeKey") or get("write_key")
    region = get("region")
    if not isinstance(key, str):
        key = None
    batch = get("batch")
    if batch is None and call is not None:
        event = read_event(body, call)
        return Envelope((event,), event.sent_at, None, key, region)
    if not isinstance(batch, list):
        raise BadRequest("bad_body", "A batch is an object with an array `batch`.")
    events = _read_all(batch, call, limit)
    return Envelope(events, get("sentAt") or get("sent_at"), look_into(_unread(get("context"))), key, region, get("dropped"))


def _read_all(items: Sequence[Any], call: str | None, limit: int) -> list[RawEvent]:
    if len(items) > limit:
        raise TooLarge("batch_too_large", "The batch has more events than the limit.", limit_events=limit)
    return [read_event(item, call) for item in items]


def read_event(item: Any, call: str | None) -> RawEvent:
    """One event. What is not an object becomes a nameless track call, which validation refuses as an invalid event."""
    if item.__class__ is not dict:
        return _NO_EVENT
    get = item.get
    type_ = get("type") or call
    context, traits = _unread(get("context")), _unread(get("traits"))
    session_id = get("sessionId") or get("session_id")
    group_id = _identity(item, "groupId", "group_id")
    if context is not None:
        if group_id is None and (told := _told(context, b'"group')):
            group_id = _text(told.get("groupId")) or _text(told.get("group_id"))
        if session_id is None and (told := _told(context, b'"session')):
            session_id = told.get("sessionId") or told.get("session_id")
        if traits is None and type_ == "identify":
            traits = _told(context, b'"traits').get("traits")
    return made(RawEvent, (
        type_,
        get("event") or get("event_name"),
        get("messageId") or get("message_id") or get("event_id"),
        _identity(item, "userId", "user_id"),
        _identity(item, "anonymousId", "anonymous_id"),
        session_id,
        group_id,
        _identity(item, "previousId", "previous_id"),
        get("timestamp") or _time(item),
        get("sentAt") or get("sent_at"),
        _page_properties(item) if type_ in _PAGES else _unread(get("properties")),
        traits,
        context,
    ))  # fmt: skip


def _told(context: Any, key: bytes) -> dict[str, Any]:
    """The context, unless it has no key that begins so."""
    if context.__class__ is Unread:
        if key not in context and b"\\" not in context:
            return _NOTHING
        context = look_into(context)
    return context if context.__class__ is dict else _NOTHING


def _unread(value: Any) -> Any:
    return bytes(value) if value.__class__ is msgspec.Raw else value


def _identity(item: dict[str, Any], camel: str, snake: str) -> Any:
    """0 and False are somebody's mistake that validation must see; only nothing and the empty text are no id."""
    value = item.get(camel)
    if value is None:
        value = item.get(snake)
    return None if value == "" else value


def _time(item: dict[str, Any]) -> Any:
    """The first that says something; of 0 or an empty list validation must see that it is no time."""
    given = map(item.get, ("timestamp", "originalTimestamp", "original_timestamp"))
    return next((value for value in given if value is not None and value != ""), None)


def _text(value: Any) -> str | None:
    """What a context says beside the event is taken if it is a text, and no reason to refuse the event if not."""
    return value if isinstance(value, str) and value else None


def _page_properties(item: dict[str, Any]) -> Any:
    """Server SDKs leave a page's name and category beside the properties, browser SDKs put them in; here they are always in."""
    properties = _unread(item.get("properties"))
    name, category = item.get("name"), item.get("category")
    if name is None and category is None:
        return properties
    beside = {} if name is None else {"name": name}
    if category is not None:
        beside["category"] = category
    properties = look_into(properties)
    if properties is None:
        return beside
    return {**beside, **properties} if isinstance(properties, dict) else properties
