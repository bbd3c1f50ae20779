-- A subject is whom an identity, an e-mail address or a merge leads to: a table of its own cost each newcomer a page of it.
DROP TABLE subject;
DROP INDEX identity_subject;
CREATE INDEX identity_subject ON identity (subject, known);
