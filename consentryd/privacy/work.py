"""The work on one event: its rules, its bounds, and what was done so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from consentryd.model.made import made
from consentryd.privacy.plain import PlainKeys
from consentryd.privacy.redaction import BOUND_RULE, Action, Redaction
from consentryd.privacy.rules import Scope
from consentryd.privacy.seal import Place
from consentryd.privacy.treatment import DROPPED, Spot

#: An event of 32 KiB that is encoded twice and changed twice stays inside.
MOST_CHARACTERS: Final = 262_144
MOST_NODES: Final = 16_384
MOST_NESTING: Final = 64
#: Findings in one text that were looked for one by one, and in one event.
MOST_FINDINGS: Final = 512
MOST_FINDINGS_OF_EVENT: Final = 2_048


@dataclass(slots=True)
class Work:
    """`anchor` is the path of the stored text while JSON inside of it is walked, for values sealed there; `plain` are the keys that tell
    nothing in the top-level field that is being walked."""

    scope: Scope
    place: Place
    handle: bytes | None
    redactions: list[Redaction] = field(default_factory=list)
    characters: int = MOST_CHARACTERS
    nodes: int = MOST_NODES
    findings: int = MOST_FINDINGS_OF_EVENT
    anchor: str | None = None
    plain: PlainKeys = field(init=False)

    def takes(self, characters: int, depth: int) -> bool:
        """Whether there is still room to look at so many characters."""
        self.characters -= characters
        return self.characters >= 0 and depth <= MOST_NESTING

    def finds(self, findings: int) -> bool:
        """Whether there is still room to treat so many findings of one text."""
        self.findings -= findings
        return self.findings >= 0 and findings <= MOST_FINDINGS

    def spot(self, path: str) -> Spot:
        return made(Spot, (path if self.anchor is None else self.anchor, self.place, self.handle))

    def record(self, path: str, rule: str, action: Action) -> None:
        self.redactions.append(made(Redaction, (path, rule, action)))

    def beyond(self, path: str) -> Any:
        """What could not be looked at is dropped."""
        self.record(path, BOUND_RULE, Action.DROP)
        return DROPPED
