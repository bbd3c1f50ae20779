"""The saved cohorts of a site, as queries name them: by id or by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from consentryd.analytics.saved import SavedCohort
from consentryd.analytics.source import Audience
from consentryd.storage.database import open_database
from consentryd.storage.member import read_members, write_members
from consentryd.storage.saved import SavedStore


class SavedAudiences(Mapping[str, Audience]):
    """Looks a cohort up when a query names it. `regions` are the folders in which frozen members are kept."""

    def __init__(self, store: SavedStore, regions: Mapping[str, Path], site: str) -> None:
        self._store = store
        self._regions = regions
        self._site = site

    def __getitem__(self, which: str) -> Audience:
        for saved in self._store.all(self._site, "cohort"):
            if which in {saved.id, saved.name}:
                cohort = SavedCohort.model_validate_json(saved.body)
                if not cohort.static:
                    return Audience(definition=cohort.definition)
                return Audience(members=tuple(sorted(self._members(saved.id))))
        raise KeyError(which)

    def __iter__(self) -> Iterator[str]:
        return iter([saved.id for saved in self._store.all(self._site, "cohort")])

    def __len__(self) -> int:
        return len(self._store.all(self._site, "cohort"))

    def freeze(self, cohort: str, members: Mapping[str, list[int]]) -> None:
        """Keep the members of a static cohort, by region."""
        for region, root in self._regions.items():
            with closing(open_database(root / "region.db", "region")) as connection:
                write_members(connection, cohort, members.get(region, []))

    def _members(self, cohort: str) -> set[int]:
        found: set[int] = set()
        for root in self._regions.values():
            if (root / "region.db").exists():
                with closing(open_database(root / "region.db", "region", readonly=True)) as connection:
                    found |= read_members(connection, cohort)
        return found


class AudienceBook:
    """The audiences of every site."""

    def __init__(self, store: SavedStore, regions: Mapping[str, Path]) -> None:
        self._store = store
        self._regions = regions

    def of(self, site: str) -> SavedAudiences:
        return SavedAudiences(self._store, self._regions, site)
