"""JSON pointers (RFC 6901)."""

from __future__ import annotations

from collections.abc import Iterable


def pointer_to(steps: Iterable[str]) -> str:
    """The pointer that goes these steps; empty for the whole document."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
