"""Which rows a query may see at all. Written down once; every statement reads views made by these rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from consentryd.analytics import literal
from consentryd.analytics.comparison import comparison_sql
from consentryd.analytics.condition import PropertyIs
from consentryd.analytics.field import field_of
from consentryd.analytics.question import Lanes
from consentryd.model.decision import Lane

_SAMPLE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Rules:
    """`horizon`: events at or after it (UTC microseconds) are from clocks that run ahead, and do not count; 0 where there are none."""

    site: str
    purposes: tuple[str, ...]
    horizon: int
    lanes: Lanes = "consented"
    sampling: float = 1.0
    test_traffic: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def sql(self) -> str:
        """A condition on the rows `e`."""
        return f"{self._extent_sql} AND {self.rest_sql}"

    @property
    def rest_sql(self) -> str:
        """The part of it that looks neither at the lane nor at the purpose, which whole files have in common."""
        parts = ["true", *self._traffic_sql, *([f"e.time < make_timestamptz({self.horizon})"] if self.horizon else [])]
        if self.sampling < 1.0:
            parts.append(f"(e.subject IS NULL OR (e.subject & {_SAMPLE - 1}) < {round(self.sampling * _SAMPLE)})")
        return " AND ".join(parts)

    @property
    def row_sql(self) -> str:
        """The part of it that looks neither at the time nor at the subject."""
        return " AND ".join([self._extent_sql, *self._traffic_sql])

    @property
    def lane(self) -> str | None:
        """The only lane looked at; None: all."""
        return None if self.lanes == "all" else Lane(self.lanes).value

    @property
    def _extent_sql(self) -> str:
        purposes = f"e.purpose IN {literal.texts(self.purposes)}"
        return purposes if self.lane is None else f"{purposes} AND e.lane = {literal.text(self.lane)}"

    @property
    def _traffic_sql(self) -> list[str]:
        return [f"(NOT {_is_one_of(name, values)})" for name, values in self.test_traffic]

    def in_sample(self, subjects: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which subjects are looked at: `sql` says the same."""
        found: npt.NDArray[np.bool_] = (subjects & (_SAMPLE - 1)) < round(self.sampling * _SAMPLE)
        return found

    @property
    def scale(self) -> float:
        """By what counts of a sample are multiplied."""
        return _SAMPLE / round(self.sampling * _SAMPLE) if self.sampling < 1.0 else 1.0


def marks(test_traffic: Mapping[str, Sequence[str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The setting `analytics.test_traffic` as rules hold it."""
    return tuple((name, tuple(values)) for name, values in sorted(test_traffic.items()))


def _is_one_of(name: str, values: tuple[str, ...]) -> str:
    return comparison_sql(field_of(name), PropertyIs(property=name, op="is", value=list(values)), ZoneInfo("UTC"))
