"""Which channels conversions are owed to, under seven models side by side (section 1.11)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from pydantic import Field

from consentryd.analytics.asked import Asked
from consentryd.analytics.breakdown import OTHER_LABEL, REST
from consentryd.analytics.condition import Matcher
from consentryd.analytics.currency import Rates
from consentryd.analytics.exchange import in_base, number_columns
from consentryd.analytics.field import field_of
from consentryd.analytics.kernel.tie import untied
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.selecting import select
from consentryd.analytics.shape import PropertyName, Text
from consentryd.analytics.source import Source
from consentryd.analytics.statistics import attribution as rules
from consentryd.analytics.statistics import markov, shapley
from consentryd.analytics.statistics.array import Bools, Floats, Ints
from consentryd.analytics.statistics.touch import Journeys, Touching, joined, journeys, unconverted
from consentryd.analytics.stream import Stream
from consentryd.analytics.streaming import Column, Texts
from consentryd.analytics.suppression import Line, hidden_of
from consentryd.analytics.trends.measuring import scaled
from consentryd.model.clock import DAY

Model = Literal["first", "last", "linear", "position", "time_decay", "markov", "shapley"]
MODELS: Final[tuple[Model, ...]] = ("first", "last", "linear", "position", "time_decay", "markov", "shapley")
ANYTHING = Matcher()
_UNATTRIBUTED: Final = "(unattributed)"


class AttributionQuery(Question):
    """Every conversion of the range gives credit 1, or its value, to the touches of the same subject in the look-back before it."""

    kind: Literal["attribution"]
    conversion: Matcher
    value: PropertyName | None = Field(None, description="What a conversion is worth; default: 1.")
    touch: Matcher = Field(ANYTHING, description="Which events may be touches; those without a channel are none.")
    channel: PropertyName = Field("utm_source", description="The property that names the channel.")
    direct: list[Text] = Field(
        default=["direct", "(direct)"], max_length=20, description="Channels that count only where no other is."
    )
    look_back_days: int = Field(30, ge=1, le=90)
    models: list[Model] = Field(default=list(MODELS), min_length=1)


class ChannelCredit(Answered):
    """Conversions and their value by model. Each model's conversions, unattributed ones included, add up to all conversions. Null: the model
    credits the channel with those of too few subjects, or what it credits would tell another's.

    `subjects`: those with a conversion that the channel touched; one may be touched by several channels.
    """

    channel: str
    subjects: int
    conversions: dict[str, float | None]
    value: dict[str, float | None]
    rest: bool = Field(False, description=REST)


class AttributionResult(Envelope):
    kind: Literal["attribution"] = "attribution"
    conversions: int | None
    channels: list[ChannelCredit]

    def rows(self) -> list[dict[str, Any]]:
        return [
            {
                "channel": each.channel,
                "subjects": each.subjects,
                "model": model,
                "conversions": each.conversions[model],
                "value": each.value[model],
                "rest": each.rest,
            }
            for each in self.channels
            for model in each.conversions
        ]


class _Part(NamedTuple):
    made: Journeys
    lost: Journeys


def answer(question: AttributionQuery, asked: Asked) -> AttributionResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period("day")
    missing: Counter[str] = Counter()
    made, lost, names = _followed(question, period, asked, missing)
    for currency, count in missing.items():
        asked.warn(f"missing_rate {currency}", count)
    credits_ = {model: _credit(model, made, lost, len(names)) for model in question.models}
    people = _people(made, len(names))
    paid = {model: _people(made, len(names), _paid(model, made)) for model in question.models}
    few = asked.hides(len(np.unique(made.subject)))
    rows = [
        _Row(name, people[code], code, credits_, {model: each[code] for model, each in paid.items()})
        for code, name in enumerate([*names, _UNATTRIBUTED])
    ]
    channels, hidden = ([], 1) if few else _shown(rows, question.models[0], asked)
    envelope = asked.envelope(period, interval=False)
    envelope["suppressed_groups"] = hidden
    return AttributionResult(
        **envelope,
        conversions=None if few else scaled(len(made.subject), asked.scale),
        channels=channels,
    )


def touched_by(question: AttributionQuery, channel: str, asked: Asked, missing: Counter[str]) -> list[int]:
    """The converting subjects that a channel touched, ascending; nobody for a channel that there is not."""
    made, _, names = _followed(question, asked.period("day"), asked, missing)
    if channel not in {*names, _UNATTRIBUTED}:
        return []
    people = _people(made, len(names))
    found: list[int] = people[names.index(channel) if channel in names else -1].tolist()
    return found


def _followed(
    question: AttributionQuery, period: Period, asked: Asked, missing: Counter[str]
) -> tuple[Journeys, Journeys, list[str]]:
    """The journeys that converted, those that did not, and the channels by code."""
    texts = Texts()
    work = partial(_part, question=question, since=period.since, until=period.until, rates=asked.rates, missing=missing)
    span = Span(period.since - question.look_back_days * DAY, period.until)
    selection = select(asked, [question.touch, question.conversion], partial(_columns, question))
    made, lost = (joined(side) for side in zip(*asked.execution.streams(selection, span, work, None, texts), strict=True))
    return made, lost, texts.known.get("channel", [])


class _Row:
    """A channel with its credits, the last code that of what is unattributed. `paid`: whose conversions a model credits it with."""

    def __init__(
        self, name: str, people: Ints, code: int, credits_: Mapping[Model, rules.Credit], paid: Mapping[Model, Ints]
    ) -> None:
        self.name, self.people, self.paid = name, people, paid
        self.conversions = {model: _at(credit.conversions, credit.unattributed, code) for model, credit in credits_.items()}
        self.value = {model: _at(credit.value, credit.unattributed_value, code) for model, credit in credits_.items()}


def _at(credits_: Floats, unattributed: float, code: int) -> float:
    return float(credits_[code]) if code < len(credits_) else float(unattributed)


def _people(made: Journeys, channels: int, paid: Bools | None = None) -> list[Ints]:
    """The converting subjects of each channel, by some of the touches, and last those with a conversion that nothing touched."""
    channel, owner = (made.channel, made.owner) if paid is None else (made.channel[paid], made.owner[paid])
    touched = np.unique(np.stack([channel, made.subject[owner]]), axis=1)
    edges = np.searchsorted(touched[0], np.arange(1, channels))
    return [*(np.split(touched[1], edges) if channels else []), np.unique(made.subject[made.sizes == 0])]


def _paid(model: Model, made: Journeys) -> Bools | None:
    """The touches that a model credits; None: all."""
    match model:
        case "first":
            return rules.first(made) > 0
        case "last":
            return rules.last(made) > 0
        case _:
            return None


def _distinct(people: Iterable[Ints]) -> int:
    found = list(people)
    return len(np.unique(np.concatenate(found))) if found else 0


def _together(rows: Iterable[_Row]) -> int:
    return _distinct(row.people for row in rows)


def _shown(rows: list[_Row], first: Model, asked: Asked) -> tuple[list[ChannelCredit], int]:
    """The channels by the first model's credit, what is unattributed last; small ones are one, `Other`, joined by the next smallest until it
    is large enough: what is missing would follow from the whole."""
    known = [row for row in rows[:-1] if any(row.conversions.values())]
    ranked = [*sorted(known, key=lambda row: (-row.conversions[first], row.name)), rows[-1]]
    small = [row for row in ranked if asked.hides(len(row.people))]
    large = [row for row in ranked if row not in small]
    while small and large and _together(small) < asked.least:
        small.append(large.pop(-2 if len(large) > 1 else -1))
    if asked.hides(_together(small)):
        return [], len(small)
    merged = [*([row] for row in large), *([small] if small else [])]
    models = rows[0].conversions
    hidden = {
        model: hidden_of(
            [Line({place: _distinct(row.paid[model] for row in each) for place, each in enumerate(merged)}, shared=True)],
            asked.least,
        )
        for model in models
    }
    return [
        _credited(each, {model for model in models if place in hidden[model]}, asked, rest=each is small)
        for place, each in enumerate(merged)
    ], 0


def _credited(rows: list[_Row], hidden: Collection[Model], asked: Asked, *, rest: bool) -> ChannelCredit:
    models = rows[0].conversions

    def added(amounts: Iterable[float], model: Model) -> float | None:
        return None if model in hidden else scaled(sum(amounts), asked.scale)

    return ChannelCredit(
        channel=OTHER_LABEL if rest else rows[0].name,
        rest=rest,
        subjects=scaled(_together(rows), asked.scale),
        conversions={model: added((row.conversions[model] for row in rows), model) for model in models},
        value={model: added((row.value[model] for row in rows), model) for model in models},
    )


def _columns(question: AttributionQuery, source: Source) -> list[Column]:
    del source
    found = [
        Column("channel", "text", f"nullif({field_of(question.channel).text}, '')"),
        Column("session", "integer", "e.session"),
    ]
    if question.value is not None:
        found += number_columns("value", question.value)
    return found


def _part(stream: Stream, *, question: AttributionQuery, since: int, until: int, rates: Rates, missing: Counter[str]) -> _Part:
    stream = untied(in_base(stream, ["value"], rates, missing), "channel")
    names = stream.texts.get("channel", [])
    direct = [code for code, name in enumerate(names) if name in question.direct]
    touching = Touching(0, "channel", "session", direct)
    value = None if question.value is None else "value"
    made = journeys(stream, touching, 1, since, until, question.look_back_days * DAY, value)
    return _Part(made, unconverted(stream, touching, 1, since, until))


def _credit(model: Model, made: Journeys, lost: Journeys, channels: int) -> rules.Credit:
    match model:
        case "first":
            shares = rules.first(made)
        case "last":
            shares = rules.last(made)
        case "position":
            shares = rules.position(made)
        case "time_decay":
            shares = rules.decay(made)
        case "shapley":
            shares = shapley.shares(made)
        case _:
            shares = rules.linear(made)
    credit = rules.credited(made, shares, channels)
    if model != "markov" or not channels:
        return credit
    counts = markov.transitions(made, channels, converted=True) + markov.transitions(lost, channels, converted=False)
    return markov.credited(counts, credit)
