"""The spelling in which keys are compared, whatever they are written or disguised in."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from consentryd.privacy.decode import plain, without_controls

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_WORD: Final = re.compile(r"[^0-9a-z]+")
_NOT_LETTER: Final = re.compile(r"[\W_]+")

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
    """A key in lower_snake_case: `userEmail`, `user-email` and `User Email` are `user_email`, `prénom` is `prenom`. Letters of other
    scripts stay, control characters do not."""
    key = without_controls(key)
    if key.isascii():
        return _NOT_WORD.sub("_", _CAMEL.sub("_", key).lower()).strip("_")
    return _NOT_LETTER.sub("_", _CAMEL.sub("_", without_accents(plain(key))).lower()).strip("_")


def without_accents(text: str) -> str:
    """The letters of a key, or of a pattern for keys, as they are compared: without accents and vowel signs, which are no letters."""
    apart = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    bare = "".join(character for character in apart if not unicodedata.category(character).startswith("M"))
    return unicodedata.normalize("NFC", bare)
