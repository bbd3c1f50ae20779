-- Who was merged into a subject, without reading every merge there ever was.
CREATE INDEX alias_becomes ON alias (becomes);
