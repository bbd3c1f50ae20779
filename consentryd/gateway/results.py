"""The answer to a collecting request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from consentryd.model.outcome import Outcome, Result

_STORED: Final = Outcome.STORED
_TAKEN: Final = frozenset({Outcome.STORED, Outcome.ANONYMOUS, Outcome.DUPLICATE})


def encode_results(results: Sequence[Result], *, verbose: bool) -> bytes:
    """`{"accepted", "results", "success"}`. Accepted is what the store holds now: stored, anonymous or already there.

    `results` lists what is not plainly stored, or everything if `verbose`. `success` is for Segment's clients, which look for it.
    """
    told = results if verbose else [result for result in results if result.outcome is not _STORED]
    if not told:
        return b'{"accepted":%d,"results":[],"success":true}' % len(results)
    return orjson.dumps(
        {
            "accepted": sum(result.outcome in _TAKEN for result in results),
            "results": list(map(_told, told)),
            "success": True,
        }
    )


def _told(result: Result) -> dict[str, Any]:
    told = {"id": result.id, "outcome": result.outcome, "reason": result.reason}
    return told if result.violation is None else {**told, "violation": result.violation._asdict()}
