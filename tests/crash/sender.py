"""Clients that keep sending while the gateway dies under them, and remember what it acknowledged."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from itertools import count

from bench.gateway import Gateway
from bench.stored import snapshots

CONTEXT = {"consent": {"purposes": {"analytics": True}}}
#: Documentation, Germany, United States: the events spread over both regions.
ADDRESSES = ("203.0.113.7", "91.12.7.0", "73.12.7.0")
EVENTS = 25


class Senders:
    """Threads that post batches. An event id stands in `acknowledged` once an answer said so, in `open_batches` while none did."""

    def __init__(self, gateway: Gateway, threads: int = 4) -> None:
        self._gateway = gateway
        self._threads = threads
        self._numbers = count()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._running: list[threading.Thread] = []
        self.acknowledged: set[str] = set()
        self.open_batches: list[list[dict]] = []

    def start(self) -> None:
        """What was not answered before is sent again, then new batches until `join`."""
        self._stop.clear()
        again, self.open_batches = self.open_batches, []
        self._running = [
            threading.Thread(target=self._send, args=(again[number :: self._threads],)) for number in range(self._threads)
        ]
        for thread in self._running:
            thread.start()

    def join(self) -> None:
        self._stop.set()
        for thread in self._running:
            thread.join()

    def _send(self, again: list[list[dict]]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._gateway.port, timeout=20)
        pending = iter(again)
        while True:
            batch = next(pending, None)
            if batch is None and self._stop.is_set():
                break
            batch = batch or self._batch()
            if not self._deliver(connection, batch):
                with self._lock:
                    self.open_batches += [batch, *pending]
                break
        connection.close()

    def _batch(self) -> list[dict]:
        with self._lock:
            numbers = [next(self._numbers) for _ in range(EVENTS)]
        return [
            {
                "type": "track", "event": "crash_tested", "messageId": f"crash-{number}", "userId": f"user-{number % 97}",
                "properties": {"number": number}, "context": {**CONTEXT, "ip": ADDRESSES[number % len(ADDRESSES)]},
            }
            for number in numbers
        ]  # fmt: skip

    def _deliver(self, connection: http.client.HTTPConnection, batch: list[dict]) -> bool:
        """Whether it was acknowledged. A refusal of the store, or of nobody, leaves it open."""
        headers = {"Authorization": f"Bearer {self._gateway.keys['server']}", "Content-Type": "application/json"}
        try:
            connection.request("POST", "/v1/batch", json.dumps({"batch": batch}), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        if response.status != 200:
            return False
        assert answer["accepted"] == len(batch), answer
        with self._lock:
            self.acknowledged.update(event["messageId"] for event in batch)
        return True


def stored(gateway: Gateway) -> Counter[str]:
    """How often each event id is in the store."""
    found: Counter[str] = Counter()
    for snapshot in snapshots(gateway.data):
        found.update(snapshot.query("SELECT event_id FROM events").column(0).to_pylist())
    return found


def check_exactly_once(gateway: Gateway, senders: Senders) -> None:
    """Every acknowledged event is there once; of what was in flight, nothing is there twice."""
    found = stored(gateway)
    assert not [event for event, times in found.items() if times != 1]
    assert senders.acknowledged <= found.keys()
    in_flight = {event["messageId"] for batch in senders.open_batches for event in batch}
    assert found.keys() <= senders.acknowledged | in_flight
