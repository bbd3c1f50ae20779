"""The three views that analysts' SQL sees. A subject is a number that means something within one statement only."""

from __future__ import annotations

from typing import Final

from consentryd.analytics.currency import Rates
from consentryd.analytics.view import EVENTS

#: Columns of `events`, in order. No event id, no evidence of consent, no daily token, no trace of what was scrubbed.
EVENT_COLUMNS: Final = (
    "time", "type", "event", "lane", "purpose", "country", "subdivision", "device", "os", "browser", "browser_major", "host", "path",
    "title", "referrer_host", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "revenue", "currency", "properties",
)  # fmt: skip

_FIRST: Final = ("referrer_host", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
_LAST: Final = ("country", "device", "os", "browser")


def views(nonce: int, rates: Rates) -> dict[str, str]:
    """SELECT of each view, by name. `nonce`, random and 62 bits, keeps subjects of two statements apart."""
    amount = rates.amount_sql()
    subject = f"CAST(hash(e.subject, {nonce}) AS UBIGINT)"
    session = f"CASE WHEN e.session IS NULL THEN NULL ELSE CAST(hash(e.subject, e.session, {nonce}) AS UBIGINT) END"
    known = f"CASE WHEN e.subject IS NULL THEN NULL ELSE {subject} END AS subject"
    firsts = ", ".join(_edge("first", name) for name in _FIRST)
    lasts = ", ".join(_edge("last", name) for name in _LAST)
    return {
        "events": f"SELECT {', '.join(f'e.{name}' for name in EVENT_COLUMNS)}, {known}, {session} AS session FROM {EVENTS} e",
        "sessions": (
            f"SELECT {subject} AS subject, {session} AS session, min(e.time) AS started_at, max(e.time) AS ended_at,"
            " (epoch_us(max(e.time)) - epoch_us(min(e.time))) / 1e6 AS seconds, count(*) AS events,"
            " count(*) FILTER (e.type = 'page') AS page_views,"
            f" {_edge('first', 'path')[:-8]} AS entry_path, {_edge('last', 'path')[:-8]} AS exit_path, {firsts}, {lasts}"
            f" FROM {EVENTS} e WHERE e.subject IS NOT NULL AND e.session IS NOT NULL GROUP BY e.subject, e.session"
        ),
        "subjects": (
            f"SELECT {subject} AS subject, min(e.time) AS first_seen, max(e.time) AS last_seen, count(*) AS events,"
            f" count(DISTINCT e.session) AS sessions, sum({amount}) AS revenue,"
            f" count(*) FILTER ({rates.missing_sql()}) AS without_rate,"
            f" {lasts} FROM {EVENTS} e WHERE e.subject IS NOT NULL GROUP BY e.subject"
        ),
    }


def _edge(which: str, name: str) -> str:
    return f"{which}(e.{name} ORDER BY e.time, e.event_id) FILTER (e.{name} IS NOT NULL) AS {name}"
