"""Events that look real, and a log filled as the log itself fills it."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa

from consentryd.model.clock import DAY, HOUR
from consentryd.model.event import COLUMNS, POSITION
from consentryd.model.identity import MAX_SUBJECT
from consentryd.storage import block
from consentryd.storage.schema import EVENT_SCHEMA

JANUARY = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


def event(number: int, *, seed: int = 0, start: int = JANUARY, days: int = 59, **values: Any) -> list[Any]:
    """One row of `COLUMNS`; every fifth is anonymous. Same numbers, same event."""
    rng = random.Random(seed * 1_000_003 + number)
    anonymous = number % 5 == 4
    time = start + rng.randrange(days * DAY)
    row: dict[str, Any] = {
        "event_id": f"e-{seed}-{number}",
        "site": "shop",
        "type": "track",
        "event": rng.choice(["product_viewed", "cart_viewed", "order_completed"]),
        "time": time,
        "received_at": time + HOUR,
        "lane": "anonymous" if anonymous else "consented",
        "purpose": "analytics",
        "consent_ref": "policy:1",
        "subject": None if anonymous else random.Random(rng.randrange(500)).randrange(MAX_SUBJECT),
        "session": rng.randrange(2**40),
        "country": rng.choice(["DE", "FR", "ES"]),
        "device": "desktop",
        "browser_major": 140,
        "path": f"/p/{rng.randrange(300)}",
        "revenue": "12.5000" if number % 7 == 0 else None,
        "properties": orjson.dumps({"sku": f"SKU-{rng.randrange(2000)}", "note": rng.randbytes(40).hex()}).decode(),
        "schema_version": 1,
    } | values
    return [row.get(column.name) for column in COLUMNS]


def hash_of(row: Sequence[Any]) -> int:
    return int.from_bytes(hashlib.blake2b(str(row[POSITION["event_id"]]).encode(), digest_size=8).digest(), "big")


def append_rows(connection: sqlite3.Connection, rows: Sequence[Sequence[Any]], *, commit: int = 50, at: int = JANUARY) -> None:
    """Commit rows to the log, `commit` at a time, in the form the log writes."""
    for start in range(0, len(rows), commit):
        group = rows[start : start + commit]
        connection.execute(
            "INSERT INTO log (events, committed_at, hashes, body) VALUES (?, ?, ?, ?)",
            (len(group), at, block.pack_hashes([hash_of(row) for row in group]), block.encode(group)),
        )


def table(rows: Sequence[Sequence[Any]]) -> pa.Table:
    """What the rows are as events, value by value."""
    columns = zip(EVENT_SCHEMA, zip(*rows, strict=True), strict=True)
    return pa.table([pa.array(_values(field, values), field.type) for field, values in columns], schema=EVENT_SCHEMA)


def _values(field: pa.Field, values: Sequence[Any]) -> list[Any]:
    money = pa.types.is_decimal(field.type)
    return [Decimal(value) if money and value is not None else value for value in values]


def ids(rows: Sequence[Sequence[Any]]) -> list[str]:
    return sorted(row[POSITION["event_id"]] for row in rows)
