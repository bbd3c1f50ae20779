"""Who is behind rows that come straight from files: merged subjects as one, hidden and withdrawn ones out, as `Snapshot.relation` has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from consentryd.analytics.region_view import Part
from consentryd.analytics.rules import Rules
from consentryd.model.identity import BUCKET_SHIFT
from consentryd.storage.coded import NONE, Columns
from consentryd.storage.reader import Snapshot


class People:
    """Of one part: the subjects of a bucket, or all."""

    def __init__(self, snapshot: Snapshot, rules: Rules, part: Part) -> None:
        self._aliases, self._hidden, self._rules, self._part = snapshot.aliases, snapshot.hidden.subjects, rules, part
        until: dict[str, dict[int, int]] = {}
        for subject, purpose, moment in snapshot.withdrawn:
            own = until.setdefault(purpose, {})
            own[subject] = max(moment, own.get(subject, moment))
        self._withdrawn = {
            purpose: (np.array(sorted(own), np.int64), np.array([own[subject] for subject in sorted(own)], np.int64))
            for purpose, own in until.items()
        }

    def seen(self, subject: Any, rows: Any, columns: Columns, bucket: Part) -> tuple[Any, Any]:
        """The subjects of some rows as they are now, and which of the rows count (None: all). `bucket` is the file's, None in the log."""
        keep = None
        if len(self._aliases) or len(self._hidden):
            starts = (
                np.flatnonzero(np.concatenate([[True], subject[1:] != subject[:-1]])) if len(subject) else np.empty(0, np.int64)
            )
            lengths, single = np.diff(starts, append=len(subject)), subject[starts]
            resolved = _resolved(single, self._aliases.subjects, self._aliases.becomes)
            if (resolved != single).any():
                subject = np.repeat(resolved, lengths)
            shown = ~_among(resolved, self._hidden)
            keep = None if shown.all() else np.repeat(shown, lengths)
        if self._part is not None and (bucket != self._part or len(self._aliases)):
            keep = _both(keep, (subject >> BUCKET_SHIFT) == self._part)
        if self._rules.sampling < 1.0:
            keep = _both(keep, self._rules.in_sample(subject))
        if self._withdrawn:
            keep = _both(keep, ~self._gone(subject, rows, columns))
        return subject, None if keep is None else np.flatnonzero(keep)

    def _gone(self, subject: Any, rows: Any, columns: Columns) -> Any:
        found = np.zeros(len(subject), np.bool_)
        purposes = columns.coded["purpose"]
        received = columns.plain["received_at"]
        for code, purpose in enumerate(purposes.values.to_pylist()):
            if purpose not in self._withdrawn:
                continue
            subjects, until = self._withdrawn[purpose]
            meant = np.ones(len(rows), np.bool_) if purposes.codes is None else purposes.codes[rows] == code
            own = np.flatnonzero(meant & _among(subject, subjects))
            found[own] = received[rows[own]] <= until[np.searchsorted(subjects, subject[own])]
        return found


def _resolved(subjects: Any, merged: Any, becomes: Any) -> Any:
    if not len(merged):
        return subjects
    place = np.minimum(np.searchsorted(merged, subjects), len(merged) - 1)
    return np.where(merged[place] == subjects, becomes[place], subjects)


def _among(subjects: Any, wanted: Any) -> Any:
    """Which of the subjects are in a sorted list."""
    if not len(wanted):
        return np.zeros(len(subjects), np.bool_)
    place = np.minimum(np.searchsorted(wanted, subjects), len(wanted) - 1)
    return (wanted[place] == subjects) & (subjects != NONE)


def _both(first: Any, second: Any) -> Any:
    return second if first is None else first & second
