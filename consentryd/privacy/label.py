"""Labels: what stands before a value in a text that is no JSON as a whole, as logs, error messages, XML and pieces of code have it.

`{"password": "hunter2"} refused`, `{'password': 'hunter2'}`, `password: hunter2`, `User(password=hunter2)`, `<password>hunter2</password>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_NAME: Final = r"[^\W\d][\w$.-]{0,63}"
_QUOTE: Final = r"\\{0,3}[\"']"  # escaped in JSON that is in JSON
_GAP: Final = r"\s{0,4}"


def _quoted(quote: str, value: str) -> str:
    return rf"(?P<{quote}>{_QUOTE})(?P<{value}>(?:(?!(?P={quote}))(?:\\.|[^\\\r\n])){{1,1024}})"


_LABEL: Final = re.compile(
    rf"(?<![\w$])(?P<quote>{_QUOTE})(?P<quoted>{_NAME})(?P=quote){_GAP}(?::|=>|=){_GAP}"
    rf"(?:{_quoted('first', 'text')}|(?P<number>-?[0-9][0-9.]{{0,31}}(?![\w-])))"
    rf"|(?<![\w$.\"'-])(?P<bare>{_NAME})\s{{0,2}}(?::(?!/)|=>?){_GAP}{_quoted('second', 'called')}"
    rf"|(?<![\w$.\"'-])(?P<worded>{_NAME})(?:\s{{0,2}}:(?!/)|\s=>?){_GAP}(?P<word>(?=[^\s\d]{{0,64}}\d)[^\s,;\"'<>&()\[\]{{}}]{{4,256}})"
    rf"|(?<=[({{\[,])\s?(?P<field>{_NAME})=(?P<value>[^\s,;\"'<>&()\[\]{{}}=][^,;\"'<>&()\[\]{{}}=]{{0,255}})(?=[,)\]}}])"
    rf"|<(?:\w{{1,32}}:)?(?P<tag>{_NAME})(?:\s[^<>]{{0,256}})?>\s{{0,32}}(?:<!\[CDATA\[)?(?P<content>[^<>]{{1,1024}})(?=</|\]\]>|<!\[CDATA)"
)
#: Fields of contacts' cards (RFC 6350, MECARD) and of calendars' people (RFC 5545), and what they hold.
_CARD: Final = re.compile(r"BEGIN:VCARD|MECARD:|(?:ATTENDEE|ORGANIZER);")
_CARD_SIGNS: Final = (b"VCARD", b"MECARD:", b"ATTENDEE;", b"ORGANIZER;")
_FIELD: Final = re.compile(
    r"^(?:[\w-]{1,16}\.)?(?P<vcard>N|FN|NICKNAME|ADR|LABEL|BDAY)(?:;[^:\r\n]{0,256})?:(?P<line>[^\r\n]{1,1024})"
    r"|(?<=[:;])(?P<mecard>N|NICKNAME|ADR|BDAY):(?P<part>[^;\r\n]{1,1024})"
    r"|;(?P<calendar>CN)=\"?(?P<person>[^;:\"\r\n]{1,256})",
    re.IGNORECASE | re.MULTILINE,
)
_HELD: Final = {"adr": "address", "label": "address", "bday": "birthday"}
_NAMES: Final = ("quoted", "bare", "worded", "field", "tag")
_FIELDS: Final = ("vcard", "mecard", "calendar")
_DATA: Final = ("line", "part", "person")
_VALUES: Final = ("text", "number", "called", "word", "value", "content")

_SIGNS: Final = re.compile(rb"[:=](?![/:=]|\Z)|</")
_BLANKS: Final = b" \t"
_QUOTES: Final = b"\"'\\>"
_OPENING: Final = frozenset({b"(", b"{", b"[", b","})
_NO_WORDS: Final = frozenset({b"", b":"})
_NEAR: Final = 6
_BETWEEN: Final = b"\t\n\r,;(){}[]<>\"'\\?&|/=:"
_BREAKS: Final = bytes.maketrans(_BETWEEN, b" " * len(_BETWEEN))
_SAME: Final = bytes.maketrans(b"023456789", b"1" * 9)
_LONGEST: Final = 64


class Label(NamedTuple):
    """`name` says what stands from `start` to `end`; `is_bare` if it is but a word, as in a sentence."""

    name: str
    start: int
    end: int
    is_bare: bool


def labels_in(text: str) -> Iterator[Label]:
    """All labels of a text, whatever they say, those inside another's value after it."""
    if _CARD.search(text):
        for match in _FIELD.finditer(text):
            field, value = (next(group for group in groups if match[group]) for groups in (_FIELDS, _DATA))
            yield Label(_HELD.get(match[field].lower(), "full_name"), match.start(value), match.end(value), is_bare=False)
        return
    found = _LABEL.search(text)
    while found is not None:
        name = next(filter(None, map(found.group, _NAMES)))
        value = next(group for group in _VALUES if found[group] is not None)
        yield Label(name, found.start(value), found.end(value), value == "word")
        found = _LABEL.search(text, found.start(value))


def holds_card(data: bytes) -> bool:
    """Whether a contact's card or a calendar's people may stand in UTF-8."""
    return any(sign in data for sign in _CARD_SIGNS)


def words_before(data: bytes) -> Iterator[bytes]:
    """What could be a label in UTF-8, with every digit as a 1, so that it depends on none; behind a colon if nothing but a blank parts it
    from its value, as in a sentence."""
    for sign in _SIGNS.finditer(data):
        position = sign.start()
        if sign[0] == b"</":
            word = data[position + 2 : position + _LONGEST].partition(b">")[0].rpartition(b":")[2]
        else:
            head = data[max(0, position - _LONGEST) : position].rstrip(_BLANKS)
            around = head[-1:] + data[position + 1 : position + _NEAR].lstrip(_BLANKS)[:1]
            head = head.rstrip(_QUOTES)
            word = head.translate(_BREAKS).rpartition(b" ")[2]
            if around.translate(None, _QUOTES) == around and head[: len(head) - len(word)].rstrip()[-1:] not in _OPENING:
                word = b":" + word
        if word not in _NO_WORDS and not word.isdigit():
            yield word.translate(_SAME)
