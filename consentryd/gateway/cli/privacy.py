"""`consentry privacy try`, and the commands beside it."""

from __future__ import annotations

import os
import secrets
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.text import Text

from consentryd.config.load import load_settings
from consentryd.gateway.cli import audit, record
from consentryd.gateway.cli.console import say, show, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.model.error import ConfigError
from consentryd.privacy.redaction import Redaction
from consentryd.privacy.rules import load_rules
from consentryd.privacy.scrub import Scrubber
from consentryd.privacy.seal import MemorySubjectKeys

app = typer.Typer(help="See what is taken off events, and act on people's requests.")
app.command("audit")(audit.audit)
app.command("record")(record.record)

#: Not stored as they are in any case: a keyed digest stands for them, or nothing.
IDENTITIES: Final = frozenset(
    {
        "userId",
        "user_id",
        "anonymousId",
        "anonymous_id",
        "previousId",
        "groupId",
        "sessionId",
        "session_id",
        "writeKey",
        "context",
    }
)


@app.command("try")
def try_(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Native events as JSON, a JSON array or JSON Lines; `-` reads standard input.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    site: Annotated[str, typer.Option(help="The site whose rules hold.")] = "default",
    dry_run: Annotated[bool, typer.Option("--count", help="Only count what each rule would change.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what would be stored of events, and which rule took what. Nothing is stored, and the tokens of `hash` are of this run only."""
    settings = load_settings(config if config.exists() else None, os.environ)
    scrubber = Scrubber(
        load_rules(settings.privacy.rules),
        secrets.token_bytes(32),
        "",
        settings.privacy.model_copy(update={"dry_run": False}),
        MemorySubjectKeys(),
    )
    results = [_scrubbed(scrubber, event, site) for event in _events(file)]
    counts = Counter((each["rule"], each["action"]) for result in results for each in result["redactions"])
    if as_json:
        tally = [{"rule": rule, "action": action, "count": count} for (rule, action), count in sorted(counts.items())]
        show_json({"counts": tally} if dry_run else {"events": results, "counts": tally})
        return
    for result in () if dry_run else results:
        show(_coloured(result))
    for (rule, action), count in sorted(counts.items()):
        say(f"{count:>6}  {rule} ({action})")
    if not counts:
        say("Nothing was found.")


def _events(file: str) -> Iterator[dict[str, Any]]:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    for number, value in enumerate(_values(raw, file), start=1):
        if not isinstance(value, dict):
            raise ConfigError(f"Event {number} of {file} is not a JSON object.")
        yield value


def _values(raw: bytes, file: str) -> list[Any]:
    """One document, an array, a batch, or a document a line."""
    try:
        whole = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            return [orjson.loads(line) for line in raw.splitlines() if line.strip()]
        except orjson.JSONDecodeError:
            raise ConfigError(f"{file} holds neither a JSON document nor JSON Lines.") from None
    if isinstance(whole, dict) and isinstance(whole.get("batch"), list):
        return list(whole["batch"])
    return whole if isinstance(whole, list) else [whole]


def _scrubbed(scrubber: Scrubber, event: dict[str, Any], site: str) -> dict[str, Any]:
    fields = {name: value for name, value in event.items() if name not in IDENTITIES}
    result = scrubber.scrub(str(event.get("event") or event.get("type") or ""), site, fields, b"the subject")
    return {
        "event": result.fields,
        "redactions": [each._asdict() for each in result.redactions],
        "pseudonymised": sorted(IDENTITIES & event.keys() - {"context", "writeKey"}),
    }


def _coloured(result: dict[str, Any]) -> Text:
    """The event as it would be stored, what was put in the place of data in colour, and under it why."""
    text = Text(orjson.dumps(result["event"], option=orjson.OPT_INDENT_2).decode())
    text.highlight_regex(r"\[(?:[a-z_]+|enc)(?::[^\]]*)?\]|\*{3,4}[@0-9A-Za-z.-]+", "bold yellow")
    for each in (Redaction(**row) for row in result["redactions"]):
        text.append(f"\n  {each.path}", "cyan").append(f"  {each.rule}").append(f"  {each.action}", "magenta")
    if result["pseudonymised"]:
        text.append(f"\n  {', '.join(result['pseudonymised'])}  only as a keyed digest", "dim")
    return text.append("\n")
