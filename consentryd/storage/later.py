"""What people decided after a backup was made, read from a later copy of the databases and carried into the restored ones."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from consentryd.model.error import ConfigError, CorruptStore
from consentryd.storage.backup import copy_pages
from consentryd.storage.choice import ChoiceState, read_choices, standing_of
from consentryd.storage.damage import is_damage
from consentryd.storage.database import open_database, transaction
from consentryd.storage.keys import RING, is_wrapped_by
from consentryd.storage.ledger import EntryKind
from consentryd.storage.master import MasterKey
from consentryd.storage.signing import SIGNING, read
from consentryd.storage.withdrawal import note_refusal

LATER: Final = "later.db"
SINCE: Final = "Name a folder with a later copy of it by --since."

#: What tells of later decisions; nothing else of a later database has to be whole.
TELLING: Final = (
    "erased",
    "suppression",
    "legal_hold",
    "restriction",
    "held_back",
    "alias",
    "identity",
    "withdrawal",
    "choice",
    "choice_proof",
    "personal_use",
    "request",
    "request_identity",
    "request_reach",
    "artifact",
    "delivery",
    "ledger",
    "ledger_node",
    "ledger_checkpoint",
)
_KEYS: Final = ("api_key",)

#: What later decisions of people look like, table by table: rows that the backup lacks, those that are newer than its own, and in the place
#: of what may also end (a hold that was lifted) all that is in force.
_CARRIED: Final = (
    "INSERT OR IGNORE INTO erased SELECT * FROM later.erased",
    "DELETE FROM suppression",
    "INSERT INTO suppression SELECT * FROM later.suppression",
    "DELETE FROM legal_hold",
    "INSERT INTO legal_hold SELECT * FROM later.legal_hold",
    "DELETE FROM restriction",
    "INSERT INTO restriction SELECT * FROM later.restriction",
    "DELETE FROM held_back",
    "INSERT INTO held_back SELECT * FROM later.held_back",
    "INSERT OR REPLACE INTO alias SELECT * FROM later.alias",
    (
        "INSERT OR REPLACE INTO identity SELECT * FROM later.identity "
        "WHERE subject IN (SELECT subject FROM later.choice UNION SELECT subject FROM later.restriction)"
    ),
    "INSERT OR REPLACE INTO withdrawal SELECT * FROM later.withdrawal",
    (
        "INSERT INTO withdrawal SELECT becomes, purpose, until FROM withdrawal JOIN alias USING (subject) WHERE true "
        "ON CONFLICT DO UPDATE SET until = max(until, excluded.until)"
    ),
    "DELETE FROM withdrawal WHERE subject IN (SELECT subject FROM alias)",
    (
        "INSERT INTO choice SELECT * FROM later.choice WHERE true ON CONFLICT DO UPDATE SET state = excluded.state, "
        "vouched = excluded.vouched, decided_at = excluded.decided_at, entry = excluded.entry, notice = excluded.notice "
        "WHERE excluded.decided_at > decided_at"
    ),
    "INSERT OR IGNORE INTO choice_proof SELECT * FROM later.choice_proof",
    "INSERT OR IGNORE INTO personal_use SELECT * FROM later.personal_use",
    "INSERT OR REPLACE INTO request SELECT * FROM later.request",
    "INSERT OR IGNORE INTO request_identity SELECT * FROM later.request_identity",
    "DELETE FROM request_reach",
    "INSERT INTO request_reach SELECT * FROM later.request_reach",
    "INSERT OR IGNORE INTO ledger SELECT * FROM later.ledger",
    "INSERT OR IGNORE INTO ledger_node SELECT * FROM later.ledger_node",
    "INSERT OR REPLACE INTO ledger_checkpoint SELECT * FROM later.ledger_checkpoint",
    "DELETE FROM delivery",
    "INSERT INTO delivery SELECT * FROM later.delivery",
    "DELETE FROM artifact",
    (  # exports that waited to be fetched were in no backup: they are made again
        "UPDATE request SET status = 'pending', step = 'accepted', result = NULL, done_at = NULL "
        "WHERE status = 'completed' AND id IN (SELECT request FROM later.artifact)"
    ),
)


#: Whoever has an alias since then only.
_MERGED: Final = "SELECT becomes, created_at FROM later.alias WHERE subject NOT IN (SELECT subject FROM alias)"


class Merged(NamedTuple):
    """Somebody became one with this subject then (UTC microseconds)."""

    subject: int
    at: int


def copy_later(later: Path, scratch: Path, schema: str, tables: Sequence[str]) -> None:
    """A copy of a later database, brought to today's tables; the original stays as it is. Raises `ConfigError` if `tables` are damaged."""
    problem = None
    try:
        copy_pages(later, scratch, schema)
        with closing(open_database(scratch, schema)) as connection:
            for table in tables:
                problem = problem or _problem_of(connection, table)
            connection.execute("PRAGMA journal_mode = DELETE")
    except (sqlite3.DatabaseError, CorruptStore) as error:
        if not isinstance(error, CorruptStore) and not is_damage(error):
            raise
        problem = "it cannot be read"
    if problem is not None:
        scratch.unlink(missing_ok=True)
        raise ConfigError(f"{later} is damaged in what tells of the time since the backup ({problem}). {SINCE}")


def _problem_of(connection: sqlite3.Connection, table: str) -> str | None:
    found = str(connection.execute(f"PRAGMA quick_check({table})").fetchone()[0])
    return None if found == "ok" else f"{table}: {' '.join(found.split())}"


def carry_api_keys(later: Path, restored: Path) -> bool:
    """Keys that were revoked since stay so, and who got one since may go on; whether `later` could tell."""
    if not later.exists() or not restored.exists():
        return False
    scratch = restored.with_name(LATER)
    try:
        copy_later(later, scratch, "control", _KEYS)
    except ConfigError:
        return False
    with closing(open_database(restored, "control")) as connection, _attached(connection, scratch):
        connection.execute("INSERT OR REPLACE INTO api_key SELECT * FROM later.api_key")
    scratch.unlink()
    return True


def carry_keys(later: Path, restored: Path, master: MasterKey) -> None:
    """The ledger goes on, so the keys that signed its newer part go with it, unless it is another ledger's. If the master key was rotated
    since, the ring that the new one wraps takes the place of the old."""
    theirs, own = later / SIGNING, restored / SIGNING
    if theirs.exists() and (not own.exists() or read(theirs)["origin"] == read(own)["origin"]):
        shutil.copy2(theirs, own)
    if not is_wrapped_by(restored / RING, master) and is_wrapped_by(later / RING, master):
        shutil.copy2(later / RING, restored / RING)


@contextmanager
def _attached(connection: sqlite3.Connection, later: Path) -> Iterator[None]:
    """As `later`, within one transaction."""
    connection.execute("ATTACH DATABASE ? AS later", (str(later),))
    try:
        with transaction(connection):
            yield
    finally:
        connection.execute("DETACH DATABASE later")


def carry(connection: sqlite3.Connection, later: Path, region: str) -> list[Merged]:
    """Take over what people decided after the backup was made; who was merged since.

    Raises `ConfigError` if `later` is older, or another's.
    """
    with _attached(connection, later):
        newest = connection.execute("SELECT entry, leaf FROM ledger ORDER BY entry DESC LIMIT 1").fetchone()
        if (
            newest is not None
            and not connection.execute("SELECT 1 FROM later.ledger WHERE entry = ? AND leaf = ?", newest).fetchone()
        ):
            raise ConfigError(
                f"What was to tell who was erased in region {region} since the backup is older than the backup, or of another "
                f"installation: its ledger is not the backup's continued. {SINCE}"
            )
        merged = [Merged(*row) for row in connection.execute(_MERGED)]
        for statement in _CARRIED:
            connection.execute(statement)
    return merged


def hide_refused(connection: sqlite3.Connection, size: int, merged: Iterable[Merged], keeps: Callable[[str], bool]) -> int:
    """What was refused since the ledger had `size` entries is out of every query and waits to go, as it did, and so is what a refusal has
    reached because people were merged since; how often something was rectified since."""
    rectified = 0
    for subject, at in merged:
        choices = read_choices(connection, subject)
        refused = standing_of(choices).refused
        for purpose in standing_of(choice for choice in choices if choice.decided_at <= at).refused:
            if purpose in refused or not keeps(purpose):
                note_refusal(connection, subject, purpose, at)
    for entry, at, kind, text in connection.execute(
        "SELECT entry, at, kind, body FROM ledger WHERE entry >= ? ORDER BY entry", (size,)
    ).fetchall():
        body = json.loads(text)
        if kind == EntryKind.CONSENT:
            purposes = [purpose for purpose, state in body["choices"].items() if state != ChoiceState.GRANTED]
            subjects = connection.execute("SELECT subject FROM choice_proof WHERE entry = ?", (entry,)).fetchall()
        elif kind == EntryKind.OBJECTION:
            purposes, subjects = body["purposes"], connection.execute(_OBJECTORS, (entry, body["request"])).fetchall()
        else:
            rectified += kind == EntryKind.RECTIFICATION
            continue
        for (subject,) in subjects:
            refused = standing_of(read_choices(connection, subject)).refused
            for purpose in purposes:
                if purpose in refused or not keeps(purpose):
                    note_refusal(connection, subject, purpose, at)
    return rectified


_OBJECTORS: Final = (
    "SELECT subject FROM choice WHERE entry = ?1 "
    "UNION SELECT subject FROM request_identity JOIN identity USING (digest) WHERE request = ?2"
)
