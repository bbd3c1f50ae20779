"""User agents: a product and its version, and after it in brackets what it runs on."""

from __future__ import annotations

import re
from typing import Final

from consentryd.privacy.detect.detector import Detector, Gate

_PRODUCT: Final = r"[A-Za-z][\w.+-]{0,60}/[0-9][\w.+-]{0,40}"
_COMMENT: Final = r"\([^()\"]{0,400}(?:\([^()\"]{0,200}\)[^()\"]{0,200})?\)?"
_OF_MACHINES: Final = re.compile(
    r"Windows|Macintosh|Mac OS|X11|Linux|Android|iPhone|iPad|iOS|Darwin|CrOS|compatible|KHTML", re.IGNORECASE
)


def _is_agent(match: re.Match[str]) -> bool:
    """What is in the brackets is parted by semicolons, or names a system."""
    return match["product"].startswith("Mozilla/") or ";" in match["comment"] or _OF_MACHINES.search(match["comment"]) is not None


USER_AGENT: Final = Detector(
    name="user_agent",
    gate=Gate.AGENT,
    sign="/",
    pattern=re.compile(
        rf"(?<![\w])(?:{_PRODUCT}[ +]){{0,3}}(?P<product>{_PRODUCT})[ +](?P<comment>{_COMMENT})"
        rf"(?:[ +](?:{_PRODUCT}|{_COMMENT}|\[[^\]\"]{{0,800}}\]|like Gecko|Mobile|Safari)(?![\w])){{0,24}}",
    ),
    check=_is_agent,
)

DETECTORS: Final = (USER_AGENT,)
