"""What events really hold: sites, event names, properties with their kinds and shares, counted by reading all of them once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from consentryd.model.event import COLUMNS

#: Kinds of events of a site, and properties of one, that are told apart; what is beyond is counted as `*`.
MOST_EVENTS: Final = 500
MOST_PROPERTIES: Final = 300
DEEPEST: Final = 4
_MANY: Final = "*"
_VARYING: Final = re.compile(r"\[[a-z_]+(?::[a-p]{32})?\]")

NAMES: Final = tuple(column.name for column in COLUMNS)
_KINDS: Final = {
    dict: "object",
    list: "list",
    str: "text",
    int: "number",
    float: "number",
    bool: "yes or no",
    type(None): "nothing",
}
_TREATED: Final = re.compile(r"\[[a-z_]+(?::[a-p]{32})?\]|\[enc:[A-Za-z0-9_-]+\]|\*{3,4}[@0-9A-Za-z.-]+")


@dataclass(slots=True)
class EventKind:
    """Events of one name and purpose. `properties` counts the kinds of each path's values."""

    count: int = 0
    properties: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, properties: dict[str, Any]) -> None:
        self.count += 1
        for path, kind in _leaves(properties, "", 0):
            if path not in self.properties and len(self.properties) >= MOST_PROPERTIES:
                path = _MANY  # noqa: PLW2901  what is beyond
            self.properties.setdefault(path, Counter())[kind] += 1


@dataclass(slots=True)
class SiteInventory:
    """Everything stored of one site, over all regions."""

    regions: Counter[str] = field(default_factory=Counter)
    lanes: Counter[str] = field(default_factory=Counter)
    countries: Counter[str] = field(default_factory=Counter)
    grounds: dict[str, Counter[str]] = field(default_factory=dict)
    columns: Counter[str] = field(default_factory=Counter)
    redactions: Counter[tuple[str, str]] = field(default_factory=Counter)
    events: dict[tuple[str, str, str], EventKind] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None

    @property
    def count(self) -> int:
        return self.regions.total()


class Inventory:
    """Feed it batches of the columns `NAMES`."""

    def __init__(self) -> None:
        self.sites: dict[str, SiteInventory] = {}

    def add(self, region: str, batch: pa.RecordBatch) -> None:
        sites = batch.column("site")
        for name in pc.unique(sites).to_pylist():
            own = batch.filter(pc.equal(sites, name))
            site = self.sites.setdefault(name, SiteInventory())
            site.regions[region] += own.num_rows
            _add_columns(site, own)
            _add_events(site, own)


def _add_columns(site: SiteInventory, batch: pa.RecordBatch) -> None:
    for name in NAMES:
        site.columns[name] += batch.num_rows - batch.column(name).null_count
    site.lanes.update(batch.column("lane").to_pylist())
    site.countries.update(country or "unknown" for country in batch.column("country").to_pylist())
    bounds = pc.min_max(batch.column("time").cast(pa.int64())).as_py()
    site.first = bounds["min"] if site.first is None else min(site.first, bounds["min"])
    site.last = bounds["max"] if site.last is None else max(site.last, bounds["max"])
    for purpose, ref in zip(batch.column("purpose").to_pylist(), batch.column("consent_ref").to_pylist(), strict=True):
        site.grounds.setdefault(purpose, Counter())[_ground(ref or "")] += 1


def _ground(ref: str) -> str:
    """What let an event in: the rule of the decision, or a choice on record, of whomever."""
    return "stored grant" if ref.startswith("ledger:") else ref.rpartition("/")[2] or "unknown"


def _add_events(site: SiteInventory, batch: pa.RecordBatch) -> None:
    columns = [batch.column(name).to_pylist() for name in ("type", "event", "purpose", "properties", "redactions")]
    for type_, event, purpose, properties, redactions in zip(*columns, strict=True):
        key = (type_, event or "", purpose)
        if key not in site.events and len(site.events) >= MOST_EVENTS:
            key = (type_, _MANY, purpose)
        kind = site.events.get(key)
        if kind is None:
            kind = site.events[key] = EventKind()
        kind.add({} if properties is None else orjson.loads(properties))
        if redactions is not None:
            site.redactions.update((row["rule"], row["action"]) for row in orjson.loads(redactions))


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Paths and kinds of values, each once an event; positions in lists are left out."""
    yield from dict.fromkeys(_walk(value, path, depth))


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and depth < DEEPEST:
        for key, inner in value.items():
            name = _VARYING.sub(_MANY, key)
            yield from _walk(inner, f"{path}.{name}" if path else name, depth + 1)
    elif isinstance(value, list) and depth < DEEPEST and value:
        for inner in value:
            yield from _walk(inner, f"{path}[]", depth + 1)
    elif isinstance(value, str) and value[:1] in {"[", "*"} and _TREATED.fullmatch(value):
        yield path, "redacted"
    else:
        yield path, _KINDS.get(type(value), "unknown")
