"""Why a commit failed stands in the log and in the metrics; what a client sent never does."""

import errno
import io
import json
import sqlite3

import pytest

from consentryd.config.settings import Server
from consentryd.gateway.commit_trouble import SILENCE_S, Cause, CommitTrouble, cause_of
from consentryd.gateway.logs import open_logger
from consentryd.gateway.metrics import Metrics
from consentryd.model.error import CorruptStore, Unavailable
from consentryd.storage.subject import SubjectTaken


def of_sqlite(code, text="it failed", kind=sqlite3.OperationalError):
    error = kind(text)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (of_sqlite(sqlite3.SQLITE_FULL), Cause.DISK_FULL),
        (OSError(errno.ENOSPC, "No space left on device"), Cause.DISK_FULL),
        (Unavailable("store_unavailable", "The disk is nearly full."), Cause.DISK_FULL),
        (SubjectTaken("store_unavailable", "A new subject drew the id of another."), Cause.OTHER),
        (of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT), Cause.LOCKED),
        (of_sqlite(sqlite3.SQLITE_READONLY_DIRECTORY), Cause.READ_ONLY),
        (OSError(errno.EROFS, "Read-only file system"), Cause.READ_ONLY),
        (of_sqlite(sqlite3.SQLITE_CORRUPT, kind=sqlite3.DatabaseError), Cause.DAMAGED),
        (CorruptStore("eu/region.db is damaged"), Cause.DAMAGED),
        (of_sqlite(sqlite3.SQLITE_IOERR_FSYNC), Cause.IO),
        (OSError(errno.EIO, "Input/output error"), Cause.IO),
        (sqlite3.ProgrammingError("closed"), Cause.OTHER),
        (ValueError("jo@example.org"), Cause.OTHER),
    ],
)
def test_every_failure_has_one_of_few_causes(error, cause):
    assert cause_of(error) is cause


class Watch:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def trouble():
    stream, metrics, watch = io.StringIO(), Metrics(), Watch()
    made = CommitTrouble(metrics, open_logger(Server(log_format="json"), stream), watch)
    made.lines = lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    made.count = lambda cause: metrics.registry.get_sample_value(
        "consentry_commit_failures_total", {"region": "eu", "cause": cause}
    )
    made.clock = watch
    return made


def test_a_cause_is_told_at_once_then_rarely_and_always_counted(trouble):
    note = trouble.watch("eu")
    for _ in range(5):
        note(of_sqlite(sqlite3.SQLITE_FULL, "database or disk is full"))
    trouble.note("eu", of_sqlite(sqlite3.SQLITE_BUSY, "database is locked"))
    trouble.clock.now = SILENCE_S
    trouble.note("eu", of_sqlite(sqlite3.SQLITE_FULL, "database or disk is full"))
    assert [(line["cause"], line["reason"], line["since_last_line"]) for line in trouble.lines()] == [
        ("disk_full", "database or disk is full", 0),
        ("locked", "database is locked", 0),
        ("disk_full", "database or disk is full", 4),
    ]
    assert [trouble.count(cause) for cause in ("disk_full", "locked", "damaged")] == [6, 1, 0]


def test_a_text_that_may_be_a_clients_is_not_told(trouble):
    try:
        int("jo@example.org")
    except ValueError as error:
        trouble.note("eu", error)
    (line,) = trouble.lines()
    assert (line["error"], line["cause"]) == ("ValueError", "other")
    assert "jo@example.org" not in json.dumps(line)
    assert "test_commit_trouble.py" in line["at"][0]
