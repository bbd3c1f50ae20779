"""What a person chose, as an event carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional, Union


@dataclass(frozen=True)
class Consent:
    """The signals that go with an event, as far as they are known. None: nothing was said.

    `purposes`: yes or no by purpose. `notice`: the version of the notice that was shown; `at`: when. `gpc` and `dnt`: the browser sent
    `Sec-GPC: 1`, `DNT: 1`. `tcf`, `gpp` with `gpp_sid`, `us_privacy`: the IAB's strings.
    """

    purposes: Optional[Mapping[str, Optional[bool]]] = None
    notice: Optional[str] = None
    at: Optional[datetime] = None
    gpc: Optional[bool] = None
    dnt: Optional[bool] = None
    tcf: Optional[str] = None
    gpp: Optional[str] = None
    gpp_sid: Optional[str] = None
    us_privacy: Optional[str] = None
    child: Optional[bool] = None

    def as_context(self) -> dict[str, Any]:
        """`context.consent`, as the gateway reads it."""
        said = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in said.items() if value is not None}


#: A `Consent`, or only its purposes: `{"analytics": True}`.
ConsentLike = Union[Consent, Mapping[str, Optional[bool]]]


def as_context(consent: ConsentLike) -> dict[str, Any]:
    return consent.as_context() if isinstance(consent, Consent) else {"purposes": dict(consent)}
