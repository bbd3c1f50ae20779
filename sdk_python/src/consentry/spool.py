"""A store on disk: an event that was accepted outlives a dead gateway and a dead process.

Each process writes into a lane of its own; what a process left is taken over by whichever client of the same directory comes next.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Callable, Optional

from consentry.lane import Batch, Lane, line_of
from consentry.store import Record

_NAME = re.compile(r"[0-9a-f]{16}")  # other folders are none of our business
_SEGMENT_BYTES = 1024 * 1024
_SYNC_S = 1.0
_ADOPT_S = 10.0

#: When a line is forced to the disk: never by us, every second, or before `track` returns.
POLICIES = ("never", "interval", "always")


class SpoolStore:
    """Bounded by the bytes in the directory that wait. `on_torn` is told how many lines could not be read.

    Raises `OSError` if the directory cannot be made, `ValueError` for an unknown `fsync`.
    """

    lasting = True

    def __init__(
        self,
        directory: Path,
        most_bytes: int,
        fsync: str = "interval",
        *,
        on_torn: Callable[[int], None],
        monotonic: Callable[[], float] = time.monotonic,
        token: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if fsync not in POLICIES:
            raise ValueError(f"fsync must be one of {', '.join(POLICIES)}")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory, self._most_bytes, self._fsync = directory, most_bytes, fsync
        self._on_torn, self._monotonic, self._token = on_torn, monotonic, token
        self._begin()

    def forget(self) -> None:
        """The descriptors of a parent stay open, and its lock with them, until this process ends or closes them."""
        found = [lane for lane, _, _ in self._found]
        for lane in [*self._others, *found, *([self._own] if self._own else [])]:
            lane.close()
        self._begin()

    def _begin(self) -> None:
        self._own: Optional[Lane] = None
        self._others: list[Lane] = []
        self._found: list[tuple[Lane, int, int]] = []
        self._out: Optional[tuple[Lane, Batch]] = None
        self._kept: Optional[tuple[Lane, Batch]] = None
        self._dirty = False
        self._synced_at = self._adopted_at = float("-inf")
        self.waiting = self.waiting_bytes = 0

    def put(self, record: Record) -> bool:
        line = line_of(record)
        if self.waiting_bytes + len(line) > self._most_bytes:
            return False
        if self._own is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._own = Lane.make(self._directory / self._token(8).hex())
        own = self._own
        own.append(line, force=self._fsync == "always")
        self._dirty = True
        self.waiting += 1
        self.waiting_bytes += len(line)
        if own.segment_bytes >= _SEGMENT_BYTES:
            own.roll()
        return True

    def take(self, most: int, most_bytes: int) -> list[Record]:
        while self.waiting > 0:
            lane, batch = self._kept or (self._first(), None)
            self._kept = None
            if lane is None:
                break
            try:
                batch = self._read(lane, batch, most, most_bytes)
            except FileNotFoundError:
                self._abandon(lane)
                continue
            if batch.records:
                self._out = (lane, batch)
                return list(batch.records)
            lane.settle(batch.end)
            if not batch.lines and lane is self._own:
                break
            self._leave(lane)
        self.waiting = self.waiting_bytes = 0
        return []

    def settle(self, again: Sequence[Record]) -> None:
        """While something of a batch waits again nothing of it is settled on disk: what was stored is told by its id."""
        if self._out is None:
            return
        (lane, batch), self._out = self._out, None
        if again:
            self._kept = (lane, batch._replace(records=list(again)))
            self.waiting += len(again)
            self.waiting_bytes += sum(len(record.raw) for record in again)
            return
        lane.settle(batch.end)
        self._leave(lane)

    def _first(self) -> Optional[Lane]:
        return self._others[0] if self._others else self._own

    def _read(self, lane: Lane, kept: Optional[Batch], most: int, most_bytes: int) -> Batch:
        """What was kept of the last batch, and what follows in its lane."""
        records = kept.records if kept else []
        size = sum(len(record.raw) for record in records)
        try:
            more = lane.read(most - len(records), most_bytes - size)
        except OSError:
            if not kept:
                raise
            more = Batch([], 0, 0, kept.end)  # what is in memory can still be sent
        if more.lines > len(more.records):
            self._on_torn(more.lines - len(more.records))
        self.waiting -= len(records) + more.lines
        self.waiting_bytes -= size + more.size
        return more._replace(records=records + more.records)

    def look_after(self) -> None:
        now = self._monotonic()
        if now - self._synced_at >= _SYNC_S:
            self._synced_at = now
            if self._dirty and self._fsync == "interval" and self._own is not None:
                self._dirty = False
                self._dirty = not self._sync(self._own) or self._dirty
        if now - self._adopted_at >= _ADOPT_S:
            self._adopted_at = now
            self._adopt()

    def close(self) -> None:
        """What waits stays for the next client."""
        self.welcome()
        for lane in self._others:
            lane.close()
        if self._own is not None:
            if self._own.settled == self._own.tail:
                self._own.remove()
            else:
                self._own.close()
        self._begin()

    def _adopt(self) -> None:
        """Counting takes a while, and is done without the lock; what was found waits in `_found` until it is held."""
        mine = {lane.folder for lane in [*self._others, *(lane for lane, _, _ in self._found)]}
        if self._own is not None:
            mine.add(self._own.folder)
        with suppress(OSError):  # there will be another time
            for folder in sorted(self._directory.iterdir()):
                lane = Lane.adopt(folder) if _NAME.fullmatch(folder.name) and folder not in mine else None
                if lane is not None:
                    self._find(lane)

    def _find(self, lane: Lane) -> None:
        """One that cannot be counted is let go of: whoever can read it takes it."""
        try:
            self._found.append((lane, *lane.count()))
        except OSError:
            lane.close()

    def welcome(self) -> None:
        while self._found:
            lane, lines, size = self._found.pop()
            if lines:
                self._others.append(lane)
                self.waiting += lines
                self.waiting_bytes += size
            else:
                lane.remove()

    def _leave(self, lane: Lane) -> None:
        """An empty lane of another process goes; a long segment of ours that is done with makes room."""
        if lane.cursor != lane.tail:
            return
        if lane is not self._own:
            self._others.remove(lane)
            lane.remove()
        elif lane.segment_bytes >= _SEGMENT_BYTES // 4:
            lane.roll()
            lane.cursor = lane.tail
            lane.settle(lane.tail)

    def _abandon(self, lane: Lane) -> None:
        """Somebody has deleted the lane's files: what waited there is lost, and told as torn."""
        lane.close()
        if lane is self._own:
            self._own = None
        else:
            self._others.remove(lane)
        counts = [each.count() for each in [*self._others, *([self._own] if self._own else [])]]
        left = sum(lines for lines, _ in counts)
        self._on_torn(max(self.waiting - left, 0))
        self.waiting, self.waiting_bytes = left, sum(size for _, size in counts)

    def _sync(self, lane: Lane) -> bool:
        """Whether it worked: where not, there will be another time."""
        try:
            descriptor = lane.sync()
        except OSError:
            return False
        if descriptor is None:
            return True
        try:
            os.fsync(descriptor)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True
