"""schemathesis against the running edge: no 500, no status, type or shape that `/openapi.json` does not name."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection

from consentryd.gateway.endpoints import ENDPOINTS
from consentryd.gateway.openapi import describe
from tests.kit import running, settings_of

KEYS = {"Collect": "write", "SDK settings": "write", "Read": "read", "Operate": ""}
SAMPLE = ("/v1/batch", "/v1/track", "/v1/pixel", "/v1/projects/{key}/settings", "/sourceConfig", "/v1/rejected", "/readyz")

#: A batch with invalid events is answered, event by event, with 200; and where no key is needed a wrong one changes nothing.
EXCLUDED = [negative_data_rejection, ignored_auth]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A gateway in a loop and thread of its own: schemathesis speaks HTTP synchronously."""
    loop = asyncio.new_event_loop()
    stop, started, urls = asyncio.Event(), threading.Event(), []

    async def serve() -> None:
        limits = {"requests_per_second_per_network": 100_000, "requests_per_second_per_key": 100_000}
        async with running(settings_of(limits=limits)) as gateway:
            urls.append(gateway.url)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait(10)
    yield urls[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


one_of_each_handler = schemathesis.openapi.from_dict(describe(endpoint for endpoint in ENDPOINTS if endpoint.path in SAMPLE))
everything = schemathesis.openapi.from_dict(describe(ENDPOINTS))


@pytest.mark.filterwarnings("default")
@one_of_each_handler.parametrize()
@settings(max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_answers_are_as_documented(case: schemathesis.Case, url: str) -> None:
    validate(case, url)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("default")
@everything.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_of_every_endpoint_are_as_documented(case: schemathesis.Case, url: str) -> None:
    validate(case, url)
    case.call_and_validate(base_url=url, excluded_checks=EXCLUDED)


def validate(case: schemathesis.Case, url: str) -> None:
    key = KEYS[case.operation.tags[0]]
    case.call_and_validate(base_url=url, headers={"Authorization": f"Bearer {key}"} if key else {}, excluded_checks=EXCLUDED)
