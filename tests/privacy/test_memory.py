"""What scrubbing remembers of events holds nobody's data, and no more than its bounds."""

from __future__ import annotations

import gc
from types import FunctionType, ModuleType
from typing import Any

import pytest

from consentryd.config.settings import Privacy
from consentryd.privacy import form
from consentryd.privacy.form import Forms
from consentryd.privacy.rules import load_rules
from consentryd.privacy.scrub import Scrubber
from tests.privacy.positive import POSITIVE

EMAIL = "anna.smith@example.com"


def held_by(root: Any) -> list[Any]:
    """All that can be reached from an object without going through the program itself."""
    seen: set[int] = set()
    waiting, found = [root], []
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, (ModuleType, type)):
            continue
        seen.add(id(each))
        found.append(each)
        if isinstance(each, dict):
            waiting += each
        waiting += (each.__closure__ or ()) if isinstance(each, FunctionType) else gc.get_referents(each)
    return found


def texts_held_by(root: Any) -> str:
    held = (each.decode(errors="ignore") if isinstance(each, bytes) else each for each in held_by(root))
    return "\n".join(each for each in held if isinstance(each, str))


@pytest.mark.parametrize(
    "fields",
    [
        {EMAIL: {"a": 1}},
        {"properties": {EMAIL: 1}},
        {"properties": {"note": f"see {EMAIL}"}},
        {"properties": {"note": [{"deep": f'{{"{EMAIL}":1}}'}]}},
        {EMAIL: EMAIL, "properties": {"url": f"https://shop.example/?q={EMAIL}"}},
    ],
)
def test_no_memory_holds_a_datum_that_was_found(fields: dict[str, Any]) -> None:
    scrub = Scrubber(load_rules(), b"k" * 32, "eu", Privacy())
    for _ in range(3):
        scrub.scrub("x", "shop", fields)
    assert EMAIL not in texts_held_by(scrub)


@pytest.mark.parametrize("detector", sorted(set(POSITIVE) - {"age", "name", "birth_date", "postal_address", "secret"}))
def test_no_memory_holds_any_kind_of_datum(detector: str) -> None:
    key, value = POSITIVE[detector]
    scrub = Scrubber(load_rules(), b"k" * 32, "eu", Privacy())
    for _ in range(3):
        scrub.scrub("x", "shop", {"properties": {key: value, "other": {"note": value}}})
    assert str(value) not in texts_held_by(scrub)


def test_the_memory_of_forms_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "MOST_FORMS", 50)
    forms = Forms()
    for number in range(400):
        word = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        for _ in range(3):
            found = forms.new(b'{"q":"%b"}' % word.encode())
            if found and forms.is_again(found):
                forms.remember(found)
    assert max(len(each) for each in held_by(forms) if isinstance(each, set)) <= 51
