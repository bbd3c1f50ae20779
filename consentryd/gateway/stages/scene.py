"""Where an event happened, as its context tells: on what machine, on which page, by what campaign, with whose consent.

Contexts repeat from event to event. What was made of one is known again by the hash of its JSON (SipHash with the process's own key), so
that a visitor's further events on a page ask for none of it anew; and so are its parts, for on the next page all but the page is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol
from uuid import uuid4

import msgspec
import orjson

from consentryd.consent.policy import Policy
from consentryd.consent.signals.reading import Signals
from consentryd.gateway.document import ABSENT, Unread, look_into, parse
from consentryd.gateway.intake import Intake
from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.stages.view import NO_VIEW, View, Views
from consentryd.model.client import Client
from consentryd.model.error import BadRequest
from consentryd.model.event import UTM
from consentryd.model.memory import keep
from consentryd.model.outcome import Reason
from consentryd.privacy.cut import beginning

REMEMBERED: Final = 2048
REMEMBERED_PAGES: Final = 4096

#: The page, and the campaign by the names of its columns.
Setting = tuple[View, dict[str, str]]

_CAMPAIGN: Final = {
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_campaign": "name",
    "utm_term": "term",
    "utm_content": "content",
}
_NO_CAMPAIGN: Final[dict[str, str]] = {}
_NOTHING: Final[dict[str, Any]] = {}
_CONSENT: Final = ("consent", "consentManagement")


class _Context(msgspec.Struct, gc=False):
    """What is read of a context; all else is passed over."""

    ip: str | None = None
    userAgent: str | None = None  # noqa: N815 - the sender's spelling
    user_agent: str | None = None
    page: msgspec.Raw = ABSENT
    campaign: msgspec.Raw = ABSENT
    consent: msgspec.Raw = ABSENT
    consentManagement: msgspec.Raw = ABSENT  # noqa: N815 - the sender's spelling


_CONTEXT: Final = msgspec.json.Decoder(_Context)


class Clients(Protocol):
    """The coarse view of a machine; nothing of the arguments is kept."""

    def describe_visitor(self, address: str | None, user_agent: str | None) -> Client: ...


class Scene:
    """`view` is the page that the context tells of, `setting` is None where it names no host; `told` is what it tells of the campaign beside
    the page's address.

    `place` is the client's country and subdivision, `machine` what is stored of it. `notice` is the version of the notice that the visitor
    saw, empty if that is none of ours. It all holds from `since`, when it was read, to `until` (UTC microseconds), when one of the signals
    no longer does.
    """

    __slots__ = ("client", "machine", "notice", "place", "setting", "signals", "since", "told", "until", "view")

    def __init__(
        self, client: Client, view: View | None, told: dict[str, str], signals: Signals, notice: str, since: int
    ) -> None:
        self.client = client
        self.place = client[:2]
        self.machine = client[:-1]
        self.told = told
        self.view = view or NO_VIEW
        self.setting = None if view is None or view.page.host is None else setting_of(view, told)
        self.signals = signals
        self.notice = notice
        self.since, self.until = since, signals.until

    def at(self, view: View | None) -> Scene:
        """The same on a page."""
        return Scene(self.client, view, self.told, self.signals, self.notice, self.since)

    def holds(self, now: int) -> bool:
        return self.since <= now < self.until


class Scenes:
    """Makes scenes of contexts, and remembers them until one of their consent signals no longer holds."""

    def __init__(self, clients: Clients, policy: Policy, views: Views) -> None:
        self._clients = clients
        self._policy = policy
        self._views = views
        self._notices = frozenset(policy.settings.notices)
        self._known: dict[int, Scene] = {}
        self._visits: dict[int, Scene] = {}
        self._pages: dict[int, View] = {}

    def of(self, contexts: Sequence[Any], passage: Passage) -> list[Any]:
        """What each event's own context (an object, perhaps unread) tells, over that of its batch and its request: a `Scene`, or the reason
        why it is no context."""
        now, known, scenery = passage.intake.received_at, self._known, passage.scenery
        keys = [hash(as_json(context)) ^ scenery for context in contexts]
        scenes: list[Any] = [known.get(key) for key in keys]
        missing = {
            key: context
            for key, context, scene in zip(keys, contexts, scenes, strict=True)
            if scene is None or not scene.holds(now)
        }
        if not missing:
            return scenes
        fresh = {key: self._look(context, passage) for key, context in missing.items()}
        for key, scene in fresh.items():
            if scene.__class__ is Scene:
                keep(known, key, scene, REMEMBERED)
        return [fresh.get(key, scene) for key, scene in zip(keys, scenes, strict=True)]

    def forget(self) -> None:
        """Let go of every scene: titles and campaigns are their senders' texts."""
        for memory in (self._known, self._visits, self._pages):
            memory.clear()

    def _look(self, context: Any, passage: Passage) -> Scene | Reason:
        if context.__class__ is Unread and not passage.context:
            try:
                told = _CONTEXT.decode(context)
                return self._visit(told, passage).at(self._page(told.page))
            except (msgspec.MsgspecError, BadRequest, RecursionError):  # not of the usual form
                pass
        own, batch = look_into(context) or _NOTHING, passage.context
        if own.__class__ is not dict or batch.__class__ is not dict:  # a refusal may stand in what cannot be read
            return Reason.INVALID_PROPERTIES
        replaced = {name: batch[name] for name in _CONSENT if name in own and name in batch}
        return self._read({**batch, **own}, passage, replaced)

    def _visit(self, told: _Context, passage: Passage) -> Scene:
        """What a context tells beside its page. Raises `BadRequest`."""
        agent = told.userAgent or told.user_agent
        campaign, consent, managed = bytes(told.campaign), bytes(told.consent), bytes(told.consentManagement)
        key = hash((told.ip, agent, campaign, consent, managed)) ^ passage.scenery
        visit = self._visits.get(key)
        if visit is not None and visit.holds(passage.intake.received_at):
            return visit
        parts = {"campaign": campaign, "consent": consent, "consentManagement": managed}
        read = {name: parse(part) for name, part in parts.items() if part}
        return keep(self._visits, key, self._read({"ip": told.ip, "userAgent": agent, **read}, passage), REMEMBERED)

    def _page(self, told: msgspec.Raw) -> View | None:
        """Raises `BadRequest`."""
        if told is ABSENT:
            return None
        raw = bytes(told)
        key = hash(raw)
        if (view := self._pages.get(key)) is None and (view := self._view(parse(raw))) is not None:
            keep(self._pages, key, view, REMEMBERED_PAGES)
        return view

    def _view(self, page: Any) -> View | None:
        return self._views.read(page) if page.__class__ is dict else None

    def _read(self, context: Mapping[str, Any], passage: Passage, replaced: Mapping[str, Any] = _NOTHING) -> Scene:
        """`replaced` is what the batch says of consent where the event has its own: what is refused there is refused."""
        intake = passage.intake
        signals = self._policy.read(context, intake.signals, intake.received_at)
        if replaced:
            signals = signals.over(self._policy.read(replaced, _NOTHING, intake.received_at))
        return Scene(
            self._client(context, intake.client),
            self._view(context.get("page")),
            _campaign(context.get("campaign")),
            signals,
            self._notice(context.get("consent")),
            intake.received_at,
        )

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


def scenery(intake: Intake, context: Any) -> int:
    """A number for all of a request that bears on its events' scenes: who called, what consent it carried, its batch's context."""
    return hash((intake.client, tuple(intake.signals.items()), as_json(context) if context else b""))


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


def _campaign(told: Any) -> dict[str, str]:
    if not isinstance(told, dict):
        return _NO_CAMPAIGN
    values = ((name, told.get(key)) for name, key in _CAMPAIGN.items())
    return {name: beginning(value) for name, value in values if isinstance(value, str) and value}
