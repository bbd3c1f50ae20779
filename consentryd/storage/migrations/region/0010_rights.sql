-- Requests of data subjects, as this region works on them. terms: what was asked, as JSON without personal data. sealed: whom it is about
-- and what the work must remember of them, encrypted with the region's `subject` key and gone when the work is done. step: how far it is.
CREATE TABLE request (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    step TEXT NOT NULL,
    terms TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    sealed BLOB,
    result TEXT,
    received_at INTEGER NOT NULL,
    starts_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    done_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX request_status ON request (status, received_at);

-- The identities a request names.
CREATE TABLE request_identity (
    digest BLOB NOT NULL,
    request TEXT NOT NULL,
    PRIMARY KEY (digest, request)
) STRICT, WITHOUT ROWID;

-- Subjects whose erasure is under way: no query, no count and no export shows them.
CREATE TABLE tombstone (
    subject INTEGER PRIMARY KEY,
    request TEXT NOT NULL
) STRICT;

-- Keyed marks of erased subjects: what a restored backup has to erase again. Nobody can tell the subject from one.
CREATE TABLE erased (
    mark BLOB PRIMARY KEY,
    request TEXT NOT NULL,
    erased_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Subjects whose processing is restricted: kept, and shown to nobody but themselves.
CREATE TABLE restriction (
    subject INTEGER PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT;

-- Identities that must not be erased for now, and why (no personal data).
CREATE TABLE legal_hold (
    digest BLOB PRIMARY KEY,
    reason TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- E-mail addresses as identities: several subjects may have named one.
CREATE TABLE email (
    digest BLOB NOT NULL,
    subject INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (digest, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX email_subject ON email (subject);

-- The keys that single values of a person are encrypted with, wrapped by the region's `subject` key.
CREATE TABLE subject_key (
    digest BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (digest, wrapped)
) STRICT, WITHOUT ROWID;

-- Which ledger entries record a use of a person's data: the entry commits to the identity under the nonce.
CREATE TABLE personal_use (
    digest BLOB NOT NULL,
    entry INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    PRIMARY KEY (digest, entry)
) STRICT, WITHOUT ROWID;

-- Exports that wait to be fetched: an encrypted file under the region's folder, and its wrapped key.
CREATE TABLE artifact (
    request TEXT PRIMARY KEY,
    wrapped BLOB NOT NULL,
    events INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Messages to others about a request. sealed: the body, encrypted; gone once answered or given up.
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    request TEXT NOT NULL,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    sealed BLOB,
    attempts INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    answered_at INTEGER,
    answer TEXT
) STRICT;
CREATE INDEX delivery_next ON delivery (answered_at, next_at);
