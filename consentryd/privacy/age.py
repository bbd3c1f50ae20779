"""How people write an age."""

from __future__ import annotations

from typing import Final

#: A number of years in the words of a few languages, or in none.
AGE: Final = (
    r"(?:aged?:? )?(?P<years>[0-9]{1,3}(?:\.[0-9]{1,2})?)"
    r"[ -]?(?:y|yo|y/o|y\.o\.|yrs?\.?|years?|jahre?|ans|a\u00f1os|anni|anos|jaar|lat|\u00e5r|\u043b\u0435\u0442)(?:[ -](?:old|alt|oud))?"
)
