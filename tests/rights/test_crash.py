"""`kill -9` at every step of an erasure, and at any moment, ends where an undisturbed erasure ends."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consentryd.rights.erasure import STEPS
from tests.rights.estate import OFFICER, Estate, opened

MARK = "zebra-4711"


async def planted(estate: Estate) -> tuple[list[dict], str]:
    """Three requests for people among others: what must be left, and one request's id."""
    for part in range(2):
        await estate.send(*(estate.event(f"person-{number:03}", properties={"n": number, "part": part}) for number in range(40)))
        await estate.send(estate.event(MARK, properties={"note": f"{MARK}-value"}))
        if part == 0:
            estate.seal()
    people = {f"person-{number:03}" for number in (3, 5)}
    subjects = {row["subject"] for row in estate.rows() if row["event_id"] in {"m-4", "m-6", "m-41"}}
    for name in sorted(people):
        estate.ask("erasure", user_id=name)
    return [row for row in estate.rows() if row["subject"] not in subjects], estate.ask("erasure", user_id=MARK)["id"]


@pytest.fixture(scope="module")
def victims() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.rights.crash"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def killed(victims: subprocess.Popen[str], data: Path, step: str) -> None:
    assert victims.stdin is not None
    assert victims.stdout is not None
    victims.stdin.write(f"{data} {step}\n")
    victims.stdin.flush()
    assert int(victims.stdout.readline()) == -signal.SIGKILL


def check_end(estate: Estate, left: list[dict], request: str) -> None:
    done = estate.desk.get(request, OFFICER)
    assert done["status"] == "completed"
    assert done["certificates"][0]["erasure"]["stores"]["events"] == {"before": 2, "after": 0}
    assert estate.rows() == left
    assert estate.bytes_with(MARK.encode()) == []
    statuses = [each["status"] for each in estate.desk.select(OFFICER)]
    assert statuses == ["completed"] * 3


async def test_killed_after_every_step_in_turn_an_erasure_ends_as_if_nothing_had_happened(
    tmp_path: Path, victims: subprocess.Popen[str]
) -> None:
    data = tmp_path / "data"
    with opened(data) as estate:
        left, request = await planted(estate)
    for step in STEPS[1:]:
        killed(victims, data, step)
        with opened(data) as estate:
            assert estate.rows() == left, f"after {step} a query shows the person"
    with opened(data) as estate:
        estate.finish(request)
        check_end(estate, left, request)


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 53))])
async def test_killed_at_any_moment_an_erasure_ends_as_if_nothing_had_happened(
    tmp_path: Path, victims: subprocess.Popen[str], seed: int
) -> None:
    data = tmp_path / "data"
    with opened(data) as estate:
        left, request = await planted(estate)
    killed(victims, data, f"at:{random.Random(seed).uniform(0.0, 0.6)}")
    with opened(data) as estate:
        estate.finish(request)
        check_end(estate, left, request)
