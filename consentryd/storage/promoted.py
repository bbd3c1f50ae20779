"""Properties that lake files keep as columns of their own besides the JSON: what they are called, and how they are made.

A property is named by its JSON pointer. Of each there are three columns: its text, whether it is a list, and its number. DuckDB makes them,
so that a column and the extraction that it stands for cannot differ.

A whole number has one text however a sender writes it: Python's `5.0` and JavaScript's `5` are `5`, `-0.0` is `0`. Texts stay as they are,
so that a version "2.0" is not "2". Columns `text:` of older files are of texts as they were sent, and are not looked at: until it is merged,
such a file is read like one without columns.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa

from consentryd.model.pointer import pointer_to
from consentryd.storage.duck import duck
from consentryd.storage.schema import EVENT_SCHEMA

if TYPE_CHECKING:
    import duckdb

_TEXT, _LIST, _NUMBER = "value:", "is_list:", "as_number:"
_TYPES: Final = {_TEXT: pa.string(), _LIST: pa.bool_(), _NUMBER: pa.float64()}
_MEMORY: Final = "128MB"


class Forms(NamedTuple):
    """SQL of a property's columns: for its text (null where missing), for whether it is a list, and for its number; and for the text as it
    was sent, which costs half, for questions that a whole number's other spelling answers alike."""

    text: str
    is_list: str
    number: str
    sent: str


def pointer_of(name: str) -> str:
    """The JSON pointer (RFC 6901) of a property: `plan`, `user.plan` within an object, or a pointer itself."""
    if name.startswith("/"):
        return name
    return pointer_to(name.split("."))


def extracted(pointer: str, row: str = "") -> Forms:
    """A property taken out of the JSON of the row `row`."""
    return taken(f"{row}properties", pointer)


def taken(source: str, pointer: str = "") -> Forms:
    """The value at a pointer within some JSON; by itself the whole of it."""
    quoted = "'" + pointer.replace("'", "''") + "'"
    sent = f"json_extract_string({source}, {quoted})"
    whole = f"ends_with({sent}, '.0') AND json_type({source}, {quoted}) = 'DOUBLE'"
    text = f"CASE WHEN {whole} THEN coalesce(nullif(left({sent}, -2), '-0'), '0') ELSE {sent} END"
    return Forms(text, f"json_type({source}, {quoted}) = 'ARRAY'", f"TRY_CAST({sent} AS DOUBLE)", sent)


def kept(pointer: str, row: str = "") -> Forms:
    """The same where the columns are."""
    text, is_list, number = (f"{row}{_quoted(prefix + pointer)}" for prefix in _TYPES)
    return Forms(text, is_list, number, text)


def fields(pointers: Sequence[str]) -> list[pa.Field]:
    """The columns of promoted properties, in the order of `Forms`."""
    return [pa.field(prefix + pointer, kind) for pointer in pointers for prefix, kind in _TYPES.items()]


def texts(pointers: Sequence[str]) -> list[str]:
    """Those of them that a dictionary makes small."""
    return [prefix + pointer for pointer in pointers for prefix in (_TEXT, _NUMBER)]


def pointers_in(names: Collection[str]) -> tuple[str, ...]:
    """Which properties a file with columns of these names has promoted, in its order."""
    return tuple(name.removeprefix(_TEXT) for name in names if name.startswith(_TEXT))


def pointers_of(names: Collection[str]) -> tuple[str, ...]:
    """The properties that any of these columns is of, each once."""
    parts = [name.partition(":") for name in names]
    return tuple(dict.fromkeys(pointer for prefix, colon, pointer in parts if prefix + colon in _TYPES))


def selected(pointers: Sequence[str], held: Collection[str]) -> list[str]:
    """Columns of a SELECT: of the properties in `held` as they are, of the others taken out of the JSON."""
    found = []
    for pointer in pointers:
        names = kept(pointer)
        text, is_list, number, _ = names if pointer in held else extracted(pointer)
        found += [f"{text} AS {names.text}", f"{is_list} AS {names.is_list}", f"{number} AS {names.number}"]
    return found


def events_sql(pointers: Sequence[str], held: Collection[str]) -> str:
    """The columns of an event, and of these properties, as the columns of a SELECT."""
    return ", ".join([*EVENT_SCHEMA.names, *selected(pointers, held)])


def is_read(pointer: str, expression: str) -> bool:
    """Whether an expression about the rows `e` and `h` looks at a property."""
    return any(extracted(pointer, row).sent in expression for row in ("e.", "h."))


def rewritten(expression: str, pointers: Collection[str]) -> str:
    """SQL about the rows `e` and `h` with these properties read from their columns in place of the JSON.

    What is replaced is the text of `extracted`, with quotes as they do not stand within a literal, so that no value can look like it.
    The text as it was sent is a part of the others, and comes last.
    """
    for pointer in pointers:
        for row in ("e.", "h."):
            for plain, column in zip(extracted(pointer, row), kept(pointer, row), strict=True):
                expression = expression.replace(plain, column)
    return expression


def promote(events: pa.Table, pointers: Sequence[str]) -> pa.Table:
    """Events with the columns of these properties appended."""
    if not pointers:
        return events
    schema = pa.schema(fields(pointers))
    with _instance().cursor() as connection:
        made = connection.from_arrow(events.select(["properties"])).project(", ".join(_made(pointers)))
        columns = made.to_arrow_table().cast(schema)
    for field in schema:
        events = events.append_column(field, columns[field.name])
    return events


def _made(pointers: Sequence[str]) -> list[str]:
    """As `selected`; the kind of a value is looked up for texts only that begin as a list does, for it is parsed once more."""
    found = []
    for pointer in pointers:
        names, (text, is_list, number, _) = kept(pointer), extracted(pointer)
        flag = f"coalesce(CASE WHEN starts_with({text}, '[') THEN {is_list} END, false)"
        found += [f"{text} AS {names.text}", f"{flag} AS {names.is_list}", f"{number} AS {names.number}"]
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@cache
def _instance() -> duckdb.DuckDBPyConnection:
    """Opened once a process: that takes 20 ms."""
    connection: duckdb.DuckDBPyConnection = duck().connect(
        config={
            "threads": 1,
            "memory_limit": _MEMORY,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    connection.execute("SET enable_external_access = false")
    return connection
