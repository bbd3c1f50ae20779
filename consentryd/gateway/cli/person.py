"""Options that name a person, and the rights over an installation's regions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from consentryd.config.settings import Settings
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import bar, complain
from consentryd.model.clock import SystemClock
from consentryd.model.error import ConfigError
from consentryd.model.identity import IdentityKind
from consentryd.rights.demand import RequestStatus
from consentryd.storage.keys import open_region_keys
from consentryd.storage.master import load_master

if TYPE_CHECKING:
    from consentryd.rights.desk import Caller, Desk
    from consentryd.rights.runner import Runner

OPERATOR: Final = "command line"
ROUNDS: Final = 5

UserOption = Annotated[list[str] | None, typer.Option("--user-id", help="A user id of the person; repeatable.", metavar="ID")]
AnonymousOption = Annotated[
    list[str] | None, typer.Option("--anonymous-id", help="An anonymous id of the person; repeatable.", metavar="ID")
]
EmailOption = Annotated[
    list[str] | None, typer.Option("--email", help="An e-mail address of the person; repeatable.", metavar="ADDRESS")
]
HashedOption = Annotated[
    bool,
    typer.Option("--hashed", help="What names the person is its SHA-256: of an id as it is, of an e-mail address in lower case."),
]
SitesOption = Annotated[
    list[str] | None, typer.Option("--site", help="Only this site; repeatable. Default: all.", metavar="NAME")
]


@dataclass(frozen=True, slots=True)
class Bureau:
    """The desk and the runner of an installation, for a command that acts for the operator."""

    settings: Settings
    desk: Desk
    runner: Runner
    caller: Caller

    def work(self, requests: Sequence[str], what: str, *, quiet: bool) -> list[dict[str, Any]]:
        """Carry requests out with a bar; their states. Raises `ConfigError` if something stands in the way for minutes."""
        problems: dict[str, str] = {}
        with bar(what, quiet=quiet) as progress:
            runner = replace(self.runner, progress=progress)
            for _ in range(ROUNDS):
                problems = runner.run(lock_wait_s=60.0)
                told = [self.desk.get(request, self.caller) for request in requests]
                waiting = [each for each in told if each["status"] in {RequestStatus.PENDING, RequestStatus.IN_PROGRESS}]
                if not waiting or not problems:
                    return told
        reasons = "; ".join(f"{region}: {problem}" for region, problem in problems.items())
        raise ConfigError(f"Not finished, {reasons}. A running gateway goes on with it, or this command when it is run again.")


@contextmanager
def open_bureau(settings: Settings, sites: Sequence[str] | None) -> Iterator[Bureau]:
    """Raises `ConfigError` where nothing was set up. What it needs takes a second to load (Arrow), which other commands need not wait."""
    from consentryd.consent.policy import Policy  # noqa: PLC0415 -- see above
    from consentryd.privacy.rules import load_rules  # noqa: PLC0415
    from consentryd.privacy.scrub import Scrubber  # noqa: PLC0415
    from consentryd.rights.desk import Caller, Desk  # noqa: PLC0415
    from consentryd.rights.office import open_offices  # noqa: PLC0415
    from consentryd.rights.runner import Runner  # noqa: PLC0415

    root, clock = settings.storage.data_dir, SystemClock()
    with installation.at_work(settings):
        named_sites = choose_sites(settings, sites)
        master = load_master(settings.keys.master, root, os.environ)
        keys = {folder.name: open_region_keys(root, folder.name, master) for folder in installation.regions(settings)}
        if not keys:
            raise ConfigError("Nothing is stored here yet.")
        policy, offices = Policy(settings.consent), open_offices(root, keys, clock)
        rules = load_rules(settings.privacy.rules)
        scrubbers = {name: Scrubber(rules, each.property, name, settings.privacy) for name, each in keys.items()}
        caller = Caller(OPERATOR, named_sites)
        desk = Desk(settings, policy, offices, clock)
        if missing := desk.coverage.get("regions_not_covered"):
            complain(f"Not covered: what may be stored elsewhere, or by other settings, in region {', '.join(missing)}.")
        try:
            yield Bureau(settings, desk, Runner(settings, policy, offices, scrubbers, clock), caller)
        finally:
            desk.close()


def choose_sites(settings: Settings, given: Sequence[str] | None) -> tuple[str, ...]:
    """The sites given, or all there are: those with a key or settings, and those of which something is stored all the same.

    Raises `ConfigError` for one that is none of them: its name is misspelt.
    """
    from consentryd.storage.site import stored_sites  # noqa: PLC0415 -- loads Arrow

    with installation.control(settings) as store:
        keys = store.keys()
    known = dict.fromkeys([*(key.site for key in keys), *settings.sites])
    if not given or not set(given) <= known.keys():
        for folder in installation.regions(settings):
            known |= dict.fromkeys(sorted(stored_sites(folder.root)))
    if unknown := [site for site in given or () if site not in known]:
        raise ConfigError(f"Nothing is stored of a site {unknown[0]}; there are {', '.join(sorted(known))}.")
    return tuple(given or known)


def named(
    user: list[str] | None, anonymous: list[str] | None, email: list[str] | None, *, hashed: bool = False
) -> list[dict[str, str]]:
    """The person as the body of a request names them."""
    given = ((IdentityKind.USER_ID, user), (IdentityKind.ANONYMOUS_ID, anonymous), (IdentityKind.EMAIL, email))
    form = {"format": "sha256"} if hashed else {}
    return [{"type": kind.value, "value": value, **form} for kind, values in given for value in values or ()]


def require(identities: list[dict[str, str]]) -> list[dict[str, str]]:
    if not identities:
        raise ConfigError("Whom? Give --user-id, --anonymous-id or --email.")
    return identities
