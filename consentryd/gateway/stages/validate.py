"""RawEvent -> ValidEvent: ids, names, sizes, nesting, time, bots, tracking plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import uuid4

from consentryd.config.settings import Limits
from consentryd.gateway.stages import shape, times
from consentryd.gateway.stages.passage import Passage
from consentryd.model.client import Client
from consentryd.model.event import RawEvent, ValidEvent
from consentryd.model.outcome import Reason
from consentryd.privacy.address import truncate

#: Event, user, anonymous, session, group and previous id.
Ids = tuple[str, str | None, str | None, str | None, str | None, str | None]


class Clients(Protocol):
    """The coarse view of a machine; nothing of the arguments is kept."""

    def describe(self, network: str | None, user_agent: str | None) -> Client: ...


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

    def check_event(self, raw: RawEvent, passage: Passage) -> ValidEvent | Reason:
        limits = self._limits
        name = shape.check_event_name(raw.type, raw.event, limits.event_name_chars)
        if isinstance(name, Reason):
            return name
        ids = self._check_ids(raw)
        if isinstance(ids, Reason):
            return ids
        objects = self._check_objects(raw, passage)
        if isinstance(objects, Reason):
            return objects
        skew = passage.skew if raw.sent_at is None else times.skew_of(raw.sent_at, passage.intake.received_at)
        time = times.put_time(raw.timestamp, skew, passage.intake.received_at, limits)
        if isinstance(time, Reason):
            return time
        event = ValidEvent(raw.type, name, *ids, time, *objects, self._client(objects[2], passage))
        if event.client.bot and self._bots != "keep":
            if self._bots == "drop":
                return Reason.BOT
            event = event._replace(flags=("bot",))
        return event if passage.site.tracking_plan_mode == "off" else self._check_plan(event, passage)

    def _check_ids(self, raw: RawEvent) -> Ids | Reason:
        """Event (made up if there is none), user, anonymous, session, group and previous id."""
        limit, check = self._limits.id_chars, shape.check_id
        ids = (
            shape.check_label(raw.event_id, limit) or uuid4().hex,
            None if raw.user_id is None else check(raw.user_id, limit),
            None if raw.anonymous_id is None else check(raw.anonymous_id, limit),
            None if raw.session_id is None else shape.check_label(raw.session_id, limit),
            None if raw.group_id is None else check(raw.group_id, limit),
            None if raw.previous_id is None else check(raw.previous_id, limit),
        )
        for found in ids:
            if isinstance(found, Reason):
                return found
        if (raw.type == "group" and ids[4] is None) or (raw.type == "alias" and (ids[5] is None or ids[1] is None)):
            return Reason.MISSING_IDENTITY
        return ids

    def _check_objects(self, raw: RawEvent, passage: Passage) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | Reason:
        properties, traits, context = objects = (raw.properties or {}, raw.traits or {}, raw.context or {})
        if not (isinstance(properties, dict) and isinstance(traits, dict) and isinstance(context, dict)):
            return Reason.INVALID_PROPERTIES
        if reason := shape.check_size((properties, traits), self._limits):
            return reason
        return (properties, traits, {**passage.context, **context}) if passage.context else objects

    def _client(self, context: dict[str, Any], passage: Passage) -> Client:
        """The machine that the event itself describes (servers speak for their visitors), else the one that called."""
        address, user_agent = context.get("ip"), context.get("userAgent") or context.get("user_agent")
        caller = passage.intake.client
        if not address and not user_agent:
            return caller
        network = truncate(address) if isinstance(address, str) else None
        told = self._clients.describe(network, user_agent if isinstance(user_agent, str) else None)
        if not user_agent:
            return caller._replace(country=told.country, subdivision=told.subdivision)
        return told if address else told._replace(country=caller.country, subdivision=caller.subdivision)

    def _check_plan(self, event: ValidEvent, passage: Passage) -> ValidEvent | Reason:
        if self._plans.fits(passage.intake.key.site, event.event, event.properties or event.traits):
            return event
        if passage.site.tracking_plan_mode == "reject":
            return Reason.PLAN_VIOLATION
        return event._replace(flags=(*event.flags, "plan"))
