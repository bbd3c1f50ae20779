"""The grant in lines to paste: such as these settings take, of the purpose that the events serve and under the notice in force."""

from __future__ import annotations

from html import escape
from typing import Any, Final, NamedTuple

from consentryd.config.settings import Consent
from consentryd.consent.purposes import load_purposes

#: What the browser SDK takes an event to be for if its page does not say.
SDK_PURPOSE: Final = "analytics"


class Grant(NamedTuple):
    """`notice` is empty where none need be named."""

    purpose: str = SDK_PURPOSE
    notice: str = ""

    @property
    def context(self) -> dict[str, Any]:
        """An event's `context`."""
        consent = {"purposes": {self.purpose: True}, **({"notice": self.notice} if self.notice else {})}
        return {"consent": consent}

    @property
    def attributes(self) -> str:
        """What the SDK's script element says of it, after its other attributes."""
        said = {"data-purpose": "" if self.purpose == SDK_PURPOSE else self.purpose, "data-notice": self.notice}
        return "".join(f' {name}="{escape(value)}"' for name, value in said.items() if value)


def grant_for(event: str, settings: Consent) -> Grant:
    """For an event of this name; of several notices the last counts, as the newest."""
    return Grant(load_purposes(settings).of_event(event).name, settings.notices[-1] if settings.notices else "")
