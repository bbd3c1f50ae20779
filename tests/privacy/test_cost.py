"""What a text costs grows with its length and no faster, whatever is repeated in it; counted in steps of the interpreter, not in time."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from consentryd.config.settings import Privacy
from consentryd.privacy.redaction import Action, Redaction
from consentryd.privacy.rules import load_rules
from consentryd.privacy.scrub import Scrubber
from consentryd.privacy.work import MOST_FINDINGS, MOST_FINDINGS_OF_EVENT
from tests.privacy.test_shortcuts import VALUES

FEW, MANY = 240, 480
_NEARLY_LINEAR = 2.6  # times as many steps for twice the text

#: What opens something and does not close it, and what looks like the beginning of everything.
OPENINGS = {
    "home": "/home/a/b ",
    "PEM": "-----BEGIN A-----",
    "object": "{",
    "list": "[",
    "quoted": '"\\"',
    "lines of objects": '{"a":1\n',
    "user": "@",
    "local part": "a.b+",
    "query": "?a=1&",
    "plus": "+4",
    "bracket": "(+4",
    "one digit": "1(",
    "URL": "https://a/#",
    "base64": "QWxhZGRpbg ",
    "colons": "::",
    "token": "xoxb-",
    "label": 'password: "',
    "escaped label": '\\"a\\":\\"',
    "tag": "<password>",
    "field": "(a=",
    "card of a contact": "BEGIN:VCARD N:",
    "link": "/reset/",
    "hexadecimal": "0x41414141414141 ",
}


def scrubber() -> Scrubber:
    return Scrubber(load_rules(), b"k" * 32, "eu", Privacy())


def steps(text: str) -> int:
    count, scrub = 0, scrubber()

    def step(_frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        scrub.scrub("x", "shop", {"properties": {"note": text}})
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("between", ["", " ", "/"])
@pytest.mark.parametrize("repeated", sorted({**VALUES, **OPENINGS}))
def test_what_is_repeated_costs_no_more_each_time(repeated: str, between: str) -> None:
    piece = {**VALUES, **OPENINGS}[repeated] + between
    steps(piece * FEW)  # number plans are loaded once
    few, many, most = (steps(piece * times) for times in (FEW, MANY, 2 * MANY))
    assert many < _NEARLY_LINEAR * few or most < _NEARLY_LINEAR * many  # a longer text may be looked at in another way, once


def test_a_text_with_more_findings_than_anyone_writes_is_dropped() -> None:
    found = scrubber().scrub("x", "shop", {"properties": {"note": "398-25-9791 " * MOST_FINDINGS}}).fields
    assert found == {"properties": {"note": "[us_ssn] " * MOST_FINDINGS}}
    for most in (MOST_FINDINGS + 1, 2650):
        result = scrubber().scrub("x", "shop", {"properties": {"note": "398-25-9791 " * most, "plan": "pro"}})
        assert result.fields == {"properties": {"plan": "pro"}}
        assert result.redactions == (Redaction("properties.note", "bound", Action.DROP),)


def test_an_event_with_more_findings_than_anyone_writes_loses_the_rest() -> None:
    texts = ["398-25-9791 " * MOST_FINDINGS] * 6
    kept = scrubber().scrub("x", "shop", {"properties": {"notes": texts}}).fields["properties"]["notes"]
    full = MOST_FINDINGS_OF_EVENT // MOST_FINDINGS
    assert kept == ["[us_ssn] " * MOST_FINDINGS] * full + [None] * (6 - full)


def test_an_address_that_is_none_costs_no_more_than_other_texts() -> None:
    wrong = " 0x5AaEB6053f3e94c9B9a09F33669435e7eF1bEaED"
    assert steps(wrong * FEW) < _NEARLY_LINEAR * steps(" XK051212012345678907 is no account" * FEW)
