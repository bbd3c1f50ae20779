-- Identities that an erasure keeps out while it waits, besides those it names: what else the index knew of its person.
CREATE TABLE request_reach (
    digest BLOB NOT NULL,
    request TEXT NOT NULL,
    PRIMARY KEY (digest, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_reach_request ON request_reach (request);

-- Whom a request names, without reading whom all the others do.
CREATE INDEX request_identity_request ON request_identity (request);
