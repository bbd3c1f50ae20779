"""Which channels conversions are owed to, under seven models side by side (section 1.11)."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Literal, NamedTuple

from pydantic import Field

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.field import field_of
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.selecting import select
from consentryd.analytics.shape import PropertyName, Text
from consentryd.analytics.source import Source
from consentryd.analytics.statistics import attribution as rules
from consentryd.analytics.statistics import markov, shapley
from consentryd.analytics.statistics.touch import Journeys, Touching, joined, journeys, unconverted
from consentryd.analytics.stream import Stream
from consentryd.analytics.streaming import Column, Texts
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
    """Conversions and their value by model. Each model's conversions, unattributed ones included, add up to all conversions."""

    channel: str
    conversions: dict[str, float | None]
    value: dict[str, float | None]


class AttributionResult(Envelope):
    kind: Literal["attribution"] = "attribution"
    conversions: int
    channels: list[ChannelCredit]

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"channel": each.channel, "model": model, "conversions": each.conversions[model], "value": each.value[model]}
            for each in self.channels
            for model in each.conversions
        ]


class _Part(NamedTuple):
    made: Journeys
    lost: Journeys


def answer(question: AttributionQuery, asked: Asked) -> AttributionResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period, texts = asked.period("day"), Texts()
    work = partial(_part, question=question, since=period.since, until=period.until)
    span = Span(period.since - question.look_back_days * DAY, period.until)
    selection = select(asked, [question.touch, question.conversion], partial(_columns, question))
    parts = list(asked.execution.streams(selection, span, work, None, texts))
    made, lost = (joined(side) for side in zip(*parts, strict=True))
    names = texts.known.get("channel", [])
    credits_ = {model: _credit(model, made, lost, len(names)) for model in question.models}
    rows = [_row(name, code, credits_) for code, name in enumerate(names)]
    few = 0 < len(made.subject) < asked.least
    ranked = sorted(rows, key=lambda row: (-(row.conversions[question.models[0]] or 0), row.channel))
    alone = ChannelCredit(
        channel=_UNATTRIBUTED,
        conversions={model: credit.unattributed for model, credit in credits_.items()},
        value={model: credit.unattributed_value for model, credit in credits_.items()},
    )
    shown = [row for row in ranked if any(row.conversions.values())]
    return AttributionResult(
        **asked.envelope(period, interval=False),
        conversions=0 if few else len(made.subject),
        channels=[] if few else [*shown, alone],
    )


def _columns(question: AttributionQuery, source: Source) -> list[Column]:
    del source
    found = [
        Column("channel", "text", f"nullif({field_of(question.channel).text}, '')"),
        Column("session", "integer", "e.session"),
    ]
    if question.value is not None:
        found.append(Column("value", "number", field_of(question.value).number))
    return found


def _part(stream: Stream, *, question: AttributionQuery, since: int, until: int) -> _Part:
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


def _row(name: str, code: int, credits_: dict[Model, rules.Credit]) -> ChannelCredit:
    return ChannelCredit(
        channel=name,
        conversions={model: float(credit.conversions[code]) for model, credit in credits_.items()},
        value={model: float(credit.value[code]) for model, credit in credits_.items()},
    )
