"""Whom an event names: checked once, known again, forgotten after minutes."""

import pytest

from consentryd.gateway.short_memory import ShortMemory
from consentryd.gateway.stages.person import Person, Persons
from consentryd.model.outcome import Reason


def test_a_person_is_known_again_until_forgotten():
    persons = Persons(200)
    first = persons.of("shop", "u", "a")
    first.home = "eu"
    assert persons.of("shop", "u", "a") is first
    assert persons.of("shop", "u", None) is not first
    assert persons.of("elsewhere", "u", "a") is not first
    ShortMemory([persons]).forget()
    assert first.home is None
    assert persons.of("shop", "u", "a") is not first


@pytest.mark.parametrize("value", [True, 1.0, 0, -1, [1], {"a": 1}, "null", "x" * 201, 2**64])
def test_what_is_no_id_is_refused_also_beside_one_that_equals_it(value):
    persons = Persons(200)
    for accepted in (1, "1"):
        found = persons.of("shop", accepted, None)
        assert isinstance(found, Person)
        assert found.user_id == "1"
    assert persons.of("shop", value, None) is Reason.INVALID_ID
    assert persons.of("shop", None, value) is Reason.INVALID_ID


def test_empty_ids_name_nobody():
    found = Persons(200).of("shop", "  ", None)
    assert isinstance(found, Person)
    assert (found.user_id, found.anonymous_id) == (None, None)
