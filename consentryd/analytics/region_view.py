"""One region's snapshot as a query may see it, a bucket of subjects at a time."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from consentryd.analytics.control import Control
from consentryd.analytics.rules import Rules
from consentryd.analytics.view import EVENTS, HISTORY
from consentryd.model.error import CorruptStore
from consentryd.model.identity import BUCKET_SHIFT
from consentryd.storage.duck import duck
from consentryd.storage.lake import ANONYMOUS_BUCKET, LakeFile
from consentryd.storage.promoted import is_read, rewritten
from consentryd.storage.reader import Snapshot
from consentryd.storage.schema import EVENT_SCHEMA

#: A part of the region's rows: the number of a bucket, or None for all of them together.
Part = int | None
_WORD: Final = re.compile(r"\w+")
_FEW: Final = 100_000
NO_BUCKET: Final = ANONYMOUS_BUCKET + 1
_COLUMNS: Final = frozenset(EVENT_SCHEMA.names)
#: What every report on a subject reads sooner or later: read at once, its events are looked for once.
_OF_REPORTS: Final = frozenset({"event", "path", "event_id"})


class Span(NamedTuple):
    """since <= time < until, UTC microseconds; None: no bound."""

    since: int | None = None
    until: int | None = None


class RegionView:
    """Statements name the views `EVENTS` and `HISTORY`; here they are made, once for each part and span."""

    def __init__(self, region: str, snapshot: Snapshot, rules: Rules) -> None:
        self.region = region
        self.snapshot = snapshot
        self._rules = rules
        self._names: dict[tuple[Part, Span, tuple[str, ...]], str] = {}
        self._numbers = itertools.count()
        self._promoted: tuple[str, ...] | None = None

    @cached_property
    def _tail(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Events of the site in the log's tail, by bucket."""
        tail = self.snapshot.tail
        own = tail.select(["subject"]).filter(pc.equal(tail["site"], self._rules.site))
        if not own.num_rows:
            return np.zeros(NO_BUCKET + 1, np.int64)
        subjects = self.snapshot.aliases.apply(own)["subject"].fill_null(-1).to_numpy()
        buckets = np.where(subjects < 0, ANONYMOUS_BUCKET, subjects >> BUCKET_SHIFT)
        return np.bincount(buckets, minlength=NO_BUCKET + 1)

    @cached_property
    def _mark(self) -> str:
        return mark_of(self.snapshot)

    def parts(self, span: Span, most: int) -> list[Part]:
        """Parts that may hold rows: one if all rows are at most `most`, else the buckets of the lanes."""
        lanes = self._rules.lanes
        first = ANONYMOUS_BUCKET if lanes == "anonymous" else 0
        last = ANONYMOUS_BUCKET if lanes == "consented" else NO_BUCKET
        buckets: list[Part] = [bucket for bucket in range(first, last) if self.rows(bucket, span)]
        return [None] if buckets and self.rows(None, span) <= most else buckets

    def rows(self, part: Part, span: Span) -> int:
        """At most so many rows."""
        return sum(file.events for file in self._files(part, span)) + self._tail_rows(part)

    def data(self, part: Part, span: Span) -> Hashable:
        """Names a part's rows. The tail's are named by their number, for with one last sealed row it only ever grows.

        The horizon moves with every question: it is named only where rows reach it.
        """
        tail = self._tail_rows(part)
        paths = tuple(file.path for file in self._files(part, span))
        rules = self._needed(part, span)
        return part, span, paths, (tail, self.snapshot.state.sealed) if tail else None, self._mark, rules.sql

    def run(self, part: Part, statement: str, span: Span, control: Control) -> pa.Table:
        """The rows of a statement. Raises what `Control.running` raises, and `CorruptStore`."""
        ready = self.named(part, statement, span)
        try:
            with control.running(self.snapshot.connection):
                return self.snapshot.connection.sql(ready).to_arrow_table()
        except duck().IOException as error:
            raise CorruptStore("A file of the lake cannot be read; `consentry doctor` says which.") from error

    def run_on(self, files: Sequence[LakeFile], statement: str, span: Span, control: Control, *, tail: bool) -> pa.Table:
        """The rows of a statement that reads `EVENTS`, of some files and perhaps the log's tail. Raises what `run` raises."""
        name = f"some_{id(self):x}_{len(self._names)}"
        rows = self.snapshot.relation(site=self._rules.site, since=span.since, until=span.until, files=files, tail=tail)
        rows.set_alias("e").filter(self._rules.sql).create_view(name, replace=True)
        try:
            with control.running(self.snapshot.connection):
                return self.snapshot.connection.sql(statement.replace(EVENTS, name)).to_arrow_table()
        except duck().IOException as error:
            raise CorruptStore("A file of the lake cannot be read; `consentry doctor` says which.") from error

    def named(self, part: Part, statement: str, span: Span) -> str:
        """A statement with the names of the views that it reads, which have the columns of promoted properties that it looks at."""
        used = tuple(pointer for pointer in self.promoted if is_read(pointer, statement))
        for placeholder, bounds in ((EVENTS, span), (HISTORY, Span())):
            if placeholder in statement:
                statement = statement.replace(placeholder, self._view(part, bounds, used))
        return rewritten(statement, used)

    @property
    def promoted(self) -> tuple[str, ...]:
        """The properties, by pointer, that some file has columns of."""
        if self._promoted is None:
            self._promoted = tuple(sorted(self.snapshot.promoted(self.snapshot.state.files)))
        return self._promoted

    def _view(self, part: Part, span: Span, promoted: tuple[str, ...]) -> str:
        known = self._names.get((part, span, promoted))
        if known is None:
            known = self._names[part, span, promoted] = f"rows_{id(self):x}_{len(self._names)}"
            rules = self._needed(part, span)
            rows = self.snapshot.relation(
                site=rules.site,
                since=span.since,
                until=span.until,
                bucket=part,
                promoted=promoted,
                lane=rules.lane,
                purposes=rules.purposes,
            )
            rows.set_alias("e").filter(rewritten(rules.rest_sql, promoted)).create_view(known)
        return known

    def _needed(self, part: Part, span: Span) -> Rules:
        """The rules, without a horizon that no row reaches."""
        return self._rules if self._last(part, span) >= self._rules.horizon else replace(self._rules, horizon=0)

    def _last(self, part: Part, span: Span) -> int:
        """No row is younger, UTC microseconds."""
        newest = [pc.max(self.snapshot.tail["time"].cast(pa.int64())).as_py()] if self._tail_rows(part) else []
        return max([*newest, *(file.last for file in self._files(part, span))], default=0)

    @property
    def oldest(self) -> int | None:
        """When the first event in a file was, whosever it is."""
        return min((file.first for file in self._files(None, Span())), default=None)

    def _files(self, part: Part, span: Span) -> tuple[LakeFile, ...]:
        return self.snapshot.files(since=span.since, until=span.until, bucket=part)

    def _tail_rows(self, part: Part) -> int:
        return int(self._tail.sum() if part is None else self._tail[part])


class SubjectView(RegionView):
    """The same of one subject, whose events are picked out of the files once and asked from memory."""

    def __init__(self, region: str, snapshot: Snapshot, rules: Rules, subject: int) -> None:
        super().__init__(region, snapshot, rules)
        self._subject = subject
        self._columns = _OF_REPORTS

    def rows(self, part: Part, span: Span) -> int:
        """Few, if there may be any."""
        return min(super().rows(part, span), _FEW)

    def data(self, part: Part, span: Span) -> Hashable:
        """Names the subject's rows."""
        return super().data(part, span), self._subject

    def named(self, part: Part, statement: str, span: Span) -> str:
        """A statement with the names of views that hold every column that it reads, and no other: to bind one takes as long as to ask it."""
        read = _COLUMNS.intersection(_WORD.findall(f"{statement} {self._rules.sql}"))
        if not read <= self._columns:
            self._columns |= read
            self._names.clear()
        return super().named(part, statement, span)

    @property
    def promoted(self) -> tuple[str, ...]:
        """None: the JSON of few events is read as it is."""
        return ()

    def _view(self, part: Part, span: Span, promoted: tuple[str, ...]) -> str:
        key = (part, span, promoted)
        if key not in self._names:
            name = f"own_{id(self):x}_{next(self._numbers)}"
            columns = self._columns | {
                "subject",
                "time",
                "site",
                *(["purpose", "received_at"] if self.snapshot.withdrawn else []),
            }
            rows = self.snapshot.relation_of(self._subject, columns, site=self._rules.site, since=span.since, until=span.until)
            rows.create_view(name)
            self._names[key] = f"(SELECT * FROM {name} e WHERE {self._rules.sql})"  # bound with the statement: 1 ms less for each
        return self._names[key]


def mark_of(snapshot: Snapshot) -> str:
    """Names who is merged, hidden or has withdrawn."""
    digest = hashlib.sha256(snapshot.aliases.subjects.tobytes())
    digest.update(snapshot.aliases.becomes.tobytes())
    digest.update(snapshot.hidden.subjects.tobytes())
    digest.update(repr(sorted(snapshot.withdrawn)).encode())
    return digest.hexdigest()
