-- The durable log: one row per group commit. body and hashes are described in storage/block.py.
CREATE TABLE log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    events INTEGER NOT NULL,
    committed_at INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- Event ids of sealed log rows, for deduplication: sorted 64-bit keyed hashes, in chunks, a run per seal.
CREATE TABLE seen (
    run INTEGER NOT NULL,
    first BLOB NOT NULL,
    newest_at INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (run, first)
) STRICT, WITHOUT ROWID;

-- Keyed digest of an identity -> its subject. `known` marks digests of user ids.
CREATE TABLE identity (
    digest BLOB PRIMARY KEY,
    subject INTEGER NOT NULL,
    known INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_subject ON identity (subject);

-- Every subject handed out; `known` once a user id belongs to it.
CREATE TABLE subject (
    id INTEGER PRIMARY KEY,
    known INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- A merged subject and the one it is now; queries follow it, compaction rewrites it.
CREATE TABLE alias (
    subject INTEGER PRIMARY KEY,
    becomes INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- What other processes must forget from their caches: the digest whose identity, choice or suppression changed.
CREATE TABLE change (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Refused events, scrubbed, for a while.
CREATE TABLE rejected (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    site TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    event TEXT NOT NULL
) STRICT;
CREATE INDEX rejected_received_at ON rejected (received_at);

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;
