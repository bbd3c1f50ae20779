"""RawEvent -> ValidEvent: ids, names, sizes, nesting, time, bots, tracking plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol
from uuid import uuid4

from consentryd.config.settings import Limits
from consentryd.gateway.stages import shape, times
from consentryd.gateway.stages.passage import Passage
from consentryd.model.client import Client
from consentryd.model.event import RawEvent, ValidEvent
from consentryd.model.made import made
from consentryd.model.memory import keep
from consentryd.model.outcome import Reason

_NO_FLAGS: Final[tuple[str, ...]] = ()
_REMEMBERED_NAMES: Final = 2048

#: Event, user, anonymous, session, group and previous id.
Ids = tuple[str, str | None, str | None, str | None, str | None, str | None]


class Clients(Protocol):
    """The coarse view of a machine; nothing of the arguments is kept."""

    def describe_visitor(self, address: str | None, user_agent: str | None) -> Client: ...


class Plans(Protocol):
    def fits(self, site: str, event: str, properties: Mapping[str, Any]) -> bool:
        """Whether the properties fit the site's tracking plan; events that it does not name fit."""
        ...


class Validate:
    """The stage. `bots` is the setting `privacy.bots`."""

    def __init__(self, limits: Limits, clients: Clients, plans: Plans, bots: str) -> None:
        self._limits = limits
        self._clients = clients
        self._plans = plans
        self._bots = bots
        self._names: dict[Any, str] = {}

    def check_event(self, raw: RawEvent, passage: Passage) -> ValidEvent | Reason:
        name = self._check_name(raw)
        if name.__class__ is Reason:
            return name
        ids = self._check_ids(raw)
        if ids.__class__ is Reason:
            return ids
        objects = self._check_objects(raw, passage)
        if objects.__class__ is Reason:
            return objects
        time = self._check_time(raw, passage)
        if time.__class__ is Reason:
            return time
        client = self._client(objects[2], passage)
        flags = _NO_FLAGS
        if client.bot and self._bots != "keep":
            if self._bots == "drop":
                return Reason.BOT
            flags = ("bot",)
        event = made(ValidEvent, (raw.type, name, *ids, time, *objects, client, flags))
        return event if passage.site.tracking_plan_mode == "off" else self._check_plan(event, passage)

    def _check_name(self, raw: RawEvent) -> Any:
        """The event's name. Names repeat: those found good are remembered, by type and name as they came."""
        try:
            return self._names[raw[:2]]
        except (KeyError, TypeError):
            name = shape.check_event_name(raw.type, raw.event, self._limits.event_name_chars)
            if name.__class__ is not Reason and raw.event.__hash__ is not None:
                keep(self._names, raw[:2], name, _REMEMBERED_NAMES)
            return name

    def _check_ids(self, raw: RawEvent) -> Any:
        """`Ids`, or the reason why not. The event's is made up if there is none."""
        limit, check = self._limits.id_chars, shape.check_id
        _, _, event_id, user_id, anonymous_id, session_id, group_id, previous_id, *_ = raw
        ids = (
            shape.check_label(event_id, limit) or uuid4().hex,
            None if user_id is None else check(user_id, limit),
            None if anonymous_id is None else check(anonymous_id, limit),
            None if session_id is None else shape.check_label(session_id, limit),
            None if group_id is None else check(group_id, limit),
            None if previous_id is None else check(previous_id, limit),
        )
        for found in ids:
            if found.__class__ is Reason:
                return found
        if (raw.type == "group" and ids[4] is None) or (raw.type == "alias" and (ids[5] is None or ids[1] is None)):
            return Reason.MISSING_IDENTITY
        return ids

    def _check_objects(self, raw: RawEvent, passage: Passage) -> Any:
        """Properties, traits and context, or the reason why not."""
        properties, traits, context = objects = (raw.properties or {}, raw.traits or {}, raw.context or {})
        if not (isinstance(properties, dict) and isinstance(traits, dict) and isinstance(context, dict)):
            return Reason.INVALID_PROPERTIES
        if reason := shape.check_size((properties, traits) if traits else (properties,), self._limits):
            return reason
        return (properties, traits, {**passage.context, **context}) if passage.context else objects

    def _check_time(self, raw: RawEvent, passage: Passage) -> Any:
        """UTC microseconds, or the reason why not."""
        sent_at, received_at = raw.sent_at, passage.intake.received_at
        skew = passage.skew if sent_at is None else times.skew_of(sent_at, received_at)
        return times.put_time(raw.timestamp, skew, received_at, self._limits)

    def _client(self, context: dict[str, Any], passage: Passage) -> Client:
        """The machine that the event itself describes (servers speak for their visitors), else the one that called."""
        address, user_agent = context.get("ip"), context.get("userAgent") or context.get("user_agent")
        caller = passage.intake.client
        if not address and not user_agent:
            return caller
        told = self._clients.describe_visitor(
            address if isinstance(address, str) else None, user_agent if isinstance(user_agent, str) else None
        )
        if not user_agent:
            return caller._replace(country=told.country, subdivision=told.subdivision)
        return told if address else told._replace(country=caller.country, subdivision=caller.subdivision)

    def _check_plan(self, event: ValidEvent, passage: Passage) -> ValidEvent | Reason:
        if self._plans.fits(passage.intake.key.site, event.event, event.properties or event.traits):
            return event
        if passage.site.tracking_plan_mode == "reject":
            return Reason.PLAN_VIOLATION
        return event._replace(flags=(*event.flags, "plan"))
