"""schemathesis against a whole gateway over real stores: no 500, no status, type or shape that `/openapi.json` does not name."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from consentryd.config.settings import Limits, Server, Settings, Storage
from consentryd.gateway.app import create_app
from consentryd.gateway.compose import open_services
from consentryd.gateway.day_keys import DayKeys
from consentryd.gateway.endpoint import Endpoint
from consentryd.gateway.endpoints import ENDPOINTS
from consentryd.gateway.exposition import Worker
from consentryd.gateway.listener import address_of, bind, listen
from consentryd.gateway.logs import open_logger
from consentryd.gateway.openapi import describe
from consentryd.model.clock import SystemClock
from consentryd.model.key import KeyKind
from consentryd.storage.control import ControlStore

SAMPLE = (
    "/v1/batch",
    "/v1/track",
    "/v1/pixel",
    "/v1/projects/{key}/settings",
    "/sourceConfig",
    "/v1/rejected",
    "/v1/consent",
    "/v1/consent/explain",
    "/readyz",
)
KEYS = {(endpoint.method, endpoint.path): endpoint.keys for endpoint in ENDPOINTS}

#: A batch with invalid events is answered, event by event, with 200; a schema cannot say all that is asked of a person or a query;
#: and where no key is needed a wrong one changes nothing.
EXCLUDED = [negative_data_rejection, positive_data_acceptance, ignored_auth]


class Running(NamedTuple):
    url: str
    secrets: dict[KeyKind, str]
    log: io.StringIO


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway in a loop and thread of its own: schemathesis speaks HTTP synchronously."""
    loop = asyncio.new_event_loop()
    stop, started, found = asyncio.Event(), threading.Event(), []

    async def serve() -> None:
        root = tmp_path_factory.mktemp("data")
        limits = Limits(
            requests_per_second_per_network=100_000, requests_per_second_per_key=100_000, consents_per_second_per_network=100_000
        )
        conf = Settings(limits=limits, server=Server(port=0), storage=Storage(data_dir=root, min_free_bytes=0))
        control, log = ControlStore(root / "control.db", SystemClock()), io.StringIO()
        logger = open_logger(conf.server, log)
        secrets = {kind: control.create_key(kind, "shop", kind)[1] for kind in KeyKind}
        control.close()
        async with open_services(conf, None, Worker(keys=DayKeys()), logger) as services:
            listening = bind(conf.server)
            async with listen(create_app(services, logger), listening, conf.server, logger):
                found.append(Running(address_of(listening), secrets, log))
                started.set()
                await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(30)
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)
    loop.close()


one_of_each_handler = schemathesis.openapi.from_dict(describe(endpoint for endpoint in ENDPOINTS if endpoint.path in SAMPLE))


@pytest.mark.filterwarnings("default")
@one_of_each_handler.parametrize()
@settings(max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_answers_are_as_documented(case: schemathesis.Case, gateway: Running) -> None:
    validate(case, gateway)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_answers_of_every_endpoint_are_as_documented(endpoint: Endpoint, gateway: Running) -> None:
    """One schema at a time: the cases of all of them together, and those that cover the language of queries, would fill the memory."""
    operation = schemathesis.openapi.from_dict(describe([endpoint]))[endpoint.path][endpoint.method]

    @settings(max_examples=40, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def check(case: schemathesis.Case) -> None:
        validate(case, gateway)
        case.call_and_validate(base_url=gateway.url, excluded_checks=EXCLUDED)

    try:
        check()
    except BaseException as error:
        error.add_note("\n".join(line for line in gateway.log.getvalue().splitlines() if '"level":"error"' in line))
        raise


def validate(case: schemathesis.Case, gateway: Running) -> None:
    kinds = KEYS[case.operation.method.upper(), case.operation.path]
    headers = {"Authorization": f"Bearer {gateway.secrets[max(kinds)]}"} if kinds else {}
    case.call_and_validate(base_url=gateway.url, headers=headers, excluded_checks=EXCLUDED)
