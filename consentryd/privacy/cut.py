"""Texts are cut to their length only once they were scrubbed: half an address is not recognised."""

from __future__ import annotations

from typing import Final

from consentryd.privacy.treatment import is_output

#: So much of a text that will be cut is read and scrubbed. Whatever is kept of it stands far before that end.
READ_CHARS: Final = 1024


def cut(text: str, most: int) -> str:
    """At most so many characters of a scrubbed text. What scrubbing put in the place of data stays whole: a seal could not be opened."""
    if len(text) <= most:
        return text
    start = text.rfind("[", 0, most)
    end = text.find("]", start) + 1
    return text[:end] if start >= 0 and end > most and is_output(text[start:end]) else text[:most]
