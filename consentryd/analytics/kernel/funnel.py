"""What is asked of a funnel (section 1.2): steps, order, window, range and exclusions, as definitions of a `Stream`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

MAX_STEPS: Final = 30
MAX_EXCLUSIONS: Final = 62
DAY: Final = 86_400_000_000
MAX_WINDOW: Final = 366 * DAY
DEFAULT_DAYS: Final = 14

Order = Literal["ordered", "strict", "any"]
Entry = Literal["any", "first", "first_ever"]
OnExclude = Literal["remove", "drop_from_step"]


class Step(NamedTuple):
    """A step is done by an event that matches the stream's `definition`."""

    definition: int
    optional: bool = False


class Exclusion(NamedTuple):
    """An event of `definition` strictly between steps `from_step` and `to_step` (from 0) poisons the attempt (R-F7)."""

    definition: int
    from_step: int
    to_step: int


@dataclass(frozen=True, slots=True)
class Funnel:
    """The question. Times are UTC microseconds; entries lie in [since, until), later steps within `window` of the first, inclusive.

    `entry`: any step-1 event of the range may start, only the subject's first in the range, or only its first in the whole stream if that
    lies in the range (the stream must then hold the subject's history of step 1). `strict_ties`: times must increase (R-F3).
    `anchor_first`: in any order, step 1 comes first. `count_entries`: attempts are counted instead of subjects (R-F11).
    Raises `ValueError` where R-F15 or a combination without meaning forbids it.
    """

    steps: tuple[Step, ...]
    window: int
    since: int
    until: int
    order: Order = "ordered"
    entry: Entry = "any"
    strict_ties: bool = False
    exclusions: tuple[Exclusion, ...] = ()
    on_exclude: OnExclude = "remove"
    anchor_first: bool = False
    count_entries: bool = False

    def __post_init__(self) -> None:
        if not 2 <= len(self.steps) <= MAX_STEPS:  # noqa: PLR2004 -- a funnel has two ends
            raise ValueError(f"A funnel has 2 to {MAX_STEPS} steps.")
        if not 0 < self.window <= MAX_WINDOW:
            raise ValueError("The window is longer than 0 and at most 366 days.")
        self._check_optional()
        self._check_exclusions()
        if self.anchor_first and self.order != "any":
            raise ValueError("Only a funnel in any order needs its first step anchored.")
        if self.count_entries and (self.order != "ordered" or self.entry != "any"):
            raise ValueError("Entries are counted in ordered funnels that any first step may enter.")
        if self.strict_ties and self.order == "any":
            raise ValueError("A funnel in any order has no strict ties.")

    def _check_optional(self) -> None:
        if self.steps[0].optional:
            raise ValueError("The first step cannot be optional.")
        if any(step.optional for step in self.steps) and (self.order != "ordered" or self.count_entries):
            raise ValueError("Optional steps need an ordered funnel that counts subjects.")

    def _check_exclusions(self) -> None:
        if self.exclusions and self.order != "ordered":
            raise ValueError("Exclusions need an ordered funnel.")
        if len(self.exclusions) > MAX_EXCLUSIONS:
            raise ValueError(f"A funnel has at most {MAX_EXCLUSIONS} exclusions.")
        if len({exclusion.definition for exclusion in self.exclusions}) < len(self.exclusions):
            raise ValueError("An event is excluded from at most one range of steps.")
        for exclusion in self.exclusions:
            if not 0 <= exclusion.from_step < exclusion.to_step < len(self.steps):
                raise ValueError("An exclusion lies between two steps, the earlier first.")
            if self.steps[exclusion.from_step].optional or self.steps[exclusion.to_step].optional:
                raise ValueError("An exclusion lies between steps that are not optional.")

    @property
    def mandatory(self) -> tuple[int, ...]:
        """Which steps, from 0, make a chain."""
        return tuple(number for number, step in enumerate(self.steps) if not step.optional)

    def before(self, step: int) -> int:
        """How many mandatory steps come before a step."""
        return sum(not earlier.optional for earlier in self.steps[:step])

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Each step with the mandatory step before it, and the first mandatory step with the last."""
        chain = self.mandatory
        previous = {number: chain[self.before(number) - 1] for number in range(1, len(self.steps))}
        overall = (chain[0], chain[-1])
        found = [(before, number) for number, before in previous.items()]
        return tuple(found if overall in found else [*found, overall])

    def bars(self, step: int, following: int) -> int:
        """Bits of the exclusions that lie between two steps that follow each other in a chain."""
        return sum(1 << bit for bit, (_, low, high) in enumerate(self.exclusions) if low <= step and following <= high)


def window_days(days: int | None) -> int:
    """Microseconds of a window in days; nothing, 0 or less is the default of 14 (R-F15)."""
    return (days if days is not None and days > 0 else DEFAULT_DAYS) * DAY
