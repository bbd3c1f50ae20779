"""Segment's Tracking API, in its camelCase and in snake_case, as Segment's and RudderStack's SDKs speak it.

A batch is `{"batch": [...]}` or a bare array; a single call is one object. What differs between the dialects is settled here:
RudderStack says `originalTimestamp`, puts identify traits and the session into `context`, and writes `""` for an id it does not have.

A body is parsed no further than its events' names, ids and times: properties, traits and contexts stay JSON until a stage looks into them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from consentryd.gateway import document
from consentryd.gateway.document import ABSENT, UNREADABLE, Unread, look_into
from consentryd.gateway.protocols.envelope import Envelope
from consentryd.model.error import BadRequest, TooLarge
from consentryd.model.event import RawEvent

#: A nameless track call.
NO_EVENT: Final = RawEvent(type="track")

_BEYOND: Final = (math.inf, -math.inf)
_PAGES: Final = ("page", "screen")  # a tuple: a type may be anything, also what cannot be hashed
_NOTHING: Final[dict[str, Any]] = {}
#: What is taken from a context that says nothing usable: traits that are none.
_NOTHING_USABLE: Final[dict[str, Any]] = {"traits": UNREADABLE}


class _Event(msgspec.Struct, gc=False):
    """What is read of an event; all else is passed over."""

    type: Any = None
    event: Any = None
    event_name: Any = None
    messageId: Any = None
    message_id: Any = None
    event_id: Any = None
    userId: Any = None
    user_id: Any = None
    anonymousId: Any = None
    anonymous_id: Any = None
    sessionId: Any = None
    session_id: Any = None
    groupId: Any = None
    group_id: Any = None
    previousId: Any = None
    previous_id: Any = None
    timestamp: Any = None
    originalTimestamp: Any = None
    original_timestamp: Any = None
    sentAt: Any = None
    sent_at: Any = None
    name: Any = None
    category: Any = None
    properties: msgspec.Raw = ABSENT
    traits: msgspec.Raw = ABSENT
    context: msgspec.Raw = ABSENT


class _Around(_Event, gc=False):
    """One event, or what stands around a batch."""

    writeKey: Any = None
    write_key: Any = None
    region: Any = None
    dropped: Any = None
    partial: Any = None


class _Body(_Around, gc=False):
    """A batch, or one event."""

    batch: list[_Event] | None = None


class _Loose(_Around, gc=False):
    """A batch whose events are looked into one by one."""

    batch: list[msgspec.Raw] | None = None


_E = TypeVar("_E", bound=_Event)

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
        told = _LOOSE_BODY.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return told if told.batch is None else msgspec.structs.replace(told, batch=list(map(_parse_event, told.batch)))


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
    if isinstance(body, dict):
        body = _told_of(_Body, body)
    if not isinstance(body, (_Body, _Loose)):
        raise BadRequest("bad_body", "The body must be an object or an array of objects.")
    key = body.writeKey or body.write_key
    if not isinstance(key, str):
        key = None
    if body.batch is None and call is not None:
        event = read_event(body, call)
        return Envelope((event,), event.sent_at, None, key, body.region)
    if not isinstance(body.batch, list):
        raise BadRequest("bad_body", "A batch is an object with an array `batch`.")
    events = _read_all(body.batch, call, limit)
    context, partial = look_into(_unread(body.context)), body.partial is True
    return Envelope(events, body.sentAt or body.sent_at, context, key, body.region, body.dropped, partial)


def _read_all(items: Sequence[Any], call: str | None, limit: int) -> list[RawEvent]:
    if len(items) > limit:
        raise TooLarge("batch_too_large", "The batch has more events than the limit.", limit_events=limit)
    return [read_event(item, call) for item in items]


def read_event(item: Any, call: str | None) -> RawEvent:
    """One event. What is not an object becomes `NO_EVENT`, which validation refuses as an invalid event."""
    if not isinstance(item, _Event):
        if not isinstance(item, dict):
            return NO_EVENT
        item = _told_of(_Event, item)
    type_ = item.type or call
    context, traits = _unread(item.context), _unread(item.traits)
    session_id = item.sessionId or item.session_id
    user_id = item.user_id if item.userId is None else item.userId
    anonymous_id = item.anonymous_id if item.anonymousId is None else item.anonymousId
    previous_id = item.previous_id if item.previousId is None else item.previousId
    group_id = item.group_id if item.groupId is None else item.groupId
    if context is not None:
        if (group_id is None or group_id == "") and (told := _told(context, b'"group')):
            group_id = _text(told.get("groupId")) or _text(told.get("group_id"))
        if session_id is None and (told := _told(context, b'"session')):
            session_id = told.get("sessionId") or told.get("session_id")
        if traits is None and type_ == "identify":
            traits = _told(context, b'"traits').get("traits")
    # 0 and False as an id are somebody's mistake that validation must see; only nothing and the empty text are no id
    return RawEvent(
        type_,
        item.event or item.event_name,
        item.messageId or item.message_id or item.event_id,
        None if user_id == "" else user_id,
        None if anonymous_id == "" else anonymous_id,
        session_id,
        None if group_id == "" else group_id,
        None if previous_id == "" else previous_id,
        item.timestamp or _time(item),
        item.sentAt or item.sent_at,
        _page_properties(item) if type_ in _PAGES else _unread(item.properties),
        traits,
        context,
    )


def _told_of(kind: type[_E], item: dict[str, Any]) -> _E:
    """The same of an object that is looked into already."""
    return kind(**{name: item[name] for name in kind.__struct_fields__ if name in item})


def _told(context: Any, key: bytes) -> dict[str, Any]:
    """The context, unless it has no key that begins so."""
    if context.__class__ is Unread:
        if key not in context and b"\\" not in context:
            return _NOTHING
        context = look_into(context)
        if context is UNREADABLE:
            return _NOTHING_USABLE
    return context if context.__class__ is dict else _NOTHING


def _unread(value: Any) -> Any:
    """JSON as it came; None where there is none. Any other value as it is."""
    return bytes(value) or None if value.__class__ is msgspec.Raw else value


def _time(item: _Event) -> Any:
    """The first that says something; of 0 or an empty list validation must see that it is no time."""
    given = (item.timestamp, item.originalTimestamp, item.original_timestamp)
    return next((value for value in given if value is not None and value != ""), None)


def _text(value: Any) -> str | None:
    """What a context says beside the event is taken if it is a text, and no reason to refuse the event if not."""
    return value if isinstance(value, str) and value else None


def _page_properties(item: _Event) -> Any:
    """Server SDKs leave a page's name and category beside the properties, browser SDKs put them in; here they are always in."""
    properties: Any = _unread(item.properties)
    if item.name is None and item.category is None:
        return properties
    if item.name in _BEYOND or item.category in _BEYOND:
        return UNREADABLE
    beside = {} if item.name is None else {"name": item.name}
    if item.category is not None:
        beside["category"] = item.category
    properties = look_into(properties)
    if properties is None:
        return beside
    return {**beside, **properties} if isinstance(properties, dict) else properties
