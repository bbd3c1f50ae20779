"""What all queries share, and the envelope that all results come in (section 1.0)."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field

from consentryd.analytics.calendar import Interval
from consentryd.analytics.condition import Condition
from consentryd.analytics.literal import MAX_EXACT
from consentryd.analytics.period import Range
from consentryd.analytics.shape import Shape
from consentryd.config.settings import ZoneName
from consentryd.model.error import Unprocessable

Lanes = Literal["consented", "anonymous", "all"]
DEFAULT_RANGE: Final = Range.model_validate({})


class Question(Shape):
    """Settings of the query that have defaults: time zone and week from `[analytics]`, range the last 30 days."""

    range: Range = DEFAULT_RANGE
    timezone: ZoneName | None = Field(None, description="IANA name; default: `analytics.timezone`.")
    week_start: int | None = Field(None, ge=1, le=7, description="1 Monday to 7 Sunday; default: `analytics.week_start`.")
    where: Condition | None = Field(None, description="Every event that counts must satisfy it.")
    lane: Lanes = Field("consented", description="Events of known subjects, events counted without one, or both.")
    test_traffic: bool = Field(False, description="Also count what `analytics.test_traffic` marks as a test.")
    sampling: float = Field(1.0, ge=0.001, le=1, description="Share of subjects looked at, by their ids; counts are scaled up.")
    min_group_size: int | None = Field(None, ge=0, le=1_000, description="Smallest group shown; never below the key's.")

    def definition_hash(self) -> str:
        """A name for what is asked: equal for equal definitions, 32 hexadecimal digits."""
        canonical = rfc8785.dumps(_canonical(self.model_dump(mode="json", by_alias=True)))
        return hashlib.sha256(canonical).hexdigest()[:32]


def _canonical(value: Any) -> Any:
    """With the digits of integers that canonical JSON (RFC 8785) has no room for, as an object: nothing else is written so."""
    if isinstance(value, dict):
        return {name: _canonical(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_canonical(each) for each in value]
    return {"integer": str(value)} if isinstance(value, int) and abs(value) > MAX_EXACT else value


class Answered(BaseModel):
    """A part of a result."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class ResolvedRange(Answered):
    """[`from`, `to`) as instants with the zone's offset."""

    from_: str = Field(serialization_alias="from")
    to: str
    interval: Interval | None = None

    @property
    def days(self) -> str:
        """Its first and last local day, as people read them: both are in it."""
        last = datetime.fromisoformat(self.to) - timedelta(microseconds=1)
        return f"{self.from_[:10]} to {last.date()}"


class Sampling(Answered):
    rate: float
    scaled: bool


class Warned(Answered):
    """Something a reader of the result should know: a code, and a sentence."""

    code: str
    message: str
    count: int | None = None


class Envelope(Answered):
    """What every result has. `watermark`: all events acknowledged by then are in it."""

    kind: str
    query_id: str = ""
    definition_hash: str
    site: str
    resolved_range: ResolvedRange
    timezone: str
    generated_at: str
    watermark: str
    sampling: Sampling
    min_group_size: int
    suppressed_groups: int = 0
    warnings: list[Warned] = []

    def rows(self) -> list[dict[str, Any]]:
        """The result as flat rows of one shape, for CSV, Arrow, Parquet and tables."""
        raise NotImplementedError

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """What people are shown, by title: its rows, or where one shape does not do several tables. Some may be empty."""
        return {"": self.rows()}

    def table(self, title: str | None) -> list[dict[str, Any]]:
        """The rows, or one of the tables that people are shown. Raises `Unprocessable` for one that there is not."""
        if title is None:
            return self.rows()
        sheets = {name: rows for name, rows in self.sheets().items() if name}
        found = next((name for name in (title, *sheets) if name in sheets and name.casefold() == title.casefold()), None)
        if found is None:
            names = ", ".join(f"`{name}`" for name in sheets)
            there = f"it has {names}" if names else "it has one only"
            raise Unprocessable("invalid", f"The answer has no table of this name: {there}.", field="table")
        return sheets[found]
