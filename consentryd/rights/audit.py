"""The privacy audit: everything that is stored, and logs, looked through for what should not be there.

Every detector looks, whatever rules keep. Not looked at are columns that we make ourselves (subjects, sessions, visitors' tokens, references
to decisions, redactions) and the digests in others, which have forms of their own. A report counts and shows forms, never a value.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import pyarrow as pa

from consentryd.config.settings import Privacy
from consentryd.privacy.inspector import Inspector
from consentryd.rights.stored import BATCH_ROWS, Place, Progress, stored_events
from consentryd.storage import rejected
from consentryd.storage.database import open_database
from consentryd.storage.location import DATABASE

MOST_HITS: Final = 1_000
LONGEST_LINE: Final = 65_536

_COLUMNS: Final = (
    "site", "event", "event_id", "title", "path", "host", "referrer_host", "utm_source", "utm_medium", "utm_campaign", "utm_term",
    "utm_content", "revenue", "currency", "properties",
)  # fmt: skip
_INDEX: Final = re.compile(r"\[[0-9]+\]")
_PAIR: Final = re.compile(r"(?<!\S)([A-Za-z_]\w*)=")
_MANY: Final = "*"


class Hit(NamedTuple):
    """What is counted together. `path` is that of the field in the event (list positions left out), or the name of a log file."""

    place: Place
    region: str
    site: str
    event: str
    path: str
    detector: str


@dataclass(slots=True)
class AuditReport:
    """How much was looked at, by place, and what was found: how often, and the form of one of each."""

    looked_at: dict[Place, int] = field(default_factory=lambda: dict.fromkeys(Place, 0))
    counts: dict[Hit, int] = field(default_factory=dict)
    shapes: dict[Hit, str] = field(default_factory=dict)

    def add(self, hit: Hit, shape: str) -> None:
        """From the thousandth kind of hit on, only place, region, site and detector are told apart."""
        if hit not in self.counts and len(self.counts) >= MOST_HITS:
            hit = hit._replace(event=_MANY, path=_MANY)
        self.counts[hit] = self.counts.get(hit, 0) + 1
        self.shapes.setdefault(hit, shape)

    @property
    def findings(self) -> int:
        return sum(self.counts.values())

    def seen(self) -> dict[str, int]:
        """How many events, letters and lines were looked at, by the name of the place."""
        return {place.value: count for place, count in self.looked_at.items()}

    def by_detector(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for hit, count in self.counts.items():
            counts[hit.detector] = counts.get(hit.detector, 0) + count
        return counts

    def to_json(self) -> dict[str, Any]:
        rows = [{**hit._asdict(), "count": count, "shape": self.shapes[hit]} for hit, count in self.counts.items()]
        rows.sort(key=lambda row: (-row["count"], row["place"], row["path"], row["detector"]))
        return {"looked_at": self.seen(), "findings": self.findings, "by_detector": self.by_detector(), "hits": rows}


def audit(
    regions: Mapping[str, Path], privacy: Privacy, logs: Iterable[Path] = (), progress: Progress | None = None
) -> AuditReport:
    """Look through the regions (name to folder) and the files and folders of `logs` (plain or gzip).

    May run while a gateway serves. Raises `CorruptStore`, `Busy`, `OSError`.
    """
    task = _Audit(Inspector(privacy.phone_countries, privacy.coordinate_decimals), progress or (lambda _what, _done, _of: None))
    for name, root in regions.items():
        task.look_at_region(name, root)
    task.look_at_logs(logs)
    return task.report


class _Audit:
    def __init__(self, inspector: Inspector, progress: Progress) -> None:
        self.report: Final = AuditReport()
        self._inspector = inspector
        self._progress = progress
        self._names: dict[str, str] = {}

    def look_at_region(self, region: str, root: Path) -> None:
        for place, batch in stored_events(root, _COLUMNS, self._progress):
            self._rows(place, region, batch)
        with closing(open_database(root / DATABASE, "region", readonly=True)) as connection:
            total = rejected.count(connection)
            for done, letter in enumerate((letter for page in rejected.pages(connection) for letter in page), start=1):
                self._look(Place.LETTERS, region, letter.site, "", orjson.loads(letter.event))
                if not done % BATCH_ROWS:
                    self._progress(f"{Place.LETTERS} of {region}", done, total)

    def look_at_logs(self, logs: Iterable[Path]) -> None:
        for file in (file for path in logs for file in sorted(path.rglob("*") if path.is_dir() else [path]) if file.is_file()):
            for number, line in enumerate(_lines(file), start=1):
                self._look(Place.FILES, "", "", "", _fields(line), file.name)
                if not number % BATCH_ROWS:
                    self._progress(file.name, number, 0)

    def _rows(self, place: Place, region: str, batch: pa.RecordBatch) -> None:
        columns = [batch.column(name).to_pylist() for name in _COLUMNS]
        for site, event, *values, properties in zip(*columns, strict=True):
            fields = dict(zip(_COLUMNS[2:-1], values, strict=True))
            fields["event"] = event
            if fields["revenue"] is not None:
                fields["revenue"] = float(fields["revenue"])
            if properties is not None:
                fields["properties"] = orjson.loads(properties)
            self._look(place, region, site, event or "", fields)

    def _look(self, place: Place, region: str, site: str, event: str, fields: dict[str, Any], file: str = "") -> None:
        self.report.looked_at[place] += 1
        for path, detector, shape in self._inspector.look(event, site, fields):
            where = file or _INDEX.sub("[]", path)
            self.report.add(Hit(place, region, site, self._name(event), where, detector), shape)

    def _name(self, event: str) -> str:
        """An event's name may itself be what was found."""
        if event not in self._names:
            if len(self._names) >= MOST_HITS:
                self._names.clear()
            self._names[event] = self._inspector.clean(event)
        return self._names[event]


def _lines(file: Path) -> Iterator[bytes]:
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as source:
        while line := source.readline(LONGEST_LINE):
            yield line


def _fields(line: bytes) -> dict[str, Any]:
    """A line of JSON as its object. In others `code=3` among words is no URL's parameter."""
    if line[:1] == b"{":
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            value = None
        if isinstance(value, dict):
            return value
    return {"line": _PAIR.sub(r"\1: ", line.decode(errors="replace").strip())}
