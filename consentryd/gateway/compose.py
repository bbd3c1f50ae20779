"""The composition root: settings in, the open house out. The one place where implementations are chosen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Final

from structlog.typing import FilteringBoundLogger

from consentryd.config.settings import Settings
from consentryd.consent.policy import Policy
from consentryd.consent.profile import require_profile
from consentryd.consent.purposes import require_known
from consentryd.gateway.auditor import Auditor
from consentryd.gateway.clients import Clients
from consentryd.gateway.cohorts import Reckoner
from consentryd.gateway.collector import Collector
from consentryd.gateway.commit_trouble import CommitTrouble
from consentryd.gateway.day_keys import DayKeys
from consentryd.gateway.dry_run import DryRun
from consentryd.gateway.exposition import Worker
from consentryd.gateway.foresight import Foresight
from consentryd.gateway.forgetting import Forgetter
from consentryd.gateway.homes import Homes
from consentryd.gateway.idle import idle
from consentryd.gateway.keeper import Keeper
from consentryd.gateway.logs import frames_of
from consentryd.gateway.metrics import Metrics
from consentryd.gateway.pipeline import Pipeline
from consentryd.gateway.plan import TrackingPlans
from consentryd.gateway.proving import Proving
from consentryd.gateway.querying import Querying
from consentryd.gateway.rights import Rights
from consentryd.gateway.services import Services
from consentryd.gateway.short_memory import ShortMemory
from consentryd.gateway.stages.consent import Consent
from consentryd.gateway.stages.person import Persons
from consentryd.gateway.stages.place import Place
from consentryd.gateway.stages.scene import Scenes
from consentryd.gateway.stages.scrub import Scrub
from consentryd.gateway.stages.validate import Validate
from consentryd.gateway.stages.view import Views
from consentryd.gateway.tally import Tally
from consentryd.gateway.ties import Ties
from consentryd.gateway.visitors import Visitors, daily_lanes
from consentryd.gateway.warden import Warden
from consentryd.model.clock import Clock, SystemClock
from consentryd.model.error import ConfigError
from consentryd.privacy.agent import AgentClassifier
from consentryd.privacy.country import CountryDatabase
from consentryd.privacy.pseudonym import Pseudonymiser
from consentryd.privacy.rules import load_rules
from consentryd.privacy.scrub import Scrubber
from consentryd.rights.consent import ConsentDesk
from consentryd.rights.desk import Desk
from consentryd.rights.office import open_offices
from consentryd.rights.registrar import Registrar
from consentryd.rights.runner import Runner
from consentryd.rights.token import check_tokens
from consentryd.storage.control import ControlStore
from consentryd.storage.damage import explain
from consentryd.storage.keys import open_region_keys
from consentryd.storage.location import CONTROL, DATABASE
from consentryd.storage.master import load_master
from consentryd.storage.newcomer import Newcomers
from consentryd.storage.region import RegionStore
from consentryd.storage.rejected import Letter, latest
from consentryd.storage.roster import note_regions, require_regions
from consentryd.storage.schema import keep_pandas_out, use_system_memory
from consentryd.storage.tenancy import moving_in, serving

#: How long an erasure waits for queries before it lets other work go first and comes back.
RIGHTS_WAIT_S: Final = 5.0


class House:
    """Everything a process needs to take events, before any door is opened. Built by `open_house`."""

    def __init__(
        self, settings: Settings, stores: Mapping[str, RegionStore], clock: Clock, day_keys: DayKeys | None = None
    ) -> None:
        self.settings = settings
        self.stores = stores
        self.clock = clock
        self.metrics = Metrics()
        require_profile(settings)
        self.policy = Policy(settings.consent, self.metrics.count_invalid_consent)
        require_known(settings, self.policy.purposes)
        countries = CountryDatabase(settings.privacy.country_database, city=settings.privacy.city)
        countries.open()
        agents = AgentClassifier()
        agents.warm()
        self.clients = Clients(countries, agents, settings.server.trusted_proxies)
        self.pseudonyms = {name: Pseudonymiser(store.keys.identity, store.keys.dedup) for name, store in stores.items()}
        rules = load_rules(settings.privacy.rules)
        self.scrubbers = {
            name: Scrubber(rules, store.keys.property, name, settings.privacy, store.subject_keys)
            for name, store in stores.items()
        }
        self.metrics.watch_redactions(scrubber.counts for scrubber in self.scrubbers.values())
        persons = Persons(settings.limits.id_chars)
        self.homes = Homes(stores, self.pseudonyms)
        self.place = Place(settings.regions, self.homes, persons)
        self.visitors = Visitors(settings, day_keys, daily_lanes(self.policy))
        self.tally = Tally(stores, clock)
        views = Views(settings.privacy.query_parameters, settings.privacy.titles)
        self.scenes = Scenes(self.clients, self.policy, views)
        self.pipeline = Pipeline(
            Validate(settings.limits, persons, self.scenes, TrackingPlans(settings), settings.privacy.bots),
            self.place,
            Consent(self.policy, self.pseudonyms, {name: store.standings for name, store in stores.items()}, self.tally),
            Scrub(self.pseudonyms, self.scrubbers, views, self.visitors),
        )
        desk = ConsentDesk(settings, self.policy, stores, self.pseudonyms, clock)
        self.registrar = Registrar(stores)
        self.proving = Proving(desk, self.registrar, self.policy, self.place, stores)
        self.querying = Querying(settings, {name: store.root for name, store in stores.items()}, clock)
        logs = {name: store.log for name, store in stores.items()}
        foresight = Foresight(self.place, persons)
        self.collector = Collector(
            settings,
            self.pipeline,
            self.place,
            foresight,
            logs,
            self.scrubbers,
            Ties(stores, self.pseudonyms),
            self.registrar.note_region_refused,
        )
        for name, store in stores.items():
            store.log.stats.observe_commit = partial(self.metrics.observe_commit, name)

    def close(self) -> None:
        """Before the stores are closed, by who opened them. A second time does nothing."""
        self.querying.close()
        self.homes.close()


class _Rejections:
    """Dead letters over all regions served."""

    def __init__(self, stores: Mapping[str, RegionStore]) -> None:
        self._stores = stores

    async def newest(self, limit: int, site: str) -> Sequence[Letter]:
        found = await asyncio.gather(*(store.newest_rejected(limit, site) for store in self._stores.values()))
        return [letter for _, letter in reversed(latest(dict(zip(self._stores, found, strict=True)), limit))]


def open_stores(settings: Settings, regions: Sequence[str] | None, clock: Clock) -> dict[str, RegionStore]:
    """The regions this process serves, open. Raises `ConfigError`, where one is gone too, and `CorruptStore`."""
    keep_pandas_out()
    root = settings.storage.data_dir
    with moving_in(root):
        return _open_stores(settings, regions or list(settings.regions), clock)


def _open_stores(settings: Settings, regions: Sequence[str], clock: Clock) -> dict[str, RegionStore]:
    root = settings.storage.data_dir
    require_regions(root, regions)
    master = load_master(settings.keys.master, root, os.environ)
    stores: dict[str, RegionStore] = {}
    for name in regions:
        keys = open_region_keys(root, name, master)
        store = RegionStore(root / name, keys, settings.storage, clock, Newcomers().draw)
        try:
            store.open()
        except BaseException as error:
            for opened in (*stores.values(), store):
                opened.close()
            if not isinstance(error, sqlite3.DatabaseError):
                raise
            problem = explain(error, [root / name / DATABASE])
            raise ConfigError(f"The store of region {name} in {root / name} cannot be opened. {problem}") from error
        stores[name] = store
    note_regions(root, stores, clock.now())
    return stores


def open_rights(house: House, logger: FilteringBoundLogger, *, ticks: bool) -> Rights:
    """People's requests over the house's regions; `ticks` in the process that looks after them when nobody asks."""
    settings = house.settings
    check_tokens(settings)
    offices = open_offices(settings.storage.data_dir, {name: store.keys for name, store in house.stores.items()}, house.clock)
    desk = Desk(settings, house.policy, offices, house.clock)
    runner = Runner(settings, house.policy, offices, house.scrubbers, house.clock, wait_s=RIGHTS_WAIT_S)
    return Rights(desk, runner, logger, ticks=ticks)


@contextlib.asynccontextmanager
async def open_services(
    settings: Settings, regions: Sequence[str] | None, worker: Worker, logger: FilteringBoundLogger
) -> AsyncIterator[Services]:
    """The house with its doors' services; closes what it opened. Housekeeping runs in the first worker."""
    use_system_memory()
    clock = SystemClock()
    root = settings.storage.data_dir
    with serving(root):
        async with _open_services(settings, regions, worker, logger, clock) as services:
            yield services


@contextlib.asynccontextmanager
async def _open_services(
    settings: Settings, regions: Sequence[str] | None, worker: Worker, logger: FilteringBoundLogger, clock: Clock
) -> AsyncIterator[Services]:
    stores = await asyncio.to_thread(open_stores, settings, regions, clock)
    control = ControlStore(settings.storage.data_dir / CONTROL, clock)
    house: House | None = None
    rights: Rights | None = None
    try:
        house = House(settings, stores, clock, worker.keys)
        trouble = CommitTrouble(house.metrics, logger)
        for name, store in stores.items():
            store.log.stats.note_failure = trouble.watch(name)
        await asyncio.to_thread(house.clients.warm)
        rights = open_rights(house, logger, ticks=worker.number == 0)
        services = Services(
            settings,
            clock,
            control,
            house.collector,
            _Rejections(stores),
            house.clients,
            house.metrics,
            worker,
            house.proving,
            house.visitors,
            rights=rights,
            querying=house.querying,
        )
        for line in idle(settings) if worker.number == 0 else ():
            logger.warning("a setting does nothing", setting=line.partition(" ")[0], reason=line)
        keeper = Keeper(settings, stores, clock, house.metrics, logger)
        warden = Warden(settings, house.policy, stores, house.registrar, worker.keys, clock, logger)
        auditor = Auditor(settings, stores, clock, house.metrics, logger)
        reckoner = Reckoner(house.querying, clock, logger)
        forgetter = Forgetter(house.querying, stores)
        memory = ShortMemory((house.place, house.scenes, *house.pseudonyms.values()))
        dry_run = [DryRun(house.scrubbers, logger)] if settings.privacy.dry_run else []
        async with _running(
            logger,
            house.tally,
            rights,
            forgetter,
            memory,
            *dry_run,
            *((keeper, warden, auditor, reckoner) if worker.number == 0 else ()),
        ):
            try:
                yield services
            finally:
                await asyncio.to_thread(house.querying.close)
    finally:
        control.close()
        if house is not None:
            house.close()
        for store in stores.values():
            await asyncio.to_thread(store.close)
        if rights is not None:
            await asyncio.to_thread(rights.close)


_Keeping = Keeper | Warden | Tally | Rights | Auditor | Reckoner | Forgetter | ShortMemory | DryRun


@contextlib.asynccontextmanager
async def _running(logger: FilteringBoundLogger, *keepers: _Keeping) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(_kept(logger, keeper)) for keeper in keepers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _kept(logger: FilteringBoundLogger, keeper: _Keeping) -> None:
    """One that fails is heard of at once, and keeps no other from ending in order."""
    try:
        await keeper.keep()
    except Exception as error:  # noqa: BLE001 - whatever it is, events are taken all the same
        logger.error("background work ended", work=type(keeper).__name__, error=type(error).__name__, at=frames_of(error))  # noqa: TRY400 - no text of a client
