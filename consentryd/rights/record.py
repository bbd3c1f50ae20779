"""The record of processing activities (GDPR article 30) and the data map, made from the settings and from what is really stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from consentryd import __version__
from consentryd.config.settings import Settings
from consentryd.consent.policy import Policy
from consentryd.privacy.rules import shipped
from consentryd.rights.inventory import NAMES, EventKind, Inventory, SiteInventory
from consentryd.rights.stored import Progress, stored_events
from consentryd.storage.census import census
from consentryd.storage.database import open_database
from consentryd.storage.ledger import iso
from consentryd.storage.location import DATABASE
from consentryd.storage.master import DEFAULT_FILE

_TOP: Final = 30

#: Article 30(1)(g). What holds whatever the settings say; what they change is added by `_measures`.
MEASURES: Final = (
    "Consent is decided before anything is stored, and again in the transaction that stores.",
    "Personal data found by detectors is taken out before anything is stored; every change is recorded without the value.",
    "IP addresses and user agents are taken out wherever they stand; what is kept of them is a country and a class of machine.",
    "Ids by which events name their person are stored as keyed digests only (BLAKE2b, in properties HMAC-SHA256, 128 bits).",
    "Where such an id stands elsewhere in an event it is taken out as well, if it has five characters or its key says what it is.",
    "Every region has its own folder and its own keys; digests of two regions cannot be joined.",
    "Region keys are wrapped (AES-256-GCM) by a master key, single people's keys by a region key.",
    "Erasure rewrites files, scans for what is left and signs a certificate.",
    "Choices and uses of personal data stand in an append-only ledger under a signed Merkle tree.",
    "API keys are stored as SHA-256 only; logs and metrics carry no personal data.",
    "What was acknowledged is on the disk (fsync); deleted bytes are overwritten (SQLite secure_delete).",
)


def make_record(
    settings: Settings, regions: Mapping[str, Path], now: int, progress: Progress = lambda _what, _done, _of: None
) -> dict[str, Any]:
    """The record as JSON. `regions` are those in which something is stored, with their folders; every event in them is read once.

    Holds no personal data beyond names of events and properties as scrubbing left them. Raises `CorruptStore`, `Busy`, `ConfigError`.
    """
    inventory = Inventory()
    people: dict[str, dict[str, int]] = {}
    for name, root in regions.items():
        for _, batch in stored_events(root, NAMES, progress):
            inventory.add(name, batch)
        with closing(open_database(root / DATABASE, "region", readonly=True)) as connection:
            people[name] = census(connection)
    return {
        "made_at": iso(now),
        "made_by": f"Consentry {__version__}",
        "controller": settings.consent.controller,
        "data_subjects": "Visitors and users of the sites below",
        "sites": [_site(name, site, settings) for name, site in sorted(inventory.sites.items())],
        "purposes": _purposes(settings, inventory),
        "regions": [_region(name, settings, people.get(name)) for name in settings.regions],
        "recipients": _recipients(settings),
        "rules": _rules(settings),
        "rights": _rights(settings),
        "measures": _measures(settings),
    }


def _site(name: str, site: SiteInventory, settings: Settings) -> dict[str, Any]:
    own = settings.site_of(name)
    return {
        "site": name,
        "events_stored": site.count,
        "first": None if site.first is None else iso(site.first),
        "last": None if site.last is None else iso(site.last),
        "regions": dict(site.regions),
        "lanes": dict(site.lanes),
        "countries": dict(site.countries.most_common(_TOP)),
        "retention_days": {
            "consented": own.retention.consented_days,
            "anonymous": own.retention.anonymous_days,
            "purposes": own.retention.purposes,
            "regions": own.retention.regions,
        },
        "anonymous_lane": own.anonymous_lane,
        "columns": {column: round(site.columns[column] / site.count, 4) for column in NAMES if site.columns[column]},
        "redactions": [
            {"rule": rule, "action": action, "count": count} for (rule, action), count in site.redactions.most_common()
        ],
        "events": [_event(*key, kind) for key, kind in sorted(site.events.items(), key=lambda item: -item[1].count)],
    }


def _event(type_: str, event: str, purpose: str, kind: EventKind) -> dict[str, Any]:
    return {
        "type": type_,
        "event": event,
        "purpose": purpose,
        "count": kind.count,
        "properties": [
            {"path": path, "kinds": sorted(kinds), "share": round(min(1.0, kinds.total() / kind.count), 4)}
            for path, kinds in sorted(kind.properties.items())
        ],
    }


def _purposes(settings: Settings, inventory: Inventory) -> list[dict[str, Any]]:
    """Purposes that stored events serve, with what let them in: a rule of the decision (docs/consent.md), most often `grant`."""
    table = Policy(settings.consent).purposes.by_name
    grounds: dict[str, Counter[str]] = {}
    for site in inventory.sites.values():
        for name, counts in site.grounds.items():
            grounds.setdefault(name, Counter()).update(counts)
    return [
        {
            "purpose": name,
            "text": table[name].text if name in table else None,
            "on_withdrawal": table[name].on_withdrawal if name in table else None,
            "events": counts.total(),
            "let_in_by": dict(counts.most_common()),
        }
        for name, counts in sorted(grounds.items())
    ]


def _region(name: str, settings: Settings, people: dict[str, int] | None) -> dict[str, Any]:
    region = settings.regions[name]
    return {"region": name, "countries": region.countries, "endpoint": region.endpoint, "held": people or {}}


def _recipients(settings: Settings) -> dict[str, list[str]]:
    """Hosts only: an address may carry a key."""
    told = (*settings.rights.downstream, *settings.rights.callbacks)
    return {
        "named": list(settings.rights.recipients),
        "told_of_requests": sorted({host for host in (urlsplit(url).hostname for url in told) if host}),
    }


def _rules(settings: Settings) -> dict[str, Any]:
    own = [rule.model_dump(exclude_none=True) for rule in settings.privacy.rules]
    return {
        "own": own,
        "shipped": shipped()["rule"],
        "allow": settings.privacy.allow,
        "dry_run": settings.privacy.dry_run,
        "coordinate_decimals": settings.privacy.coordinate_decimals,
        "query_parameters": settings.privacy.query_parameters,
    }


def _rights(settings: Settings) -> dict[str, Any]:
    return {
        "grace_seconds": settings.rights.grace_s,
        "export_hours": settings.rights.export_hours,
        "backup_days": settings.rights.backup_days,
        "after_erasure": settings.rights.block,
        "dead_letter_days": settings.storage.rejected_days,
        "event_id_days": settings.storage.dedup_days,
    }


def _measures(settings: Settings) -> list[str]:
    source = settings.keys.master or f"file:{DEFAULT_FILE}"
    measures = [*MEASURES, f"The master key comes from: {source.partition(':')[0]}."]
    if settings.privacy.audit_interval_hours:
        measures.append(
            f"What is stored is looked through for personal data every {settings.privacy.audit_interval_hours:g} hours."
        )
    if settings.analytics.min_group_size:
        measures.append(f"Groups of fewer than {settings.analytics.min_group_size} people are not shown.")
    if settings.consent.profile != "none":
        measures.append(f"The start is refused when a setting breaks the profile {settings.consent.profile}.")
    keeping = sum(rule.action == "keep" for rule in settings.privacy.rules)
    if keeping:
        measures.append(f"NOT IN FULL: {keeping} of the operator's rules keep what would be taken out.")
    if settings.privacy.dry_run:
        measures.append("NOT IN FORCE: scrubbing is in a dry run, personal data is stored as it comes.")
    return measures
