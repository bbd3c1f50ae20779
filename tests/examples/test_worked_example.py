"""The worked example's page says what a gateway answers today."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from examples.worked_example.numbers import answers_of, numbers_of
from examples.worked_example.page import render
from examples.worked_example.shop import Gateway
from tests.house import open_house

PAGE = Path(__file__).parents[2] / "docs" / "analytics" / "worked-example.md"


async def test_the_pages_numbers_are_those_that_a_gateway_answers(tmp_path):
    async with open_house(tmp_path) as house:
        gateway = Gateway(house.url, "server", "read")
        accepted = await asyncio.to_thread(gateway.load)
        answers = await asyncio.to_thread(answers_of, gateway)
    assert render(numbers_of(answers, accepted)) == PAGE.read_text(encoding="utf-8"), "run examples.worked_example and look"


def test_the_pages_plots_are_there_and_small():
    names = re.findall(r"\((worked-example/\w+\.svg)\)", PAGE.read_text(encoding="utf-8"))
    assert len(names) == 4
    for name in names:
        assert 1_000 < (PAGE.parent / name).stat().st_size < 40_000
