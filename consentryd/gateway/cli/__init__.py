"""The command line, `consentry`. One file per command group; `app` puts them together, `main` is the entry point."""

from consentryd.gateway.cli.app import main

__all__ = ["main"]
