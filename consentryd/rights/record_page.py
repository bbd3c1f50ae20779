"""The record of processing as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

_MOST_EVENTS: Final = 100
_LEAST_SHARE: Final = 0.01

#: What stands in the columns of every event, for people.
_COLUMNS: Final = {
    "event_id": "id of the event", "site": "site", "type": "kind of call", "event": "name of the event", "time": "time of the event",
    "received_at": "time of receipt", "lane": "consented or anonymous", "purpose": "purpose", "consent_ref": "why it was let in",
    "subject": "random number of the person, see regions",
    "visitor": "token of a visitor for one day", "session": "keyed digest of the session id", "country": "country",
    "subdivision": "subdivision of the country", "device": "class of device", "os": "operating system", "browser": "browser",
    "browser_major": "browser's major version", "host": "host of the page", "path": "path of the page", "title": "title of the page",
    "referrer_host": "host of the referring page", "utm_source": "campaign source", "utm_medium": "campaign medium",
    "utm_campaign": "campaign name", "utm_term": "campaign term", "utm_content": "campaign content", "revenue": "amount of money",
    "currency": "its currency", "properties": "what the site adds, see below", "redactions": "what was taken out, never the value",
    "schema_version": "version of these columns",
}  # fmt: skip


def page(record: Mapping[str, Any]) -> str:
    """The whole page."""
    return "\n".join(_lines(record)) + "\n"


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    yield "# Record of processing activities"
    yield f"\nMade at {record['made_at']} by {record['made_by']} from its settings and from every event that is stored."
    yield f"\n- Controller: {record['controller'] or 'not set (`consent.controller`)'}"
    yield f"- Data subjects: {record['data_subjects']}"
    yield f"- Recipients: {', '.join(record['recipients']['named']) or 'nobody (`rights.recipients`)'}"
    yield f"- Told of people's requests: {', '.join(record['recipients']['told_of_requests']) or 'nobody'}"
    yield "\n## Purposes\n"
    yield from _table(("purpose", "meaning", "events", "let in by", "on withdrawal"), map(_purpose, record["purposes"]))
    for site in record["sites"]:
        yield from _site(site)
    yield "\n## Regions\n"
    for region in record["regions"]:
        yield f"- `{region['region']}`: {', '.join(region['countries']) or 'no country by itself'}{_held(region['held'])}"
    yield from _rules(record["rules"])
    yield "\n## Limits of time\n"
    rights = record["rights"]
    yield f"- Dead letters, without values: {rights['dead_letter_days']} days. Event ids, as digests: {rights['event_id_days']} days."
    yield f"- A person's export waits {rights['export_hours']:g} hours, encrypted. Backups are kept {rights['backup_days']} days."
    yield "\n## Measures\n"
    yield from (f"- {measure}" for measure in record["measures"])


def _purpose(row: Mapping[str, Any]) -> Sequence[str]:
    grounds = ", ".join(f"{name} {count:,}" for name, count in row["let_in_by"].items())
    return (
        f"`{row['purpose']}`",
        row["text"] or "not in the table any more",
        f"{row['events']:,}",
        grounds,
        row["on_withdrawal"] or "",
    )


def _held(held: Mapping[str, int]) -> str:
    kept = ", ".join(f"{count:,} {name}" for name, count in held.items() if count)
    return f"; holds {kept}" if kept else "; nothing is stored"


def _site(site: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n## Site `{site['site']}`\n"
    lanes = ", ".join(f"{count:,} {lane}" for lane, count in site["lanes"].items())
    yield f"{site['events_stored']:,} events ({lanes}) from {_day(site['first'])} to {_day(site['last'])}."
    regions = ", ".join(f"`{name}` {count:,}" for name, count in site["regions"].items())
    days = site["retention_days"]
    yield f"\n- Kept in: {regions}. Consented events for {days['consented']} days, anonymous ones for {days['anonymous']}."
    for name, limit in (*days["purposes"].items(), *days["regions"].items()):
        yield f"- Those of `{name}` for at most {limit} days."
    yield "- Countries of visitors: " + ", ".join(f"{name} {count:,}" for name, count in site["countries"].items())
    yield "\n### What every event holds\n"
    yield from _table(
        ("column", "what it is", "share of events"),
        ((f"`{name}`", _COLUMNS.get(name, ""), _share(share)) for name, share in site["columns"].items()),
    )
    yield "\n### Events and their properties\n"
    yield from _table(
        ("event", "purpose", "events", "properties (share of its events)"), map(_event, site["events"][:_MOST_EVENTS])
    )
    if len(site["events"]) > _MOST_EVENTS:
        yield f"\n... and {len(site['events']) - _MOST_EVENTS} more kinds; `--format json` has all."
    yield "\n### What was taken out\n"
    if site["redactions"]:
        yield from _table(
            ("rule", "action", "times"), ((f"`{r['rule']}`", r["action"], f"{r['count']:,}") for r in site["redactions"])
        )
    else:
        yield "Nothing."


def _event(event: Mapping[str, Any]) -> Sequence[str]:
    properties = ", ".join(
        f"`{each['path']}` {'/'.join(each['kinds'])}" + ("" if each["share"] == 1 else f" {_share(each['share'])}")
        for each in event["properties"]
    )
    name = event["event"] or event["type"]
    return f"{name} ({event['type']})", f"`{event['purpose']}`", f"{event['count']:,}", properties or "none"


def _rules(rules: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Rules of redaction in force\n"
    yield "The first that fits wins. What a detector is, docs/scrubbing.md says.\n"
    rows = [("own", rule) for rule in rules["own"]] + [("shipped", rule) for rule in rules["shipped"]]
    yield from _table(("whose", "what", "where", "action"), (_rule(whose, rule) for whose, rule in rows))
    for site, events in rules["allow"].items():
        for event, names in events.items():
            yield f"\nOf `{event}` of site `{site}` only these properties are kept: {', '.join(f'`{name}`' for name in names)}."
    if rules["dry_run"]:
        yield "\n**The rules are in a dry run: nothing is taken out.**"


def _rule(whose: str, rule: Mapping[str, str]) -> Sequence[str]:
    what = f"detector `{rule['detector']}`" if rule.get("detector") else f"key `{rule['key']}`"
    scope = [f"{name} `{rule[name]}`" for name in ("site", "event", "path") if rule.get(name, "*") != "*"]
    return whose, what, ", ".join(scope) or "everywhere", rule["action"]


def _share(share: float) -> str:
    return "under 1%" if share < _LEAST_SHARE else f"{share:.0%}"


def _day(time: str | None) -> str:
    return "?" if time is None else time[:10]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _cell(text: str) -> str:
    """Names of properties are their senders' and may hold anything; what they hold stays in the cell."""
    return " ".join(text.splitlines()).replace("|", "\\|")
