"""The spelling in which keys are compared, whatever they are written or disguised in."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from consentryd.privacy.decode import plain

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_WORD: Final = re.compile(r"[^0-9a-z]+")

#: Letters that no decomposition takes apart.
_LETTERS: Final = str.maketrans(
    {
        "ß": "ss",
        "ẞ": "SS",
        "ø": "o",
        "Ø": "O",
        "æ": "ae",
        "œ": "oe",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "\u0131": "i",
    }
)


def words_of(key: str) -> str:
    """A key in lower_snake_case: `userEmail`, `user-email` and `User Email` are `user_email`, `prénom` is `prenom`."""
    if not key.isascii():
        key = _folded(key)
    return _NOT_WORD.sub("_", _CAMEL.sub("_", key).lower()).strip("_")


def _folded(key: str) -> str:
    """Without accents, look-alikes and invisible characters."""
    apart = unicodedata.normalize("NFKD", plain(key).translate(_LETTERS))
    return "".join(character for character in apart if not unicodedata.combining(character))
