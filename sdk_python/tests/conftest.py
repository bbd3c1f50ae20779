from __future__ import annotations

import time

import pytest
from consentry import Consentry
from consentry.testing import MemoryTransport


@pytest.fixture
def transport():
    return MemoryTransport()


@pytest.fixture
def make(transport):
    """Makes clients that retry at once, and closes them."""
    made = []

    def _make(**settings):
        given = {"transport": transport, "batch_age": 0.01, "retry_first": 0.005, "retry_longest": 0.02, "close_timeout": 2.0}
        client = Consentry("csy_server_test", **{**given, **settings})
        made.append(client)
        return client

    yield _make
    for client in made:
        client.close(0)


@pytest.fixture
def client(make):
    return make()


@pytest.fixture
def until():
    """Waits until a check holds; 20 s at most."""

    def _until(check):
        deadline = time.monotonic() + 20
        while not check():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    return _until
