"""Settings that do nothing as the others stand. None stops a start; all are said, for whoever set one counts on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from consentryd.config.settings import Settings, Site
from consentryd.privacy.country import CountryDatabase


def idle(settings: Settings) -> list[str]:
    """A line for each, which begins with the setting's name. Raises `ConfigError` for a country database that cannot be read."""
    return [*_idle_plans(settings), *_idle_city(settings)]


def _idle_plans(settings: Settings) -> Iterator[str]:
    """Of a site only where its own settings make the difference: what it inherits is said of `site`."""
    yield from _idle_plan("site", settings.site)
    for name, site in settings.sites.items():
        if (site.tracking_plan, site.tracking_plan_mode) != (settings.site.tracking_plan, settings.site.tracking_plan_mode):
            yield from _idle_plan(f"sites.{name}", site)


def _idle_plan(key: str, site: Site) -> Iterator[str]:
    mode = site.tracking_plan_mode
    if mode != "off" and site.tracking_plan is None:
        yield f"{key}.tracking_plan_mode is {mode}, but there is no {key}.tracking_plan: events are held against nothing."
    elif mode == "off" and site.tracking_plan is not None:
        yield f"{key}.tracking_plan is set, but {key}.tracking_plan_mode is off: no event is held against it."


def _idle_city(settings: Settings) -> Iterator[str]:
    privacy = settings.privacy
    if not privacy.city:
        return
    with closing(CountryDatabase(privacy.country_database)) as countries:
        if not countries.has_subdivisions():
            base = privacy.country_database or "the database that ships"
            yield f"privacy.city is true, but {base} knows no subdivisions: privacy.country_database may name one that does."
