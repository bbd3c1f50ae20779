"""One request on its way through the stages: what they share, prepared once for all its events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from consentryd.config.settings import Site
from consentryd.gateway.intake import Intake
from consentryd.gateway.stages.person import Person
from consentryd.model.identity import IdentityKind
from consentryd.model.outcome import Violation


@dataclass(slots=True)
class Passage:
    """`skew` is what to add to the client's times, in microseconds. `context` is the batch's context, under each event's own; what is
    no object stands here as it is, and no event of the batch is read. `scenery` is a number for all of the request that bears on its
    events' scenes.

    `misdirected` is the region, not served here, that an event belonged to; `looked` are the regions whose stored choices are as of
    now, and whether there are any; `strangers` are identities that no store knew when the request came, `foreseen` whether the stores
    were asked for all of its people; `apart` are users and the region of their events, in their order, whose devices other regions
    know. `decisions` holds what consent decided for equal events of this request, `tallied` what was counted of their signals.
    `violations` tells, by their positions, where events do not fit their tracking plan; `taken` is how many events have been through
    all stages.
    """

    intake: Intake
    site: Site
    skew: int
    context: Any
    scenery: int
    misdirected: str | None = None
    looked: dict[str, bool] = field(default_factory=dict)
    strangers: set[tuple[str, IdentityKind, str]] = field(default_factory=set)
    foreseen: bool = False
    apart: dict[tuple[Person, str], None] = field(default_factory=dict)
    decisions: dict[Any, Any] = field(default_factory=dict)
    tallied: set[Any] = field(default_factory=set)
    violations: dict[int, Violation] = field(default_factory=dict)
    taken: int = 0
