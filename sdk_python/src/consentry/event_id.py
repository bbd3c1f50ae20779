"""An event's id that the caller gives: what the gateway will know it by, and whether it will."""

from __future__ import annotations

import re
import unicodedata

#: What the gateway takes for no id, lower-case: such an event would be stored again when it is sent again.
PLACEHOLDERS = frozenset(
    {
        "anonymous",
        "anonymousid",
        "anonymous_id",
        "distinct_id",
        "distinctid",
        "email",
        "false",
        "guest",
        "id",
        "n/a",
        "nan",
        "nil",
        "none",
        "not set",
        "not_authenticated",
        "null",
        "true",
        "undefined",
        "unknown",
        "user",
        "user_id",
        "userid",
        "visitor",
        "-1",
        "#n/a",
        "[object object]",
        "{}",
        "[]",
    }
)
_QUOTES = "'\"`()<>\u2018\u2019\u201a\u201c\u201d\u201e\xab\xbb"
_BLANKS = "\u115f\u1160\u2800"
_TEMPLATE = re.compile(r"\{\{.*?\}\}|[$#]\{.*?\}|\A(?:<%.*%>|%[a-z@]|%\(\w+\)[a-z]|%%\w+%%|\{[A-Za-z_.]*\})\Z", re.DOTALL)


def as_read(text: str) -> str:
    """The gateway reads half a surrogate pair as U+FFFD, and answers with that."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_placeholder(text: str) -> bool:
    """Whether a text is blank, or what stands in place of an id that somebody's code did not have, however it is spelled."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf" and c not in _BLANKS)
    text = text.strip()
    word = text.strip(_QUOTES)
    return not word.strip("0-") or word.lower() in PLACEHOLDERS or _TEMPLATE.search(text) is not None
