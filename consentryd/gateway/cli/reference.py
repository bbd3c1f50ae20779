"""`docs/cli.md`, made from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final

import typer

HEADER: Final = """\
# Command line

<!-- Made by `make docs` from consentryd/gateway/cli; a test keeps them equal. -->

`consentry COMMAND --help` shows the same. Exit codes: 0 done, 1 failed (one line on standard error says why), 2 wrong usage.
"""


def reference() -> str:
    from consentryd.gateway.cli.app import app  # noqa: PLC0415 -- app imports the commands, this is no command

    return "\n".join([HEADER, *(_section(name, command) for name, command in commands(app))])


def commands(app: typer.Typer) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its full name, in the order of the help."""
    yield from _leaves("consentry", typer.main.get_command(app))


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for step, child in inner.items():
        yield from _leaves(f"{name} {step}", child)


def _section(name: str, command: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    usage = " ".join([name, *map(_placeholder, arguments), *(["[OPTIONS]"] if options else [])])
    lines = [f"## `{name}`", "", f"    {usage}", "", inspect.cleandoc(command.help or ""), ""]
    if command.params:
        lines += ["| argument or option | default | |", "|---|---|---|", *map(_row, [*arguments, *options]), ""]
    return "\n".join(lines)


def _placeholder(argument: Any) -> str:
    name = (argument.metavar or argument.name).upper()
    return name if argument.required else f"[{name}]"


def _row(parameter: Any) -> str:
    name = _placeholder(parameter) if parameter.param_type_name == "argument" else ", ".join(parameter.opts)
    default = "" if not parameter.default or parameter.required else f"`{parameter.default}`"
    variable = f" (or the variable `{parameter.envvar}`)" if parameter.envvar else ""
    return f"| `{name}` | {default} | {(parameter.help or '').replace('|', '&#124;')}{variable} |"
