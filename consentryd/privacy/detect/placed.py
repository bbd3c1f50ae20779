r"""The usual case of a name, a user or a fragment in a path or a URL at once: `/home/anna/x`, `C:\Users\anna\x`,
`https://shop.example/users/31415/orders`, `https://anna:secret@shop.example/x`, `https://shop.example/x#part`.

What it finds is what the detectors would find, if nothing else is in the text; where it is not sure it finds nothing.
"""

from __future__ import annotations

import re
from typing import Final

from consentryd.privacy.detect.detector import Detector, Finding
from consentryd.privacy.detect.location import PEOPLE, URL_FRAGMENT, URL_ID, URL_USER, USER_PATH, WINDOWS_PATH

#: Latin letters or a few digits: no other detector would find anything in them.
_LETTERS: Final = "[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017e]{1,20}"
_WHO: Final = rf"(?:{_LETTERS}|[0-9]{{1,8}})"
#: Shorter than whatever a detector that comes first would find.
_SHORT: Final = "[A-Za-z0-9_-]{1,15}"
_PLACED: Final = re.compile(
    rf"\A/(?:Users|home)/(?P<path>{_WHO})(?=/|\Z)"
    rf"|\A[A-Za-z]:\\Users\\(?P<windows>{_WHO})(?=\\[^\\/\s\"])"
    rf"|\Ahttps?://(?P<user>{_LETTERS}(?::{_SHORT})?)@(?=\w)"
    rf"|/(?:{PEOPLE})/(?P<url>{_WHO})(?=/|\Z)"
    rf"|(?P<fragment>#{_SHORT})\Z",
    re.ASCII,
)
_DETECTORS: Final[dict[str, Detector]] = {
    "path": USER_PATH,
    "windows": WINDOWS_PATH,
    "user": URL_USER,
    "url": URL_ID,
    "fragment": URL_FRAGMENT,
}


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
