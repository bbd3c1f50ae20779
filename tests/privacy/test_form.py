"""Events of one form are alike to the first look: it never clears what the walk would change."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from bench.pii_events import LOCALES, Draw, negative, ordinary, positive
from consentryd.config.settings import PiiRule, Privacy
from consentryd.privacy.finder import Finder
from consentryd.privacy.form import KNOWN, Forms, form_of, is_general, without_numbers
from consentryd.privacy.prefilter import Prefilter
from consentryd.privacy.rules import RuleTable, load_rules
from consentryd.privacy.scrub import Scrubber
from consentryd.privacy.seal import Place
from consentryd.privacy.treatment import Treatment
from consentryd.privacy.walk import Walk
from consentryd.privacy.work import Work
from tests.privacy.positive import POSITIVE

UUID = "3f2b8a10-9c4d-4e5f-8a6b-7c8d9e0f1a2b"
OTHER_UUID = "00112233-4455-4677-8899-aabbccddeeff"


class Judge:
    """The first look, with all that it remembers, and the walk of a finder that remembers nothing of it."""

    def __init__(self, rules: RuleTable) -> None:
        self._rules, self._prefilter = rules, Prefilter(Finder(rules))

    def clears(self, properties: dict[str, Any], event: str = "x") -> bool:
        body = orjson.dumps(properties)
        return self._prefilter.clears({"event": event, "properties": properties}, self._rules.scope("shop", event), body)

    def changes(self, properties: dict[str, Any], event: str = "x") -> bool:
        walk = Walk(Finder(self._rules), Treatment(b"k" * 32, None, 1, bytes))
        work = Work(self._rules.scope("shop", event), Place("eu", "shop", ""), None)
        walk.fields({"properties": properties}, work)
        return bool(work.redactions)


def test_digits_ids_times_and_numbers_make_no_other_form() -> None:
    bodies = [
        {"sku": "a-123", "cart": UUID, "at": 1_763_000_000_123, "price": 12.5, "of": [{"n": 7}], "tags": [UUID]},
        {"sku": "a-907", "cart": OTHER_UUID, "at": 1_900_000_000_000, "price": 1_000_000_000, "of": [{"n": 0.25}], "tags": [OTHER_UUID]},
    ]  # fmt: skip
    forms = [form_of(orjson.dumps(body)) for body in bodies]
    assert None not in forms
    assert len({without_numbers(form or b"") for form in forms}) == 1
    assert is_general(forms[0] or b"")


@pytest.mark.parametrize(
    "properties",
    [
        {"n": 4_222_222_222_222},
        {"n": 2_222_222_222_222},
        {"n": 17_630_000_000_000},
        {"n": [1_763_000_000_000]},
        {"n": "1763000000000"},
        {"n": 12345678901},
        {"n": UUID[:-12] + "0" * 12 + " "},
    ],
)
def test_what_is_long_and_neither_id_nor_time_has_no_form(properties: dict[str, Any]) -> None:
    assert form_of(orjson.dumps(properties)) is None


@pytest.mark.parametrize("properties", [{"ipv5": 1}, {UUID: 1}, {"a": [{"line 3": "x"}]}, {"a": "\x01"}, {"a": 'b"c'}])
def test_a_form_with_digits_in_a_key_or_escaped_characters_tells_too_little(properties: dict[str, Any]) -> None:
    assert not is_general(form_of(orjson.dumps(properties)) or b"")


#: First an event that is cleared, then one like it that must not be.
LIKE = [
    ({"ipv5": "10 a"}, {"ipv4": "10 a"}),
    ({"n": 1_763_000_000_000}, {"n": 4_222_222_222_222}),
    ({"n": "1763000000000"}, {"n": "4222222222222"}),
    ({"n": "2026.11.21 2052"}, {"n": "0049.30.90 1820"}),
    ({"n": [1_763_000_000_000]}, {"n": [4_222_222_222_222]}),
    ({"n": 5}, {"n": 4_111_111_111_111_111}),
    ({"q": "a%7Fb"}, {"q": "a%40b.co"}),
    ({"q": "a%00b.co"}, {"q": "a%40b.co"}),
    ({"n": "0000000000000"}, {"n": "4222222222222"}),
    ({"n": "0000.00.00 0000"}, {"n": "0049.30.90 1820"}),
    ({"q": "/x?line9=b"}, {"q": "/x?address1=b"}),
    ({"note": UUID}, {UUID: "4111111111111111"}),
    ({"note": "Anna"}, {"name": "Anna"}),
    ({"note": "\x07"}, {"note": "\x00a@b.example"}),
]


@pytest.mark.parametrize(("harmless", "telling"), LIKE)
def test_what_is_remembered_of_one_event_clears_no_other_that_tells(harmless: dict[str, Any], telling: dict[str, Any]) -> None:
    judge = Judge(load_rules([PiiRule(key="name", action="drop")]))
    for _ in range(3):
        judge.clears(harmless)
    assert judge.changes(telling)
    assert not judge.clears(telling)


def test_what_is_cleared_under_some_rules_is_not_under_others() -> None:
    judge = Judge(load_rules([PiiRule(key="colour", event="Order*", action="drop")]))
    properties = {"colour": "red", "size": 42}
    assert judge.clears(properties)
    assert judge.clears({"colour": "red", "size": 43})
    assert not judge.clears(properties, "Order Placed")


def mixed(seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Ordinary events with hard negatives and data among them, and the same with other digits, letters and values in their places."""
    draw, mutation = Draw(seed), Mutation(seed)
    for number in range(count):
        properties = ordinary(draw) if number % 3 else {"plan": "pro"}
        if number % 4 == 0:
            key, value = negative(draw)
            properties[key] = value
        if number % 8 == 0:
            key, _, value = positive(draw, LOCALES[number % len(LOCALES)])
            properties[key] = value
        if number % 10 == 0:
            properties = {"step": 1, "payload": json.dumps({"a": [properties]})}
        yield properties
        for _ in range(3):
            yield mutation.of(properties)


class Mutation:
    """Small changes to an event."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._data = [str(value) for _, value in POSITIVE.values()]

    def of(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._key(key): self.of(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.of(inner) for inner in value]
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bool) or value is None:
            return value
        return self._number(value)

    def _key(self, key: str) -> str:
        return self._digits(key) if self._random.random() < 0.5 else key

    def _text(self, text: str) -> str:
        chance = self._random.random()
        if chance < 0.004:
            return text + " " + self._random.choice(self._data)
        if chance < 0.008:
            return text[: len(text) // 2] + self._random.choice(self._data)
        return self._digits(text)

    def _number(self, number: float) -> float:
        if self._random.random() < 0.01:
            return self._random.choice([4_111_111_111_111_111, 4_222_222_222_222, 10 ** self._random.randrange(8, 16)])
        return type(number)(self._digits(str(number)).lstrip("0.") or 0) if abs(number) < 10**14 else number

    def _digits(self, text: str) -> str:
        """Other digits, now and then only zeros: they are what digits are replaced by."""
        digits = self._random.choice(["0123456789", "0123456789", "0"])
        return "".join(self._random.choice(digits) if character in "0123456789" else character for character in text)


def test_the_first_look_never_clears_what_the_walk_would_change() -> None:
    judge, cleared, changed = Judge(load_rules()), 0, 0
    for properties in mixed(seed=39, count=1000):
        clear, changes = judge.clears(properties), judge.changes(properties)
        assert not (clear and changes), properties
        cleared, changed = cleared + clear, changed + changes
    assert cleared > 1500
    assert changed > 200


def test_forms_that_never_come_again_are_left_for_a_while_and_tried_anew() -> None:
    forms, looked = Forms(), []
    for number in range(20_000):
        word = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        form = forms.new(orjson.dumps({"q": word}))
        looked.append(form is not None)
        assert form is None or not forms.is_again(form)
    assert 500 < sum(looked[:1000]) < 600
    assert not any(looked[1000:8000])
    assert 1000 < sum(looked) < 2000


def test_forms_that_come_again_are_known_whatever_else_comes() -> None:
    forms, known = Forms(), 0
    for number in range(6_000):
        form = forms.new(orjson.dumps({"page": number % 7, "note": "x" * 300}))
        known += form is KNOWN
        if form and forms.is_again(form):
            forms.remember(form)
        if number % 3 == 0:
            forms.new(orjson.dumps({"q": "".join(chr(ord("a") + int(digit)) for digit in str(number))}))
    assert known > 5_900


def test_an_event_of_a_known_form_is_cleared_without_a_look_at_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    scrub, draw = Scrubber(load_rules(), b"k" * 32, "eu", Privacy()), Draw(3)
    for _ in range(300):
        scrub.scrub("x", "shop", {"properties": ordinary(draw)})
    monkeypatch.setattr(Prefilter, "_collect", None)
    for _ in range(20):
        assert not scrub.scrub("x", "shop", {"properties": ordinary(draw)}).redactions
