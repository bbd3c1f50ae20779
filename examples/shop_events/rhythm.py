"""When people come: by the hour of their own clock and the day of the week, with slow growth."""

from __future__ import annotations

from datetime import date
from itertools import accumulate
from random import Random
from typing import Final

from examples.shop_events.population import COUNTRIES, Country

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR

#: Visits by local hour, and by weekday from Monday; relative.
HOURS: Final = (8, 5, 3, 2, 2, 4, 10, 22, 34, 40, 43, 45, 47, 44, 42, 43, 47, 54, 63, 74, 82, 76, 50, 22)
WEEKDAYS: Final = (105, 100, 98, 97, 88, 92, 120)
GROWTH_PER_DAY: Final = 1.002

_HOUR_WEIGHTS: Final = tuple(accumulate(HOURS))
_LOCAL: Final = tuple(tuple(country.share * HOURS[(hour + country.offset) % 24] for country in COUNTRIES) for hour in range(24))
_COUNTRY_WEIGHTS: Final = tuple(tuple(accumulate(row)) for row in _LOCAL)


def hour_weights(start: date, days: int) -> list[float]:
    """How busy each UTC hour of the range is, relative."""
    first = start.weekday()
    by_hour = [sum(row) for row in _LOCAL]
    return [WEEKDAYS[(first + day) % 7] * GROWTH_PER_DAY**day * by_hour[hour] for day in range(days) for hour in range(24)]


def choose_country(random: Random, time: int) -> Country:
    """Where a visitor at this time (milliseconds since the epoch) is likely to live: where it is not night."""
    return random.choices(COUNTRIES, cum_weights=_COUNTRY_WEIGHTS[time // HOUR % 24])[0]


def next_visit(random: Random, country: Country, time: int) -> int:
    """A time some days after `time`: gaps are log-normal with a median of 3 days, hours are those of the country's day."""
    day = (time + int(random.lognormvariate(1.1, 1.2) * DAY)) // DAY
    weekday = (day + 3) % 7
    if random.random() * 130 > WEEKDAYS[weekday]:
        day += 1
    hour = random.choices(range(24), cum_weights=_HOUR_WEIGHTS)[0] - country.offset
    return max(day * DAY + hour * HOUR + random.randrange(HOUR), time + 2 * HOUR)
