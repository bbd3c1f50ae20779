"""What commands print on, word by word."""

import pytest

from consentryd.gateway.cli.console import counted, show, table_of_ids


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ("event",), "0 events"),
        (1, ("event",), "1 event"),
        (2, ("entry", "entries"), "2 entries"),
        (1, ("entry", "entries"), "1 entry"),
        (12345, ("file",), "12,345 files"),
    ],
)
def test_one_is_told_from_many(number, words, said):
    assert counted(number, *words) == said


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_an_id_is_whole_and_no_other_text_is_cut(monkeypatch, capsys, columns):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    table = table_of_ids("kind", "site", "name", "made")
    table.add_row("key_0123456789ab", "privacy", "shop.example", "the backend's key", "2026-12-01T13:24:48Z")
    show(table)
    told = capsys.readouterr().out
    assert "key_0123456789ab" in told
    assert "…" not in told
