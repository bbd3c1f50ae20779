"""The reference says everything, and its examples run."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import consentry
import pytest
from consentry import AsyncConsentry, Consent, Consentry
from consentry.testing import MemoryTransport

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sdk-python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CALLS = [name for name in dir(Consentry) if not name.startswith("_")]


@pytest.mark.parametrize(
    "name", [*inspect.signature(Consentry).parameters, *list(inspect.signature(Consentry.track).parameters)[1:]]
)
def test_every_setting_and_option_is_documented(name):
    assert re.search(rf"`{name}`|\({name}[,=)]|{name}=", PAGE)


@pytest.mark.parametrize("name", CALLS)
def test_every_call_is_documented_and_there_for_asyncio(name):
    assert f"`{name}" in PAGE
    assert hasattr(AsyncConsentry("key", transport=MemoryTransport()), name)


@pytest.mark.parametrize("reason", ["queue_full", "spool_error", "not_json", "too_large", "expired", "closed", "refused"])
def test_every_reason_of_a_loss_is_documented_and_used(reason):
    sources = Path(consentry.__file__).parent.glob("*.py")
    assert f"`{reason}`" in PAGE
    assert any(f'"{reason}"' in source.read_text(encoding="utf-8") for source in sources)


def runnable(block):
    return "async with" not in block and "Consentry(" in block and "MIDDLEWARE" not in block


@pytest.mark.parametrize("block", [block for block in BLOCKS if runnable(block)])
def test_examples_that_make_a_client_run(block, monkeypatch):
    transport = MemoryTransport()
    original = Consentry.__init__
    monkeypatch.setattr(
        Consentry, "__init__", lambda self, *given, **named: original(self, *given, **{"transport": transport, **named})
    )
    names = {"Consentry": Consentry, "Consent": Consent}
    exec(block, names)
    names["consentry"].close()
    sent = [event["event"] for event in [*transport.events, *getattr(names.get("transport"), "events", [])]]
    assert sent


def test_the_quick_start_has_five_lines():
    assert len(BLOCKS[0].splitlines()) == 5


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_is_python(block):
    compile(f"async def example():\n    {block.replace(chr(10), chr(10) + '    ')}", "example", "exec")
