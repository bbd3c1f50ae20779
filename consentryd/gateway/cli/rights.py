"""`consentry privacy erase|export|request|requests|hold`: acting on people's requests from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.table import Table

from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import complain, counted, say, show, show_json, table_of_ids
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.gateway.cli.person import (
    AnonymousOption,
    Bureau,
    EmailOption,
    HashedOption,
    SitesOption,
    UserOption,
    named,
    open_bureau,
    require,
)
from consentryd.model.error import ConfigError, NotFound, Unprocessable
from consentryd.rights.demand import Demand, RequestStatus, RequestType, read_demand, read_hold, read_readmission

MOST_LISTED: Final = 1_000


class Block(StrEnum):
    FOREVER = "forever"
    NO = "no"


ReasonOption = Annotated[str | None, typer.Option(help="Why; kept, encrypted, until the request is done.")]
_OutOption = Annotated[Path, typer.Option("--output", "-o", help="The ZIP file to write.", metavar="FILE")]


def erase(
    user_id: UserOption = None,
    anonymous_id: AnonymousOption = None,
    email: EmailOption = None,
    hashed: HashedOption = False,
    file: Annotated[Path | None, typer.Option(help="User ids of many people, one a line: a request for each.")] = None,
    site: SitesOption = None,
    reason: ReasonOption = None,
    block: Annotated[Block | None, typer.Option(help="Refuse their future events; default: `rights.block`.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write the certificates.", metavar="FILE")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Erase a person from every store, now, and show the proof. It cannot be undone.

    For example `consentry privacy erase --user-id 42`. All options that name somebody are about one person; the gateway may run meanwhile.
    If this command is killed, the erasure is finished by the gateway or by the next run. With `rights.grace_s` it waits for that long first.
    """
    if output is not None:
        _check_writable(output)
    with open_bureau(installation.load(config), site) as bureau:
        extra = {"reason": reason, **({"block": block.value} if block else {})}
        identities = named(user_id, anonymous_id, email, hashed=hashed)
        if file is not None and identities:
            raise ConfigError("Either name one person by options, or many by --file.")
        demands = (
            _listed(file, extra, hashed=hashed)
            if file is not None
            else [read_demand({"type": "erasure", "identities": require(identities), **extra})]
        )
        told = _erase(bureau, demands, output, many=file is not None, as_json=as_json)
    if any(request["status"] != RequestStatus.COMPLETED for request in told):
        raise typer.Exit(1)


def export(
    output: _OutOption,
    user_id: UserOption = None,
    anonymous_id: AnonymousOption = None,
    email: EmailOption = None,
    hashed: HashedOption = False,
    site: SitesOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Write everything that is held about a person into a ZIP: events as JSON lines and CSV, the rest as JSON, and a page to read.

    For example `consentry privacy export --user-id 42 -o person.zip`. The file is in the clear: hand it to the person, then delete it.
    """
    _check_writable(output, new=True)
    with open_bureau(installation.load(config), site) as bureau:
        body = {"type": "access", "identities": require(named(user_id, anonymous_id, email, hashed=hashed))}
        asked = bureau.desk.accept(read_demand(body), bureau.caller)
        done = bureau.work([asked["id"]], "Collecting", quiet=as_json)[0]
        if done["status"] != RequestStatus.COMPLETED:
            raise ConfigError(f"Request {_status(done)}. After that: consentry privacy requests {done['id']} -o {output}")
        _fetch_export(bureau, asked["id"], output, as_json=as_json)


def request(
    kind: Annotated[RequestType, typer.Argument(help="What the person asks for.")],
    user_id: UserOption = None,
    anonymous_id: AnonymousOption = None,
    email: EmailOption = None,
    hashed: HashedOption = False,
    site: SitesOption = None,
    reason: ReasonOption = None,
    purpose: Annotated[list[str] | None, typer.Option(help="Of an objection; repeatable. Default: all.", metavar="NAME")] = None,
    correct: Annotated[
        list[str] | None, typer.Option(help="Of a rectification: `property=value`, or `property=` to take it out; repeatable.")
    ] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Of a restriction: end it.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Hand in a request of any kind and carry it out: `consentry privacy request restriction --user-id 42`."""
    with open_bureau(installation.load(config), site) as bureau:
        body: dict[str, Any] = {
            "type": kind.value,
            "identities": require(named(user_id, anonymous_id, email, hashed=hashed)),
            "reason": reason,
        }
        body |= {"purposes": purpose or [], "corrections": dict(map(_correction, correct or ())), "lift": lift}
        demand = read_demand(body)
        if kind is RequestType.ERASURE:
            _erase(bureau, [demand], None, many=False, as_json=as_json)
            return
        asked = bureau.desk.accept(demand, bureau.caller)
        done = bureau.work([asked["id"]], "Working", quiet=as_json)[0]
    if as_json:
        show_json(done)
        return
    say(f"Request {_status(done)}.")
    if done.get("export"):
        say(f"  its export waits until {done['export']['expires_at'][:16]}: consentry privacy requests {done['id']} -o FILE")


def requests(
    request_id: Annotated[str | None, typer.Argument(metavar="ID", help="Show this one in full.")] = None,
    status: Annotated[list[RequestStatus] | None, typer.Option(help="Only of this status; repeatable.")] = None,
    kind: Annotated[list[RequestType] | None, typer.Option("--type", help="Only of this type; repeatable.")] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel the request of this ID.")] = False,
    extend: Annotated[bool, typer.Option("--extend", help="Give it the longer deadline that the law knows.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Fetch its export, once, into this ZIP file.", metavar="FILE")
    ] = None,
    site: SitesOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """List people's requests with their deadlines, or show, cancel or extend one, or fetch its export."""
    if output is not None:
        _check_writable(output, new=True)
    with open_bureau(installation.load(config), site) as bureau:
        if request_id is not None:
            _show_one(bureau, request_id, cancel=cancel, extend=extend, output=output, as_json=as_json)
            return
        if cancel or extend or output is not None:
            raise ConfigError("--cancel, --extend and --output go with the ID of a request.")
        found = bureau.desk.select(bureau.caller, statuses=status or (), types=kind or (), limit=MOST_LISTED + 1)
    if len(found) > MOST_LISTED:
        complain(f"There are more than these newest {MOST_LISTED:,}: --status, --type and --site narrow the list.")
        found = found[:MOST_LISTED]
    if as_json:
        show_json(found)
        return
    table = table_of_ids("type", "status", "received", "due", "step")
    for each in found:
        steps = " ".join(sorted({region["step"] for region in each["regions"].values()}))
        overdue = "red" if each["overdue"] else None
        table.add_row(
            each["id"], each["type"], each["status"], each["received_at"][:16], each["due_at"][:10], steps, style=overdue
        )
    show(table) if found else say("There are no requests.")


def hold(
    reason: Annotated[str, typer.Option(help="Why they must not be erased, such as a case number; no personal data.")],
    user_id: UserOption = None,
    anonymous_id: AnonymousOption = None,
    email: EmailOption = None,
    hashed: HashedOption = False,
    lift: Annotated[bool, typer.Option("--lift", help="End the hold of this reason; others stay.")] = False,
    site: SitesOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Keep a person from being erased while the law asks for it. Their erasure shows as `on_hold` until `--lift`."""
    with open_bureau(installation.load(config), site) as bureau:
        identities = require(named(user_id, anonymous_id, email, hashed=hashed))
        asked = read_hold({"identities": identities, "reason": reason, "lift": lift})
        bureau.desk.hold(asked.named, asked.reason, bureau.caller, lift=asked.lift)
    if as_json:
        show_json({"held": not lift})
        return
    say("The hold is lifted; waiting erasures go on." if lift else "Held: an erasure of this person will wait.")


def holds(site: SitesOption = None, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """List the legal holds in force: why, since when, and of how many identities; not of whom, which is kept as digests only."""
    with open_bureau(installation.load(config), site) as bureau:
        found = bureau.desk.holds(bureau.caller)
    if as_json:
        show_json(found)
        return
    table = Table("region", "site", "since", "identities", "reason", box=None)
    for each in found:
        table.add_row(each["region"], each["site"], each["since"][:10], str(each["identities"]), each["reason"])
    show(table) if found else say("There are no holds.")


def readmit(
    reason: Annotated[str, typer.Option(help="Why they may come again, such as a new contract; no personal data.")],
    user_id: UserOption = None,
    anonymous_id: AnonymousOption = None,
    email: EmailOption = None,
    hashed: HashedOption = False,
    site: SitesOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Let a person in again whom an erasure keeps out that is done. Name every id of theirs: what is not named stays out.

    For example `consentry privacy readmit --user-id 42 --email ann@example.com --reason "new account"`.
    """
    with open_bureau(installation.load(config), site) as bureau:
        identities = require(named(user_id, anonymous_id, email, hashed=hashed))
        asked = read_readmission({"identities": identities, "reason": reason})
        readmitted = bureau.desk.readmit(asked.named, asked.reason, bureau.caller)
    if not readmitted:
        raise ConfigError("No erasure that is done keeps them out.")
    if as_json:
        show_json({"readmitted": readmitted})
        return
    say(f"Let in again: {readmitted} of {counted(len(asked.named), 'identity', 'identities')}.")


def _check_writable(output: Path, *, new: bool = False) -> None:
    """Raises `OSError` before anything is done whose outcome could not be written there, or that is there already (`new`)."""
    if output.is_fifo() and not new:  # whoever reads it would take this for the end
        return
    was_there = output.exists()
    output.open("xb" if new else "ab").close()
    if not was_there:
        output.unlink()


def _erase(bureau: Bureau, demands: Sequence[Demand], output: Path | None, *, many: bool, as_json: bool) -> list[dict[str, Any]]:
    """Hand erasures in, carry them out and tell of them, with the nonces that nothing else tells; their states."""
    asked = [bureau.desk.accept(demand, bureau.caller) for demand in demands]
    try:
        done = bureau.work([request["id"] for request in asked], "Erasing", quiet=as_json)
    except (ConfigError, KeyboardInterrupt):
        _tell_erasures(asked, output, many=many, as_json=as_json)
        raise
    nonces = {request["id"]: request.get("commitment_nonce") for request in asked}
    told = [{**request, "commitment_nonce": nonces[request["id"]]} for request in done]
    _tell_erasures(told, output, many=many, as_json=as_json)
    return told


def _tell_erasures(told: list[dict[str, Any]], output: Path | None, *, many: bool, as_json: bool) -> None:
    """Also of those that are not done: nothing tells their nonces again."""
    if as_json:
        show_json(told if many else told[0])
    else:
        for request in told:
            _say_erasure(request)
    if output is not None:
        output.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))


def _listed(file: Path, extra: dict[str, Any], *, hashed: bool) -> list[Demand]:
    """An erasure for each line, every one of which can be worked on. Raises `ConfigError`, `Unprocessable`."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8 text.") from None
    demands: dict[str, Demand] = {}
    for number, user in enumerate(map(str.strip, lines), 1):
        if user and user not in demands:
            try:
                demands[user] = read_demand({"type": "erasure", "identities": named([user], None, None, hashed=hashed), **extra})
            except Unprocessable as error:
                raise Unprocessable(error.code, f"{file}, line {number}: {error.message}", **error.detail) from None
    return list(demands.values())


def _correction(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ConfigError("--correct takes property=value.")
    try:
        return name, orjson.loads(value) if value else None
    except orjson.JSONDecodeError:
        return name, value


def _fetch_export(bureau: Bureau, request_id: str, output: Path, *, as_json: bool) -> None:
    """Raises `NotFound`, `Conflict` while somebody else fetches it; it waits on then, and if the file cannot be written."""
    events = bureau.desk.export_size(request_id, bureau.caller)
    with bureau.desk.claim_export(request_id):
        with output.open("xb") as sink:
            try:
                bureau.desk.write_export(request_id, sink)
                sink.flush()
            except BaseException:
                output.unlink()
                raise
        bureau.desk.destroy_export(request_id, bureau.caller)
    size = output.stat().st_size
    if as_json:
        show_json({"request": request_id, "events": events, "file": str(output), "bytes": size})
    else:
        say(f"{counted(events, 'event')} and what else is held are in {output} ({counted(size, 'byte')}).")


def _show_one(
    bureau: Bureau, request_id: str, *, cancel: bool, extend: bool, output: Path | None = None, as_json: bool = False
) -> None:
    try:
        if cancel:
            bureau.desk.cancel(request_id, bureau.caller)
        if extend:
            bureau.desk.extend(request_id, bureau.caller)
        told = bureau.desk.get(request_id, bureau.caller)
    except NotFound:
        raise ConfigError(f"There is no request {request_id}.") from None
    if output is None:
        show_json(told)
    else:
        _fetch_export(bureau, request_id, output, as_json=as_json)


def _status(request: dict[str, Any]) -> str:
    waits = f"; it begins at {request['begins_at'][:16]} (rights.grace_s)" if "begins_at" in request else ""
    return f"{request['id']} ({request['type']}): {request['status']}{waits}"


def _say_erasure(request: dict[str, Any]) -> None:
    if request["status"] == RequestStatus.ON_HOLD:
        say(
            f"Request {request['id']} is on hold: somebody set a legal hold on this person "
            "(`consentry privacy hold --lift` ends it, reason by reason)."
        )
        for reason in sorted(
            {region["result"]["held"] for region in request["regions"].values() if "held" in region.get("result", {})}
        ):
            say(f"  because: {reason}")
    else:
        say(f"Request {_status(request)}")
    for certificate in request.get("certificates", ()):
        facts = certificate["erasure"]
        events, scan = facts["stores"]["events"]["before"], facts["scan"]
        say(
            f"  {facts['region']}: {counted(events, 'event')} and {counted(facts['subjects'], 'subject')} gone, "
            f"{counted(facts['files_rewritten'], 'file')} rewritten; {counted(scan['files'], 'file')} searched, nothing found; "
            f"ledger entry {certificate['ledger']['entry']}"
        )
        if scan["mentions"]:
            say(
                f"    the identifier as a text still stands in {', '.join(scan['mentions'])}: in other people's data, or by chance"
            )
    if request.get("commitment_nonce"):
        say(f"  nonce for the person, shown this once: {request['commitment_nonce']}")
