"""Amounts of many currencies in one: at the rate of the event's day, never silently at 1."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from consentryd.model.error import ConfigError

#: Rates are not published on weekends and holidays: a rate holds until the next, at most this long.
HOLDS_DAYS: Final = 7
PLACES: Final = Decimal("0.0001")


class Rates:
    """What one unit of a currency is worth in `base`, by day."""

    def __init__(self, base: str, rates: Mapping[tuple[str, date], Decimal]) -> None:
        self.base = base
        self._rates = dict(rates)

    def convert(self, amount: Decimal, currency: str | None, day: date) -> Decimal | None:
        """In the base currency, to 4 places; None where the rate is not known. No currency means the base."""
        if currency is None or currency == self.base:
            return amount.quantize(PLACES)
        for age in range(HOLDS_DAYS + 1):
            rate = self._rates.get((currency, day - timedelta(days=age)))
            if rate is not None:
                return (amount * rate).quantize(PLACES)
        return None


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
