"""RawEvent -> ValidEvent: ids, names, sizes, nesting, time, bots, tracking plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol
from uuid import uuid4

import orjson

from consentryd.config.settings import Limits
from consentryd.gateway.document import look_into
from consentryd.gateway.stages import shape, times
from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.stages.person import Person, Persons
from consentryd.gateway.stages.scene import Scenes
from consentryd.gateway.stages.staged import ValidEvent
from consentryd.model.event import RawEvent
from consentryd.model.memory import keep
from consentryd.model.outcome import Reason, Violation

_NOTHING: Final[dict[str, Any]] = {}
_REMEMBERED_NAMES: Final = 2048
#: Events of one request of which is told where they break the plan: who sends a thousand alike learns it from the first.
_TOLD_VIOLATIONS: Final = 100

#: The person, and the event's, session, group and previous id.
Ids = tuple[Person, str, str | None, str | None, str | None]


class Plans(Protocol):
    def fits(self, site: str, event: str, properties: Mapping[str, Any]) -> bool:
        """Whether the properties fit the site's tracking plan; true if it does not name the event."""
        ...

    def violation(self, site: str, event: str, properties: Mapping[str, Any]) -> Violation | None:
        """Where the properties do not fit the site's tracking plan; None if they do, or if it does not name the event."""
        ...


class Validate:
    """The stage. `bots` is the setting `privacy.bots`."""

    def __init__(self, limits: Limits, persons: Persons, scenes: Scenes, plans: Plans, bots: str) -> None:
        self._limits = limits
        self._persons = persons
        self._scenes = scenes
        self._plans = plans
        self._bots = bots
        self._names: dict[Any, str] = {}

    def check_events(self, raws: Sequence[RawEvent], passage: Passage) -> list[ValidEvent | Reason]:
        site = passage.intake.key.site
        names = list(map(self._check_name, raws))
        ids = [self._check_ids(raw, site) for raw in raws]
        objects = list(map(self._check_objects, raws))
        times = [self._check_time(raw, passage) for raw in raws]
        scenes = self._check_scenes([raw.context for raw in raws], passage)
        events = _valid(raws, names, ids, objects, times, scenes)
        if self._bots == "flag":
            events = [
                event if event.__class__ is Reason or not event.scene.client.bot else event.flagged("bot") for event in events
            ]
        if passage.site.tracking_plan_mode != "off":
            events = [
                event if event.__class__ is Reason else self._check_plan(event, position, passage)
                for position, event in enumerate(events, start=passage.taken)
            ]
        return events

    def _check_name(self, raw: RawEvent) -> Any:
        """The event's name. Names repeat: those found good are remembered, by type and name as they came."""
        called = raw.type, raw.event
        try:
            return self._names[called]
        except (KeyError, TypeError):
            name = shape.check_event_name(raw.type, raw.event, self._limits.event_name_chars)
            if name.__class__ is not Reason and (raw.event is None or _is_short(raw.event, self._limits.event_name_chars)):
                keep(self._names, called, name, _REMEMBERED_NAMES)
            return name

    def _check_ids(self, raw: RawEvent, site: str) -> Any:
        """`Ids`, or the reason why not. The event's is made up if there is none."""
        limit = self._limits.id_chars
        session_id, group_id, previous_id = raw.session_id, raw.group_id, raw.previous_id
        ids: Any = (
            self._persons.of(site, raw.user_id, raw.anonymous_id),
            shape.check_label(raw.event_id, limit) or uuid4().hex,
            None if session_id is None else shape.check_label(session_id, limit),
            None if group_id is None else shape.check_id(group_id, limit),
            None if previous_id is None else shape.check_id(previous_id, limit),
        )
        for found in ids:
            if found.__class__ is Reason:
                return found
        person, _, _, group_id, previous_id = ids
        kind = raw.type
        if (kind == "group" and group_id is None) or (kind == "alias" and (previous_id is None or person.user_id is None)):
            return Reason.MISSING_IDENTITY
        return ids

    def _check_objects(self, raw: RawEvent) -> Any:
        """Properties, their JSON and traits, or the reason why not."""
        properties = look_into(raw.properties) or _NOTHING
        traits = _NOTHING if raw.traits is None else look_into(raw.traits) or _NOTHING
        if properties.__class__ is not dict or traits.__class__ is not dict:
            return Reason.INVALID_PROPERTIES
        try:
            body = orjson.dumps(properties)
            return shape.check_size(properties, body, traits, self._limits) or (properties, body, traits)
        except orjson.JSONEncodeError:  # it reads 1024 levels and writes 254
            return Reason.TOO_DEEP

    def _check_time(self, raw: RawEvent, passage: Passage) -> Any:
        """UTC microseconds, or the reason why not."""
        sent_at, received_at = raw.sent_at, passage.intake.received_at
        skew = passage.skew if sent_at is None else times.skew_of(sent_at, received_at)
        return times.put_time(raw.timestamp, skew, received_at, self._limits)

    def _check_scenes(self, contexts: Sequence[Any], passage: Passage) -> list[Any]:
        """The scenes, or reasons why not."""
        scenes = self._scenes.of(contexts, passage)
        if self._bots != "drop":
            return scenes
        return [Reason.BOT if scene.__class__ is not Reason and scene.client.bot else scene for scene in scenes]

    def _check_plan(self, event: ValidEvent, position: int, passage: Passage) -> ValidEvent | Reason:
        told = passage.intake.key.site, event.event, event.properties or event.traits
        if self._plans.fits(*told):
            return event
        if passage.site.tracking_plan_mode != "reject":
            return event.flagged("plan")
        if len(passage.violations) < _TOLD_VIOLATIONS and (violation := self._plans.violation(*told)) is not None:
            passage.violations[position] = violation
        return Reason.PLAN_VIOLATION


def _valid(raws: Sequence[RawEvent], *columns: Sequence[Any]) -> list[Any]:
    """For each event, from its parts, the event or the first reason why not."""
    for column in columns:
        if Reason in map(type, column):
            return [_reason(parts) or _made(raw, *parts) for raw, *parts in zip(raws, *columns, strict=True)]
    return [_made(*parts) for parts in zip(raws, *columns, strict=True)]


def _reason(parts: Iterable[Any]) -> Reason | None:
    return next((part for part in parts if part.__class__ is Reason), None)


def _is_short(text: Any, limit: int) -> bool:
    """Pages and the like may carry anything of any length as `event`, which names nothing."""
    return text.__class__ is str and len(text) <= limit


def _made(raw: RawEvent, name: Any, ids: Any, objects: Any, time: Any, scene: Any) -> ValidEvent:
    person, event_id, session_id, group_id, previous_id = ids
    properties, body, traits = objects
    return ValidEvent(
        raw.type, name, person, event_id, session_id, group_id, previous_id, time, properties, body, traits, raw.context, scene
    )
