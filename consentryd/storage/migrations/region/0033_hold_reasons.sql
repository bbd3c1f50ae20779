-- Several matters may hold one identity: each stands, and is lifted, for itself.
CREATE TABLE legal_hold_by_reason (
    digest BLOB NOT NULL,
    reason TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    site TEXT NOT NULL,
    PRIMARY KEY (digest, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO legal_hold_by_reason SELECT digest, reason, created_at, site FROM legal_hold;
DROP TABLE legal_hold;
ALTER TABLE legal_hold_by_reason RENAME TO legal_hold;
