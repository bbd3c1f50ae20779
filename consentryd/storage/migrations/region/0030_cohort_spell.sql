-- Who was in a saved cohort: from when until when; left_at null: still is. An erased subject's rows go, a merged one is read as what it is now.
CREATE TABLE cohort_spell (
    subject INTEGER NOT NULL,
    cohort TEXT NOT NULL,
    entered_at INTEGER NOT NULL,
    left_at INTEGER,
    PRIMARY KEY (subject, cohort, entered_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX cohort_spell_cohort ON cohort_spell (cohort, left_at);
INSERT INTO cohort_spell (subject, cohort, entered_at) SELECT subject, cohort, 0 FROM cohort_member;
DROP TABLE cohort_member;

-- When a cohort's members were looked up, and by which version of its definition. How many they were is counted when it is asked, so that
-- an erased person is not even in a number.
CREATE TABLE cohort_reckoning (
    cohort TEXT NOT NULL,
    at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (cohort, at)
) STRICT, WITHOUT ROWID;
INSERT INTO cohort_reckoning (cohort, at, version) SELECT DISTINCT cohort, 0, 1 FROM cohort_spell;
