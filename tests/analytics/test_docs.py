"""Every kind has a page whose examples are questions that can be asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from consentryd.analytics.query import ANSWERS, read

DOCS = Path(__file__).parents[2] / "docs" / "analytics"
EXAMPLES = [
    pytest.param(json.loads(match[0]), id=f"{page.stem}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    for number, match in enumerate(re.finditer(r'(?m)^    \{"kind"(?:.*\n)(?:     .*\n)*', page.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_question(example):
    assert read(example).kind == example["kind"]


def test_every_kind_has_an_example():
    kinds = {get_args(model.model_fields["kind"].annotation)[0] for model in ANSWERS}
    assert kinds == {example.values[0]["kind"] for example in EXAMPLES}
