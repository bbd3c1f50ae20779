"""ConsentedEvent -> CleanEvent: what may be kept of an event, as the row that is stored.

In the consented lane that is the scrubbed event with coarse facts about machine and page. In the anonymous lane it is a short list of
fields, an hour, and nothing that two events of one visitor would share.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import uuid4

import orjson

from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.visitors import Visitors
from consentryd.model.clock import HOUR
from consentryd.model.decision import Lane
from consentryd.model.event import SCHEMA_VERSION, CleanEvent, ConsentedEvent, ValidEvent
from consentryd.model.key import KeyKind
from consentryd.model.made import made
from consentryd.model.memory import keep
from consentryd.privacy.pseudonym import Pseudonymiser
from consentryd.privacy.scrub import Scrubber
from consentryd.privacy.url import NO_PAGE, Page, coarsen_url
from consentryd.privacy.visitor import token

UTM: Final = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")

#: What page and screen calls repeat of the page, in `properties`: kept as columns, coarse, or not at all.
PAGE_PROPERTIES: Final = frozenset({"url", "path", "referrer", "title", "search"})

_CAMPAIGN: Final = {
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_campaign": "name",
    "utm_term": "term",
    "utm_content": "content",
}
#: An amount and its currency.
Money = tuple[str | None, str | None]

_NO_CAMPAIGN: Final[dict[str, str]] = {}
_TEXTS: Final = ("event_id", "event", "title", "path")
_NO_UTM: Final = (None,) * len(UTM)
_NO_MONEY: Final[Money] = (None, None)
_PAGES: Final = ("page", "screen")
_REMEMBERED_PAGES: Final = 8192
_MOST_MONEY: Final = Decimal(10) ** 13
_CURRENCY_CHARS: Final = 3
_TITLE_CHARS: Final = 300
_ADDRESS_CHARS: Final = 254


class Scrub:
    """The stage. One pseudonymiser and one scrubber for each region served."""

    def __init__(
        self,
        pseudonyms: Mapping[str, Pseudonymiser],
        scrubbers: Mapping[str, Scrubber],
        query_parameters: Collection[str],
        titles: bool,
        visitors: Visitors | None = None,
    ) -> None:
        self._pseudonyms = pseudonyms
        self._scrubbers = scrubbers
        self._query_parameters = frozenset(query_parameters)
        self._titles = titles
        self._pages: dict[int, Page] = {}
        self._visitors = visitors

    def scrub_event(self, consented: ConsentedEvent, passage: Passage) -> CleanEvent:
        event, region, decision, user, anonymous, previous = consented
        pseudonyms, site = self._pseudonyms[region], passage.intake.key.site
        dedup = pseudonyms.dedup(site, event.event_id)
        if decision.lane is Lane.ANONYMOUS:
            return made(CleanEvent, (region, dedup, None, None, None, self._anonymous_row(consented, passage), None))
        address = _address(event)
        email = None if address is None else pseudonyms.email(site, address)
        return made(CleanEvent, (region, dedup, user, anonymous, previous, self._row(consented, passage, pseudonyms), email))

    def _row(self, consented: ConsentedEvent, passage: Passage, pseudonyms: Pseudonymiser) -> list[Any]:
        event, region, decision, user, anonymous, _ = consented
        kind, name, event_id, _, _, session_id, _, _, time, told, _, context, client, _ = event
        intake = passage.intake
        site = intake.key.site
        (host, path, query), referrer, title = self._page(event)
        properties = self._properties(event, site, pseudonyms)
        fields = {"event_id": event_id, "event": name, "title": title, "path": path, "properties": properties}
        if campaign := _campaign(context, query):
            fields.update(campaign)
        clean, redactions, body = self._scrubbers[region].scrub(name, site, fields, user or anonymous)
        kept: Any = (event_id, name, title, path) if clean is fields else map(clean.get, _TEXTS)
        kept_id, kept_name, kept_title, kept_path = kept
        return [
            kept_id, site, kind, kept_name, time, intake.received_at, *decision[:3], None, None,
            session_id and pseudonyms.session(site, session_id),
            *client[:6], host, kept_path, kept_title, referrer,
            *(map(clean.get, UTM) if campaign else _NO_UTM),
            *(_revenue(told) if "revenue" in told else _NO_MONEY),
            body.decode() if body and body != b"{}" else None,
            orjson.dumps([each._asdict() for each in redactions]).decode() if redactions else None,
            SCHEMA_VERSION,
        ]  # fmt: skip

    def _anonymous_row(self, consented: ConsentedEvent, passage: Passage) -> list[Any]:
        event, decision = consented.event, consented.decision
        client = event.client
        page, referrer, _ = self._page(event)
        fields = {"event": event.event, "path": page.path, **_campaign(event.context, page.query)}
        get = self._scrubbers[consented.region].scrub(event.event, passage.intake.key.site, fields).fields.get
        return [
            uuid4().hex, passage.intake.key.site, event.type, get("event"),
            event.time // HOUR * HOUR, passage.intake.received_at // HOUR * HOUR,
            decision.lane, decision.purpose, decision.ref, None, self._visitor(consented, passage), None,
            client.country, None, client.device, client.os, client.browser, client.browser_major,
            page.host, get("path"), None, referrer,
            get("utm_source"), get("utm_medium"), get("utm_campaign"), None, None,
            None, None, None, None, SCHEMA_VERSION,
        ]  # fmt: skip

    def _visitor(self, consented: ConsentedEvent, passage: Passage) -> str | None:
        """The token of the day, where the decision asks for one. A server's event describes its visitor itself."""
        if not consented.decision.visitor:
            return None
        found, intake = passage.intake.visitor, passage.intake
        if intake.key.kind is KeyKind.SERVER and self._visitors is not None:
            context = consented.event.context
            user_agent = context.get("userAgent") or context.get("user_agent")
            found = self._visitors.of_address(intake.key.site, context.get("ip"), user_agent, intake.received_at)
        return None if found is None else token(found, consented.region)

    def _page(self, event: ValidEvent) -> tuple[Page, str | None, str | None]:
        """The page an event happened on, the referrer's host, and the title: from the context, else from a page call's properties."""
        told = event.context.get("page")
        if not isinstance(told, dict):
            if event.type != "page":
                return NO_PAGE, None, None
            told = event.properties
        url, referrer, title = told.get("url"), told.get("referrer"), told.get("title")
        if not isinstance(url, str) or not url:
            url = told.get("path")
        page = self._coarsen(url) if isinstance(url, str) else NO_PAGE
        host = self._coarsen(referrer).host if isinstance(referrer, str) and referrer else None
        kept_title = title[:_TITLE_CHARS] if self._titles and isinstance(title, str) else None
        return page, host, kept_title

    def _coarsen(self, url: str) -> Page:
        """What is kept of a URL. URLs repeat from event to event; they are known by their hash (SipHash with the process's own key)."""
        key = hash(url)
        page = self._pages.get(key)
        if page is None:
            page = keep(self._pages, key, coarsen_url(url, self._query_parameters), _REMEMBERED_PAGES)
        return page

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


def _address(event: ValidEvent) -> str | None:
    """The e-mail address that an identify call, or a property of that name, gives."""
    if not event.traits and "email" not in event.properties:
        return None
    told = event.traits.get("email") or event.properties.get("email")
    plausible = isinstance(told, str) and len(told) <= _ADDRESS_CHARS and told.strip("@ ").count("@") == 1
    return told if plausible and isinstance(told, str) else None


def _campaign(context: Mapping[str, Any], query: Sequence[tuple[str, str]]) -> dict[str, str]:
    told = context.get("campaign")
    if not query and not told:
        return _NO_CAMPAIGN
    campaign = {name: value for name, value in query if name in UTM}
    if isinstance(told, dict):
        for name, key in _CAMPAIGN.items():
            if isinstance(value := told.get(key), str) and value:
                campaign[name] = value[:255]
    return campaign


def _revenue(properties: Mapping[str, Any]) -> Money:
    """`properties.revenue` as a decimal of four places and the currency beside it; None for what is no amount of money."""
    value = properties.get("revenue")
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return _NO_MONEY
    try:
        amount = Decimal(str(value)).quantize(Decimal("0.0001"))
    except InvalidOperation:
        return None, None
    if not amount.is_finite() or abs(amount) > _MOST_MONEY:
        return None, None
    currency = properties.get("currency")
    valid = isinstance(currency, str) and len(currency) == _CURRENCY_CHARS and currency.isascii() and currency.isalpha()
    return str(amount), currency.upper() if valid and isinstance(currency, str) else None
