"""What commands print on: text for people, JSON for programs, one red line for an error."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import orjson
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

WIDE: Final = 200  # columns, where nobody's terminal says
_APART: Final = 2  # columns between those of a table
_LEAST: Final = 16  # columns in which the beginning of a long text says something

#: What a terminal obeys rather than shows: control characters but tab and line feed, and the marks that turn the direction of writing.
_COMMANDS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """A sender's text such that no terminal obeys it: an escape character, for one, is spelt as Python spells it."""
    return _COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _Console(Console):
    """Tables give it their texts by this method, before they lay them out."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(shown(text), **options)


def spoken(error: OSError) -> str:
    """`PATH: No such file or directory.`, without the number that only programs know."""
    if error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}." if error.filename is not None else f"{error.strerror}."


def counted(number: int, one: str, many: str = "") -> str:
    """`1 event`, `1,000 events`, `2 entries`: `many` where it is more than an `s` that is added."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def say(text: str = "", style: str | None = None) -> None:
    """A line as it is: never wrapped, so that it can be copied, and never read as markup."""
    Console(soft_wrap=True).print(Text(shown(text), style=style or ""))


def say_all(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)
    sys.stdout.flush()


def show(renderable: Any) -> None:
    """A table or another thing that `rich` draws. Its texts are shown as they are: `[email]` is what scrubbing leaves, and no markup."""
    plain = partial(_Console, markup=False, emoji=False)
    console = plain()
    if not console.is_terminal:
        console = plain(width=WIDE)
    console.print(renderable)


def table_of_ids(*others: str) -> Table:
    """A table whose first column, `id`, is whole however narrow the terminal is, for other commands take what stands there."""
    table = Table(box=None)
    table.add_column("id", no_wrap=True)
    for name in others:
        table.add_column(name, overflow="fold")
    return table


def fits(table: Table) -> bool:
    """Whether a terminal, if this is one, is wide enough for a table, of whose columns that may wrap a part will do."""
    console = Console()
    return not console.is_terminal or sum(_width(column) + _APART for column in table.columns) <= console.width


def _width(column: Column) -> int:
    width = max(cell_len(str(cell)) for cell in (column.header, *column.cells))
    return width if column.no_wrap else min(width, _LEAST)


def show_json(value: Any) -> None:
    """One JSON document, on one line."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS).decode())
    sys.stdout.flush()


def complain(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(Text(shown(text), style="red"))


@contextmanager
def bar(what: str, *, quiet: bool) -> Iterator[Any]:
    """A bar on a terminal's standard error; elsewhere nothing."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal or not sys.stderr.isatty():
        yield lambda _step, _done=0, _of=0: None
        return
    columns = (TextColumn(what), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task: TaskID = progress.add_task("", total=None)

        def show(step: str, done: int = 0, of: int = 0) -> None:
            progress.update(task, description=step, completed=done, total=of or None)

        yield show
