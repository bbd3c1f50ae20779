"""Retention, lifecycle, stickiness, sessions and paths straight from their definitions (sections 1.3, 1.5 to 1.8), a subject at a time."""

from __future__ import annotations

from itertools import groupby, pairwise


def bucket_of(time, edges):
    return next((number for number in range(len(edges) - 1) if edges[number] <= time < edges[number + 1]), None)


def members(history, question):
    """{cohort: time of the start that made the subject a member}."""
    starts = sorted(time for time, done in history if question.start in done)
    edges = question.edges[: question.cohorts + 1]
    if question.kind == "first_match":
        starts = starts[:1]
    if question.kind == "first_ever":
        first = min((time for time, done in history if question.event in done), default=None)
        starts = [time for time, done in history if {question.start, question.event} <= done and time == first][:1]
    found = {}
    for time in starts:
        bucket = bucket_of(time, edges)
        if bucket is not None:
            found.setdefault(bucket, time)
    if question.unit is not None:
        found = dict(list(found.items())[:1])
    return found


def retained(history, question, cohort, entered):
    """By period whether a member returned, and its metric: (returned, events, sum)."""
    times = [time for time, done in history if question.back in done and question.edges[0] <= time < question.edges[-1]]
    if question.unit is None:
        distances = [bucket_of(time, question.edges) - cohort for time in times]
    else:
        distances = [(time - entered) // question.unit for time in times]
    bounds = [1]
    for bracket in question.brackets:
        bounds.append(bounds[-1] + bracket)
    spans = [(0, 1), *pairwise(bounds)]
    counts = [sum(low <= distance < high for distance in distances) for low, high in spans]
    good = [count >= question.min_occurrences for count in counts]
    events = [count if enough else 0 for count, enough in zip(counts, good, strict=True)]
    if question.or_after:
        beyond = [distances.count(distance) for distance in sorted(set(distances)) if distance >= bounds[-1]]
        later = [count for count in beyond if count >= question.min_occurrences]
        good = [any(good[period:]) or bool(later) for period in range(len(good))]
        many = [count for count in beyond if question.min_occurrences > 1 and count >= question.min_occurrences]
        rest = sum(many) if question.min_occurrences > 1 else sum(beyond)
        events = [sum(events[period:]) + rest for period in range(len(events))]
    good[0] = not question.zero_returned or _zero(times, question, cohort, entered) or (question.or_after and good[1])
    return good, events


def _zero(times, question, cohort, entered):
    end = question.edges[cohort + 1] if question.unit is None else entered + question.unit
    return sum(entered < time < end for time in times) >= question.min_occurrences


def phases(history, activity, edges):
    """[(bucket of the range, status)] of a subject; the first bucket of `edges` is the one before the range."""
    times = [time for time, done in history if activity in done]
    buckets = {bucket_of(time, edges) for time in times}
    first = bucket_of(min(times), edges) if times else None
    found = []
    for bucket in range(1, len(edges) - 1):
        before = bucket - 1 in buckets
        if bucket in buckets:
            found.append((bucket - 1, "new" if bucket == first else "returning" if before else "resurrecting"))
        elif before:
            found.append((bucket - 1, "dormant"))
    return found


def habit(history, activity, edges, times):
    """Buckets in which a subject was active often enough."""
    buckets = [bucket_of(time, edges) for time, done in history if activity in done]
    return sum(buckets.count(bucket) >= times for bucket in range(len(edges) - 1))


def trailing(history, activity, edges, length):
    """By bucket whether the subject was active in the buckets that end with it."""
    buckets = {bucket_of(time, edges) for time, done in history if activity in done}
    return [any(bucket in buckets for bucket in range(max(last - length + 1, 0), last + 1)) for last in range(len(edges) - 1)]


def sessions(events, cut):
    """Lists of events (dicts with `time` and columns), each a session, by start."""
    found = []
    key = lambda event: tuple(event[name] for name in cut.apart)  # noqa: E731
    for _, group in groupby(sorted(events, key=lambda event: (key(event), event["time"])), key=key):
        current, campaign = [], -1
        for event in group:
            news = cut.campaign is not None and event[cut.campaign] not in (-1, campaign)
            if current and (news or _cuts(current, event, cut)):
                found.append(current)
                current = []
            campaign = event[cut.campaign] if news else campaign
            current.append(event)
        found.append(current)
    return sorted(found, key=lambda session: session[0]["time"])


def _cuts(current, event, cut):
    pause = event["time"] - current[-1]["time"]
    if cut.gap is not None and (pause > cut.gap or (cut.closed and pause == cut.gap)):
        return True
    return cut.length is not None and event["time"] - current[0]["time"] > cut.length


def path(session, question):
    """[(step, time, item)] of a session's events (time, item), -1 for no item; None for a session that is left out."""
    visits = [(time, item) for time, item in sorted(session) if item != -1]
    if question.collapse_repeats:
        visits = [next(run) for _, run in groupby(visits, key=lambda visit: visit[1])]
    items = [item for _, item in visits]
    if question.start is not None:
        if question.start not in items:
            return []
        visits = visits[items.index(question.start) :]
        items = [item for _, item in visits]
    if question.end is not None:
        if question.end not in items:
            return []
        visits = visits[: items.index(question.end) + 1]
    steps = question.steps
    if question.end is not None and question.start is None:
        visits = visits[-steps:]
        return [(steps - len(visits) + 1 + place, *visit) for place, visit in enumerate(visits)]
    if question.end is not None and len(visits) > steps:
        half = steps // 2
        visits = [*visits[:half], (visits[half][0], -2), *visits[-half:]]
    elif question.end is None:
        visits = visits[:steps]
    return [(place + 1, *visit) for place, visit in enumerate(visits)]
