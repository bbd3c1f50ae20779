"""Regions that are asked together say what each says by itself, also where one of them cannot be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from shutil import copyfile

import pytest

from consentryd.storage.choice import Choice, ChoiceState, write_choice
from consentryd.storage.database import open_database
from consentryd.storage.outlook import MOST, Outlook
from consentryd.storage.standing import Standings
from tests.storage.test_change import ANN, BOB, NOW


class House:
    """Some regions: what is written in each, and what is read."""

    def __init__(self, folder: Path, regions: int, stack: ExitStack) -> None:
        self.paths = {f"r{number}": folder / f"it's a region {number}" / "region.db" for number in range(regions)}
        _make(self.paths.values())
        self.writers = {name: stack.enter_context(closing(open_database(path, "region"))) for name, path in self.paths.items()}
        self.readers = {
            name: stack.enter_context(closing(open_database(path, "region", readonly=True))) for name, path in self.paths.items()
        }
        self.standings = {name: Standings(reader) for name, reader in self.readers.items()}
        self.outlook = Outlook(self.standings, self.paths)
        stack.callback(self.outlook.close)

    def welcome(self, region: str, digest: bytes) -> None:
        self.writers[region].execute("INSERT INTO identity VALUES (?, 7, 0, 0)", (digest,))

    def refuse(self, region: str, digest: bytes) -> None:
        write_choice(self.writers[region], 7, Choice("analytics", digest, ChoiceState.DENIED, True, NOW, 0, None))

    def asked_alone(self) -> list[str]:
        """The regions that are asked by a statement of their own from now on, as they are."""
        asked: list[str] = []
        for name, standings in self.standings.items():
            vars(standings)["look"] = _noting(asked, name, standings.look)
        return asked


def _noting(asked: list[str], name: str, look: Callable[..., list[bytes]]) -> Callable[..., list[bytes]]:
    def noted(digests: Sequence[bytes] = ()) -> list[bytes]:
        asked.append(name)
        return look(digests)

    return noted


def _make(paths: Iterable[Path]) -> None:
    """Empty databases: to make one takes half a second, to copy it nothing."""
    first, *others = paths
    for path in (first, *others):
        path.parent.mkdir()
    open_database(first, "region").close()
    for path in others:
        copyfile(first, path)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[[int], House]]:
    with ExitStack() as stack:
        yield lambda regions: House(tmp_path, regions, stack)


NEW = b"n" * 16


@pytest.mark.parametrize("regions", [2, 3, MOST])
def test_all_regions_are_told_of_by_one_statement(house: Callable[[int], House], regions: int) -> None:
    those = house(regions)
    last = f"r{regions - 1}"
    those.welcome("r0", ANN)
    those.welcome(last, BOB)
    asked = those.asked_alone()
    assert those.outlook.look({name: [NEW, BOB, ANN] for name in those.paths}) == {
        **{name: [] for name in those.paths},
        "r0": [ANN],
        last: [BOB],
    }
    assert asked == []


def test_what_was_chosen_is_taken_in_where_it_was_asked_for(house: Callable[[int], House]) -> None:
    those = house(3)
    for name in ("r1", "r2"):
        those.welcome(name, ANN)
        those.outlook.look({each: [] for each in those.paths})
        assert those.standings[name].of(ANN, None).refused == frozenset()
        those.refuse(name, ANN)
    assert those.outlook.look({"r0": [ANN], "r1": []}) == {"r0": [], "r1": []}
    assert [those.standings[name].any for name in those.paths] == [False, True, False]
    assert those.standings["r1"].of(ANN, None).refused == {"analytics"}
    assert those.standings["r2"].of(ANN, None).refused == frozenset()
    those.outlook.look({"r2": [], "r0": []})
    assert those.standings["r2"].of(ANN, None).refused == {"analytics"}


@pytest.mark.parametrize("regions", [1, MOST + 1])
def test_one_region_and_very_many_are_asked_one_by_one(house: Callable[[int], House], regions: int) -> None:
    those = house(regions)
    those.welcome("r0", ANN)
    asked = those.asked_alone()
    assert those.outlook.look({name: [ANN] for name in those.paths})["r0"] == [ANN]
    assert asked == list(those.paths)


def test_a_region_asked_for_alone_is_asked_by_itself(house: Callable[[int], House]) -> None:
    those = house(2)
    asked = those.asked_alone()
    assert those.outlook.look({"r1": [ANN]}) == {"r1": []}
    assert asked == ["r1"]


def test_a_damaged_region_is_told_of_by_itself_and_the_others_go_on(house: Callable[[int], House]) -> None:
    those = house(3)
    those.welcome("r0", ANN)
    those.writers["r1"].execute("DROP TABLE choice")
    asked = those.asked_alone()
    assert those.outlook.look({"r0": [ANN], "r2": [ANN]}) == {"r0": [ANN], "r2": []}
    assert asked == ["r0", "r2"]
    with pytest.raises(sqlite3.OperationalError):
        those.outlook.look({name: [ANN] for name in those.paths})


def test_a_library_that_attaches_no_databases_has_them_asked_one_by_one(
    house: Callable[[int], House], monkeypatch: pytest.MonkeyPatch
) -> None:
    def limited(path: Path, schema: str, *, readonly: bool) -> sqlite3.Connection:
        connection = open_database(path, schema, readonly=readonly)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        return connection

    monkeypatch.setattr("consentryd.storage.outlook.open_database", limited)
    those = house(2)
    those.welcome("r1", ANN)
    asked = those.asked_alone()
    assert those.outlook.look({"r0": [ANN], "r1": [ANN]}) == {"r0": [], "r1": [ANN]}
    assert asked == ["r0", "r1"]
