"""The shop's events on their way into a gateway, and questions on theirs: plain HTTP with the standard library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from itertools import islice
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from examples.shop_events import Scenario, lines

SCENARIO: Final = Scenario(events=30_000, seed=7, start=date(2026, 8, 3), days=56)
_BATCH: Final = 500
_TIMEOUT_S: Final = 60


class Gateway:
    """A gateway's address and two of its keys."""

    def __init__(self, url: str, server_key: str, read_key: str) -> None:
        self._url = url
        self._server_key = server_key
        self._read_key = read_key

    def load(self, scenario: Scenario = SCENARIO) -> int:
        """Send the shop's events; how many the gateway took. The rest were refused by their visitors."""
        return sum(self._post("/v1/batch", {"batch": batch}, self._server_key)["accepted"] for batch in _batches(scenario))

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """An answer to a question."""
        return self._post("/v1/query", question, self._read_key)

    def sql(self, statement: str) -> list[list[Any]]:
        """The rows of a statement."""
        rows: list[list[Any]] = self._post("/v1/sql", {"sql": statement, "region": "eu"}, self._read_key)["rows"]
        return rows

    def _post(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = Request(self._url + path, json.dumps(body).encode(), headers)  # noqa: S310 -- an address of the caller's own
        try:
            with urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 -- the same
                answer: dict[str, Any] = json.load(response)
                return answer
        except HTTPError as error:
            raise RuntimeError(f"{path} was answered {error.code}: {error.read().decode()}") from None


def _batches(scenario: Scenario) -> Iterator[list[Any]]:
    each = map(json.loads, lines(scenario))
    while batch := list(islice(each, _BATCH)):
        yield batch
