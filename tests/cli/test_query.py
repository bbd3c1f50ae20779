"""`consentry query` and `consentry sql`: questions asked of what is stored here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import closing
from decimal import Decimal

import pytest
from rich.table import Table
from rich.text import Text

from consentryd.gateway.cli.console import complain, say, show
from consentryd.gateway.cli.query import show_result, show_rows
from consentryd.model.clock import SystemClock
from consentryd.storage.database import open_database
from consentryd.storage.saved import SavedStore
from tests.storage.rows import append_rows, event

TRENDS = {"kind": "trends", "series": [{}], "range": {"from": "2026-01-01", "to": "2026-03-01"}, "interval": "month"}


@pytest.fixture
def filled(here, run):
    assert run("init").code == 0
    folder = here / "data" / "eu"
    folder.mkdir(parents=True, exist_ok=True)
    with closing(open_database(folder / "region.db", "region")) as connection:
        append_rows(connection, [event(number, site="default") for number in range(50)])
    (here / "q.json").write_text(json.dumps(TRENDS))
    return here


def test_a_query_is_answered_as_a_table_as_csv_or_as_json(filled, run):
    table = run("query", "q.json")
    assert (table.code, "total of any event" in table.out, "40" in table.out) == (0, True, True), table.err
    assert sum(int(row.split(",")[4]) for row in run("query", "q.json", "--format", "csv").out.splitlines()[1:]) == 40
    assert run("query", "q.json", "--format", "json").json["series"][0]["total"] == 40


def test_one_of_several_tables_is_printed(filled, run):
    (filled / "q.json").write_text(json.dumps({"kind": "stickiness", "range": TRENDS["range"]}))
    days = run("query", "q.json", "--format", "csv", "--table", "active by day").out.splitlines()
    assert (days[0].split(",")[:2], len(days)) == (['"start"', '"daily"'], 1 + 60)
    shown = run("query", "q.json", "--table", "active by day").out
    assert ("daily" in shown, "mean_buckets" in shown) == (True, False)
    assert "it has `active by day`" in run("query", "q.json", "--table", "pages").err
    assert "leave out `--table`" in run("query", "q.json", "--json", "--table", "active by day").err


def test_a_query_is_answered_in_a_process_of_its_own(filled):
    """Where no test before has loaded the models, in whatever order."""
    program = "import sys; from consentryd.gateway.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "query", "q.json", "--format", "json"]
    done = subprocess.run(command, cwd=filled, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["series"][0]["total"] == 40


def test_a_query_may_come_through_a_pipe(filled, run):
    os.mkfifo(filled / "pipe")
    writer = threading.Thread(target=(filled / "pipe").write_text, args=(json.dumps(TRENDS),), daemon=True)
    writer.start()
    assert run("query", "pipe", "--format", "json").json["series"][0]["total"] == 40
    writer.join(10)


def test_revenue_is_compared_with_a_time_that_had_none(filled, run):
    asked = {**TRENDS, "series": [{"math": "revenue"}], "compare": "previous"}
    (filled / "q.json").write_text(json.dumps(asked))
    told = run("query", "q.json")
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines()[-1].split()[-2:] == ["0.0000", "-"]


def test_a_saved_query_is_asked_by_its_name(filled, run):
    with closing(SavedStore(filled / "data" / "control.db", SystemClock())) as store:
        store.create("default", "query", "monthly", json.dumps({"name": "monthly", "definition": TRENDS}), "key_1")
    assert run("query", "monthly", "--format", "json").json["series"][0]["total"] == 40


def test_a_comparison_is_shown_and_nothing_over_time_where_there_is_only_a_total(filled, run):
    asked = {**TRENDS, "display": "total", "compare": "previous"}
    (filled / "q.json").write_text(json.dumps(asked))
    shown = run("query", "q.json").out
    assert [word for word in ("before", "change", "over time", "last") if word in shown] == ["before", "change"]
    head, line = run("query", "q.json", "--format", "csv").out.splitlines()
    assert dict(zip(head.split(","), line.split(","), strict=True))['"compared_total"'] == "0"
    (filled / "q.json").write_text(json.dumps({**TRENDS, "compare": "previous"}))
    shown = run("query", "q.json").out
    assert [word for word in ("before", "change", "over time", "last") if word in shown] == [
        "before",
        "change",
        "over time",
        "last",
    ]


def test_a_sum_below_0_that_rises_has_a_change_above_0(capsys):
    span = {"from_": "2026-01-01T00:00:00+00:00", "to": "2026-01-02T00:00:00+00:00", "interval": "day"}
    line = {
        "name": "sum of margin",
        "group": None,
        "rest": False,
        "values": [],
        "total": 50.0,
        "compared_to": [],
        "compared_total": -100.0,
    }
    facts = {
        "kind": "trends",
        "resolved_range": span,
        "timezone": "UTC",
        "series": [line],
        "warnings": [],
        "suppressed_groups": 0,
    }
    show_result(facts, {})
    assert "+150.0%" in capsys.readouterr().out


def test_a_range_is_told_by_its_first_and_its_last_day(filled, run):
    (filled / "q.json").write_text(json.dumps({**TRENDS, "interval": "day", "range": {"from": "2026-01-31", "to": "2026-01-31"}}))
    assert run("query", "q.json").out.splitlines()[0] == "2026-01-31 to 2026-01-31 by day, UTC"
    steps = [{"event": "order_completed"}, {"event": "order_refunded"}]
    asked = {"kind": "funnel", "steps": steps, "range": {"from": "2026-02-01", "to": "2026-02-28"}, "compare": "previous"}
    (filled / "q.json").write_text(json.dumps(asked))
    assert "entered 2026-01-04 to 2026-01-31" in run("query", "q.json").out


def test_a_site_of_which_there_is_nothing_is_an_error(filled, run):
    for command in (("query", "q.json"), ("sql", "SELECT count(*) FROM events")):
        found = run(*command, "--site", "nosuch")
        assert (found.code, found.out) == (1, "")
        assert "Nothing is stored of a site nosuch; there are default." in found.err


def test_mistakes_are_one_line(filled, run):
    assert run("query", "nothing").err.strip() == "There is neither a file nor a saved query nothing."
    (filled / "q.json").write_text('{"kind": "trends"}')
    found = run("query", "q.json")
    assert (found.code, found.err.strip()) == (1, "`series`: Field required.")


def test_sql_reads_the_views_and_nothing_else(filled, run):
    found = run("sql", "SELECT count(*) AS n FROM events WHERE lane = 'consented'", "--format", "json")
    assert (found.code, found.json) == (0, [{"n": 40}]), found.err
    refused = run("sql", "SELECT * FROM '/etc/passwd'")
    assert (refused.code, refused.out) == (1, "")


def test_a_report_on_one_subject_from_the_command_line_is_in_the_list_of_uses(filled, run):
    with closing(open_database(filled / "data" / "eu" / "region.db", "region")) as connection:
        connection.execute("INSERT INTO identity (digest, subject, known, created_at) VALUES (x'00', 77, 1, 1)")
    assert run("privacy", "uses").out.strip() == "Nobody's data was used."
    (filled / "q.json").write_text(json.dumps({"kind": "person", "subject": "77"}))
    assert run("query", "q.json", "--json").code == 0
    (use,) = run("privacy", "uses", "--json").json["uses"]
    assert (use["who"], use["why"], use["sites"], len(use["commitments"])) == (
        "command line",
        "report on one subject",
        ["default"],
        1,
    )
    shown = run("privacy", "uses").out
    assert "command line" in shown
    assert "report on one subject" in shown


def test_a_query_may_name_a_saved_cohort(filled, run):
    with closing(SavedStore(filled / "data" / "control.db", SystemClock())) as store:
        body = {"name": "all", "definition": {"type": "did"}}
        store.create("default", "cohort", "all", json.dumps(body), "key_1")
    (filled / "q.json").write_text(json.dumps({**TRENDS, "where": {"type": "cohort", "cohort": "all"}}))
    assert run("query", "q.json", "--json").json["series"][0]["total"] == 40


def test_an_answer_of_several_parts_is_printed_as_several_tables(filled, run):
    span = {"from": "2026-01-01", "to": "2026-02-28"}
    question = {"kind": "revenue", "recurring": {"event": "order_completed"}, "lifetime": {"ages": 2}, "range": span}
    (filled / "q.json").write_text(json.dumps(question))
    found = run("query", "q.json")
    assert found.code == 0, found.err
    assert [line for line in found.out.splitlines() if line in {"revenue", "recurring", "lifetime value by age"}] == [
        "revenue",
        "recurring",
        "lifetime value by age",
    ]
    assert "currency: EUR" in found.out


@pytest.mark.parametrize(
    ("question", "titles"),
    [
        ({"kind": "web", "goals": [{"name": "order", "event": {"event": "order_completed"}}]}, ["goals"]),
        ({"kind": "paths", "item": "event"}, ["items", "whole paths", "transitions"]),
        ({"kind": "stickiness"}, ["active by day"]),
        (
            {"kind": "adoption", "feature": {"event": "order_completed"}, "exposed": {"event": "order_completed"}},
            ["share that uses it again, by weeks", "shown, used, used again"],
        ),
    ],
    ids=lambda part: part.get("kind") if isinstance(part, dict) else "",
)
def test_every_part_of_an_answer_is_printed(filled, run, question, titles):
    (filled / "q.json").write_text(json.dumps({**question, "range": {"from": "2026-01-01", "to": "2026-02-28"}}))
    found = run("query", "q.json")
    assert found.code == 0, found.err
    assert [line for line in found.out.splitlines() if line in titles] == titles


def test_a_refused_prediction_says_why(filled, run):
    (filled / "q.json").write_text(json.dumps({"kind": "prediction", "outcome": "churn"}))
    found = run("query", "q.json")
    assert "refusals: too few positives, too few negatives" in found.out
    assert run("query", "q.json", "--json").json["model"] is None


def test_columns_named_by_numbers_are_shaded_by_their_values(monkeypatch, capsys):
    rows = [{"start": "2026-01", "0": "10.0000", "1": None}, {"start": "2026-02", "0": "5.0000", "1": "nothing"}]
    for name, value in {"FORCE_COLOR": "1", "COLORTERM": "truecolor", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    show_rows(rows)
    drawn = capsys.readouterr().out
    assert "48;2;0;150;0m10.0000" in drawn
    assert "48;2;0;95;0m5.0000" in drawn
    assert drawn.count("48;2;") == 2


def test_intervals_and_amounts_are_shown_as_other_numbers_are(capsys):
    show_rows([{"interval": (-0.6557447074046363, 75.544), "0": Decimal("21.4355")}])
    assert capsys.readouterr().out.split() == ["interval", "0", "[-0.6557,", "75.54]", "21.4355"]


@pytest.mark.parametrize("through", [Text, str])
def test_no_text_of_a_sender_is_obeyed_by_the_terminal(through, capsys):
    hostile = "a\x1b]0;mine\x07\x1b[2J\x9b31m\u202eb"
    if through is Text:
        show_rows([{"plan": hostile}])
    else:
        table = Table("plan")
        table.add_row(hostile)
        show(table)
    say(hostile)
    complain(hostile)
    out, err = capsys.readouterr()
    assert (out + err).count(r"a\x1b]0;mine\x07\x1b[2J\x9b31m\u202eb") == 3
    assert not any(sign in out + err for sign in "\x1b\x07\x9b\u202e")


def test_a_file_that_is_no_json_is_told_where_it_goes_wrong(filled, run):
    (filled / "q.json").write_text(json.dumps(TRENDS, indent=1)[:-2] + ",")
    told = run("query", "q.json")
    assert (told.code, told.err) == (1, "q.json is not JSON: it goes wrong at line 10, column 22.\n")
    (filled / "q.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(TRENDS).encode())  # as some editors write it
    assert run("query", "q.json").code == 0
