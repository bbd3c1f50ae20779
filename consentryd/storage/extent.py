"""Which events are meant, by what files know of all their events without being read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from consentryd.storage.lake import LakeFile


class Extent(NamedTuple):
    """since <= time < until (UTC microseconds), of a site, a lane, some purposes; None: of any."""

    site: str | None = None
    since: int | None = None
    until: int | None = None
    lane: str | None = None
    purposes: Sequence[str] | None = None

    def conditions(self) -> Iterator[str]:
        """The same in SQL."""
        if self.site is not None:
            yield f"site = {_quoted(self.site)}"
        if self.since is not None:
            yield f"time >= make_timestamptz({int(self.since)})"
        if self.until is not None:
            yield f"time < make_timestamptz({int(self.until)})"
        if self.lane is not None:
            yield f"lane = {_quoted(self.lane)}"
        if self.purposes is not None:
            yield f"purpose IN ({', '.join(map(_quoted, self.purposes)) or 'NULL'})"

    def holds_all(self, file: LakeFile, constants: Mapping[str, str]) -> bool:
        """All of a file's events are among them. `constants` are columns that have one value in the whole file."""
        return (
            (self.site is None or file.sites == (self.site, self.site))
            and (self.since is None or file.first >= self.since)
            and (self.until is None or file.last < self.until)
            and (self.lane is None or constants.get("lane") == self.lane)
            and (self.purposes is None or constants.get("purpose") in self.purposes)
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
