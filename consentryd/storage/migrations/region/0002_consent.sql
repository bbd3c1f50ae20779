-- What each subject last chose, per purpose. state: granted, denied, withdrawn. entry: the ledger entry that proves it.
CREATE TABLE choice (
    subject INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    state TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (subject, purpose)
) STRICT, WITHOUT ROWID;

-- Identities whose future events are refused, until a time (null: for ever). Kept by digest: the subject itself may be gone.
CREATE TABLE suppression (
    digest BLOB PRIMARY KEY,
    until INTEGER,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The ledger: canonical JSON entries without personal data. leaf is the RFC 9162 leaf hash of body.
CREATE TABLE ledger (
    entry INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    leaf BLOB NOT NULL
) STRICT;

-- Hashes of complete Merkle subtrees: node `position` of `level` covers entries [position << level, (position + 1) << level).
CREATE TABLE ledger_node (
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, position)
) STRICT, WITHOUT ROWID;
