"""Learns at one cut-off, tries at a later one, scores today; and refuses what did not hold (section 1.17).

Two passes over the parts: the first takes what is learned from (of many subjects a sample), the second tries and scores everybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.calendar import instant_of, local_of, step
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.prediction.bound import bounded
from consentryd.analytics.prediction.days import Days, days_of
from consentryd.analytics.prediction.history import Known, Setup, histories, setup_of
from consentryd.analytics.prediction.model import (
    TENTHS,
    CalibrationBin,
    CutoffSize,
    PredictionModel,
    PredictionQuality,
    PredictionQuery,
    PredictionResult,
    Tenth,
    Weight,
)
from consentryd.analytics.statistics.array import Bools, Floats
from consentryd.analytics.statistics.feature import Table, category, frequent
from consentryd.analytics.statistics.propensity import MAX_ROWS, Model, Refusal, fitted, refused, too_few
from consentryd.analytics.statistics.quality import Bin, Quality, quality
from consentryd.analytics.trends.measuring import scaled

Chosen = Mapping[str, Mapping[int, str]]
#: Sampling by the question takes the low 16 bits of a subject; learning's sample takes others.
_SAMPLE_BITS: Final = 16
_QUALITY: Final = ("auc", "brier", "lift", "calibration_error")


class Trial(NamedTuple):
    """Everybody at the later cut-off: the chance they were given, and what came."""

    chance: Floats
    outcome: Bools


class Scored(NamedTuple):
    """A subject's chance, and the features that move it most with what they add to its log-odds."""

    subject: int
    chance: float
    because: list[tuple[str, float]]


@dataclass(slots=True)
class Learned:
    """What the first pass found: a model whatever it is worth, or None where there was too little to learn from."""

    model: Model | None
    chosen: Chosen
    sizes: dict[int, tuple[int, int]]
    opted_out: int
    refusals: list[Refusal] = field(default_factory=list)


def answer(question: PredictionQuery, asked: Asked) -> PredictionResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    days = days_of(question, asked)
    asked = bounded(question, days, asked)
    setup = setup_of(question, days, asked)
    learned = _learned(setup, asked)
    trial, scores = _tried(setup, learned, asked)
    found = _judged(learned, trial)
    kept = None if learned.refusals else learned.model
    envelope = asked.envelope(days.period, interval=False) | {"definition_hash": question.definition_hash()}
    return _result(question, asked, days, learned, found, kept, np.sort(scores)[::-1], envelope)


def scored_tenth(question: PredictionQuery, tenth: int, asked: Asked) -> list[Scored]:
    """Who is in a tenth of today's subjects, the likeliest first: nobody where the model is refused."""
    require_subjects(asked)
    days = days_of(question, asked)
    asked = bounded(question, days, asked)
    setup = setup_of(question, days, asked)
    learned = _learned(setup, asked)
    trial, scores = _tried(setup, learned, asked)
    _judged(learned, trial)
    if learned.refusals or learned.model is None or not len(scores):
        return []
    order = np.argsort(-scores, kind="stable")
    wanted = np.zeros(len(scores), np.bool_)
    wanted[np.array_split(order, TENTHS)[tenth]] = True
    found: list[Scored] = []
    seen = 0
    for table in _todays(setup, learned.chosen, asked):
        own = table.take(wanted[seen : seen + len(table.subject)])
        seen += len(table.subject)
        chances = learned.model.chance(own).tolist()
        because = learned.model.explain(own)
        found += map(Scored, own.subject.tolist(), chances, because)
    return sorted(found, key=lambda each: (-each.chance, each.subject))


def _learned(setup: Setup, asked: Asked) -> Learned:
    """The first pass. Counts are of everybody; what is learned from, of more than 40,000 subjects, is a sample of them by their ids."""
    train, _, _ = setup.days.cuts
    parts: list[Known] = []
    sizes = dict.fromkeys(setup.days.cuts, (0, 0))
    opted_out = rows = 0
    every = 1
    for history, out in histories(setup, asked):
        opted_out += out
        for cut in setup.days.cuts[:2]:
            known = history.at(cut)
            subjects, positives = sizes[cut]
            sizes[cut] = subjects + len(known.outcome), positives + int(known.outcome.sum())
            if cut == train:
                parts.append(_sampled(known, every))
                rows += len(parts[-1].outcome)
        while rows > 2 * MAX_ROWS:
            every *= 2
            parts = [_sampled(part, every) for part in parts]
            rows = sum(len(part.outcome) for part in parts)
    refusals = [*_too_few(*sizes[train]), *_too_few(*sizes[setup.days.when.validate])]
    refusals = list(dict.fromkeys(refusals))
    if refusals:
        return Learned(None, {}, sizes, opted_out, refusals)
    chosen, table, outcome = _joined(setup, parts)
    return Learned(fitted(table, outcome, setup.days.when.train, setup.question.horizon_days), chosen, sizes, opted_out)


def _too_few(subjects: int, positives: int) -> tuple[Refusal, ...]:
    outcome = np.zeros(subjects, np.bool_)
    outcome[:positives] = True
    return too_few(outcome)


def _sampled(known: Known, every: int) -> Known:
    lines = (known.table.subject >> _SAMPLE_BITS) % every == 0
    return Known(known.table.take(lines), {name: codes[lines] for name, codes in known.codes.items()}, known.outcome[lines])


def _joined(setup: Setup, parts: list[Known]) -> tuple[Chosen, Table, Bools]:
    """All parts with their categories, chosen by how frequent they are among those learned from."""
    codes = {name: np.concatenate([part.codes[name] for part in parts]) for name in setup.question.categories}
    chosen: Chosen = {name: frequent(column, setup.texts.known.get(name, [])) for name, column in codes.items()}
    tables = [_with_categories(part, chosen) for part in parts]
    subject, values = np.concatenate([each.subject for each in tables]), np.concatenate([each.values for each in tables])
    return chosen, Table(subject, tables[0].names, values), np.concatenate([part.outcome for part in parts])


def _with_categories(known: Known, chosen: Chosen) -> Table:
    table = known.table
    for name, texts in chosen.items():
        table = table.beside(*category(name, known.codes[name], texts))
    return table


def _tried(setup: Setup, learned: Learned, asked: Asked) -> tuple[Trial, Floats]:
    """The second pass: chances and outcomes of the trial, and today's chances, part by part."""
    if learned.model is None:
        return Trial(np.zeros(0), np.zeros(0, np.bool_)), np.zeros(0)
    chances, outcomes, today = [], [], []
    for history, _ in histories(setup, asked):
        known = history.at(setup.days.when.validate)
        chances.append(learned.model.chance(_with_categories(known, learned.chosen)))
        outcomes.append(known.outcome)
        today.append(learned.model.chance(_with_categories(history.at(setup.days.today), learned.chosen)))
    return Trial(np.concatenate(chances), np.concatenate(outcomes)), np.concatenate(today)


def _todays(setup: Setup, chosen: Chosen, asked: Asked) -> Iterator[Table]:
    for history, _ in histories(setup, asked):
        yield _with_categories(history.at(setup.days.today), chosen)


def _judged(learned: Learned, trial: Trial) -> Quality | None:
    """How good the model was on the trial; what it is refused for is noted."""
    if learned.model is None:
        return None
    found = quality(trial.chance, trial.outcome)
    learned.refusals += refused(found)
    return found


def _result(
    question: PredictionQuery,
    asked: Asked,
    days: Days,
    learned: Learned,
    found: Quality | None,
    model: Model | None,
    scores: Floats,
    envelope: dict[str, Any],
) -> PredictionResult:
    hidden = asked.hides(len(scores))
    scores = scores if model is not None and not hidden else np.zeros(0)
    return PredictionResult(
        **envelope,
        outcome=question.outcome,
        horizon_days=question.horizon_days,
        training=_size(days, days.when.train, learned, asked),
        trial=_size(days, days.when.validate, learned, asked),
        opted_out=asked.shown(learned.opted_out),
        refusals=learned.refusals,
        quality=None if found is None else PredictionQuality(**{name: getattr(found, name) for name in _QUALITY}),
        calibration=[] if found is None else [_bin(each, asked) for each in found.calibration],
        model=None if model is None else _described(model, days, asked),
        scored=None if model is None or hidden else scaled(len(scores), asked.scale),
        expected=None if model is None or hidden else scaled(float(scores.sum()), asked.scale),
        tenths=[_tenth(number, part, asked) for number, part in enumerate(np.array_split(scores, TENTHS)) if len(part)],
    )


def _size(days: Days, cut: int, learned: Learned, asked: Asked) -> CutoffSize:
    subjects, positives = learned.sizes[cut]
    rest = subjects - positives
    small = asked.hides(positives) or asked.hides(rest)
    return CutoffSize(
        cutoff=asked.label(days.instant(cut)),
        subjects=asked.shown(subjects),
        positives=None if small else scaled(positives, asked.scale),
    )


def _bin(found: Bin, asked: Asked) -> CalibrationBin:
    came = round(found.observed * found.n)
    small = any(asked.hides(count) for count in (found.n, came, found.n - came))
    return CalibrationBin(subjects=asked.shown(found.n), predicted=found.predicted, observed=None if small else found.observed)


def _tenth(number: int, chances: Floats, asked: Asked) -> Tenth:
    if len(chances) < asked.least:
        return Tenth(tenth=number, subjects=None, mean=None, lowest=None, highest=None)
    return Tenth(
        tenth=number,
        subjects=scaled(len(chances), asked.scale),
        mean=float(chances.mean()),
        lowest=float(chances[-1]),
        highest=float(chances[0]),
    )


def _described(model: Model, days: Days, asked: Asked) -> PredictionModel:
    """Features that move it most come first."""
    weights = zip(model.names, (model.slope * model.weights).tolist(), strict=True)
    expires = step(local_of(days.instant(days.today), asked.zone), "day", model.horizon)
    return PredictionModel(
        version=model.version,
        expires=asked.label(instant_of(expires, asked.zone)),
        features=[Weight(feature=name, weight=weight) for name, weight in sorted(weights, key=lambda each: -abs(each[1]))],
    )
