"""The first look is left out for events that are always dense, and for no others."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from consentryd.config.settings import Privacy
from consentryd.privacy.habit import ENOUGH, MOST_NAMES, Habits
from consentryd.privacy.prefilter import Prefilter
from consentryd.privacy.rules import load_rules
from consentryd.privacy.scrub import Scrubber

DENSE = {"note": "anna.smith@example.com"}
HARMLESS = {"colour": "red"}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What the first look said each time that it was asked."""
    said: list[bool] = []
    original = Prefilter.clears

    def clears(self: Prefilter, *arguments: Any) -> bool:
        said.append(original(self, *arguments))
        return said[-1]

    monkeypatch.setattr(Prefilter, "clears", clears)
    return said


@pytest.fixture
def scrubber() -> Scrubber:
    return Scrubber(load_rules(), b"k" * 32, "eu", Privacy())


def stored(scrubber: Scrubber, properties: dict[str, Any], event: str = "Form Submitted") -> dict[str, Any]:
    result = scrubber.scrub(event, "shop", {"properties": properties})
    assert orjson.loads(result.properties or b"") == result.fields["properties"]
    return result.fields["properties"]


def test_events_of_a_name_that_are_always_dense_are_walked_at_once(scrubber: Scrubber, looks: list[bool]) -> None:
    for _ in range(3 * ENOUGH):
        assert stored(scrubber, DENSE) == {"note": "[email]"}
    assert looks == [False] * ENOUGH
    assert stored(scrubber, DENSE, "Another") == {"note": "[email]"}
    assert len(looks) == ENOUGH + 1


def test_one_harmless_event_brings_the_first_look_back(scrubber: Scrubber, looks: list[bool]) -> None:
    for _ in range(ENOUGH):
        stored(scrubber, DENSE)
    assert stored(scrubber, HARMLESS) == HARMLESS
    assert len(looks) == ENOUGH
    for _ in range(2):
        assert stored(scrubber, HARMLESS) == HARMLESS
    assert looks[ENOUGH:] == [True, True]


def test_a_harmless_event_among_dense_ones_starts_the_count_again(scrubber: Scrubber, looks: list[bool]) -> None:
    for _ in range(2):
        for _ in range(ENOUGH - 1):
            stored(scrubber, DENSE)
        stored(scrubber, HARMLESS)
    assert len(looks) == 2 * ENOUGH


def test_names_are_remembered_up_to_a_bound_and_by_their_hash() -> None:
    habits = Habits()
    for number in range(2 * MOST_NAMES):
        habits.was_dense(f"event {number}")
    known = [name for number in range(2 * MOST_NAMES) if habits.in_a_row(name := f"event {number}")]
    assert 0 < len(known) <= MOST_NAMES
    assert not any(isinstance(key, str) for key in vars(habits)["_in_a_row"])
