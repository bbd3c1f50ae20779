"""Text as a person would read it: percent- and HTML-decoded, full-width and look-alike characters folded, invisible ones removed."""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from itertools import islice
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

#: Zero-width and direction marks, soft hyphen, fillers and blank letters, variation selectors, tags, control characters beyond ASCII, and
#: marks that folding joined to no letter: characters that only serve to hide others.
_INVISIBLE: Final = re.compile(
    "[\u0080-\u009f\u00ad\u0300-\u036f\u0483-\u0489\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u20d0-\u20ff\u2800\u3164\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\uffa0\ufff0-\ufffc\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_LINE_END: Final = re.compile("[\u0085\u2028\u2029]")
#: ASCII's control characters that part no words, all but tabs and the ends of lines, as a class of a pattern has them.
CONTROLS: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
_CONTROL: Final = re.compile(f"[{CONTROLS}]")
_ODD_DIGIT: Final = re.compile(r"(?![0-9])\d")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
#: `\\x64` alone is a directory, and so is `\\n` before a word.
_ESCAPE: Final = re.compile(
    r"[\\%]u([0-9A-Fa-f]{4})|\\x(40)|((?:\\x[0-9A-Fa-f]{2}){4,})|\\[nrt](?=[0-9+(]|[A-Z]{2}[0-9]{2}|eyJ|[A-Za-z0-9_]{3,11}[-_]|[A-Z0-9]{9})"
)
_SURROGATES: Final = range(0xD800, 0xE000)
_ENTITY: Final = re.compile(r"&(?:#|[a-z]{2,12};)")

#: Letters of other scripts that look like Latin ones (from Unicode's confusables), used only where they stand among Latin letters.
_LOOK_ALIKES: Final = str.maketrans(
    {
        odd: latin
        for latin, odds in (
            ("a", "\u0430\u03b1"), ("c", "\u0441"), ("d", "\u0501"), ("e", "\u0435"), ("h", "\u04bb"), ("i", "\u0456\u03b9"),
            ("j", "\u0458"), ("k", "\u03ba"), ("l", "\u04cf"), ("o", "\u043e\u03bf"), ("p", "\u0440\u03c1"), ("q", "\u051b"),
            ("s", "\u0455"), ("u", "\u03c5"), ("v", "\u03bd"), ("w", "\u051d"), ("x", "\u0445\u03c7"), ("y", "\u0443"),
            ("A", "\u0410\u0391"), ("B", "\u0412\u0392"), ("C", "\u0421"), ("E", "\u0415\u0395"), ("H", "\u041d\u0397"),
            ("I", "\u0406\u0399"), ("J", "\u0408"), ("K", "\u041a\u039a"), ("M", "\u041c\u039c"), ("N", "\u039d"),
            ("O", "\u041e\u039f"), ("P", "\u0420\u03a1"), ("S", "\u0405"), ("T", "\u0422\u03a4"), ("X", "\u0425\u03a7"),
            ("Y", "\u03a5"), ("Z", "\u0396"), ("-", "\u2010\u2011\u2012\u2013\u2014\u2212"), (".", "\u2024\u3002\uff61"),
        )
        for odd in odds
    }
)  # fmt: skip
_MIXED: Final = re.compile(r"[A-Za-z@.0-9][\u0370-\u052f]|[\u0370-\u052f][A-Za-z@]|[\u2010-\u2014\u2212\u2024\u3002\uff61]")

#: Characters of which compatibility folding or the tables here make ASCII letters, digits, dots or signs. Not in it: typographic
#: quotes, ellipses and trade marks, which stand in ordinary titles.
_HIDES: Final = re.compile(
    "[\u0080-\u00a0\u00ad\u00b2\u00b3\u00b9\u0300-\u036f\u0483-\u0489\u061c\u0660-\u0669\u06f0-\u06f9\u07c0-\u07c9\u0966-\u096f\u09e6-\u09ef\u0a66-\u0a6f\u0ae6-\u0aef\u0b66-\u0b6f"
    "\u0be6-\u0bef\u0c66-\u0c6f\u0ce6-\u0cef\u0d66-\u0d6f\u0e50-\u0e59\u0ed0-\u0ed9\u0f20-\u0f29\u1040-\u1049\u115f\u1160\u17b4\u17b5\u17e0-\u17e9\u180b-\u1819"
    "\u1ab0-\u1aff\u1d2c-\u1d6a\u1dc0-\u1dff\u2000-\u2015\u2024\u2028-\u202f\u205f-\u209c\u20d0-\u20ff\u2100-\u2121\u2123-\u2149\u2150-\u218b\u2212\u2460-\u24ff\u2776-\u2793\u2800\u3000\u3002\u3164"
    "\ua620-\ua629\ufb00-\ufb06\ufe00-\ufe0f\ufe20-\ufe2f\ufe50-\ufe6b\ufeff\uff01-\uff65\uffa0\ufff0-\ufffc\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U0001d400-\U0001d7ff\U0001f100-\U0001f189\U000e0000-\U000e0fff]"
)
_ASCII: Final = bytes(range(128))


def _script(byte: int) -> int:
    """`a` for a Latin letter or a digit, `L` for the first byte of a Greek or Cyrillic one, `T` for a byte that continues, else a space."""
    if byte < _FIRST_FOREIGN:
        return ord("a" if chr(byte).isalnum() else " ")
    if byte < _FIRST_LEAD:
        return ord("T")
    return ord("L" if byte in b"\xce\xcf\xd0\xd1\xd2\xd3\xd4" else " ")


_FIRST_FOREIGN: Final = 0x80
_FIRST_LEAD: Final = 0xC0
_SCRIPTS: Final = bytes(map(_script, range(256)))


def may_hide(data: bytes) -> bool:
    """Whether UTF-8 text holds characters that hide or imitate others, or mixes Latin or digits with Greek or Cyrillic inside a word."""
    if _HIDES.search(data.translate(None, _ASCII).decode(errors="replace")):
        return True
    scripts = data.translate(_SCRIPTS)
    return scripts.find(b"aL") >= 0 or scripts.find(b"LTa") >= 0


#: Three bytes of ASCII in base64: the high bit of each is 0, so each sextet but the last comes from half the alphabet or less. Three bytes
#: of UTF-8 that begin a character, where one of the first two is not ASCII. A group may go on with a character of the one before.
_ANY: Final = "[A-Za-z0-9+/_-]"
_ASCII_GROUP: Final = f"[A-Za-f][A-HQ-Xg-nw-z0-3]{_ANY}{{2}}"
_FOREIGN_GROUP: Final = f"(?:[A-Za-f][M-Pc-fs-v89+/_-][CGKOSWaeimquy26+-]|[w-z0-9][I-LYZabo-r4-7]{_ANY}){_ANY}"
_TWO_GROUPS: Final = f"(?:{_ASCII_GROUP}(?:{_ASCII_GROUP}|{_FOREIGN_GROUP}|[g-v]{_ANY}{{3}})|{_FOREIGN_GROUP}{_ANY}{{4}})"
_BASE64: Final = re.compile(rf"(?<![A-Za-z0-9_-]){_TWO_GROUPS}{_ANY}{{2,}}={{0,2}}(?![A-Za-z0-9_-])", re.ASCII)
_LEAST_BASE64: Final = 12
#: Printable ASCII in hexadecimal; of a digest of 32 digits one in ten million looks so.
_HEX: Final = re.compile(r"(?<![A-Za-z0-9])(?:0[xX])?(?P<hex>(?:[2-7][0-9A-Fa-f]){7,})(?![A-Za-z0-9])", re.ASCII)
_MOST_TAILS: Final = 8
_STANDARD: Final = str.maketrans("-_", "+/")
_BINARY: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


def is_encoded(text: str) -> bool:
    """Whether percent-encoding or an HTML entity is in a text. What parts the parameters of a query is none."""
    return "%" in text or ("&" in text and _ENTITY.search(text) is not None)


def without_controls(text: str) -> str:
    """The text without ASCII's control characters, which a broken sender leaves in it, or one who hides something."""
    return _CONTROL.sub("", text)


def plain(text: str) -> str:
    """One round of decoding; the text itself when nothing is encoded. Escapes wait for a round of their own: they may be those of JSON."""
    encoded = text
    if "%" in text and _PERCENT.search(text):
        text = unquote_to_bytes(text).decode(errors="replace") if text.isascii() else unquote(text, errors="replace")
    if "&" in text:
        text = html.unescape(text)
    if text == encoded and ("\\" in text or "%u" in text):
        text = _ESCAPE.sub(_unescaped, text)
    return text if text.isascii() else _folded(text)


def _unescaped(match: re.Match[str]) -> str:
    """The characters that stand in a text as their numbers, as JSON and JavaScript write them, or a blank for the end of a line."""
    if match[3]:
        return bytes.fromhex(match[3].replace("\\x", "")).decode(errors="replace")
    if not (match[1] or match[2]):
        return " "
    code = int(match[1] or match[2], 16)
    return match[0] if code in _SURROGATES else chr(code)


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFKC", text)
    if text.isascii():
        return text
    text = _INVISIBLE.sub("", _LINE_END.sub("\n", text))
    if text.isascii():
        return text
    text = _ODD_DIGIT.sub(lambda match: str(unicodedata.digit(match[0])), text)
    return text.translate(_LOOK_ALIKES) if _MIXED.search(text) else text


def base64_spans(text: str, most: int) -> list[tuple[int, int, str]]:
    """Where base64 of readable text stands, or its hexadecimal, and that text; at most `most` of them."""
    found = [(*match.span(), bytes.fromhex(match["hex"]).decode()) for match in islice(_HEX.finditer(text), most)]
    if found:
        return found
    for match in _BASE64.finditer(text):
        found += _decoded(match[0], match.start())
        if len(found) >= most:
            break
    return found[:most]


def whole_base64(text: str) -> str | None:
    """The readable text that a text is as a whole in base64."""
    return _from_base64(text) if _BASE64.fullmatch(text) else None


def holds_base64(token: str) -> bool:
    """Whether readable text stands in base64 in a run of its characters."""
    return bool(_decoded(token, 0))


def _decoded(token: str, start: int) -> list[tuple[int, int, str]]:
    """The whole token, or what follows one of its slashes, or else what stands between them: in a URL they part segments."""
    first = 0
    for _ in range(_MOST_TAILS):
        whole = _from_base64(token[first:])
        if whole is not None:
            return [(start + first, start + len(token), whole)]
        first = token.find("/", first) + 1
        if not first:
            break
    found = []
    for part in token.split("/") if "/" in token else ():
        decoded = _from_base64(part)
        if decoded is not None:
            found.append((start, start + len(part), decoded))
        start += len(part) + 1
    return found


def _from_base64(token: str) -> str | None:
    token = token.rstrip("=")
    if len(token) < _LEAST_BASE64 or len(token) % 4 == 1:
        return None
    raw = base64.b64decode(token.translate(_STANDARD) + "=" * (-len(token) % 4))
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return None if _BINARY.search(text) else text
