"""One text: decoded as often as it was encoded, searched, and treated span by span until nothing more is found."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any, Final, NamedTuple

from consentryd.privacy.decode import base64_spans, is_encoded, may_hide, plain, whole_base64, without_controls
from consentryd.privacy.detect import Finding, Gate
from consentryd.privacy.detect.placed import placed
from consentryd.privacy.detect.sole import KEY_BEGINS, sole
from consentryd.privacy.finder import Finder, name_of
from consentryd.privacy.fit import fits
from consentryd.privacy.harmless import LEAST, Signs
from consentryd.privacy.inner_json import lines_of, may_be_json, parsed
from consentryd.privacy.key_class import PLAIN, KeyClass
from consentryd.privacy.label import labels_in
from consentryd.privacy.redaction import KEEP, Action
from consentryd.privacy.treatment import DROPPED, Treatment, is_output
from consentryd.privacy.work import Work

MOST_DECODINGS: Final = 4
MOST_PASSES: Final = 4
MOST_BASE64: Final = 16
MOST_LINES: Final = 1024

FRAGMENT: Final = "url_fragment"
#: Longer texts seldom hold one datum only.
LONGEST: Final = 256

#: Signs of what is not found by looking at the text as it stands.
_DEEPER: Final = Gate.ENCODED | Gate.FOREIGN | Gate.RUN | Gate.QUERY
#: Findings that take nothing around them.
_WHOLE: Final = frozenset({"url_user", FRAGMENT})
#: Names of a query's parameters, and of what looks like them, in a text before which a `&` is put; and their values, which may be addresses
#: or queries with parameters of their own.
PARAMETER: Final = re.compile(r"[?&#;\s=](?P<name>[\w.\[\]%+-]{1,128})(?==)")
VALUE: Final = re.compile(r"[^&#;\s\"]*")
#: In longer ones that are not what their name says nothing more is looked for.
_LONGEST_VALUE: Final = 2048

#: What stands beside a value where programs write objects: `User(name='...')`.
_AROUND_VALUES: Final = "'(){},"

_ENCODERS: Final = frozenset("%&\\")
#: What an object in base64 begins with, and a JSON web token, which has dots.
_JSON: Final = "eyJ"
#: What the names of most ids of clicks end with.
_CLICK_ID: Final = "clid="
#: A plus sign in a query that is no calling code's.
_SPACE: Final = re.compile(r"(?<=[\w).])\+|\+(?![0-9(])")

#: Walks JSON found in a text: (value, path, depth, work) -> value.
Nested = Callable[[Any, str, int, Work], Any]


class _Told(NamedTuple):
    """A detector's value between two places of a text, as what stands before it says."""

    hint: str
    start: int
    end: int
    value: str


class TextCleaner:
    """Cleans texts of one region. Every method returns the text that is left, or `DROPPED`."""

    def __init__(self, finder: Finder, treatment: Treatment, nested: Nested) -> None:
        self._finder: Final = finder
        self._harmless: Final = finder.harmless
        self._treatment: Final = treatment
        self._nested: Final = nested

    def clean(self, text: str, path: str, about: KeyClass, depth: int, work: Work) -> Any:
        if len(text) < LEAST or text in self._harmless.texts:
            return text
        if may_be_json(text):
            left = self._json(text, path, depth, work)
        elif (about is not PLAIN and (about.id_like or about.version)) or (
            len(text) > LONGEST and not text.startswith(KEY_BEGINS)
        ):
            left = None
        else:
            left = self._quickly(text, path, about, depth, work)
        if left is not None:
            return left
        for _ in range(MOST_PASSES):
            if not work.takes(len(text), depth):
                return work.beyond(path)
            signs = self._harmless.signs(text)
            if signs is None or is_output(text):
                return text
            # values end with the next sign of a query, which may stand encoded in them
            cleaned = self._parameters(text, path, work) if _is_encoded_query(text, signs.gate) else text
            settled = False
            if cleaned == text:
                cleaned, settled = self._decode(text, signs, path, about, depth, work)
            if settled or cleaned is DROPPED or cleaned == text:
                return cleaned
            text = cleaned
        return work.beyond(path)

    def _quickly(self, text: str, path: str, about: KeyClass, depth: int, work: Work) -> Any:
        """What is left after the quick looks, the likelier one first; None where a closer look is due."""
        if " " in text:
            return self._at_once(text, path, about, depth, work)
        if _CLICK_ID in text or (text.startswith(_JSON) and "." not in text):
            left = self._of_one_word(text, path, about, depth, work)
            return self._at_once(text, path, about, depth, work) if left is None else left
        left = self._at_once(text, path, about, depth, work)
        return self._of_one_word(text, path, about, depth, work) if left is None else left

    def _of_one_word(self, text: str, path: str, about: KeyClass, depth: int, work: Work) -> Any:
        """What is left of a URL with telling parameters, or of base64; None where a closer look is due."""
        if not work.takes(len(text), depth):
            return work.beyond(path)
        decoded = whole_base64(text)
        if decoded is not None:
            cleaned = self.clean(decoded, path, PLAIN, depth + 1, work)
            return None if cleaned == decoded else cleaned
        if "=" not in text or "%" in text:
            return None
        cleaned = self._parameters(text, path, work)
        if cleaned == text:
            return None
        return cleaned if self._harmless.signs(cleaned) is None else self.clean(cleaned, path, about, depth + 1, work)

    def _at_once(self, text: str, path: str, about: KeyClass, depth: int, work: Work) -> Any:
        """What is left of a text with one datum between harmless words; None where a closer look is due."""
        is_ascii = text.isascii()
        if not is_ascii or "%" in text or "&" in text:
            decoded = _decoded(text) if is_encoded(text) or (not is_ascii and may_hide(text.encode("utf-8", "replace"))) else text
            if decoded is None:
                return None
            text = decoded
        found = self._only(text, about)
        if found is None:
            return None
        start, end, name, kind = found
        action = work.scope.action(name, kind, path)
        if action is KEEP:
            return None
        if not work.takes(len(text), depth):
            return work.beyond(path)
        treated = self._treatment.apply(action, name, kind, text[start:end], path, work)
        work.record(path, name, action)
        if treated is DROPPED:
            return text[:start] if name == FRAGMENT else DROPPED
        return f"{text[:start]}{treated}{text[end:]}"

    def _only(self, text: str, about: KeyClass) -> tuple[int, int, str, str] | None:
        """The one datum of a text, if nothing else can be there: by a look at the rest, or, as paths look like somebody's also without
        the name, because the rest is known."""
        found = sole(text)
        if found is not None:
            start, end, _, _ = found
            is_all = start == 0 and end == len(text)
            return found if is_all or self._harmless.signs(f"{text[:start]}0{text[end:]}") is None else None
        found = None if about.location else placed(text)
        if found is None:
            return None
        start, end, name, _ = found
        rest = text[:start] if name == FRAGMENT else f"{text[:start]}[{name}]{text[end:]}"
        return found if self._harmless.knows(rest) else None

    def _decode(self, text: str, signs: Signs, path: str, about: KeyClass, depth: int, work: Work) -> tuple[Any, bool]:
        """What is left after one look, and whether a second one could find nothing more, because the text inside had it."""
        if may_be_json(text):  # it looks like JSON and is none, as long as it is encoded
            readable = _decoded(text) or text
            cleaned = text if readable == text else self.clean(readable, path, about, depth + 1, work)
            if cleaned not in {text, readable}:
                return cleaned, True
            raw = readable.encode("utf-8", "replace")
            found = Signs(raw, Gate.ALL, self._finder.has_telling_label(raw))
            return self._search(readable, found, path, about, depth, work), False
        gate = signs.gate
        if gate & Gate.ENCODED or _is_encoded_query(text, gate) or (gate & Gate.FOREIGN and may_hide(signs.raw)):
            decoded = self._decoded(text)
            if decoded is None:
                return work.beyond(path), True
            if decoded != text:
                cleaned = self.clean(decoded, path, about, depth + 1, work)
                if cleaned != decoded:
                    return cleaned, True
            signs = signs._replace(gate=gate & ~(Gate.ENCODED | Gate.FOREIGN))
        cleaned = self._search(text, signs, path, about, depth, work)
        if cleaned != text:
            return cleaned, False
        return self._otherwise(text, gate, path, about, depth, work), True

    def _otherwise(self, text: str, gate: int, path: str, about: KeyClass, depth: int, work: Work) -> Any:
        """What is left where plus signs are spaces, as forms write them in a query, or all but those of calling codes; or where control
        characters stand inside words."""
        readings: tuple[str, ...] = ()
        if gate & Gate.PLUS and (gate & Gate.QUERY or (" " not in text and text.count("+") > 1)):
            readings = (text.replace("+", " "), _SPACE.sub(" ", text))
        if gate & Gate.FOREIGN:
            readings = (*readings, without_controls(text))
        for reading in readings:
            left = reading if reading == text else self.clean(reading, path, about, depth + 1, work)
            if left != reading:
                return left
        return text

    def _json(self, text: str, path: str, depth: int, work: Work) -> Any:
        """What is left of JSON; None where it is none."""
        if not work.takes(len(text), depth):
            return work.beyond(path)
        found = parsed(text)
        if found is None:
            return self._lines(text, path, depth, work)
        value, written = found
        outer, work.anchor = work.anchor, work.anchor or path
        cleaned = self._nested(value, path, depth + 1, work)
        work.anchor = outer
        if cleaned is value or cleaned is DROPPED:
            return text if cleaned is value else cleaned
        return written(cleaned)

    def _lines(self, text: str, path: str, depth: int, work: Work) -> Any:
        """What is left of JSON Lines; None where it is none."""
        lines = lines_of(text)
        if lines is None:
            return None
        if len(lines) > MOST_LINES:
            return work.beyond(path)
        cleaned = [self.clean(line, path, PLAIN, depth + 1, work) for line in lines]
        return DROPPED if DROPPED in cleaned else "".join(cleaned)

    def _search(self, text: str, signs: Signs, path: str, about: KeyClass, depth: int, work: Work) -> Any:
        cleaned: Any = text
        raw, gate, is_labelled = signs
        if is_labelled:
            cleaned = self._replaced(text, self._telling_labels(text), path, work)
        if gate & Gate.QUERY and self._finder.has_telling_parameter(raw):
            cleaned = self._parameters(cleaned, path, work)
        found = self._finder.find(cleaned, gate, about)
        if found:
            if not work.finds(len(found)):
                return work.beyond(path)
            cleaned = self._spans(cleaned, found, path, work)
        elif not (gate & _DEEPER or is_labelled or about.version or about.location):
            self._harmless.settle(text)
        if cleaned is not DROPPED and gate & Gate.RUN:
            cleaned = self._base64(cleaned, path, depth, work)
        return cleaned

    def _decoded(self, text: str) -> str | None:
        """The text without its encodings, but for what ends the values of parameters that tell."""
        return _decoded(
            text, lambda text: may_be_json(text) or self._finder.has_telling_parameter(text.encode("utf-8", "replace"))
        )

    def _parameters(self, text: str, path: str, work: Work) -> str:
        text = f"&{text}"  # which the first parameter begins with like all others
        return self._replaced(text, self._telling_parameters(text), path, work)[1:]

    def _telling_parameters(self, text: str) -> Iterator[_Told]:
        done = 0
        for match in PARAMETER.finditer(text):
            if match.start() < done:
                continue
            name, is_first = name_of(match["name"]), match[0][0] == "="  # in a value, where `state` and `code` are filters sooner
            hint = (self._finder.key_class(name) if is_first else self._finder.parameter_class(name)).hint
            if hint is None:
                continue
            start, end = VALUE.match(text, match.end() + 1).span()  # type: ignore[union-attr]  # it matches nothing, too
            value = text[start:end]
            if "%" in value:
                value = _decoded(value) or value
            is_told = value != "" and fits(hint, value) and not (is_output(value.strip(_AROUND_VALUES)) or is_output(value))
            if is_told:
                yield _Told(hint, start, end, value)
            if is_told or end - start > _LONGEST_VALUE:
                done = end

    def _telling_labels(self, text: str) -> Iterator[_Told]:
        """In a sentence only those of secrets tell, of what has a digit."""
        for name, start, end, is_bare in labels_in(text):
            value, about = text[start:end], self._finder.key_class(name)
            hint = about.hint
            if hint is None or (is_bare and hint != "secret") or (about.plural and value.isdecimal()):
                continue
            if not (is_output(value) or is_output(f"[{name}:{value}]")) and fits(hint, value):
                yield _Told(hint, start, end, value)

    def _replaced(self, text: str, told: Iterable[_Told], path: str, work: Work) -> str:
        """What is left of a text where something tells what its values are."""
        pieces, last = [], 0
        for hint, start, end, value in told:
            if start < last:
                continue
            action = work.scope.action(hint, "", path)
            treated = self._treatment.apply(action, hint, "", value, path, work)
            if treated == value:
                continue
            work.record(path, hint, action)
            pieces += [text[last:start], "" if treated is DROPPED else str(treated)]
            last = end
        return "".join([*pieces, text[last:]])

    def _spans(self, text: str, found: list[Finding], path: str, work: Work) -> Any:
        pieces: list[str] = []
        last = 0
        for finding, action in _claims(found, path, work):
            treated = self._treatment.apply(action, finding.name, finding.kind, text[finding.start : finding.end], path, work)
            work.record(path, finding.name, action)
            if treated is DROPPED and finding.name != FRAGMENT:
                return DROPPED
            pieces += [text[last : finding.start], "" if treated is DROPPED else str(treated)]
            last = finding.end
        return "".join([*pieces, text[last:]])

    def _base64(self, text: str, path: str, depth: int, work: Work) -> Any:
        spans = base64_spans(text, MOST_BASE64 + 1)
        if len(spans) > MOST_BASE64:
            return work.beyond(path)
        pieces, last = [], 0
        for start, end, decoded in spans:
            cleaned = self.clean(decoded, path, PLAIN, depth + 1, work)
            if cleaned is DROPPED:
                return DROPPED
            if cleaned != decoded:
                pieces += [text[last:start], str(cleaned)]
                last = end
        return "".join([*pieces, text[last:]])


def _is_encoded_query(text: str, gate: int) -> bool:
    return gate & Gate.QUERY != 0 and "%" in text


def _decoded(text: str, is_read: Callable[[str], bool] = may_be_json) -> str | None:
    """The text without its encodings, or as soon as it `is_read`, as JSON is; None when there are more than anyone has reason for."""
    for _ in range(MOST_DECODINGS):
        decoded = plain(text)
        if decoded == text or (decoded.isascii() and not _ENCODERS.intersection(decoded)) or (decoded and is_read(decoded)):
            return decoded
        text = decoded
    return None


def _claims(found: list[Finding], path: str, work: Work) -> list[tuple[Finding, Action]]:
    """Spans that do not overlap, in the order of the text. Where findings overlap, the first detector takes the whole."""
    if len(found) == 1:
        action = work.scope.action(found[0].name, found[0].kind, path)
        return [] if action is KEEP else [(found[0], action)]
    starts: list[int] = []
    claims: list[tuple[int, Finding, Action]] = []  # in the order of the text, each with its place in the order of claim
    for turn, finding in enumerate(found):
        action = work.scope.action(finding.name, finding.kind, path)
        if action is KEEP:
            continue
        start, end, _, _ = finding
        low = bisect_right(starts, start)
        low -= low > 0 and claims[low - 1][1].end > start
        high = bisect_left(starts, end, low)
        over = claims[low:high]
        if any(claim[1].name in _WHOLE for claim in over):
            continue  # an address that seems to begin in a URL's user-info ends with its host
        if over:
            _, first, action = min(over, key=itemgetter(0))
            start = min(start, over[0][1].start)
            finding = first._replace(start=start, end=max(end, over[-1][1].end))  # noqa: PLW2901  the finding grows
        starts[low:high] = [start]
        claims[low:high] = [(turn, finding, action)]
    return [(finding, action) for _, finding, action in claims]
