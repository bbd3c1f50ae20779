"""Which rules hold where, and from when."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from consentryd.config.countries import COUNTRIES
from consentryd.config.settings import Consent
from consentryd.consent.signals.reading import NEVER
from consentryd.consent.table import load_table
from consentryd.model.clock import SECOND
from consentryd.model.error import ConfigError

ELSEWHERE = "*"
#: What is counted of events without a grant, the most first.
_LANES: Final = ("daily", "counts", "off")
#: The second part of an ISO 3166-2 code.
SUBDIVISION: Final = re.compile(r"[A-Z0-9]{1,3}")


def _code(code: str) -> str:
    country, dash, subdivision = code.partition("-")
    if code != ELSEWHERE and (country not in COUNTRIES or (dash and not SUBDIVISION.fullmatch(subdivision))):
        raise ValueError("no country such as `DE`, no subdivision such as `US-CA`, and not `*`")
    return code


class Jurisdiction(BaseModel):
    """One row of `config/jurisdictions.toml`, which explains the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    codes: tuple[Annotated[str, AfterValidator(_code)], ...] = Field(min_length=1)
    name: str
    regime: Literal["opt-in", "opt-out"]
    exemption: Literal["", "audience-measurement", "statistics"] = ""
    universal_opt_out: bool = False
    anonymous: Literal["off", "counts", "daily"] = "counts"
    effective_from: date
    law: str

    @property
    def since(self) -> int:
        """Midnight UTC of `effective_from`, in microseconds."""
        return int(datetime.combine(self.effective_from, time(), UTC).timestamp()) * SECOND

    @property
    def strictness(self) -> tuple[bool, bool, bool, int]:
        """Orders rows: no grant needed < opt-out signals bind < a grant is needed, less so with an exemption; then by what is counted."""
        return self.regime == "opt-in", not self.exemption, self.universal_opt_out, _LANES.index(self.anonymous)


class JurisdictionTable(BaseModel):
    """`config/jurisdictions.toml`."""

    version: int
    jurisdiction: tuple[Jurisdiction, ...]


#: Holds where the table says nothing at all, such as before its first day.
STRICTEST = Jurisdiction(codes=(ELSEWHERE,), name="No rule on file", regime="opt-in", effective_from=date(1970, 1, 1), law="")


class Jurisdictions:
    """The rows in force at `now`. `until` is when that changes next, UTC microseconds."""

    def __init__(self, rows: Iterable[Jurisdiction], now: int) -> None:
        every = sorted(rows, key=lambda row: row.since)
        self.since = max((row.since for row in every if row.since <= now), default=-NEVER)
        self.until = min((row.since for row in every if row.since > now), default=NEVER)
        self._by_code = {code: row for row in every if row.since <= now for code in row.codes}

    def of(self, country: str | None, subdivision: str | None) -> Jurisdiction:
        """The row of a place. An unknown subdivision gets the strictest of its country's rows, an unknown country that of `*`."""
        elsewhere = self._by_code.get(ELSEWHERE, STRICTEST)
        if country is None:
            return elsewhere
        if subdivision is not None:
            return self._by_code.get(f"{country}-{subdivision}") or self._by_code.get(country, elsewhere)
        prefix = f"{country}-"
        rows = [row for code, row in self._by_code.items() if code == country or code.startswith(prefix)]
        return max(rows, key=lambda row: row.strictness, default=elsewhere)


def load_jurisdictions(settings: Consent) -> tuple[int, tuple[Jurisdiction, ...]]:
    """Version and rows of the table that ships, or of `consent.jurisdictions_file`. Raises `ConfigError`."""
    table = load_table("jurisdictions", settings.jurisdictions_file, JurisdictionTable)
    days = Counter((code, row.effective_from) for row in table.jurisdiction for code in row.codes)
    for (code, day), times in days.items():
        if times > 1:
            raise ConfigError(f"the jurisdictions file has {times} rows of {code} that are effective from {day}")
    return table.version, table.jurisdiction
