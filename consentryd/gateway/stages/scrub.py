"""ConsentedEvent -> CleanEvent: what may be kept of an event, as the row that is stored.

In the consented lane that is the scrubbed event with coarse facts about machine and page. In the anonymous lane it is a short list of
fields, an hour, and nothing that two events of one visitor would share.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final
from uuid import uuid4

import orjson

from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.visitors import Visitors
from consentryd.model.clock import HOUR
from consentryd.model.decision import Lane
from consentryd.model.event import SCHEMA_VERSION, CleanEvent, ConsentedEvent, ValidEvent
from consentryd.model.key import KeyKind
from consentryd.privacy.pseudonym import Pseudonymiser
from consentryd.privacy.scrub import Scrubber
from consentryd.privacy.url import NO_PAGE, Page, coarsen_url
from consentryd.privacy.visitor import token

UTM: Final = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")

#: What page and screen calls repeat of the page, in `properties`: kept as columns, coarse, or not at all.
PAGE_PROPERTIES: Final = ("url", "path", "referrer", "title", "search")

_CAMPAIGN: Final = {
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_campaign": "name",
    "utm_term": "term",
    "utm_content": "content",
}
_NO_CAMPAIGN: Final[dict[str, str]] = {}
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
        self._visitors = visitors

    def scrub_event(self, consented: ConsentedEvent, passage: Passage) -> CleanEvent:
        region = consented.region
        dedup = self._pseudonyms[region].dedup(passage.intake.key.site, consented.event.event_id)
        if consented.decision.lane is Lane.ANONYMOUS:
            return CleanEvent(region, dedup, None, None, None, self._anonymous_row(consented, passage))
        address = _address(consented.event)
        email = None if address is None else self._pseudonyms[region].email(passage.intake.key.site, address)
        digests = consented.user, consented.anonymous, consented.previous
        return CleanEvent(region, dedup, *digests, self._row(consented, passage), email)

    def _row(self, consented: ConsentedEvent, passage: Passage) -> list[Any]:
        event, decision, site = consented.event, consented.decision, passage.intake.key.site
        pseudonyms = self._pseudonyms[consented.region]
        page, referrer, title = self._page(event)
        fields = {
            "event_id": event.event_id,
            "event": event.event,
            "title": title,
            "path": page.path,
            "properties": self._properties(event, site, pseudonyms),
            **_campaign(event.context, page),
        }
        clean, redactions, properties = self._scrubbers[consented.region].scrub(
            event.event, site, fields, consented.user or consented.anonymous
        )
        client, get = event.client, clean.get
        revenue, currency = _revenue(event.properties)
        return [
            get("event_id"), site, event.type, get("event"), event.time, passage.intake.received_at,
            decision.lane, decision.purpose, decision.ref, None, None,
            event.session_id and pseudonyms.session(site, event.session_id),
            client.country, client.subdivision, client.device, client.os, client.browser, client.browser_major,
            page.host, get("path"), get("title"), referrer,
            get("utm_source"), get("utm_medium"), get("utm_campaign"), get("utm_term"), get("utm_content"),
            revenue, currency,
            properties.decode() if properties and properties != b"{}" else None,
            orjson.dumps([each._asdict() for each in redactions]).decode() if redactions else None,
            SCHEMA_VERSION,
        ]  # fmt: skip

    def _anonymous_row(self, consented: ConsentedEvent, passage: Passage) -> list[Any]:
        event, decision = consented.event, consented.decision
        client = event.client
        page, referrer, _ = self._page(event)
        fields = {"event": event.event, "path": page.path, **_campaign(event.context, page)}
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
        host = _coarsen_plain(referrer) if isinstance(referrer, str) and referrer else NO_PAGE
        kept_title = title[:_TITLE_CHARS] if self._titles and isinstance(title, str) else None
        return page, host.host, kept_title

    def _coarsen(self, url: str) -> Page:
        return _coarsen_plain(url) if "?" not in url else coarsen_url(url, self._query_parameters)

    def _properties(self, event: ValidEvent, site: str, pseudonyms: Pseudonymiser) -> dict[str, Any]:
        properties = event.properties
        if event.type in ("page", "screen"):
            properties = {name: value for name, value in properties.items() if name not in PAGE_PROPERTIES}
        if event.traits:
            properties = {**properties, **event.traits}
        if event.group_id is not None:
            properties = {**properties, "group_id": pseudonyms.group(site, event.group_id)}
        if event.flags:
            properties = {**properties, "$flags": list(event.flags)}
        return properties


def _coarsen_plain(url: str) -> Page:
    """Host and path. Addresses without query, fragment and user-info repeat from event to event: the last few thousand are remembered."""
    return coarsen_url(url) if "?" in url or "#" in url or "@" in url else _remembered(url)


@lru_cache(maxsize=4096)
def _remembered(url: str) -> Page:
    return coarsen_url(url)


def _address(event: ValidEvent) -> str | None:
    """The e-mail address that an identify call, or a property of that name, gives."""
    if not event.traits and "email" not in event.properties:
        return None
    told = event.traits.get("email") or event.properties.get("email")
    plausible = isinstance(told, str) and len(told) <= _ADDRESS_CHARS and told.strip("@ ").count("@") == 1
    return told if plausible and isinstance(told, str) else None


def _campaign(context: Mapping[str, Any], page: Page) -> dict[str, str]:
    told = context.get("campaign")
    if not page.query and not told:
        return _NO_CAMPAIGN
    campaign = {name: value for name, value in page.query if name in UTM}
    if isinstance(told, dict):
        for name, key in _CAMPAIGN.items():
            if isinstance(value := told.get(key), str) and value:
                campaign[name] = value[:255]
    return campaign


def _revenue(properties: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """`properties.revenue` as a decimal of four places and the currency beside it; None for what is no amount of money."""
    value = properties.get("revenue")
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None, None
    try:
        amount = Decimal(str(value)).quantize(Decimal("0.0001"))
    except InvalidOperation:
        return None, None
    if not amount.is_finite() or abs(amount) > _MOST_MONEY:
        return None, None
    currency = properties.get("currency")
    valid = isinstance(currency, str) and len(currency) == _CURRENCY_CHARS and currency.isascii() and currency.isalpha()
    return str(amount), currency.upper() if valid and isinstance(currency, str) else None
