"""A database is where its path says, whatever its folder is called."""

from contextlib import closing

import pytest

from consentryd.model.error import CorruptStore
from consentryd.storage.damage import explain
from consentryd.storage.database import attach, open_database
from consentryd.storage.location import uri_of


@pytest.mark.parametrize("name", ["we#ird", "q?mode=memory", "100%41", "o'brien \" ü"])
def test_a_folder_may_have_any_name(tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    path = folder / "control.db"
    with closing(open_database(path, "control")) as made:
        made.execute("CREATE TABLE t (x)")
        with closing(open_database(path, "control", readonly=True)) as other:
            attach(other, path, "again")
            assert other.execute("SELECT count(*) FROM again.t").fetchone() == (0,)
    assert list(tmp_path.iterdir()) == [folder]
    assert list(folder.iterdir()) == [path]
    monkeypatch.chdir(tmp_path)
    assert uri_of(path.relative_to(tmp_path), "ro") == uri_of(path, "ro")


def test_damage_is_found_in_a_folder_of_any_name(tmp_path):
    folder = tmp_path / "a#b"
    folder.mkdir()
    sound, damaged = folder / "sound.db", folder / "damaged.db"
    for path in (sound, damaged):
        open_database(path, "control").close()
    damaged.write_bytes(b"no database at all, " * 200)
    with pytest.raises(CorruptStore) as raised:
        open_database(damaged, "control")
    assert explain(raised.value.__cause__, [sound, damaged]).startswith(f"{damaged}: ")
