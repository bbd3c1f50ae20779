"""The rollups of one region that a question can use, and the events that it must read beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from consentryd.analytics import literal
from consentryd.analytics.calendar import index_sql
from consentryd.analytics.control import Control
from consentryd.analytics.region_view import RegionView
from consentryd.analytics.rollup.presence import NO_LINES, Line, Presence, Share, presence_of
from consentryd.analytics.rollup.standing import Register
from consentryd.analytics.rollup.wanted import Wanted
from consentryd.analytics.rules import Rules
from consentryd.analytics.view import EVENTS
from consentryd.storage.lake import ANONYMOUS_BUCKET, LakeFile
from consentryd.storage.rollup import Rollup

BUCKETS: Final = range(ANONYMOUS_BUCKET)


@dataclass(frozen=True, slots=True)
class Gathering:
    """`rolled`: files whose rollups say all that is asked of them; `rest`: the others, to be read with the log's tail."""

    view: RegionView
    wanted: Wanted
    rules: Rules
    rolled: dict[LakeFile, Rollup]
    rest: tuple[LakeFile, ...]

    @property
    def rolled_events(self) -> int:
        return sum(file.events for file in self.rolled)

    @property
    def other_events(self) -> int:
        return sum(file.events for file in self.rest) + int(self.view.snapshot.tail.num_rows)

    def without(self, files: Sequence[LakeFile]) -> Gathering:
        """The same, with more files to be read."""
        rolled = {file: rollup for file, rollup in self.rolled.items() if file not in files}
        return Gathering(self.view, self.wanted, self.rules, rolled, (*self.rest, *files))

    def presences(self, control: Control) -> Iterator[Presence]:
        """Bucket by bucket; no subject is in two of them."""
        register = Register(self.view.snapshot, self.rules)
        lines = _lines(self.rest_rows(_lines_sql(self.wanted), control))
        control.plan(len(BUCKETS))
        for bucket in BUCKETS:
            control.check()
            yield self._presence(bucket, lines.of_bucket(bucket), register, control)
            control.done += 1

    def rest_rows(self, statement: str, control: Control) -> pa.Table | None:
        """A statement's rows over the files without rollup and the tail; None if there are no events in them."""
        if not self.other_events:
            return None
        return self.view.run_on(self.rest, statement, self.wanted.span, control, tail=True)

    def _presence(self, bucket: int, lines: Line, register: Register, control: Control) -> Presence:
        span = self.wanted.span
        shares: dict[LakeFile, Share] = {}
        for file in self.view.snapshot.files(since=span.since, until=span.until, bucket=bucket):
            if file in self.rolled:
                standing = register.of(self.rolled[file])
                shares[file] = Share(self.rolled[file], standing, standing.seen & (standing.known >> 59 == bucket))
        apart = self._apart(shares, bucket, control)
        return presence_of(list(shares.values()), _joined(lines, apart), self.wanted, self.rules.site, self.rules.purposes)

    def _apart(self, shares: dict[LakeFile, Share], bucket: int, control: Control) -> Line:
        """What those did in the bucket's files who have withdrawn a purpose in between."""
        found = NO_LINES
        for file, share in shares.items():
            subjects = [subject for subject in share.standing.apart.tolist() if subject >> 59 == bucket]
            if subjects:
                among = f"e.subject IN ({', '.join(map(str, subjects))})"
                table = self.view.run_on([file], _lines_sql(self.wanted, among), self.wanted.span, control, tail=False)
                found = _joined(found, _lines(table))
        return found


def gathered(view: RegionView, wanted: Wanted, rules: Rules) -> Gathering:
    """A region's files in the span of what is wanted, sorted into those with a rollup that fits and the others."""
    rolled: dict[LakeFile, Rollup] = {}
    rest = []
    for file in view.snapshot.files(since=wanted.span.since, until=wanted.span.until):
        if file.bucket == ANONYMOUS_BUCKET or not file.sites[0] <= rules.site <= file.sites[1]:
            continue
        rollup = view.snapshot.rollup(file) if file.last < rules.horizon else None
        if rollup is not None and wanted.fits(rollup.edges):
            rolled[file] = rollup
        else:
            rest.append(file)
    return Gathering(view, wanted, rules, rolled, tuple(rest))


def matches_sql(names: tuple[str, ...]) -> str:
    return f"e.event IN {literal.texts(names)}" if names else "true"


def bucket_sql(wanted: Wanted) -> str:
    """The number of the bucket of `t`; -1 before the first."""
    return f"CASE WHEN t < {wanted.edges[0]} THEN -1 ELSE {index_sql('t', wanted.edges)} END"


def _lines_sql(wanted: Wanted, among: str = "true") -> str:
    bits = [f"CASE WHEN {matches_sql(names)} THEN {1 << bit}::BIGINT ELSE 0 END" for bit, names in enumerate(wanted.definitions)]
    some = " OR ".join(matches_sql(names) for names in wanted.definitions)
    rows = (
        f"SELECT e.subject AS s, epoch_us(e.time) AS t, {' + '.join(bits)} AS m FROM {EVENTS} e"
        f" WHERE e.subject IS NOT NULL AND ({some}) AND {among}"
    )
    return f"SELECT s, CAST({bucket_sql(wanted)} AS BIGINT) AS b, bit_or(m) AS m FROM ({rows}) GROUP BY ALL"


def _lines(table: pa.Table | None) -> Line:
    return NO_LINES if table is None else Line(*(table[name].to_numpy() for name in ("s", "b", "m")))


def _joined(one: Line, other: Line) -> Line:
    return Line(*(np.concatenate(columns) for columns in zip(one, other, strict=True))) if len(other.subject) else one
