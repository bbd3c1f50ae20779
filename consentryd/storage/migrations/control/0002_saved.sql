-- What analysts saved: queries, cohorts and funnels of a site, by name. Deleted ones keep their versions for the record.
CREATE TABLE saved (
    id TEXT PRIMARY KEY,
    site TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('query', 'cohort', 'funnel')),
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX saved_name ON saved (site, type, name) WHERE deleted_at IS NULL;

-- Every version of a saved definition; key: the id of the key that wrote it.
CREATE TABLE saved_version (
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (id, version)
) STRICT, WITHOUT ROWID;

-- Questions that were answered lately, so that the subjects behind a number can be asked for.
CREATE TABLE asked (
    id TEXT PRIMARY KEY,
    site TEXT NOT NULL,
    body TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX asked_at ON asked (at);

-- Who looked at subjects one by one: never at whom.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    site TEXT NOT NULL,
    key TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
