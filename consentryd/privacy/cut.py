"""Texts are cut to their length only once they were scrubbed: half an address is not recognised."""

from __future__ import annotations

import re
from typing import Final

from consentryd.privacy.treatment import is_output

#: So much of a text that will be cut is read and scrubbed. Most of what is kept of it stands far before that end.
READ_CHARS: Final = 1024
#: Where what is read may end in the middle of something: a word, and numbers before it.
_END_CHARS: Final = 256
_BROKEN: Final = re.compile(r"(?<!\S)[\d\s()+./,_-]*\S*\Z")


def beginning(text: str) -> str:
    """So much of a text as is read. What is taken out of it may be long, and then its end is kept: none that may be half a datum."""
    if len(text) <= READ_CHARS:
        return text
    start = READ_CHARS - _END_CHARS
    return text[:start] + _BROKEN.sub("", text[start:READ_CHARS])


def cut(text: str, most: int) -> str:
    """At most so many characters of a scrubbed text. What scrubbing put in the place of data stays whole: a seal could not be opened."""
    if len(text) <= most:
        return text
    start = text.rfind("[", 0, most)
    end = text.find("]", start) + 1
    return text[:end] if start >= 0 and end > most and is_output(text[start:end]) else text[:most]
