"""What commands print on, word by word."""

import pytest

from consentryd.gateway.cli.console import counted


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
