"""ConsentedEvent -> CleanEvent: what may be kept of an event, as the row that is stored.

In the consented lane that is the scrubbed event with coarse facts about machine and page. In the anonymous lane it is a short list of
fields, an hour, and nothing that two events of one visitor would share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from consentryd.gateway.document import look_into
from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.stages.scene import Setting, setting_of
from consentryd.gateway.stages.staged import ConsentedEvent, ValidEvent
from consentryd.gateway.stages.view import View, Views
from consentryd.gateway.visitors import Visitors
from consentryd.model.chance import Chance
from consentryd.model.clock import HOUR
from consentryd.model.decision import Lane
from consentryd.model.event import SCHEMA_VERSION, UTM, CleanEvent
from consentryd.model.key import KeyKind
from consentryd.model.money import NO_MONEY, money_of
from consentryd.privacy.cut import cut
from consentryd.privacy.identifier import Identifiers
from consentryd.privacy.pseudonym import Pseudonymiser
from consentryd.privacy.redaction import Scrubbed
from consentryd.privacy.scrub import Scrubber
from consentryd.privacy.segment import REDACTED
from consentryd.privacy.visitor import token

#: What page and screen calls repeat of the page, in `properties`: kept as columns, coarse, or not at all.
PAGE_PROPERTIES: Final = frozenset({"url", "path", "referrer", "title", "search"})

_ANONYMOUS: Final = Lane.ANONYMOUS
_TEXTS: Final = ("event_id", "event", "title", "path", "host", "referrer_host")
_OF_URLS: Final = ("path", *UTM)
_NO_UTM: Final = (None,) * len(UTM)
_COUNTED: Final = UTM[:3]  # in the anonymous lane
_PAGES: Final = ("page", "screen")
_ID_BYTES: Final = 16
_TITLE_CHARS: Final = 300
_CAMPAIGN_CHARS: Final = 255
_ADDRESS_CHARS: Final = 254


class Scrub:
    """The stage. One pseudonymiser and one scrubber for each region served."""

    def __init__(
        self,
        pseudonyms: Mapping[str, Pseudonymiser],
        scrubbers: Mapping[str, Scrubber],
        views: Views,
        visitors: Visitors | None = None,
    ) -> None:
        self._pseudonyms = pseudonyms
        self._scrubbers = scrubbers
        self._views = views
        self._visitors = visitors
        self._chance = Chance()

    def scrub_events(self, events: Sequence[ConsentedEvent], passage: Passage) -> list[CleanEvent]:
        site = passage.intake.key.site
        settings = [consented.event.scene.setting or self._setting(consented.event) for consented in events]
        fields = [self._fields(consented, setting, site) for consented, setting in zip(events, settings, strict=True)]
        scrubbed = [self._scrubbed(consented, given, site) for consented, given in zip(events, fields, strict=True)]
        return [self._clean(*parts, passage) for parts in zip(events, settings, fields, scrubbed, strict=True)]

    def _setting(self, event: ValidEvent) -> Setting:
        """The page that a page call's properties tell of, where its context does not, and the campaign."""
        view = event.scene.view
        if event.type == "page":
            page, referrer, title = self._views.read(event.properties)
            is_told = page.host is not None or view.page.path is None
            view = View(page if is_told else view.page, view.referrer or referrer, view.title or title)
        return setting_of(view, event.scene.told)

    def _fields(self, consented: ConsentedEvent, setting: Setting, site: str) -> dict[str, Any]:
        """What of the event is text of its sender's and may be kept."""
        event = consented.event
        ((host, path, _), referrer, title), campaign = setting
        if consented.decision.lane is _ANONYMOUS:
            return {"event": event.event, "path": path, "host": host, "referrer_host": referrer, **campaign}
        properties = self._properties(event, site, self._pseudonyms[consented.region])
        fields = {
            "event_id": event.event_id, "event": event.event, "title": title, "path": path, "host": host, "referrer_host": referrer,
            "properties": properties,
        }  # fmt: skip
        return {**fields, **campaign} if campaign else fields

    def _scrubbed(self, consented: ConsentedEvent, fields: dict[str, Any], site: str) -> Scrubbed:
        event = consented.event
        body = event.body if fields.get("properties") is event.properties else None
        person, previous = event.person, event.previous_id
        identifiers = person.identifiers
        if previous is not None:
            identifiers = Identifiers((person.user_id, person.anonymous_id, previous))
        scrubber = self._scrubbers[consented.region]
        handle = consented.user or consented.anonymous
        scrubbed = scrubber.scrub(event.event, site, fields, handle, body, identifiers)
        path = fields["path"]
        if (path is not None and REDACTED in path) or REDACTED in fields.values():
            return scrubber.note(scrubbed, [name for name in _OF_URLS if REDACTED in (fields.get(name) or "")])
        return scrubbed

    def _clean(
        self, consented: ConsentedEvent, setting: Setting, fields: dict[str, Any], scrubbed: Scrubbed, passage: Passage
    ) -> CleanEvent:
        event, region = consented.event, consented.region
        site, pseudonyms = passage.intake.key.site, self._pseudonyms[region]
        dedup = pseudonyms.dedup(site, event.event_id)
        if consented.decision.lane is _ANONYMOUS:
            row = self._anonymous_row(consented, scrubbed.fields, passage)
            return CleanEvent(region, dedup, None, None, None, row)
        address = _address(event) if event.traits or "email" in event.properties else None
        email = None if address is None else pseudonyms.email(site, address)
        row = self._row(consented, setting, fields, scrubbed, passage)
        return CleanEvent(region, dedup, consented.user, consented.anonymous, consented.previous, row, email)

    def _row(
        self, consented: ConsentedEvent, setting: Setting, fields: dict[str, Any], scrubbed: Scrubbed, passage: Passage
    ) -> list[Any]:
        event, session_id = consented.event, consented.event.session_id
        ((host, path, _), referrer, title), campaign = setting
        intake = passage.intake
        site = intake.key.site
        clean, redactions, body = scrubbed.fields, scrubbed.redactions, scrubbed.properties
        kept: Any = (event.event_id, event.event, title, path, host, referrer) if clean is fields else map(clean.get, _TEXTS)
        kept_id, kept_name, kept_title, kept_path, kept_host, kept_referrer = kept
        return [
            kept_id, site, event.type, kept_name, event.time, intake.received_at, *consented.decision[:3], None, None,
            session_id and self._pseudonyms[consented.region].session(site, session_id),
            *event.scene.machine, kept_host, kept_path, kept_title and cut(kept_title, _TITLE_CHARS), kept_referrer,
            *(_campaign(clean, UTM) if campaign else _NO_UTM),
            *(money_of(clean.get("properties")) if "revenue" in event.properties else NO_MONEY),
            body.decode() if body and body != b"{}" else None,
            orjson.dumps([each._asdict() for each in redactions]).decode() if redactions else None,
            SCHEMA_VERSION,
        ]  # fmt: skip

    def _anonymous_row(self, consented: ConsentedEvent, fields: dict[str, Any], passage: Passage) -> list[Any]:
        event, decision = consented.event, consented.decision
        client, get = event.scene.client, fields.get
        return [
            self._chance.take(_ID_BYTES).hex(), passage.intake.key.site, event.type, get("event"),
            event.time // HOUR * HOUR, passage.intake.received_at // HOUR * HOUR,
            decision.lane, decision.purpose, decision.ref, None, self._visitor(consented, passage), None,
            client.country, None, client.device, client.os, client.browser, client.browser_major,
            get("host"), get("path"), None, get("referrer_host"),
            *_campaign(fields, _COUNTED), None, None,
            None, None, None, None, SCHEMA_VERSION,
        ]  # fmt: skip

    def _visitor(self, consented: ConsentedEvent, passage: Passage) -> str | None:
        """The token of the day, where the decision asks for one. A server's event describes its visitor itself."""
        if not consented.decision.visitor:
            return None
        found, intake = passage.intake.visitor, passage.intake
        if intake.key.kind is KeyKind.SERVER and self._visitors is not None:
            context = {**passage.context, **(look_into(consented.event.context) or {})}
            user_agent = context.get("userAgent") or context.get("user_agent")
            found = self._visitors.of_address(intake.key.site, context.get("ip"), user_agent, intake.received_at)
        return None if found is None else token(found, consented.region)

    def _properties(self, event: ValidEvent, site: str, pseudonyms: Pseudonymiser) -> dict[str, Any]:
        properties = event.properties
        if event.type in _PAGES:
            properties = {name: value for name, value in properties.items() if name not in PAGE_PROPERTIES}
        if event.traits:
            properties = {**properties, **event.traits}
        if event.group_id is not None:
            properties = {**properties, "group_id": pseudonyms.group(site, event.group_id)}
        if event.flags:
            properties = {**properties, "$flags": list(event.flags)}
        return properties


def _campaign(clean: Mapping[str, Any], names: Iterable[str]) -> Iterator[str | None]:
    """What is kept of a campaign, by the names of its columns."""
    return (value and cut(value, _CAMPAIGN_CHARS) for value in map(clean.get, names))


def _address(event: ValidEvent) -> str | None:
    """The e-mail address that an identify call, or a property of that name, gives."""
    told = event.traits.get("email") or event.properties.get("email")
    plausible = isinstance(told, str) and len(told) <= _ADDRESS_CHARS and told.strip("@ ").count("@") == 1
    return told if plausible and isinstance(told, str) else None
