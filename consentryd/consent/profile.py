"""Named profiles: conditions of law that the settings must meet, each with its clause. Start-up and `check-config` refuse violations.

Working readings with a date, not legal advice; what no setting can show (information given, processors bound) stays with the operator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from consentryd.config.settings import PiiRule, Settings, Site
from consentryd.model.error import ConfigError

#: 25 months of at most 31 days, as the CNIL counts the life of audience-measurement data.
CNIL_DAYS: Final = 761
#: One decimal of a degree is about 11 km.
CITY_DECIMALS: Final = 1
CNIL_PURPOSES: Final = frozenset({"analytics", "product"})
CNIL: Final = "CNIL guidelines of 17 September 2020, audience measurement"
DUAA: Final = "UK Data (Use and Access) Act 2025, statistical-purposes exception"
CCPA: Final = "CCPA regulations §7025; universal opt-out provisions of the state acts"


class Violation(NamedTuple):
    """A setting that breaks a condition of the chosen profile."""

    clause: str
    setting: str
    text: str


def check_profile(settings: Settings) -> list[Violation]:
    """The violations of `consent.profile`; none for the profile `none`."""
    return [violation for check in PROFILES[settings.consent.profile] for violation in check(settings)]


def require_profile(settings: Settings) -> None:
    """Raises `ConfigError` with a line for each violation."""
    violations = check_profile(settings)
    if violations:
        lines = [f"{each.setting}: {each.text} ({each.clause})" for each in violations]
        raise ConfigError("\n".join([f"The settings violate the profile {settings.consent.profile}:", *lines]))


def _sites(settings: Settings) -> Iterator[tuple[str, Site]]:
    yield "site", settings.site
    yield from ((f"sites.{name}", site) for name, site in settings.sites.items())


def no_daily_token(settings: Settings) -> Iterator[Violation]:
    for name, site in _sites(settings):
        if site.anonymous_lane == "daily":
            text = "must not be daily: a token made from the address and user agent needs a grant"
            yield Violation("ePrivacy Directive Art. 5(3); EDPB Guidelines 2/2023", f"{name}.anonymous_lane", text)


def no_exemption(settings: Settings) -> Iterator[Violation]:
    if settings.consent.exemptions:
        yield Violation("GDPR Art. 6(1)(a)", "consent.exemptions", "must be empty: the profile knows consent only")


def signals_stop_all(settings: Settings) -> Iterator[Violation]:
    clause = "GDPR Art. 7(3) and 21(5): objection by automated means"
    if settings.consent.dnt != "deny":
        yield Violation(clause, "consent.dnt", "must be deny")
    if settings.consent.gpc_scope != "all":
        yield Violation(clause, "consent.gpc_scope", "must be all")


def restrictive(settings: Settings) -> Iterator[Violation]:
    if settings.consent.conflict != "restrictive":
        yield Violation("GDPR Art. 4(11): consent is unambiguous", "consent.conflict", "must be restrictive")


def shipped_places(settings: Settings) -> Iterator[Violation]:
    if settings.consent.jurisdictions_file is not None:
        yield Violation("The profile vouches for the table that ships", "consent.jurisdictions_file", "must not be set")


def shipped_purposes(settings: Settings) -> Iterator[Violation]:
    if settings.consent.purposes_file is not None:
        yield Violation("The profile vouches for the table that ships", "consent.purposes_file", "must not be set")


def audience_measurement_claimed(settings: Settings) -> Iterator[Violation]:
    yield from _claims(settings, "audience-measurement", f"{CNIL}, Art. 5")


def statistics_claimed(settings: Settings) -> Iterator[Violation]:
    yield from _claims(settings, "statistics", f"{DUAA}, PECR Sch. A1 para. 5")


def _claims(settings: Settings, exemption: str, clause: str) -> Iterator[Violation]:
    if list(settings.consent.exemptions) != [exemption]:
        yield Violation(clause, "consent.exemptions", f'must be ["{exemption}"] and nothing else')


def measurement_only(settings: Settings) -> Iterator[Violation]:
    clause = f"{CNIL}: strictly for measuring the site's or app's own audience"
    if settings.consent.default_purpose not in CNIL_PURPOSES:
        yield Violation(clause, "consent.default_purpose", "must be analytics or product")
    for pattern, purpose in settings.consent.events.items():
        if purpose not in CNIL_PURPOSES:
            yield Violation(clause, f"consent.events.{pattern}", "must be analytics or product")


def statistics_only(settings: Settings) -> Iterator[Violation]:
    clause = f"{DUAA}: the sole purpose is statistics to improve the service"
    if settings.consent.default_purpose != "analytics":
        yield Violation(clause, "consent.default_purpose", "must be analytics")


def kept_25_months(settings: Settings) -> Iterator[Violation]:
    clause = f"{CNIL}: data are kept for at most 25 months"
    for name, site in _sites(settings):
        for kind, days in (("consented_days", site.retention.consented_days), ("anonymous_days", site.retention.anonymous_days)):
            if days > CNIL_DAYS:
                yield Violation(clause, f"{name}.retention.{kind}", f"must not be above {CNIL_DAYS}")


def no_click_ids(settings: Settings) -> Iterator[Violation]:
    clause = f"{CNIL}: no cross-referencing with other processing, no following across sites"
    for setting in _kept(settings, "click_id", CLICK_IDS):
        yield Violation(clause, setting, "must not keep click ids")


def no_finer_than_a_city(settings: Settings) -> Iterator[Violation]:
    clause = f"{CNIL}: geolocation is not finer than the city"
    if settings.privacy.coordinate_decimals > CITY_DECIMALS:
        yield Violation(clause, "privacy.coordinate_decimals", f"must not be above {CITY_DECIMALS}")
    for setting in _kept(settings, "coordinate", COORDINATES):
        yield Violation(clause, setting, "must not keep coordinates as they come")


def scrubbed(settings: Settings) -> Iterator[Violation]:
    clause, consequence = "GDPR Art. 5(1)(c): data minimisation", "personal data would be stored as it comes"
    if settings.privacy.dry_run:
        yield Violation(clause, "privacy.dry_run", f"must not be true: {consequence}")
    for number, rule in enumerate(settings.privacy.rules):
        if (rule.detector, rule.path, rule.action) == ("*", "*", "keep"):
            yield Violation(clause, f"privacy.rules.{number}", f"must not keep everything: {consequence}")


def _kept(settings: Settings, detector: str, keys: Iterable[str]) -> Iterator[str]:
    """The rules that let in what a detector finds, or what lies under one of these keys."""
    for number, rule in enumerate(settings.privacy.rules):
        if rule.action == "keep" and (rule.detector == detector or any(_fits(rule, key) for key in keys)):
            yield f"privacy.rules.{number}"


def _fits(rule: PiiRule, key: str) -> bool:
    try:
        return rule.key is not None and re.fullmatch(rule.key, key, re.IGNORECASE) is not None
    except re.error:  # which stops the start with a message of its own
        return False


#: Parameters by which advertising networks recognise a person's click elsewhere.
CLICK_IDS: Final = frozenset(
    {
        "gclid",
        "gbraid",
        "wbraid",
        "dclid",
        "fbclid",
        "msclkid",
        "ttclid",
        "twclid",
        "li_fat_id",
        "yclid",
        "igshid",
        "mc_eid",
        "_kx",
        "epik",
        "scid",
    }
)

COORDINATES: Final = ("lat", "latitude", "lng", "lon", "long", "longitude", "coordinates", "geo_point", "geo_location")


def objection_stops_all(settings: Settings) -> Iterator[Violation]:
    if settings.consent.dnt != "deny":
        yield Violation(f"{DUAA}: a simple and free means to object", "consent.dnt", "must be deny")


def opt_out_honoured(settings: Settings) -> Iterator[Violation]:
    if settings.consent.conflict != "restrictive":
        yield Violation(f"{CCPA}: the signal is processed as a valid request", "consent.conflict", "must be restrictive")


Check = Callable[[Settings], Iterator[Violation]]

PROFILES: Final[dict[str, tuple[Check, ...]]] = {
    "none": (),
    "strict": (no_exemption, no_daily_token, signals_stop_all, scrubbed, restrictive, shipped_places, shipped_purposes),
    "cnil-exempt": (
        audience_measurement_claimed,
        measurement_only,
        kept_25_months,
        no_click_ids,
        no_finer_than_a_city,
        scrubbed,
        no_daily_token,
        restrictive,
        shipped_places,
        shipped_purposes,
    ),
    "uk-statistics": (
        statistics_claimed,
        statistics_only,
        objection_stops_all,
        scrubbed,
        no_daily_token,
        restrictive,
        shipped_places,
        shipped_purposes,
    ),
    "us-opt-out": (opt_out_honoured, shipped_places, shipped_purposes),
}
