"""`docs/jurisdictions.md`, made from the tables of jurisdictions and purposes."""

from __future__ import annotations

from typing import Final

from consentryd.config.settings import Consent
from consentryd.consent.jurisdiction import Jurisdiction, load_jurisdictions
from consentryd.consent.purposes import Purpose, load_purposes

HEADER: Final = """\
# Jurisdictions and purposes

<!-- Made by `make docs` from consentryd/config/jurisdictions.toml and purposes.toml; a test keeps them equal. -->

Working defaults with a date, not legal advice: read them with whoever answers for the processing, and put your own table in
`consent.jurisdictions_file` or `consent.purposes_file` where you come to another conclusion. `docs/consent.md` says how they are used.

## What holds where no signal says anything

A row holds from its day on (UTC); of the rows of one place the latest that is in force holds. A place named nowhere, an unknown country
and a country without its subdivision get the strictest row that may apply: a visitor from Canada counts as one from Quebec unless the
country database knows better. Opt-out signals are honoured everywhere; the mark says where the law obliges to.

| place | codes | regime | exemption it knows | must honour opt-out signals | events without a grant | since | rests on |
|---|---|---|---|---|---|---|---|
"""

PURPOSES: Final = """
## What events are processed for

| purpose | meaning | TCF purposes | special features | Google signals | opt-outs cover it | can be exempt | sensitive | on withdrawal |
|---|---|---|---|---|---|---|---|---|
"""


def reference() -> str:
    _, places = load_jurisdictions(Consent())
    purposes = load_purposes(Consent()).by_name.values()
    return HEADER + "".join(map(_place, places)) + PURPOSES + "".join(map(_purpose, purposes))


def _place(row: Jurisdiction) -> str:
    cells = (
        row.name,
        " ".join("`*`" if code == "*" else code for code in row.codes),
        row.regime,
        row.exemption,
        _mark(row.universal_opt_out),
        row.anonymous,
        row.effective_from.isoformat(),
        row.law,
    )
    return f"| {' | '.join(cells)} |\n"


def _purpose(row: Purpose) -> str:
    cells = (
        f"`{row.name}`",
        row.text,
        ", ".join(map(str, row.tcf)),
        ", ".join(map(str, row.special_features)),
        ", ".join(row.google),
        _mark(row.opt_out),
        _mark(row.measurement),
        _mark(row.sensitive),
        row.on_withdrawal,
    )
    return f"| {' | '.join(cells)} |\n"


def _mark(on: bool) -> str:
    return "yes" if on else ""
