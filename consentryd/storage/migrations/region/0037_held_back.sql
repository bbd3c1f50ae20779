-- Subjects whose erasure is on hold: what is kept for the law is shown to nobody but themselves.
CREATE TABLE held_back (
    subject INTEGER NOT NULL,
    request TEXT NOT NULL,
    PRIMARY KEY (subject, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX held_back_request ON held_back (request);
