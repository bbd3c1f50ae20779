"""`consentry consent decode|explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

import orjson
import typer

from consentryd.config.settings import Settings
from consentryd.consent.decision import SiteLane
from consentryd.consent.decode import describe
from consentryd.consent.explain import as_data, as_text
from consentryd.consent.hypothesis import check_case, suppose
from consentryd.consent.policy import Policy
from consentryd.consent.signals.freshness import Freshness
from consentryd.consent.signals.reading import INVALID_TEXT, InvalidSignal
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import complain, say, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, JsonOption
from consentryd.model.clock import DAY, HOUR, SystemClock

app = typer.Typer(help="Decode consent strings, and explain what the policy decides.")

OptionalConfig = Annotated[
    Path,
    typer.Option(
        "--config", "-c", envvar="CONSENTRY_CONFIG", help="The settings file; without one the defaults hold.", metavar="FILE"
    ),
]


@app.command("decode")
def decode(
    strings: Annotated[list[str], typer.Argument(help="TCF, GPP, US Privacy, gcs or gcd; a prefix such as `tcf:` forces one.")],
    config: OptionalConfig = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Show what consent strings say, or why they are refused: a string that is refused counts as denial. Exit code 1 if one is."""
    settings = _settings(config).consent
    freshness = Freshness(SystemClock().now(), settings.max_age_days * DAY, settings.max_future_hours * HOUR)
    found = [_decoded(text, freshness) for text in strings]
    if as_json:
        show_json(found)
    else:
        for entry in found:
            _say_decoded(entry)
    if any("refused" in entry for entry in found):
        raise typer.Exit(1)


def _decoded(text: str, freshness: Freshness) -> dict[str, Any]:
    try:
        return {"string": text, **describe(text, freshness)}
    except InvalidSignal as error:
        return {"string": text, "refused": error.reason, "detail": error.detail}


def _say_decoded(entry: dict[str, Any]) -> None:
    if "refused" in entry:
        complain(f"{entry['string'][:24]}: refused as {entry['refused']} ({entry['detail']}). {INVALID_TEXT[entry['refused']]}")
        return
    for name, value in entry.items():
        say(f"{name:<22} {value if isinstance(value, str) else orjson.dumps(value).decode()}")
    say()


@app.command("explain")
def explain(
    event: Annotated[str, typer.Option(help="The event's name.")] = "page_viewed",
    country: Annotated[str | None, typer.Option(help="ISO country code; without one the place is unknown.")] = None,
    subdivision: Annotated[str | None, typer.Option(help="ISO subdivision without the country, such as `CA` for US-CA.")] = None,
    signal: Annotated[
        list[str] | None,
        typer.Option(
            help="A signal: `tcf:`, `gpp:`, `us_privacy:`, `gcs:`, `gcd:` and a string; `own:` or `segment:` and `name=true,...`; beside "
            "these `notice:` and its version, `at:` and a time."
        ),
    ] = None,
    gpc: Annotated[bool, typer.Option("--gpc", help="With `Sec-GPC: 1`.")] = False,
    dnt: Annotated[bool, typer.Option("--dnt", help="With `DNT: 1`.")] = False,
    child: Annotated[bool, typer.Option("--child", help="The visitor is a known child.")] = False,
    withdrawn: Annotated[list[str] | None, typer.Option(help="A purpose that the data subject has withdrawn.")] = None,
    site: Annotated[str, typer.Option(help="The site whose anonymous lane applies.", metavar="NAME")] = "default",
    lane: Annotated[str | None, typer.Option(help="Another anonymous lane than the site's: auto, off, counts or daily.")] = None,
    config: OptionalConfig = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Print the decision about an event as a trace: each rule in order, what it saw, what it said, and which one won."""
    settings = _settings(config)
    policy, now, place = Policy(settings.consent), SystemClock().now(), settings.site_of(site)
    try:
        context, carried = suppose(signal or [], gpc=gpc, dnt=dnt, child=child)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--signal") from None
    try:
        check_case(country, subdivision, withdrawn or [], policy.purposes)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if lane is not None and lane not in get_args(SiteLane):
        raise typer.BadParameter("must be auto, off, counts or daily", param_hint="--lane")
    signals = policy.read(context, carried, now)
    chosen: Any = lane or place.anonymous_lane
    events, gone = tuple(place.anonymous_events), frozenset(withdrawn or [])
    trace = policy.trace(signals, country or place.country, subdivision, event, chosen, events, now, gone)
    if as_json:
        show_json(as_data(trace))
        return
    say(as_text(trace))


def _settings(config: Path) -> Settings:
    return installation.load(config) if config.exists() or config != DEFAULT_CONFIG else Settings()
