"""SQL for analysts: what it shows, what it never does."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path

import duckdb
import orjson
import pyarrow as pa
import pytest

from consentryd.analytics import format as forms
from consentryd.analytics.control import Control
from consentryd.analytics.sandbox.answer import SqlAnswer
from consentryd.gateway.sql import describe
from consentryd.model.error import ConsentryError
from tests.analytics.site import NOW, Shop, instant, subject


@pytest.fixture
def busy(shop: Shop) -> Shop:
    shop.add(
        (1, "2026-03-01", "viewed", {"country": "DE", "session": 7, "plan": "pro"}),
        (1, "2026-03-01T12:10:00", "bought", {"country": "DE", "session": 7, "revenue": "9.5000"}),
        (2, "2026-03-02", "viewed", {"country": "FR"}),
        (None, "2026-03-02", "viewed", {"country": "FR"}),
        (3, "2026-03-02", "viewed", {"purpose": "marketing"}),
        (4, "2026-03-02", "viewed", {"site": "other"}),
    )
    return shop


def ask(shop: Shop, sql: str, nonce: int = 1, seconds: float = 20.0):
    return shop.engine.sql(sql, "shop", instant(NOW), Control(seconds), nonce=nonce)


def test_the_views_show_the_site_and_its_purposes_only(busy):
    busy.seal()
    busy.add((5, "2026-03-03", "viewed", {}))
    found = ask(busy, "SELECT count(*) AS n, count(DISTINCT subject) AS people FROM events").table.to_pylist()
    assert found == [{"n": 5, "people": 3}]
    assert ask(busy, "FROM sessions SELECT seconds, events, entry_path").table.to_pylist() == [
        {"seconds": 600.0, "events": 2, "entry_path": None}
    ]
    assert ask(busy, "SELECT sum(revenue) AS r FROM subjects").table["r"].to_pylist()[0] == pytest.approx(9.5)


def test_hidden_subjects_are_in_no_view(busy):
    busy.database.execute("INSERT INTO tombstone (subject, request) VALUES (?, 'r')", (subject(1),))
    assert ask(busy, "SELECT count(*) AS n FROM events").table["n"].to_pylist() == [2]
    assert ask(busy, "SELECT count(*) AS n FROM subjects").table["n"].to_pylist() == [1]


def test_a_subject_has_another_number_in_the_next_statement_and_never_the_stored_one(busy):
    first, second = (ask(busy, "SELECT subject FROM subjects ORDER BY 1", nonce).table["subject"].to_pylist() for nonce in (1, 2))
    assert len({*first, *second, subject(1), subject(2)}) == 6


def test_rows_beyond_the_limit_are_left_out_and_that_is_said(tmp_path):
    shop = Shop(tmp_path, sql_rows=2)
    shop.add(*((1, f"2026-03-0{day}", "viewed", {}) for day in range(1, 6)))
    found = ask(shop, "SELECT time FROM events")
    assert (found.table.num_rows, found.more) == (2, True)
    shop.close()


def test_an_answer_that_is_too_large_is_refused(tmp_path):
    shop = Shop(tmp_path, memory_mb=64)
    assert ask(shop, "SELECT string_agg('x', '') AS x FROM range(1000000)").table.num_rows == 1
    with pytest.raises(ConsentryError, match="too large") as error:
        ask(shop, "SELECT string_agg('x', '') AS x FROM range(9000000)")
    assert (error.value.code, error.value.detail) == ("too_expensive", {"limit_bytes": 8 << 20})
    shop.close()


def test_a_statement_that_takes_too_long_is_stopped(busy):
    with pytest.raises(ConsentryError) as error:
        ask(busy, "SELECT count(*) FROM range(100000000) a(x), range(100000) b(y) WHERE x * y % 7 = 1", seconds=0.3)
    assert error.value.code == "too_expensive"


ESCAPES = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "{lake}"',
    "SELECT * FROM read_parquet('{lake}')",
    "SELECT * FROM parquet_metadata('{lake}')",
    "SELECT * FROM glob('/*')",
    'SELECT * FROM (WITH "{lake}" AS (SELECT 1) SELECT 1) a, "{lake}"',
    "WITH duckdb_settings AS (SELECT 1) SELECT * FROM duckdb_settings",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM main.events",
    "SELECT * FROM memory.main.events",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pragma_version()",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('events')",
    "SELECT current_setting('temp_directory')",
    "SELECT getenv('HOME')",
    "SELECT current_user, version()",
    "COPY (SELECT 1) TO '/tmp/consentry-escape'",
    "COPY events FROM '/etc/passwd'",
    "EXPORT DATABASE '/tmp/consentry-escape'",
    "ATTACH '/tmp/consentry-escape.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "RESET ALL",
    "PRAGMA database_list",
    "CREATE TABLE t AS SELECT * FROM events",
    "CREATE MACRO f(x) AS x",
    "INSERT INTO events SELECT * FROM events",
    "DELETE FROM events",
    "DROP VIEW events",
    "ALTER VIEW events RENAME TO e",
    "SELECT 1; SELECT 2",
    "SELECT 1; SET threads = 1",
    "DESCRIBE events",
    "SHOW ALL TABLES",
    "SUMMARIZE events",
    "CALL pragma_version()",
    "EXPLAIN SELECT 1",
    "VACUUM",
    "CHECKPOINT",
    "BEGIN",
    "PREPARE p AS SELECT 1",
    "SELECT * FROM shop",
    "SELECT * FROM rows_1_0",
    "SELECT repeat('x', 1000000000)",
    "SELECT range(1000000000)",
    "SELECT list_resize([1], 1000000000)",
    "SELECT consent_ref FROM events",
    "SELECT visitor FROM events",
    "SELECT event_id FROM events",
    "SELECT * FROM events AT (VERSION => 1)",
    "SELECT system.main.lower('A')",
    "SELECT nextval('s')",
    "SELECT ? FROM events",
    "SELECT $1",
    "",
    "SELECT",
    "-- nothing",
    "SELECT 1 --\0",
]


@pytest.mark.parametrize("sql", ESCAPES)
def test_nothing_but_reading_the_views_is_possible(busy, sql):
    busy.seal()
    lake = next(Path(busy.region).rglob("*.parquet"))
    with pytest.raises(ConsentryError) as error:
        ask(busy, sql.replace("{lake}", str(lake)))
    assert error.value.status == 422
    assert "passwd" not in error.value.message


@pytest.mark.parametrize(
    "sql",
    [
        "WITH daily AS (SELECT date_trunc('day', time) AS d, count(*) AS n FROM events GROUP BY 1) SELECT max(n) FROM daily",
        "SELECT event, row_number() OVER (PARTITION BY event ORDER BY time) FROM events QUALIFY row_number() OVER (ORDER BY time) < 3",
        "SELECT json_extract_string(properties, '$.plan') AS plan, approx_count_distinct(subject) FROM events GROUP BY ALL",
        "SELECT a.event FROM events a JOIN subjects s USING (subject) WHERE s.events > 1 AND a.time > TIMESTAMPTZ '2026-01-01'",
        "SELECT * FROM (VALUES (1), (2)) t(x), unnest([1, 2]) u(y), range(3) r(z)",
        "SELECT list_transform([1, 2], lambda x: x + 1), [y FOR y IN [1, 2] IF y > 1], {'a': 1}.a, INTERVAL 1 DAY, CAST(1 AS VARCHAR)",
        "SELECT count(*) FROM events UNION ALL SELECT count(*) FROM sessions",
        "SELECT CASE WHEN event LIKE 'v%' THEN 1 ELSE 0 END, time AT TIME ZONE 'Europe/Berlin', regexp_replace(event, 'v', 'w') FROM events",
    ],
)
def test_ordinary_analysis_is_possible(busy, sql):
    assert ask(busy, sql).table.num_rows > 0


def clauses(number: int, body: str) -> str:
    """A statement in which each of so many WITH clauses is made of the one before it, `{}` in `body`."""
    written = [f"c{n} AS ({body.replace('{}', 'events' if n == 0 else f'c{n - 1}')})" for n in range(number)]
    return f"WITH {', '.join(written)} SELECT count(*) FROM c{number - 1}"


GROWING = {
    "uses": "SELECT 1 AS event FROM {} x, {} y LIMIT 1",
    "columns": "SELECT *, * FROM {}",
    "renamed columns": "SELECT event FROM {} UNION BY NAME SELECT COLUMNS(*) AS 'p_\\0' FROM {}",
    "structs": "SELECT struct_pack(a := event, b := event) AS event FROM {}",
    "rows": "SELECT x AS event, x AS y FROM {} x",
}


@pytest.mark.parametrize("body", GROWING.values(), ids=GROWING)
def test_a_statement_that_doubles_with_each_clause_is_refused_before_it_is_planned(busy, body):
    assert ask(busy, clauses(4, body)).table.num_rows == 1
    with pytest.raises(ConsentryError) as error:
        ask(busy, clauses(40, body))
    assert (error.value.status, error.value.detail["field"]) == (422, "sql")
    assert "this statement" in error.value.message


def test_many_clauses_that_use_one_other_are_answered(busy):
    assert ask(busy, clauses(100, "SELECT * FROM {}")).table.to_pylist() == [{"count_star()": 4}]


@pytest.mark.parametrize("levels", [300, 900])
def test_a_statement_that_nests_too_deep_is_refused(busy, levels):
    with pytest.raises(ConsentryError, match="deep") as error:
        ask(busy, "SELECT * FROM (" * levels + "SELECT 1" + ")" * levels)
    assert error.value.status == 422


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY (SELECT 1) TO 'consentry-escape'",
        "ATTACH 'consentry-escape.db'",
        "SET threads = 7",
        "SET enable_external_access = true",
        "SELECT * FROM leaked",
    ],
)
def test_a_locked_connection_refuses_even_what_the_check_would_miss(busy, sql, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    leaked = pa.table({"secret": [1]})
    busy.seal()
    with busy.reader.snapshot() as snapshot:
        snapshot.query("SELECT 1")
        snapshot.lock()
        assert snapshot.connection.sql("SELECT count(*) AS n FROM events").to_arrow_table()["n"].to_pylist() == [6]
        with pytest.raises(duckdb.Error):
            snapshot.connection.execute(sql)
    assert leaked.num_rows == 1


def test_a_subjects_revenue_is_in_one_currency(tmp_path):
    rates = tmp_path / "rates.csv"
    rates.write_text("day,currency,rate\n2026-02-27,GBP,1.2\n2026-02-27,JPY,0.006\n")
    shop = Shop(tmp_path, rates=rates)
    for number, (amount, currency, day) in enumerate(
        [("10", None, 1), ("10", "EUR", 1), ("10", "GBP", 2), ("90", "JPY", 2), ("10", "USD", 2), ("10", "GBP", 20)]
    ):
        shop.add((1 + number // 4, f"2026-03-{day:02}", "bought", {"revenue": f"{amount}.0000", "currency": currency}))
    found = ask(shop, "SELECT revenue, without_rate FROM subjects ORDER BY events DESC").table.to_pylist()
    assert found == [
        {"revenue": Decimal("32.5400"), "without_rate": 0},
        {"revenue": None, "without_rate": 2},
    ]
    shop.close()


PLAIN = {
    "INTERVAL 1 DAY": "1 day",
    "max(time) - min(time)": "1 day",
    "'\\xAB'::BLOB": "\\xAB",
    "'infinity'::TIMESTAMP": "infinity",
    "'-infinity'::TIMESTAMPTZ": "-infinity",
    "'infinity'::DATE": "infinity",
    "'12000-01-01'::DATE": "12000-01-01",
    "'12000-01-01 10:00:00'::TIMESTAMP_S": "12000-01-01 10:00:00",
    "'2026-01-01 00:00:00.123456789'::TIMESTAMP_NS": "2026-01-01 00:00:00.123456789",
    "'24:00:00'::TIME": "24:00:00",
    "'101'::BIT": "101",
    "[INTERVAL 1 DAY]": '["1 day"]',
    "{'d': DATE '2026-01-01'}": '{"d":"2026-01-01"}',
    "[1, 2]": [1, 2],
    "{'a': [1]}": {"a": [1]},
    "MAP {'k': 1}": [["k", 1]],
}


@pytest.mark.parametrize(("expression", "value"), PLAIN.items())
def test_every_form_holds_every_kind_of_value(busy, expression, value):
    table = ask(busy, f"SELECT {expression} AS x, NULL AS y FROM events WHERE subject IS NOT NULL").table.slice(0, 1)
    shown = orjson.loads(orjson.dumps(describe(SqlAnswer(table, more=False)), default=str))
    assert shown["rows"] == [[value, None]]
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    (_, (cell, _)) = csv.reader(io.StringIO(forms.encode_table(table, forms.CSV).decode()))
    assert cell.removeprefix("'") == text
    for media_type in (forms.ARROW, forms.PARQUET):
        assert forms.encode_table(table, media_type)


def test_a_message_says_what_is_wrong(busy):
    for sql, part in [
        ("WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t WHERE x < 3) SELECT * FROM t", "RECURSIVE"),
        ("SUMMARIZE events", "SUMMARIZE"),
    ]:
        with pytest.raises(ConsentryError) as error:
            ask(busy, sql)
        assert part in error.value.message
    assert ask(busy, "SELECT unnest([1, 2]) AS x").table["x"].to_pylist() == [1, 2]
