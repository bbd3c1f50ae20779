"""Saved queries, cohorts and funnels over HTTP: create, list, read, replace, delete; every version is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from consentryd.analytics.audience import AudienceBook
from consentryd.analytics.control import Control
from consentryd.analytics.saved import SavedCohort, check_circle, check_unused, read_saved
from consentryd.gateway import document
from consentryd.gateway.answer import json_answer
from consentryd.gateway.auth import READING
from consentryd.gateway.cohorts import Members, members_of
from consentryd.gateway.door import DOOR
from consentryd.gateway.endpoint import Handler
from consentryd.gateway.queries import gone_of, read_body
from consentryd.gateway.querying import Querying
from consentryd.gateway.services import SERVICES
from consentryd.model.clock import SECOND
from consentryd.model.error import BadRequest, NotFound
from consentryd.model.key import ApiKey
from consentryd.storage.saved import Saved, SavedStore, SavedType

Work = Callable[["Shelf", web.Request], Awaitable[Any]]


class Shelf:
    """What one request needs: its key, the store, and the queries' threads."""

    def __init__(self, request: web.Request, kind: SavedType) -> None:
        services = request.app[SERVICES]
        self.key: ApiKey = request.app[DOOR].check_reader(request, services.clients.caller(request), READING)
        self.kind = kind
        self.querying: Querying = services.require_querying()
        self.store: SavedStore = self.querying.saved
        self.book: AudienceBook = self.querying.book
        self.now = services.clock.now()

    def cohort(self, which: str) -> SavedCohort | None:
        """A saved cohort by id or name."""
        try:
            return SavedCohort.model_validate_json(self.store.get(self.key.site, "cohort", which).body)
        except NotFound:
            return None

    def check_unused(self, cohort: Saved, named: Collection[str]) -> None:
        """Raises `Conflict` if anything saved names a cohort by one of these."""
        kinds: tuple[SavedType, ...] = ("cohort", "query", "funnel")
        check_unused(cohort, [saved for kind in kinds for saved in self.store.all(self.key.site, kind)], named)

    def told(self, saved: Saved) -> dict[str, Any]:
        """A saved thing as clients see it; of a cohort also when its members were looked up last."""
        if saved.type != "cohort":
            return describe(saved)
        last = self.book.of(self.key.site).reckoned(saved.id)
        return {**describe(saved), "computed_at": None if last is None else _time(last.at)}


def handle(kind: SavedType, work: Work) -> Handler:
    """An endpoint of a type of saved things."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return json_answer(await work(Shelf(request, kind), request))

    return answer


async def create(shelf: Shelf, request: web.Request) -> Any:
    found = read_saved(shelf.kind, document.parse(await read_body(request)))
    members = await _members(shelf, request, found, {found.name})
    saved = await asyncio.to_thread(shelf.store.create, shelf.key.site, shelf.kind, found.name, _json(found), shelf.key.id)
    return await _recorded(shelf, saved, members)


async def replace(shelf: Shelf, request: web.Request) -> Any:
    found = read_saved(shelf.kind, document.parse(await read_body(request)))
    which = request.match_info["id"]
    old = shelf.store.get(shelf.key.site, shelf.kind, which)
    if shelf.kind == "cohort" and found.name != old.name:
        await asyncio.to_thread(shelf.check_unused, old, {old.name})
    members = await _members(shelf, request, found, {found.name, old.name, old.id})
    saved = await asyncio.to_thread(shelf.store.update, shelf.key.site, shelf.kind, which, found.name, _json(found), shelf.key.id)
    return await _recorded(shelf, saved, members)


async def reckon(shelf: Shelf, request: web.Request) -> Any:
    """Look the members of a dynamic cohort up now. A static one keeps those it has."""
    saved = await asyncio.to_thread(shelf.store.get, shelf.key.site, shelf.kind, request.match_info["id"])
    cohort = SavedCohort.model_validate_json(saved.body)
    members = None if cohort.static else await _members(shelf, request, cohort, {saved.name, saved.id})
    return await _recorded(shelf, saved, members)


async def read_all(shelf: Shelf, _: web.Request) -> Any:
    saved = await asyncio.to_thread(shelf.store.all, shelf.key.site, shelf.kind)
    return {"saved": await asyncio.to_thread(lambda: [shelf.told(each) for each in saved])}


async def read_one(shelf: Shelf, request: web.Request) -> Any:
    if "version" in request.query:
        return await _read_version(shelf, request, request.query["version"])
    saved = await asyncio.to_thread(shelf.store.get, shelf.key.site, shelf.kind, request.match_info["id"])
    return await asyncio.to_thread(shelf.told, saved)


async def _read_version(shelf: Shelf, request: web.Request, number: str) -> Any:
    if not (number.isascii() and number.isdigit()):
        raise BadRequest("bad_parameter", "`version` is a whole number.", parameter="version")
    every = await asyncio.to_thread(shelf.store.versions, shelf.key.site, shelf.kind, request.match_info["id"])
    found = next((each for each in every if str(each.version) == number), None)
    if found is None:
        raise NotFound("not_found", f"There is no such version of the {shelf.kind}; the newest is {every[0].version}.")
    return describe(found)


async def read_versions(shelf: Shelf, request: web.Request) -> Any:
    saved = await asyncio.to_thread(shelf.store.versions, shelf.key.site, shelf.kind, request.match_info["id"])
    return {"saved": [describe(each) for each in saved]}


async def delete(shelf: Shelf, request: web.Request) -> Any:
    if shelf.kind == "cohort":
        old = await asyncio.to_thread(shelf.store.get, shelf.key.site, shelf.kind, request.match_info["id"])
        await asyncio.to_thread(shelf.check_unused, old, {old.id, old.name})
    saved = await asyncio.to_thread(shelf.store.delete, shelf.key.site, shelf.kind, request.match_info["id"])
    if shelf.kind == "cohort":
        await asyncio.to_thread(shelf.book.of(shelf.key.site).forget, saved.id)
    return describe(saved)


def describe(saved: Saved) -> dict[str, Any]:
    """A saved thing as clients see it."""
    return {
        "id": saved.id,
        "type": saved.type,
        "version": saved.version,
        "created_at": _time(saved.created_at),
        "changed_at": _time(saved.changed_at),
        "changed_by": saved.key,
        **orjson.loads(saved.body),
    }


async def _members(shelf: Shelf, request: web.Request, found: Any, own: set[str]) -> Members | None:
    """The members of a cohort as of now: a rule that cannot be followed must not be saved. `own`: its id and names."""
    if not isinstance(found, SavedCohort):
        return None
    await asyncio.to_thread(check_circle, found, own, shelf.cohort)
    control = Control(shelf.querying.settings.query_seconds)
    return await shelf.querying.run(
        shelf.key,
        control,
        gone_of(request),
        lambda: members_of(shelf.querying, found, shelf.key.site, shelf.now, control),
    )


async def _recorded(shelf: Shelf, saved: Saved, members: Members | None) -> dict[str, Any]:
    if members is not None:
        await asyncio.to_thread(shelf.book.of(shelf.key.site).record, saved, members, shelf.now)
    return await asyncio.to_thread(shelf.told, saved)


def _json(found: Any) -> str:
    text: str = found.model_dump_json(by_alias=True, exclude_defaults=False)
    return text


def _time(instant: int) -> str:
    return datetime.fromtimestamp(instant / SECOND, UTC).isoformat().replace("+00:00", "Z")
