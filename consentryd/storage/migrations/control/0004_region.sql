-- Regions that were opened here, since when: one whose database is gone is not begun anew by itself.
CREATE TABLE region (
    name TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
