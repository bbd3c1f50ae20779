"""One event as the line of JSON a browser or the shop's own server would send."""

from __future__ import annotations

from datetime import date
from typing import Final

from examples.shop_events.catalogue import PLANS, PRODUCTS
from examples.shop_events.population import Agent

_EPOCH: Final = date(1970, 1, 1).toordinal()

SHOP: Final = "https://shop.example"
PRODUCT_JSON: Final = tuple(
    f'"product_id":"{p.id}","name":"{p.name}","category":"{p.category}","price":{p.price / 100:.2f}' for p in PRODUCTS
)
PLAN_JSON: Final = tuple(f'"plan":"{p.id}","price":{p.price / 100:.2f},"period_months":{p.months}' for p in PLANS)

_BROWSER: Final = '"library":{"name":"consentry.js","version":"1.0.0"}'
_SERVER: Final = '"context":{"library":{"name":"consentry-python","version":"1.0.0"}'


def machine(agent: Agent, ip: str, locale: str, timezone: str) -> str:
    """The part of a browser's context that stays the same through a visit."""
    return (
        f'{_BROWSER},"ip":"{ip}","userAgent":"{agent.text}","locale":"{locale}","timezone":"{timezone}",'
        f'"screen":{{"width":{agent.width},"height":{agent.height},"density":2}}'
    )


def browser_head(anonymous_id: str, user_id: str, session: int, context: str, consent: str) -> str:
    """Everything of an event before its page."""
    user = f'"userId":"{user_id}",' if user_id else ""
    choice = f',"consent":{consent}' if consent else ""
    return f'{{"anonymousId":"{anonymous_id}",{user}"sessionId":"{session}","context":{{{context}{choice},"page":'


def server_head(anonymous_id: str, user_id: str, consent: str) -> str:
    """Everything of an event of the shop's own server before its message id."""
    choice = f',"consent":{consent}' if consent else ""
    identity = f'"userId":"{user_id}"' if user_id else f'"anonymousId":"{anonymous_id}"'
    return f"{{{identity},{_SERVER}{choice}"


def page(path: str, query: str, title: str, referrer: str) -> str:
    search = f"?{query}" if query else ""
    return f'{{"path":"{path}","referrer":"{referrer}","search":"{search}","title":"{title}","url":"{SHOP}{path}{search}"}}'


def basket(items: tuple[int, ...]) -> str:
    """The cart as the value of `products`."""
    return "[" + ",".join(f'{{{PRODUCT_JSON[item]},"quantity":1}}' for item in items) + "]"


class Timestamps:
    """Milliseconds since the epoch as ISO 8601; the minute's text is kept, which most events share with a neighbour."""

    def __init__(self) -> None:
        self._minutes: dict[int, str] = {}

    def text(self, time: int) -> str:
        minute, rest = divmod(time, 60_000)
        prefix = self._minutes.get(minute)
        if prefix is None:
            prefix = self._remember(minute)
        return f"{prefix}{rest // 1000:02d}.{rest % 1000:03d}Z"

    def _remember(self, minute: int) -> str:
        if len(self._minutes) > 10_000:
            self._minutes.clear()
        days, of_day = divmod(minute, 1440)
        text = self._minutes[minute] = f"{_civil(days)}T{of_day // 60:02d}:{of_day % 60:02d}:"
        return text


def _civil(days: int) -> str:
    return date.fromordinal(_EPOCH + days).isoformat()


class Recorder:
    """Takes the events of all visits: `lines` holds (time, line) in the order they were told, `count` how many ever were."""

    __slots__ = ("_stamps", "count", "lines")

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        self.count = 0
        self._stamps = Timestamps()

    def add(self, time: int, head: str, session: str, call: str) -> None:
        """One event: `head` up to the context's end, `session` the first 23 characters of its message id, `call` the rest of it."""
        self.count += 1
        stamp = self._stamps.text(time)
        self.lines.append((time, f'{head}}},"messageId":"{session}-{self.count:012x}","timestamp":"{stamp}",{call}}}\n'))
