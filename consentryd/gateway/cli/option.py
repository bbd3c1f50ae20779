"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

DEFAULT_CONFIG: Final = Path("consentry.toml")

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="CONSENTRY_CONFIG", help="The settings file.", metavar="FILE", show_default=True),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
SiteOption = Annotated[str | None, typer.Option("--site", help="Only this site.", metavar="NAME")]
