-- What each subject last chose, per purpose and per identity that spoke (digest). state: granted, denied, withdrawn. vouched: a server of
-- the site spoke for the person, so that it counts for all their identities. entry: the ledger entry that proves it. notice: the version
-- of the notice that was shown.
CREATE TABLE choice (
    subject INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    digest BLOB NOT NULL,
    state TEXT NOT NULL,
    vouched INTEGER NOT NULL,
    decided_at INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    notice TEXT,
    PRIMARY KEY (subject, purpose, digest)
) STRICT, WITHOUT ROWID;

-- What links a ledger entry to the subject whose choice it records: without the nonce its commitments say nothing.
CREATE TABLE choice_proof (
    entry INTEGER PRIMARY KEY,
    subject INTEGER NOT NULL,
    nonce BLOB NOT NULL
) STRICT;
CREATE INDEX choice_proof_subject ON choice_proof (subject);

-- Refusals whose stored events still wait to be erased or anonymised: those received until then.
CREATE TABLE withdrawal (
    subject INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (subject, purpose)
) STRICT, WITHOUT ROWID;

-- Identities whose future events are refused, until a time (null: for ever). Kept by digest: the subject itself may be gone.
CREATE TABLE suppression (
    digest BLOB PRIMARY KEY,
    until INTEGER,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The ledger: canonical JSON entries without personal data, numbered from 0. leaf is the RFC 9162 leaf hash of body.
CREATE TABLE ledger (
    entry INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    leaf BLOB NOT NULL
) STRICT;

-- Hashes of complete Merkle subtrees: node `position` of `level` >= 1 covers entries [position << level, (position + 1) << level).
CREATE TABLE ledger_node (
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, position)
) STRICT, WITHOUT ROWID;

-- The last signed checkpoint of each UTC day.
CREATE TABLE ledger_checkpoint (
    day TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    note TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- How people chose, counted by day: never by person.
CREATE TABLE consent_statistic (
    day TEXT NOT NULL,
    site TEXT NOT NULL,
    purpose TEXT NOT NULL,
    country TEXT NOT NULL,
    device TEXT NOT NULL,
    notice TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (day, site, purpose, country, device, notice, source, state)
) STRICT, WITHOUT ROWID;
