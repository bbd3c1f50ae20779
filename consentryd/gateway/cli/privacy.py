"""`consentry privacy try`, and the commands beside it."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer
from rich.text import Text

from consentryd.config.countries import COUNTRIES
from consentryd.config.load import load_settings
from consentryd.gateway.cli import audit, record
from consentryd.gateway.cli.console import counted, say, show, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.gateway.document import mended
from consentryd.gateway.protocols.envelope import Envelope
from consentryd.gateway.protocols.segment import read_envelope
from consentryd.model.clock import SystemClock
from consentryd.model.error import ConfigError
from consentryd.model.outcome import DESCRIPTION, Reason
from consentryd.privacy.redaction import Redaction

if TYPE_CHECKING:
    from consentryd.gateway.rehearsal import Fate

#: Why an event is refused that a grant would let in.
_OF_CONSENT: Final = frozenset({Reason.NOT_ALLOWED_ANONYMOUSLY, Reason.NO_CONSENT})

app = typer.Typer(help="See what is taken off events, and act on people's requests.")
app.command("audit")(audit.audit)
app.command("record")(record.record)


@app.command("try")
def try_(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="Native events as JSON, a batch, a JSON array or JSON Lines; `-` reads standard input."
        ),
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    site: Annotated[str, typer.Option(help="The site whose rules hold.")] = "default",
    country: Annotated[
        str | None, typer.Option(help="Where visitors are whose events do not say it, such as DE.", metavar="CODE")
    ] = None,
    granted: Annotated[
        bool, typer.Option("--granted", help="As if events that carry no consent had every purpose granted.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--count", help="Only count what each rule would change.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what would be stored of events, and which rule took what.

    Events go through the stages of the gateway under your settings, without a store: what is shown is the row that would be stored, or the
    reason why none would be. Nothing is stored, nobody is known and nobody has chosen anything before, and digests are of this run only.

    With `--json` one object: `events`, for each its `outcome` and `reason` (docs/http-api.md), `region`, `event` (the row by column, without
    what is empty; null if there is none), `redactions` and `pseudonymised` (ids that are kept as keyed digests); and `counts` by rule and
    action. In the anonymous lane redactions are counted and not stored.
    """
    if country is not None and country not in COUNTRIES:
        raise typer.BadParameter("the country is no ISO code such as US", param_hint="--country")
    from consentryd.gateway.rehearsal import Rehearsal  # noqa: PLC0415 -- aiohttp and the stages take half a second to load

    settings = load_settings(config if config.exists() or config != DEFAULT_CONFIG else None, os.environ)
    rehearsal = Rehearsal(settings, SystemClock().now(), country, granted=granted)
    fates = [fate for envelope in _envelopes(file) for fate in rehearsal.of(envelope, site)]
    counts = sorted(rehearsal.counts.items())
    if as_json:
        tally = [{"rule": rule, "action": action, "count": count} for (rule, action), count in counts]
        show_json({"counts": tally} if dry_run else {"events": list(map(_as_data, fates)), "counts": tally})
        return
    for fate in () if dry_run else fates:
        show(_coloured(fate))
    for (rule, action), count in counts:
        say(f"{count:>6}  {rule} ({action})")
    refused = Counter(fate.reason for fate in fates if fate.reason is not None)
    stored = len(fates) - refused.total()
    if stored and not counts:
        say("Nothing was found.")
    if refused:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in refused.most_common())
        say(f"Not stored, and so not searched: {refused.total():,} of {counted(len(fates), 'event')} ({reasons}).")
        if not granted and not _OF_CONSENT.isdisjoint(refused):
            say("--granted shows what would be stored of them if their people agreed.")


def _envelopes(file: str) -> Iterator[Envelope]:
    """The requests that a file holds: a batch, or its events."""
    for value in _events(file):
        yield read_envelope(value if "batch" in value else [value], None, sys.maxsize)


def _events(file: str) -> Iterator[dict[str, Any]]:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    for number, value in enumerate(_values(mended(raw), file), start=1):
        if not isinstance(value, dict):
            raise ConfigError(f"Event {number} of {file} is not a JSON object.")
        yield value


def _values(raw: bytes, file: str) -> list[Any]:
    """One document, an array, or a document a line."""
    try:
        whole = orjson.loads(raw)
    except orjson.JSONDecodeError:
        values = list(_lines(raw, file))
    else:
        values = whole if isinstance(whole, list) else [whole]
    if not values:
        raise ConfigError(f"{file} holds no event.")
    return values


def _lines(raw: bytes, file: str) -> Iterator[Any]:
    has_one = False
    for number, line in enumerate(raw.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:
            problem = f"line {number} is no JSON" if has_one else "it is neither a JSON document nor JSON Lines"
            raise ConfigError(f"{file} cannot be read: {problem}.") from None
        has_one = True


def _as_data(fate: Fate) -> dict[str, Any]:
    return {
        "outcome": fate.outcome,
        "reason": fate.reason,
        "region": fate.region,
        "event": fate.row,
        "redactions": list(fate.redactions),
        "pseudonymised": list(fate.pseudonymised),
    }


def _coloured(fate: Fate) -> Text:
    """The row as it would be stored, what was put in the place of data in colour, and under it why; or why there is none."""
    if fate.reason is not None:
        return Text("Nothing would be stored: ").append(fate.reason, "bold").append(f". {DESCRIPTION[fate.reason]}\n")
    text = Text(orjson.dumps(fate.row, option=orjson.OPT_INDENT_2).decode())
    text.highlight_regex(r"\[(?:[a-z_]+|enc)(?::[^\]]*)?\]|:redacted|\*{3,4}[@0-9A-Za-z.-]+", "bold yellow")
    for each in (Redaction(**row) for row in fate.redactions):
        text.append(f"\n  {each.path}", "cyan").append(f"  {each.rule}").append(f"  {each.action}", "magenta")
    if fate.pseudonymised:
        text.append(f"\n  {', '.join(fate.pseudonymised)}  only as a keyed digest", "dim")
    return text.append("\n")
