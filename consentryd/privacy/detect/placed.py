r"""The usual case of a name between slashes at once: `/home/anna/x`, `C:\Users\anna\x`, `https://shop.example/users/31415/orders`.

What it finds is what the detectors would find, if nothing else is in the text; where it is not sure it finds nothing.
"""

from __future__ import annotations

import re
from typing import Final

from consentryd.privacy.detect.detector import Detector, Finding
from consentryd.privacy.detect.location import PEOPLE, URL_ID, USER_PATH, WINDOWS_PATH

#: Letters or a few digits: no other detector would find anything in them.
_WHO: Final = r"(?:[A-Za-z]{1,20}|[0-9]{1,8})"
_PLACED: Final = re.compile(
    rf"\A/(?:Users|home)/(?P<path>{_WHO})(?=/|\Z)"
    rf"|\A[A-Za-z]:\\Users\\(?P<windows>{_WHO})(?=\\[^\\/\s\"])"
    rf"|/(?:{PEOPLE})/(?P<url>{_WHO})(?=/|\Z)",
    re.ASCII,
)
_DETECTORS: Final[dict[str, Detector]] = {"path": USER_PATH, "windows": WINDOWS_PATH, "url": URL_ID}


def placed(text: str) -> Finding | None:
    """The only datum of its kind in a text without spaces."""
    if "?" in text or ("/" not in text and "\\" not in text):
        return None
    guess = _PLACED.search(text)
    if guess is None or " " in text:
        return None
    group = guess.lastgroup or ""
    found = list(_DETECTORS[group].find(text))
    return found[0] if len(found) == 1 and found[0][:2] == guess.span(group) else None
