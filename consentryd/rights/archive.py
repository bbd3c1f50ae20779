"""The ZIP a person gets: their events as JSON lines and as a table, what else is held, a page to read, and a manifest with hashes."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import IO, Any, Final, NamedTuple

import orjson

from consentryd.model.clock import SECOND
from consentryd.model.event import COLUMNS
from consentryd.rights.access import EVENT, REGION, RIGHTS
from consentryd.storage.ledger import iso

README: Final = "index.html"

#: Columns of the table: what an export shows of each event, the rest of it as JSON.
CSV_COLUMNS: Final = ("region", *(column.name for column in COLUMNS if column.name not in {"subject", "visitor"}))

_TITLES: Final = {
    "events.jsonl": "Every event, one a line, for machines",
    "events.csv": "Every event as a table, for spreadsheets",
    "about-you.json": "Everything else: profile, choices, receipts, requests, who looked at your data",
}
_PLACES: Final = {name: place for place, name in enumerate(CSV_COLUMNS)}
_FORMULA: Final = frozenset("=+-@\t\r")
_PART: Final = 64 * 1024
_OPTIONS: Final = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS

#: Gives the lines of a region's vault anew at each call.
Lines = Callable[[], Iterable[bytes]]


class Written(NamedTuple):
    """One file of the archive."""

    name: str
    size: int
    sha256: str


class Head(NamedTuple):
    """What the archive says of its request. `at` is UTC microseconds; `elsewhere` are regions that it does not cover."""

    request: str
    controller: str
    at: int
    elsewhere: Sequence[str] = ()


def write_archive(sink: IO[bytes], head: Head, regions: Mapping[str, Lines]) -> list[Written]:
    """Write the ZIP to `sink`, which need not be able to seek. Holds a few events at a time."""
    about: list[dict[str, Any]] = []
    written: list[Written] = []
    with zipfile.ZipFile(sink, "w") as archive:

        def put(name: str, parts: Iterable[bytes]) -> None:
            digest, size = hashlib.sha256(), 0
            with archive.open(_member(name, head.at), "w", force_zip64=True) as member:
                for part in _joined(parts):
                    member.write(part)
                    digest.update(part)
                    size += len(part)
            written.append(Written(name, size, digest.hexdigest()))

        put("events.jsonl", _jsonl(regions, about))
        put("events.csv", _csv(regions))
        put("about-you.json", [orjson.dumps(about, option=_OPTIONS)])
        put(README, [_page(head, about).encode()])
        manifest = {
            "request": head.request,
            "made_at": iso(head.at),
            "regions_not_covered": list(head.elsewhere),
            "files": [each._asdict() for each in written],
        }
        put("manifest.json", [orjson.dumps(manifest, option=_OPTIONS)])
    return written


def _jsonl(regions: Mapping[str, Lines], about: list[dict[str, Any]]) -> Iterator[bytes]:
    """The events' lines. What the regions say of the person goes to `about`."""
    for lines in regions.values():
        for line in lines():
            if line.startswith(EVENT):
                yield b"{" + line[len(EVENT) :] + b"\n"
            else:
                about.append(orjson.loads(b"{" + line[len(REGION) :]))


def _csv(regions: Mapping[str, Lines]) -> Iterator[bytes]:
    """RFC 4180. A cell that a spreadsheet would run as a formula is quoted with an apostrophe."""
    buffer = io.StringIO(newline="")
    table = csv.writer(buffer)
    table.writerow(CSV_COLUMNS)
    for lines in regions.values():
        for line in lines():
            if line.startswith(EVENT):
                table.writerow(_row(orjson.loads(line)))
                if buffer.tell() > _PART:
                    yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return text


def _row(event: Mapping[str, Any]) -> list[Any]:
    row: list[Any] = [None] * len(CSV_COLUMNS)
    for name, value in event.items():
        place = _PLACES.get(name)
        if place is not None:
            row[place] = value if type(value) is str and value[:1] not in _FORMULA else _cell(value)
    return row


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value[:1] in _FORMULA else value
    return orjson.dumps(value).decode() if isinstance(value, (dict, list)) else value


def _joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in larger parts."""
    pending = bytearray()
    for part in parts:
        pending += part
        if len(pending) > _PART:
            yield bytes(pending)
            pending.clear()
    yield bytes(pending)


def _page(head: Head, about: Sequence[Mapping[str, Any]]) -> str:
    parts = [
        f"<h1>Your data at {escape(head.controller)}</h1>",
        f"<p>Collected on {escape(iso(head.at)[:10])} for your request {escape(head.request)}.",
        "This page says what is in the files beside it.</p>",
        "<ul>",
        *(f"<li><b>{escape(name)}</b>: {escape(text)}</li>" for name, text in _TITLES.items()),
        "</ul>",
    ]
    for region in about:
        parts += _region(region)
    parts += [f"<p><b>What may be stored in region {escape(name)} is not in these files.</b></p>" for name in head.elsewhere]
    parts += _list("You have the right", RIGHTS)
    if not any(region["profile"]["events"] for region in about):
        parts.append("<p><b>No event of yours is stored.</b></p>")
    return _HTML.format(title=escape(f"Your data at {head.controller}"), body="\n".join(parts))


def _region(region: Mapping[str, Any]) -> Iterator[str]:
    profile = region["profile"]
    yield f"<h2>Stored in region {escape(region['region'])}</h2>"
    yield f"<p>{_extent(profile)}.</p>"
    yield from _counts("What you did", profile.get("by_event", {}))
    yield from _counts("Where from (country)", profile.get("by_country", {}))
    yield from _counts("On which kind of device", profile.get("by_device", {}))
    yield from _list("Why it is stored", (f"{each['purpose']}: {each['why']}" for each in region["purposes"]))
    yield from _list("How long", _terms(region))
    yield from _list("Who else receives it", region["recipients"] or ["nobody"])
    yield from _list("Where it comes from", [region["source"]])
    if region["restricted_since"]:
        yield f"<p>Its use is restricted since {escape(region['restricted_since'][:10])}.</p>"
    yield from _list("What you chose", map(_choice, region["choices"]))
    yield from _list(
        "Your requests", (f"{each['type']} of {each['received_at'][:10]}: {each['status']}" for each in region["requests"])
    )
    yield from _list("Groups that you were counted among", map(_stay, region.get("cohorts", [])))
    yield from _list("Who used your data", (f"{each['at'][:10]}: {each['why']} (key {each['who']})" for each in region["uses"]))


def _extent(profile: Mapping[str, Any]) -> str:
    events = profile["events"]
    counted = f"{events:,} {'event' if events == 1 else 'events'}"
    if not events:
        return counted
    return f"{counted}, the first on {escape(profile['first_event'][:10])}, the last on {escape(profile['last_event'][:10])}"


def _choice(choice: Mapping[str, Any]) -> str:
    where = "".join(f"{site}, " for site in choice.get("sites", ()))
    return f"{where}{choice['purpose']}: {choice['state']} on {choice['decided_at'][:10]}"


def _stay(cohort: Mapping[str, Any]) -> str:
    until = "" if cohort["left_at"] is None else f" until {cohort['left_at'][:10]}"
    return f"{cohort['cohort']}: from {cohort['entered_at'][:10]}{until}"


def _terms(region: Mapping[str, Any]) -> Iterator[str]:
    for site, days in region["kept_days"].items():
        yield f"{site}: {days} days after each event"
        yield from (
            f"{site}, for {each['purpose']}: {each['kept_days'][site]} days"
            for each in region["purposes"]
            if each["kept_days"][site] != days
        )


def _counts(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    yield from _list(title, (f"{name}: {count:,}" for name, count in counts.items()))


def _list(title: str, items: Iterable[str]) -> Iterator[str]:
    lines = [f"<li>{escape(item)}</li>" for item in items]
    if lines:
        yield from (f"<h3>{escape(title)}</h3>", "<ul>", *lines, "</ul>")


def _member(name: str, at: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _stamp(at))
    member.compress_type = zipfile.ZIP_DEFLATED
    member._compresslevel = 1  # type: ignore[attr-defined] # noqa: SLF001 - its public name came with Python 3.13
    return member


def _stamp(at: int) -> tuple[int, int, int, int, int, int]:
    text = iso(at // SECOND * SECOND)
    return int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:16]), int(text[17:19])


_HTML: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}}
h2{{border-top:1px solid #ccc;padding-top:1rem}}
</style>
<body>
{body}
</body></html>
"""
