"""Funnels straight from their definitions (section 1.2): every chain of every history is tried. Slow, and shares no code with the kernels.

A history is a list of (time, definitions matched); a funnel is the kernels' own question, read field by field.
"""

from __future__ import annotations

from itertools import groupby, permutations, product
from typing import NamedTuple


class Answer(NamedTuple):
    """`reached` and `times` by step; `times` and `rows` are of the chosen chain, None where it lacks the step."""

    depth: int
    reached: tuple
    times: tuple
    excluded: bool = False
    rows: tuple = ()


def funnel(history, question):
    """None if the subject did not enter."""
    history = sorted(history, key=lambda event: event[0])
    if question.order == "any":
        return _any_order(history, question)
    starts = set(starting(history, question, question.steps[0].definition))
    if not starts:
        return None
    if question.order == "strict":
        return _answer(question, _select(_strict_runs(history, question, starts)))
    return _ordered(history, question, starts)


def starting(history, question, definition=None):
    """Events that may enter (R-F1): in the range, and if only the first one may, at its instant."""
    firsts = [event for event, (_, done) in enumerate(history) if definition is None or definition in done]
    within = [event for event in firsts if question.since <= history[event][0] < question.until]
    if question.entry == "any" or not within:
        return within
    pool = within if question.entry == "first" else firsts
    first = min(history[event][0] for event in pool)
    return [event for event in within if history[event][0] == first]


def all_chains(history, question, definitions, starts):
    """Every sequence of distinct events that match the first k definitions, in time order and within the window (R-F2)."""

    def extend(chain):
        yield chain
        if len(chain) == len(definitions):
            return
        for event, (time, done) in enumerate(history):
            last = history[chain[-1]][0]
            later = time > last if question.strict_ties else time >= last
            if (
                event not in chain
                and later
                and definitions[len(chain)] in done
                and time - history[chain[0]][0] <= question.window
            ):
                yield from extend([*chain, event])

    for start in starts:
        yield from extend([start])


def _select(chains):
    """R-F8 among chains given as lists of (time, event): deepest, ends earliest, starts latest, steps earliest."""
    return min(chains, key=lambda chain: (-len(chain), chain[-1][0], -chain[0][0], [time for time, _ in chain]))


def _ordered(history, question, starts):
    mandatory = [number for number, step in enumerate(question.steps) if not step.optional]
    definitions = [question.steps[number].definition for number in mandatory]
    chains = list(all_chains(history, question, definitions, starts))
    depth = max(map(len, chains))
    if question.on_exclude == "remove":
        good = [chain for chain in chains if len(chain) == depth and not poisons(history, question, mandatory, chain)]
    else:
        good = [chain[: left(history, question, mandatory, chain)] for chain in chains]
    if not good:
        return Answer(depth, (False,) * len(question.steps), (None,) * len(question.steps), excluded=True)
    chosen = _select([[(history[event][0], event) for event in chain] for chain in good])
    return _with_optional(history, question, mandatory, starts, chosen)


def _with_optional(history, question, mandatory, starts, chosen):
    reached, times, rows = ([None] * len(question.steps) for _ in range(3))
    for place, number in enumerate(mandatory):
        reached[number] = place < len(chosen)
        times[number], rows[number] = chosen[place] if place < len(chosen) else (None, None)
    for number, step in enumerate(question.steps):
        if step.optional:
            before = [earlier for earlier in mandatory if earlier < number]
            definitions = [question.steps[earlier].definition for earlier in [*before, number]]
            possible = any(len(chain) == len(definitions) for chain in all_chains(history, question, definitions, starts))
            reached[number] = possible and len(chosen) >= len(before)
            times[number] = _optional_time(history, question, step.definition, chosen[: len(before)]) if reached[number] else None
    return Answer(len(chosen), tuple(reached), tuple(times), rows=tuple(rows))


def _optional_time(history, question, definition, chain):
    used, last = {event for _, event in chain}, chain[-1][0]
    for event, (time, done) in enumerate(history):
        later = time > last if question.strict_ties else time >= last
        if later and event not in used and definition in done and time - chain[0][0] <= question.window:
            return time
    return None


def poisons(history, question, mandatory, chain):
    """The exclusions that hit a chain (R-F7)."""
    times = {mandatory[place]: history[event][0] for place, event in enumerate(chain)}
    found = []
    for exclusion in question.exclusions:
        if exclusion.from_step not in times:
            continue
        start, end = times[exclusion.from_step], times.get(exclusion.to_step)
        for event, (time, done) in enumerate(history):
            between = start < time < end if end is not None else start < time <= times[0] + question.window
            if exclusion.definition in done and between and not _mixed(history, question, event):
                found.append(exclusion)
                break
    return found


def _mixed(history, question, event):
    """Whether another event of the instant matches a step."""
    wanted = {step.definition for step in question.steps}
    return any(other != event and time == history[event][0] and done & wanted for other, (time, done) in enumerate(history))


def left(history, question, mandatory, chain):
    """Steps that a poisoned chain keeps: up to the first step of the exclusion."""
    lows = [mandatory.index(exclusion.from_step) + 1 for exclusion in poisons(history, question, mandatory, chain)]
    return min([len(chain), *lows])


def orders(history):
    """Every order of the events that their times allow."""
    indexed = list(enumerate(history))
    groups = [list(group) for _, group in groupby(indexed, key=lambda item: item[1][0])]
    for ordering in product(*(permutations(group) for group in groups)):
        yield [item for group in ordering for item in group]


def _strict_runs(history, question, starts):
    """Every run of neighbours that does the first k steps, in every order of ties (R-F5)."""
    for order in orders(history):
        for first, (event, (begin, _)) in enumerate(order):
            if event not in starts:
                continue
            run = []
            for step, (place, (time, done)) in zip(question.steps, order[first:], strict=False):
                if (
                    step.definition not in done
                    or time - begin > question.window
                    or (question.strict_ties and run and run[-1][0] == time)
                ):
                    break
                run.append((time, place))
                yield list(run)


def _answer(question, chosen):
    steps = len(question.steps)
    times = [time for time, _ in chosen] + [None] * (steps - len(chosen))
    rows = [event for _, event in chosen] + [None] * (steps - len(chosen))
    return Answer(len(chosen), tuple(place < len(chosen) for place in range(steps)), tuple(times), rows=tuple(rows))


def _any_order(history, question):
    first = question.steps[0].definition if question.anchor_first else None
    wanted = {step.definition for step in question.steps}
    history = [event for event in history if event[1] & wanted]
    starts = starting(history, question, first)
    if not starts:
        return None
    return _answer(question, _select([_window(history, question, start) for start in starts]))


def _window(history, question, start):
    """When the 1st, 2nd, ... step is completed in the window that a start opens (R-F6)."""
    begin = history[start][0]
    inside = [(event, item) for event, item in enumerate(history) if begin <= item[0] <= begin + question.window]
    definitions = [step.definition for step in question.steps]
    completed = [(begin, start)] if question.anchor_first else []
    if question.anchor_first:
        inside, definitions = [item for item in inside if item[0] != start], definitions[1:]
    before = len(completed)
    for moment in sorted({item[0] for _, item in inside}):
        done = [item[1] for _, item in inside if item[0] <= moment]
        most = _most(done, definitions) + before
        completed += [(moment, None)] * (most - len(completed))
    return completed


def _most(events, definitions):
    """The most definitions that distinct events match."""
    if not definitions:
        return 0
    found = _most(events, definitions[1:])
    for place, done in enumerate(events):
        if definitions[0] in done:
            found = max(found, 1 + _most(events[:place] + events[place + 1 :], definitions[1:]))
    return found


def entries(history, question):
    """The attempts of a subject (R-F11), as (times, excluded). Instants must not leave a choice of which event does which step."""
    history = sorted(history, key=lambda event: event[0])
    mayopen, attempts, times = set(starting(history, question, question.steps[0].definition)), [], []
    for moment, group in groupby(enumerate(history), key=lambda item: item[1][0]):
        pool = list(group)
        if times and moment - times[0] > question.window:
            attempts.append((times, False))
            times = []
        times = _taken(pool, question, mayopen, attempts, times)
        lows = _closing(history, question, times, moment)
        if lows:
            removed = question.on_exclude == "remove"
            attempts.append((times if removed else times[: min(lows) + 1], removed))
            times = []
    return attempts + ([(times, False)] if times else [])


def _taken(pool, question, mayopen, attempts, times):
    while True:
        wanted = question.steps[len(times)].definition
        fitting = [item for item in pool if wanted in item[1][1] and (times or item[0] in mayopen)]
        if not fitting or (question.strict_ties and times and times[-1] == fitting[0][1][0]):
            return times
        pool.remove(fitting[0])
        times = [*times, fitting[0][1][0]]
        if len(times) == len(question.steps):
            attempts.append((times, False))
            times = []


def _closing(history, question, times, moment):
    return [
        exclusion.from_step
        for exclusion in question.exclusions
        for event, (time, done) in enumerate(history)
        if time == moment
        and exclusion.definition in done
        and not _mixed(history, question, event)
        and exclusion.from_step < len(times) <= exclusion.to_step
        and times[exclusion.from_step] < moment
    ]
