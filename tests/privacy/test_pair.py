"""Pairs: what one field calls another is as good as a key."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from consentryd.config.settings import PiiRule, Privacy
from consentryd.privacy import finder
from consentryd.privacy.finder import Finder
from consentryd.privacy.form import form_of, is_general
from consentryd.privacy.rules import load_rules
from consentryd.privacy.scrub import Scrubber
from tests.privacy.test_memory import held_by


def scrubber(*rules: PiiRule) -> Scrubber:
    return Scrubber(load_rules(rules), b"k" * 32, "eu", Privacy())


def stored(properties: dict[str, Any], using: Scrubber | None = None) -> Any:
    return (using or scrubber()).scrub("Sent", "shop", {"properties": properties}).fields["properties"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"name": "password", "value": "hunter2"}], [{"name": "password", "value": "[secret]"}]),
        ([{"id": "f1", "name": "vorname", "value": "Anna"}], [{"id": "f1", "name": "vorname", "value": "[name]"}]),
        ({"label": "Phone", "fieldValue": "030 901820"}, {"label": "Phone", "fieldValue": "[phone]"}),
        (
            {"key": "user.first_name", "value": {"stringValue": "Anna"}},
            {"key": "user.first_name", "value": {"stringValue": "[name]"}},
        ),
        ({"elementName": "last_name", "value": "Anna"}, {"elementName": "last_name", "value": "[name]"}),
        ({"attr__name": "full_name", "attr__value": "Anna"}, {"attr__name": "full_name", "attr__value": "[name]"}),
        (
            {"question": "What is your first name?", "answer": "Anna"},
            {"question": "What is your first name?", "answer": "[name]"},
        ),
        ({"deep": [{"k": "otp", "v": "123456"}]}, {"deep": [{"k": "otp", "v": "[secret]"}]}),
        ({"key": "password2", "value": "hunter2"}, {"key": "password2", "value": "[secret]"}),
        ([["plan", "pro"], ["password", "hunter2"]], [["plan", "pro"], ["password", "[secret]"]]),
        ({"rows": [["first_name", "Anna"]]}, {"rows": [["first_name", "[name]"]]}),
        ('[{"name":"password","value":"hunter2"}]', '[{"name":"password","value":"[secret]"}]'),
        ('[["password","hunter2"]]', '[["password","[secret]"]]'),
        ({"name": "password", "value": "anna@example.com"}, {"name": "password", "value": "[secret]"}),
        (
            {"label": "Write to help@example.com or leave your phone", "value": "030 901820"},
            {"label": "Write to [email] or leave your phone", "value": "[phone]"},
        ),
        ({"label": "see anna@smith.name", "value": "red"}, {"label": "see [email]", "value": "red"}),
    ],
)
@pytest.mark.parametrize("beside", [{}, {"email": "anna@example.com"}])
def test_what_a_name_tells_of_its_value_holds(value: Any, expected: Any, beside: dict[str, Any]) -> None:
    once = stored({"note": value, **beside})
    assert once["note"] == expected
    assert stored(once) == once


@pytest.mark.parametrize(
    "value",
    [
        {"name": "colour", "value": "red"},
        {"label": "email", "value": 1},
        {"label": "login", "value": 1},
        {"type": "mobile", "value": "yes"},
        {"id": "sku-1", "name": "Red shoes 2", "value": 20},
        {"value": "password"},
        [["view", "cart"], ["cart", "pay"]],
        [["a", 1], ["b", 2]],
        ["password", "reset"],
    ],
)
@pytest.mark.parametrize("beside", [{}, {"email": "anna@example.com"}])
def test_what_only_looks_like_a_pair_stays(value: Any, beside: dict[str, Any]) -> None:
    assert stored({"note": value, **beside})["note"] == value


def test_a_pair_at_the_top_is_one() -> None:
    assert stored({"name": "password", "value": "hunter2"}) == {"name": "password", "value": "[secret]"}


def test_names_that_tell_nothing_are_remembered_by_their_hash_and_so_many_at_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder, "MOST_KEYS", 50)
    using = Finder(load_rules())
    names = ["".join(chr(ord("a") + int(digit)) for digit in str(number)) + "@b.co" for number in range(200)]
    assert all(using.named(name).quiet and using.named(name).quiet for name in names)
    held = held_by(using)
    assert max(len(each) for each in held if isinstance(each, set)) <= 50
    assert not any(name in held for name in names)
    assert using.named("password").hint == using.named("password").hint == "secret"


def test_rules_for_keys_hold_for_names() -> None:
    using = scrubber(PiiRule(key="internal_.*", action="drop"), PiiRule(key="first_name", action="keep"))
    pairs = [{"name": "internal_note", "value": "x"}, {"name": "first_name", "value": "Anna"}]
    assert stored({"fields": pairs}, using) == {"fields": [{"name": "internal_note"}, {"name": "first_name", "value": "Anna"}]}


def test_a_number_in_a_name_makes_another_form() -> None:
    using = scrubber()
    for number in (5, 6, 1):
        for _ in range(3):
            fields = [{"name": f"address_{number}", "value": "Main Street"}, {"n": [[f"address_{number}", "Main Street"]]}]
            told = "[postal_address]" if number == 1 else "Main Street"
            assert stored({"fields": fields}, using)["fields"][0]["value"] == told
            assert stored({"fields": fields}, using)["fields"][1]["n"][0][1] == told
    assert is_general(form_of(orjson.dumps({"name": "Shirt 12", "price": 5})) or b"")


def test_a_value_beside_other_texts_has_a_general_form() -> None:
    assert is_general(form_of(orjson.dumps({"value": 12.5, "title": "Room 7"})) or b"")
