"""Amounts of many currencies in one: at the rate of the event's day, never silently at 1."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from consentryd.analytics import literal
from consentryd.model.clock import DAY
from consentryd.model.error import ConfigError

#: Rates are not published on weekends and holidays: a rate holds until the next, at most this long.
HOLDS_DAYS: Final = 7
PLACES: Final = Decimal("0.0001")
_RATE: Final = "DECIMAL(24, 12)"
_EPOCH: Final = date(1970, 1, 1)


class Rates:
    """What one unit of a currency is worth in `base`, by day."""

    def __init__(self, base: str, rates: Mapping[tuple[str, date], Decimal]) -> None:
        self.base = base
        self._rates = dict(rates)

    def convert(self, amount: Decimal, currency: str | None, day: date) -> Decimal | None:
        """In the base currency, to 4 places, halves away from 0 as in SQL; None where the rate is not known. No currency means the base."""
        if currency is None or currency == self.base:
            return amount.quantize(PLACES, ROUND_HALF_UP)
        rate = self._rate_of(currency, day)
        return None if rate is None else (amount * rate).quantize(PLACES, ROUND_HALF_UP)

    def _rate_of(self, currency: str, day: date) -> Decimal | None:
        return next(
            (rate for age in range(HOLDS_DAYS + 1) if (rate := self._rates.get((currency, day - timedelta(days=age))))), None
        )

    def amount_sql(self, row: str = "e") -> str:
        """The revenue of an event as SQL, by the same rule: null where the rate is not known."""
        foreign = " ".join(
            f"WHEN {literal.text(currency)} THEN {self._rate_sql(currency, row)}" for currency in self._currencies()
        )
        own = f"{row}.currency IS NULL OR {row}.currency = {literal.text(self.base)}"
        rate = f"CASE {row}.currency {foreign} END" if foreign else "NULL"
        return f"CASE WHEN {own} THEN {row}.revenue ELSE CAST({row}.revenue * {rate} AS DECIMAL(38, 4)) END"

    def missing_sql(self, row: str = "e") -> str:
        """A boolean: the event has revenue whose rate is not known."""
        return f"({row}.revenue IS NOT NULL AND {self.amount_sql(row)} IS NULL)"

    def _currencies(self) -> list[str]:
        return sorted({currency for currency, _ in self._rates} - {self.base})

    def _rate_sql(self, currency: str, row: str) -> str:
        """The rate of the row's day, from a list of those of all days: one text, which is read once a statement."""
        days = sorted(day for known, day in self._rates if known == currency)
        span = range((days[-1] - days[0]).days + HOLDS_DAYS + 1)
        rates = ",".join(str(self._rate_of(currency, days[0] + timedelta(days=after)) or "") for after in span)
        place = f"epoch_us({row}.time) // {DAY} - {(days[0] - _EPOCH).days - 1}"
        return f"TRY_CAST(string_split({literal.text(rates)}, ',') AS {_RATE}[])[greatest(0, {place})]"


def load_rates(base: str, path: Path | None) -> Rates:
    """Rates from a CSV file with the columns `day`, `currency`, `rate`. Raises `ConfigError`."""
    if path is None:
        return Rates(base, {})
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return Rates(base, {(row["currency"], date.fromisoformat(row["day"])): _rate(row["rate"]) for row in rows})
    except (OSError, KeyError, ValueError, InvalidOperation) as error:
        raise ConfigError(f"The currency rates in {path} cannot be read: it needs the columns day, currency and rate.") from error


def _rate(text: str) -> Decimal:
    rate = Decimal(text)
    if not rate.is_finite() or rate <= 0:
        raise ValueError("a rate must be above 0")
    return rate
