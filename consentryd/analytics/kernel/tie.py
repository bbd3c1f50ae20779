"""Events of one instant have no order of their own: where one has to come first, or to name something, the texts of its values decide.

So the same events always give the same answer, in whichever order files and the log hold them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from consentryd.analytics.kernel.chain import Bools, Ints
from consentryd.analytics.kernel.change import changes
from consentryd.analytics.stream import NONE, Stream, Values


def untied(stream: Stream, name: str) -> Stream:
    """The same stream with the events of an instant by the texts of a column, missing ones first, then by all else known of them."""
    tied = np.flatnonzero(~changes(stream.subject) & ~changes(stream.time))
    if not len(tied):
        return stream
    places = np.union1d(tied, tied - 1)
    columns = [name, *sorted(other for other in stream.values if other != name)]
    keys = [_ranked(stream, column, places) for column in columns]
    masks = stream.masks[stream.code[places]]
    order = places[np.lexsort((masks, *reversed(keys), stream.time[places], stream.subject[places]))]
    values = {}
    for column, content in stream.values.items():
        values[column] = content.copy()
        values[column][places] = content[order]
    code = stream.code.copy()
    code[places] = stream.code[order]
    return stream._replace(code=code, values=values)


def named(stream: Stream, name: str, wanted: Bools, apart: Sequence[str] = ()) -> Values:
    """A text column in which the wanted events of one subject and instant, and one value of each column of `apart`, all have the first of
    their texts, rather than none."""
    column = stream.values[name]
    rows = np.flatnonzero(wanted)
    if apart:
        parts = (stream.values[each][rows] for each in apart)
        rows = rows[np.lexsort((*parts, stream.time[rows], stream.subject[rows]))]
    new = changes(stream.subject[rows]) | changes(stream.time[rows])
    for each in apart:
        new |= changes(stream.values[each][rows])
    if new.all():
        return column
    own = _ranked(stream, name, rows)
    last = np.iinfo(own.dtype).max
    first, group = np.flatnonzero(new), np.cumsum(new) - 1
    least = np.minimum.reduceat(np.where(own < 0, last, own), first)
    chosen = np.flatnonzero(own == least[group])
    told = np.full(len(first), NONE, column.dtype)
    told[group[chosen]] = column[rows[chosen]]
    found = column.copy()
    found[rows] = told[group]
    return found


def _ranked(stream: Stream, name: str, places: Ints) -> Values:
    """A column's values in an order that does not depend on their codes: of a text its place among all, of none -1."""
    values, texts = stream.values[name][places], list(stream.texts.get(name, []))  # other threads add to them
    if not texts:
        return values
    rank = np.full(len(texts) + 1, -1, np.int64)
    rank[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
    found: Values = rank[values]
    return found
