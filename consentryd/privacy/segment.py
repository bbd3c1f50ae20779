"""One piece of a URL: a path segment or a parameter's value, decoded, cut and, where it names a person or opens a door, redacted."""

from __future__ import annotations

import re
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final
from unicodedata import normalize
from urllib.parse import unquote

REDACTED: Final = ":redacted"
MAX_CHARS: Final = 255

#: A number, or a slug of ordinary words, maybe with a file's ending: nothing of it can be sensitive. Most segments are of this kind.
HARMLESS: Final = (
    r"(?:\d{1,19}|(?![a-f\d]{8}-[a-f\d]{4}-)"
    r"(?:[A-Za-z][a-z]{0,9}\d{0,4}|[A-Za-z][a-z]{10,23}|\d{1,4}[a-z]{0,3})"
    r"(?:[-_](?:[A-Za-z][a-z]{0,9}\d{0,4}|[A-Za-z][a-z]{10,23}|\d{1,4}[a-z]{0,3})){0,7}"
    r"(?:\.[a-z]{2,5})?)"
)
_HARMLESS: Final = re.compile(HARMLESS, re.ASCII)

_DOTS: Final = 3  # of a v4 address
_WORDLIKE: Final = 5  # characters in which anything may be a word
_ROUNDS: Final = 4  # of percent-decoding; what is still encoded then hides something

#: C0 and C1 controls, zero-width and bidirectional marks, the line separators, surrogates.
_INVISIBLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_TAIL: Final = re.compile(
    r"[;?#].*|&[\w.\[\]-]+=.*", re.DOTALL
)  # matrix parameters, and queries that were encoded or lost their "?"

_AT: Final = re.compile(
    r"[^@]@(?!\d(?:\.\d)?x\.(?:png|jpe?g|gif|webp|svg|avif)$|v?\d+(?:\.\d+)*(?:-[\w.]+)?$)"
)  # not logo@2x.png, lib@1.2.3
_SHAPES: Final = re.compile(
    r"(?-i:eyJ)[\w-]{10}"  # a JSON web token
    r"|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"  # a UUID
    r"|(?<![0-9a-z])(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{16,}(?![g-z])"  # a digest or an ObjectId; not a number
    r"|^[\w+/-]{14,}={1,2}$"  # padded base64
    r"|^\+\d[\d ().-]{6,}$"  # a telephone number
    r"|[a-z]/\d[\w.]{0,40}[ +]\(",  # a user agent
    re.IGNORECASE,
)
_QUAD: Final = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_WORDS: Final = re.compile(r"[\w+~-]{20,}", re.ASCII)
_SEPARATORS: Final = re.compile(r"[-_+~]")
_CASES: Final = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")


def strip_invisible(text: str) -> str:
    """Without control characters, zero-width and bidirectional marks, and lone surrogates."""
    return _INVISIBLE.sub("", text)


def clean_text(text: str) -> str:
    """The decoded piece without matrix or query tails, or `:redacted`. Takes text without invisible characters."""
    if _HARMLESS.fullmatch(text):
        return text
    if "%" in text:
        text = _decode(text)
    text = _TAIL.sub("", text)
    return REDACTED if is_sensitive(text) else text


def _decode(text: str) -> str:
    """The ends of lines and tabs part words here, which a browser has encoded: they become blanks."""
    for _ in range(_ROUNDS):
        text = strip_invisible(" ".join(unquote(text).replace("\t", " ").splitlines()))
        if not _ENCODED.search(text):
            return text
    return REDACTED


def is_sensitive(text: str) -> bool:
    """Whether the text holds an e-mail address, user and password, IP address, telephone number, web token, digest, UUID or random token.

    Words, slugs, versions, plain numbers and short ids are not: losing a page's path costs more than they tell.
    """
    if len(text) > MAX_CHARS:
        return True
    if not text.isascii():
        text = normalize("NFKC", text)
    return bool(_AT.search(text) or _SHAPES.search(text)) or _has_address(text) or any(map(_is_random, _WORDS.findall(text)))


def _has_address(text: str) -> bool:
    if text.count(":") > 1 and _parses(AF_INET6, text.strip("[]")):
        return True
    return text.count(".") >= _DOTS and any(_parses(AF_INET, quad) for quad in _QUAD.findall(text))


def _parses(family: int, text: str) -> bool:
    try:
        inet_pton(family, text)
    except (OSError, ValueError):
        return False
    return True


def _is_random(word: str) -> bool:
    """Whether at least half of a long word is made of parts that no person would write."""
    parts = _SEPARATORS.split(word)
    return 2 * sum(len(part) for part in parts if _is_noise(part)) >= len(word)


def _is_noise(part: str) -> bool:
    """Two runs of digits, or letter cases that change nearly at every other letter (`ListOfCountries` changes at every third)."""
    runs = _CASES.findall(part)
    return len(part) > _WORDLIKE and (sum(run.isdigit() for run in runs) > 1 or len(runs) - 1 > 0.45 * (len(part) - 1))
