"""The page: a template whose questions are those that are asked, and whose numbers are those that were answered."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from examples.worked_example.questions import QUESTIONS, STATEMENTS

_WIDTH: Final = 130


def render(numbers: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    template = (resources.files("examples.worked_example") / "page.template.md").read_text(encoding="utf-8")
    asked = {f"ask_{name}": _indented(json.dumps(question)) for name, question in QUESTIONS.items()}
    told = {f"sql_{name}": _indented(statement) for name, statement in STATEMENTS.items()}
    return template.format(**numbers, **asked, **told)


def _indented(text: str) -> str:
    """A block of code, its later lines further in."""
    return textwrap.fill(
        text, _WIDTH, initial_indent="    ", subsequent_indent="     ", break_long_words=False, break_on_hyphens=False
    )
