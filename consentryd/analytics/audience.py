"""The saved cohorts of a site, as queries name them: by id or by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from consentryd.analytics.membership import Audience, Roll, roll_of
from consentryd.analytics.saved import SavedCohort
from consentryd.storage.database import open_database
from consentryd.storage.location import DATABASE
from consentryd.storage.member import (
    Reckoning,
    Spell,
    forget_cohort,
    read_reckonings,
    read_spells,
    record_members,
)
from consentryd.storage.saved import Saved, SavedStore


class SavedAudiences(Mapping[str, Audience]):
    """Looks a cohort up when a query names it. `regions` are the folders in which members are kept."""

    def __init__(self, store: SavedStore, regions: Mapping[str, Path], site: str) -> None:
        self._store = store
        self._regions = regions
        self._site = site

    def __getitem__(self, which: str) -> Audience:
        for saved in self._store.all(self._site, "cohort"):
            if which in {saved.id, saved.name}:
                cohort = SavedCohort.model_validate_json(saved.body)
                rule = None if cohort.static else cohort.rule
                return Audience(rule, partial(self.roll, saved.id))
        raise KeyError(which)

    def __iter__(self) -> Iterator[str]:
        return iter([saved.id for saved in self._store.all(self._site, "cohort")])

    def __len__(self) -> int:
        return len(self._store.all(self._site, "cohort"))

    def record(self, cohort: Saved, members: Mapping[str, list[int]], at: int) -> None:
        """From `at` on these are a cohort's members, by region."""
        for region, root in self._regions.items():
            with closing(open_database(root / DATABASE, "region")) as connection:
                record_members(connection, cohort.id, cohort.version, members.get(region, []), at)

    def forget(self, cohort: str) -> None:
        """A deleted cohort leaves no members behind."""
        for root in self._regions.values():
            with closing(open_database(root / DATABASE, "region")) as connection:
                forget_cohort(connection, cohort)

    def roll(self, cohort: str) -> Roll:
        """Who was a member when, over all regions."""
        spells: list[Spell] = []
        reckonings: list[Reckoning] = []
        for root in self._present():
            with closing(open_database(root / DATABASE, "region", readonly=True)) as connection:
                spells += read_spells(connection, cohort)
                reckonings += read_reckonings(connection, cohort)
        return roll_of(spells, reckonings)

    def reckoned(self, cohort: str) -> Reckoning | None:
        """When a cohort's members were looked up last."""
        found: list[Reckoning] = []
        for root in self._present():
            with closing(open_database(root / DATABASE, "region", readonly=True)) as connection:
                found += read_reckonings(connection, cohort)
        return max(found, default=None)

    def _present(self) -> Iterator[Path]:
        return (root for root in self._regions.values() if (root / DATABASE).exists())


class AudienceBook:
    """The audiences of every site."""

    def __init__(self, store: SavedStore, regions: Mapping[str, Path]) -> None:
        self._store = store
        self._regions = regions

    def of(self, site: str) -> SavedAudiences:
        return SavedAudiences(self._store, self._regions, site)
