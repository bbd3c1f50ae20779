"""A house over real stores, and the rights over it: events in, requests in, and what is left on the disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from consentryd.config.settings import Settings, Storage
from consentryd.gateway.compose import House, open_stores
from consentryd.gateway.intake import Intake
from consentryd.gateway.protocols.segment import read_event
from consentryd.model.client import UNKNOWN_CLIENT, Client
from consentryd.model.clock import ManualClock
from consentryd.model.key import ApiKey, KeyKind
from consentryd.rights.demand import read_demand
from consentryd.rights.desk import Caller, Desk
from consentryd.rights.office import Office, open_offices
from consentryd.rights.runner import Runner
from consentryd.storage.seal import Sealer

NOW = 1_795_291_200_000_000
KEY = ApiKey("key_w", KeyKind.WRITE, "shop", "", None, (), 0, None)
GRANT = {"consent": {"purposes": {"analytics": True}}}
CLIENTS = {"eu": Client(country="DE", device="mobile"), "us": Client(country="US", device="desktop")}
OFFICER = Caller("key_p", ("shop",))


class Estate:
    """Everything of one installation in a folder."""

    def __init__(self, path: Path, house: House, clock: ManualClock) -> None:
        self.path = path
        self.house = house
        self.clock = clock
        self.settings = house.settings
        self.offices: dict[str, Office] = open_offices(path, {name: store.keys for name, store in house.stores.items()}, clock)
        self.desk = Desk(self.settings, house.policy, self.offices, clock)
        self._number = 0

    def runner(self, **options: Any) -> Runner:
        return Runner(self.settings, self.house.policy, self.offices, self.house.scrubbers, self.clock, **options)

    async def send(self, *items: dict[str, Any], region: str = "eu") -> list[str]:
        """What became of each."""
        return await self.come(*items, client=CLIENTS.get(region, UNKNOWN_CLIENT), region=region)

    async def come(self, *items: dict[str, Any], client: Client, region: str | None = None) -> list[str]:
        """Sent without a region, events go where their people are at home."""
        intake = Intake(KEY, self.clock.now(), client, region=region)
        results = await self.house.collector.collect(intake, [read_event(item, None) for item in items])
        return [str(result.reason or result.outcome) for result in results]

    def event(self, user: str | None = None, anonymous: str | None = None, **fields: Any) -> dict[str, Any]:
        self._number += 1
        ids = {name: value for name, value in (("userId", user), ("anonymousId", anonymous)) if value is not None}
        return {"type": "track", "event": "Bought", "messageId": f"m-{self._number}", "context": GRANT, **ids, **fields}

    def ask(self, kind: str, *, caller: Caller = OFFICER, **body: Any) -> dict[str, Any]:
        """Hand in a request; `user_id="u-1"`, `anonymous_id=` and `email=` name whom it is about."""
        identities = [
            {"type": name, "value": body.pop(name)} for name in ("user_id", "anonymous_id", "email") if body.get(name) is not None
        ]
        return self.desk.accept(read_demand({"type": kind, "identities": identities, **body}), caller)

    def finish(self, request: str, **options: Any) -> dict[str, Any]:
        """Work until there is nothing to do; the request's state then."""
        problems = self.runner(**options).run()
        assert problems == {}
        return self.desk.get(request, OFFICER)

    def seal(self, region: str = "eu") -> None:
        Sealer(self.path / region, self.offices[region].lake, zone=ZoneInfo("UTC")).run(wait_s=10)

    def rows(self, region: str = "eu", **options: Any) -> list[dict[str, Any]]:
        with self.offices[region].reader.snapshot(**options) as snapshot:
            return snapshot.query("SELECT * FROM events ORDER BY event_id").to_pylist()

    def bytes_with(self, *needles: bytes) -> list[str]:
        """Files under the data directory that contain one of the needles, and which."""
        return [
            f"{path.relative_to(self.path)}: {needle!r}"
            for path in sorted(self.path.rglob("*"))
            if path.is_file()
            for needle in needles
            if needle in path.read_bytes()
        ]


@contextlib.contextmanager
def opened(path: Path, **sections: Any) -> Iterator[Estate]:
    settings = Settings(storage=Storage(data_dir=path, min_free_bytes=0), **sections)
    clock = ManualClock(NOW)
    stores = open_stores(settings, None, clock)
    estate = None
    try:
        estate = Estate(path, House(settings, stores, clock), clock)
        yield estate
    finally:
        if estate is not None:
            estate.house.close()
        for store in stores.values():
            store.close()
        for office in estate.offices.values() if estate else ():
            office.close()
