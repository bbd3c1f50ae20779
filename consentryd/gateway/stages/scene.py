"""Where an event happened, as its context tells: on what machine, on which page, by what campaign, with whose consent.

Contexts repeat from event to event. What was made of one is known again by the hash of its JSON (SipHash with the process's own key), so
that a visitor's further events on a page ask for none of it anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, TypedDict
from uuid import uuid4

import msgspec
import orjson

from consentryd.consent.policy import Policy
from consentryd.consent.signals.reading import Signals
from consentryd.gateway.document import Unread, look_into
from consentryd.gateway.intake import Intake
from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.stages.view import View, Views
from consentryd.model.client import Client
from consentryd.model.memory import keep
from consentryd.model.outcome import Reason

REMEMBERED: Final = 2048
UTM: Final = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")

#: The page, and the campaign by the names of its columns.
Setting = tuple[View, dict[str, str]]

_CAMPAIGN: Final = {
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_campaign": "name",
    "utm_term": "term",
    "utm_content": "content",
}
_CAMPAIGN_CHARS: Final = 255
_NO_CAMPAIGN: Final[dict[str, str]] = {}
_NOTHING: Final[dict[str, Any]] = {}
_NO_CONTEXT: Final[dict[str, Any]] = {}


class _Page(TypedDict, total=False):
    url: Any
    path: Any
    referrer: Any
    title: Any


class _Context(TypedDict, total=False):
    """What is read of a context; all else is passed over."""

    ip: Any
    userAgent: Any
    user_agent: Any
    page: _Page
    campaign: Any
    consent: Any
    consentManagement: Any


_CONTEXT: Final = msgspec.json.Decoder(_Context)


class Clients(Protocol):
    """The coarse view of a machine; nothing of the arguments is kept."""

    def describe_visitor(self, address: str | None, user_agent: str | None) -> Client: ...


class Scene:
    """`setting` is None where the context tells of no page; `told` is what it tells of the campaign beside the page's address.

    `place` is the client's country and subdivision, `machine` what is stored of it. `notice` is the version of the notice that the visitor
    saw, empty if that is none of ours. It all holds from `since`, when it was read, to `until` (UTC microseconds), when one of the signals
    no longer does.
    """

    __slots__ = ("client", "machine", "notice", "place", "setting", "signals", "since", "told", "until")

    def __init__(
        self, client: Client, view: View | None, told: dict[str, str], signals: Signals, notice: str, since: int
    ) -> None:
        self.client = client
        self.place = client[:2]
        self.machine = client[:-1]
        self.told = told
        self.setting = None if view is None else setting_of(view, told)
        self.signals = signals
        self.notice = notice
        self.since, self.until = since, signals.until


class Scenes:
    """Makes scenes of contexts, and remembers them until one of their consent signals no longer holds."""

    def __init__(self, clients: Clients, policy: Policy, views: Views) -> None:
        self._clients = clients
        self._policy = policy
        self._views = views
        self._notices = frozenset(policy.settings.notices)
        self._known: dict[int, Scene] = {}

    def of(self, contexts: Sequence[Any], passage: Passage) -> list[Any]:
        """What each event's own context (an object, perhaps unread) tells, over that of its batch and its request: a `Scene`, or the reason
        why it is no context."""
        now, known, scenery = passage.intake.received_at, self._known, passage.scenery
        keys = [hash(as_json(context)) ^ scenery for context in contexts]
        scenes: list[Any] = [known.get(key) for key in keys]
        missing = {
            key: context
            for key, context, scene in zip(keys, contexts, scenes, strict=True)
            if scene is None or not scene.since <= now < scene.until
        }
        if not missing:
            return scenes
        fresh = dict(zip(missing, self._look(list(missing.values()), passage), strict=True))
        for key, scene in fresh.items():
            if scene.__class__ is Scene:
                keep(known, key, scene, REMEMBERED)
        return [fresh.get(key, scene) for key, scene in zip(keys, scenes, strict=True)]

    def forget(self) -> None:
        """Let go of every scene: campaigns are their senders' texts."""
        self._known.clear()

    def _look(self, contexts: Sequence[Any], passage: Passage) -> list[Scene | Reason]:
        told = [_over(passage.context, _read(context)) for context in contexts]
        intake = passage.intake
        clients = [self._client(context, intake.client) for context in told]
        views = [self._view(context.get("page")) for context in told]
        signals = [self._policy.read(context, intake.signals, intake.received_at) for context in told]
        return [
            Reason.INVALID_PROPERTIES
            if context is _NO_CONTEXT
            else Scene(
                client, view, _campaign(context.get("campaign")), heard, self._notice(context.get("consent")), intake.received_at
            )
            for context, client, view, heard in zip(told, clients, views, signals, strict=True)
        ]

    def _view(self, page: Any) -> View | None:
        return self._views.read(page) if page.__class__ is dict else None

    def _notice(self, consent: Any) -> str:
        """Those of others are not told apart, so that counts stay few."""
        notice = consent.get("notice") if isinstance(consent, dict) else None
        return notice if isinstance(notice, str) and notice in self._notices else ""

    def _client(self, context: Mapping[str, Any], caller: Client) -> Client:
        """The machine that the event itself describes (servers speak for their visitors), else the one that called."""
        address, user_agent = context.get("ip"), context.get("userAgent") or context.get("user_agent")
        if not address and not user_agent:
            return caller
        told = self._clients.describe_visitor(
            address if isinstance(address, str) else None, user_agent if isinstance(user_agent, str) else None
        )
        if not user_agent:
            return caller._replace(country=told.country, subdivision=told.subdivision)
        return told if address else told._replace(country=caller.country, subdivision=caller.subdivision)


def scenery(intake: Intake, context: Mapping[str, Any]) -> int:
    """A number for all of a request that bears on its events' scenes: who called, what consent it carried, its batch's context."""
    return hash((intake.client, tuple(intake.signals.items()), orjson.dumps(context) if context else b""))


def setting_of(view: View, told: dict[str, str]) -> Setting:
    """What a context says of its campaign goes before the page's address."""
    query = view.page.query
    return view, {name: value for name, value in query if name in UTM} | told if query else told


def as_json(context: Any) -> bytes:
    """The bytes that a context is known again by: as they came, or made of its value."""
    if context.__class__ is Unread:
        return context
    try:
        return orjson.dumps(context)
    except TypeError:  # texts that no JSON holds, which a URL's query may: by what stands for them in Python
        pass
    try:
        return repr(context).encode()
    except RecursionError:  # nothing is like it
        return uuid4().bytes


def _read(context: Any) -> Any:
    """What is asked of a context, or all of it."""
    try:
        return _CONTEXT.decode(context) if context.__class__ is Unread else context
    except (msgspec.MsgspecError, RecursionError):  # not of the usual form
        return look_into(context)


def _over(batch: Mapping[str, Any], own: Any) -> Mapping[str, Any]:
    """The event's own context over its batch's; `_NO_CONTEXT` where that is no object, nor nothing."""
    own = own or _NOTHING
    if own.__class__ is not dict:
        return _NO_CONTEXT
    return {**batch, **own} if batch else own


def _campaign(told: Any) -> dict[str, str]:
    if not isinstance(told, dict):
        return _NO_CAMPAIGN
    values = ((name, told.get(key)) for name, key in _CAMPAIGN.items())
    return {name: value[:_CAMPAIGN_CHARS] for name, value in values if isinstance(value, str) and value}
