-- Members of static cohorts, as they were when the cohort was saved. An erased subject leaves; a merged one is read as what it is now.
CREATE TABLE cohort_member (
    subject INTEGER NOT NULL,
    cohort TEXT NOT NULL,
    PRIMARY KEY (subject, cohort)
) STRICT, WITHOUT ROWID;
CREATE INDEX cohort_member_cohort ON cohort_member (cohort);
