"""Several processes that open one data directory, above all the first time, when keys and databases are made."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest

from consentryd.config.example import example
from consentryd.config.settings import Settings, Storage
from consentryd.gateway.cli.import_ import fingerprint_key
from consentryd.gateway.cli.installation import complete
from consentryd.gateway.cli.rotate_master import rewrap
from consentryd.gateway.compose import open_stores
from consentryd.model.clock import SystemClock
from consentryd.model.error import ConfigError
from consentryd.model.key import KeyKind
from consentryd.storage.control import ControlStore
from consentryd.storage.database import open_database
from consentryd.storage.keys import RegionKeys
from consentryd.storage.location import CONTROL
from consentryd.storage.tenancy import moving_in

AT_ONCE = 4
TURNS = 40


def at_once(work):
    """What each of several got, who did the same at the same moment."""
    barrier = Barrier(AT_ONCE)

    def each(_number: int):
        barrier.wait()
        return work()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(each, range(AT_ONCE)))


def begun(root: Path) -> dict[str, RegionKeys]:
    """The keys of a data directory's regions, which are opened and closed."""
    stores = open_stores(Settings(storage=Storage(data_dir=root)), None, SystemClock())
    for store in stores.values():
        store.close()
    return {name: store.keys for name, store in stores.items()}


def test_a_data_directory_that_several_begin_at_once_is_one(tmp_path: Path) -> None:
    for turn in range(TURNS):
        root = tmp_path / str(turn)
        root.mkdir()
        ControlStore(root / CONTROL, SystemClock()).close()
        first, *others = at_once(partial(begun, root))
        assert list(first) == list(Settings().regions)
        assert others == [first] * (AT_ONCE - 1)


def test_a_master_key_that_several_rotate_at_once_opens_the_regions_afterwards(tmp_path: Path) -> None:
    settings = Settings(storage=Storage(data_dir=tmp_path))
    keys = begun(tmp_path)
    for _ in range(TURNS):
        at_once(partial(rewrap, settings, None))
        assert begun(tmp_path) == keys


def test_regions_that_begin_while_a_master_key_is_rotated_open_afterwards(tmp_path: Path) -> None:
    for turn in range(TURNS):
        root = tmp_path / str(turn)
        root.mkdir()
        rotate = partial(rewrap, Settings(storage=Storage(data_dir=root)), None)
        works = iter([partial(begun, root), rotate] * (AT_ONCE // 2))
        found = at_once(lambda works=works: next(works)())
        assert [each for each in found if isinstance(each, dict)] == [begun(root)] * (AT_ONCE // 2)


def test_an_import_beside_a_first_start_uses_the_keys_that_are_made(tmp_path: Path) -> None:
    for turn in range(TURNS):
        root = tmp_path / str(turn)
        root.mkdir()
        settings = Settings(storage=Storage(data_dir=root))
        works = iter([partial(begun, root), partial(fingerprint_key, settings)] * (AT_ONCE // 2))
        found = at_once(lambda works=works: next(works)())
        assert {each for each in found if isinstance(each, bytes)} == {begun(root)["eu"].dedup}


def test_an_import_makes_no_keys_for_a_region_that_is_gone(tmp_path: Path) -> None:
    ControlStore(tmp_path / CONTROL, SystemClock()).close()
    begun(tmp_path)
    shutil.rmtree(tmp_path / "eu")
    with pytest.raises(ConfigError, match="is gone"):
        fingerprint_key(Settings(storage=Storage(data_dir=tmp_path)))
    assert not (tmp_path / "eu").exists()


def test_an_installation_that_several_set_up_at_once_has_its_keys_once(tmp_path: Path) -> None:
    for turn in range(TURNS):
        folder = tmp_path / str(turn)
        environ = {"CONSENTRY_STORAGE_DATA_DIR": str(folder / "data")}
        made = at_once(partial(complete, folder / "consentry.toml", environ))
        assert sorted(each is None for each in made) == [False, *[True] * (AT_ONCE - 1)]
        with closing(ControlStore(folder / "data" / CONTROL, SystemClock())) as control:
            assert len(control.keys()) == len(KeyKind)
        assert (folder / "consentry.toml").read_text() == example()


def test_an_installation_whose_making_was_broken_off_gets_all_of_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, environ = tmp_path / "consentry.toml", {"CONSENTRY_STORAGE_DATA_DIR": str(tmp_path / "data")}
    create_key, made = ControlStore.create_key, []

    def broken_off(*given, **named):
        if made:
            raise KeyboardInterrupt
        made.append(create_key(*given, **named))
        return made[0]

    monkeypatch.setattr(ControlStore, "create_key", broken_off)
    with pytest.raises(KeyboardInterrupt):
        complete(config, environ)
    monkeypatch.undo()
    secrets = complete(config, environ)
    assert secrets is not None
    assert secrets.keys() == set(KeyKind)


def test_one_after_the_other_moves_in(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with moving_in(tmp_path):
            waiting = pool.submit(begun, tmp_path)
            with pytest.raises(TimeoutError):
                waiting.result(0.5)
            assert list(tmp_path.iterdir()) == []
        assert waiting.result() == begun(tmp_path)


def test_a_database_that_several_begin_at_once_opens_for_all(tmp_path: Path) -> None:
    def journal(path: Path) -> str:
        with closing(open_database(path, "control")) as connection:
            return connection.execute("PRAGMA journal_mode").fetchone()[0]

    for turn in range(TURNS):
        assert at_once(partial(journal, tmp_path / f"{turn}.db")) == ["wal"] * AT_ONCE
