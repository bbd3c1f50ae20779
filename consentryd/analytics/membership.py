"""Who is and was in a saved cohort, as questions need it (section 1.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from consentryd.analytics.condition import Condition
from consentryd.analytics.stream import Int64s
from consentryd.model.error import Unprocessable
from consentryd.storage.member import Reckoning, Spell

#: The end of a spell that has not ended.
NEVER = np.iinfo(np.int64).max


class Roll(NamedTuple):
    """Spells of membership, one subject in no two of an instant, and when members were looked up, oldest first."""

    subject: Int64s
    entered: Int64s
    left: Int64s
    reckonings: tuple[Reckoning, ...] = ()

    def at(self, instant: int) -> list[int]:
        """The members on record at an instant, ascending. Raises `Unprocessable` before the first reckoning."""
        if not self.reckonings or instant < self.reckonings[0].at:
            raise Unprocessable("invalid", "The cohort's members are not on record as of then.", field="as_of")
        found: list[int] = np.unique(self.subject[(self.entered <= instant) & (instant < self.left)]).tolist()
        return found

    @property
    def now(self) -> list[int]:
        found: list[int] = np.unique(self.subject[self.left == NEVER]).tolist()
        return found


def roll_of(spells: list[Spell], reckonings: list[Reckoning]) -> Roll:
    subject = np.array([spell.subject for spell in spells], np.int64)
    entered = np.array([spell.entered_at for spell in spells], np.int64)
    left = np.array([NEVER if spell.left_at is None else spell.left_at for spell in spells], np.int64)
    return Roll(subject, entered, left, tuple(sorted(set(reckonings))))


def no_cohort(name: str) -> Unprocessable:
    """What a question is told that names a cohort which is not there."""
    return Unprocessable("invalid", f"There is no saved cohort `{name}`.", field="cohort")


@dataclass(frozen=True, slots=True)
class Audience:
    """A saved cohort: the rule that says who is in it now (None: whoever was when it was reckoned last), and its roll."""

    definition: Condition | None
    roll: Callable[[], Roll]
