"""The commands put together, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from consentryd import __version__
from consentryd.gateway.cli import (
    backup,
    certificate,
    check_config,
    consent,
    demo,
    doctor,
    events,
    import_,
    init,
    keys,
    ledger,
    privacy,
    query,
    receipt,
    repair,
    retention,
    rights,
    rotate_master,
    seal,
    serve,
    signing,
    snippet,
    sql,
    uses,
)
from consentryd.gateway.cli.console import complain, say, spoken
from consentryd.model.error import ConfigError, ConsentryError, CorruptStore
from consentryd.storage.damage import explain, forget_opened

FAILED: Final = 1

app = typer.Typer(
    name="consentry",
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("init")(init.init)
app.command("snippet")(snippet.snippet)
app.command("demo")(demo.demo)
app.command("check-config")(check_config.check_config)
app.add_typer(keys.app, name="keys")
keys.app.command("rotate-signing")(signing.rotate_signing)
keys.app.command("rotate-master")(rotate_master.rotate)
app.add_typer(privacy.app, name="privacy")
privacy.app.command("erase")(rights.erase)
privacy.app.command("export")(rights.export)
privacy.app.command("requests")(rights.requests)
privacy.app.command("request")(rights.request)
privacy.app.command("hold")(rights.hold)
privacy.app.command("readmit")(rights.readmit)
privacy.app.command("holds")(rights.holds)
privacy.app.command("uses")(uses.uses)
privacy.app.command("verify")(certificate.verify)
privacy.app.command("retention")(retention.retention)
app.add_typer(consent.app, name="consent")
consent.app.command("verify")(receipt.verify)
app.add_typer(ledger.app, name="ledger")
app.command("events")(events.events)
app.command("import")(import_.import_)
app.command("query")(query.query)
app.command("sql")(sql.sql)
app.command("seal")(seal.seal)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("repair")(repair.repair)
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"consentry {__version__}")
        raise typer.Exit


@app.callback(epilog="Exit codes: 0 done, 1 failed (one line on standard error says why), 2 wrong usage.")
def consentry(
    _: Annotated[bool, typer.Option("--version", help="Print the version and leave.", callback=_version, is_eager=True)] = False,
) -> None:
    """Collect events without collecting people: consent is enforced, and personal data taken off, before anything is stored.

    Start with `consentry serve`: in a directory without settings it writes them, makes four keys and shows how to send an event.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    forget_opened()
    try:
        code = app(args=list(arguments) or ["--help"], prog_name="consentry", standalone_mode=False)
    except typer.TyperException as error:
        message = " ".join(error.format_message().split()).replace("Value error, ", "")
        complain(f"{message.removesuffix('.')}. `consentry --help` and `consentry COMMAND --help` tell more.")
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except sqlite3.DatabaseError as error:
        complain(explain(error))
        return FAILED
    except (ConfigError, ConsentryError, CorruptStore) as error:
        complain(_explained(error) if isinstance(error, ConsentryError) else str(error))
        return FAILED
    except OSError as error:
        complain(spoken(error))
        return FAILED
    return code if isinstance(code, int) else 0


def _explained(error: ConsentryError) -> str:
    """The message, and what answers over HTTP have beside it: what is wrong where, and the names there are."""
    told = [each for each in error.detail.get("problems", ()) if "at" in each]  # of a query the message names the first itself
    problems = [f"{each['at']}: {each['problem']}." for each in told]
    known = [f"There are {', '.join(error.detail['known'])}."] if "known" in error.detail else []
    return " ".join([error.message, *(problem.removeprefix(": ") for problem in problems), *known])
