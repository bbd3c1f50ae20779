"""Getting what waits to the gateway: a thread that batches, sends, and comes back to what could not be sent."""

from __future__ import annotations

import gzip
import json
import logging
import random
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Callable, Optional

from consentry.call import iso
from consentry.failure import Failure, OnFailure, Stats
from consentry.store import Record, Store
from consentry.transport import Answer, Transport
from consentry.version import __version__

_log = logging.getLogger("consentry")

_TOO_LARGE = 413
_REDIRECT = 300
_CLIENT_ERROR = 400
_SERVER_ERROR = 500
#: Asking again later may help: no valid key or not the gateway's address (an operator can change both), time-out, too early, too many.
_LATER = frozenset({401, 403, 404, 405, 408, 425, 429})
_GZIP_BYTES = 1024  # below that gzip gains nothing
_TAKEN = frozenset({"stored", "anonymous", "duplicate"})
_IDLE_S = 10.0  # how often an idle thread looks after its store
_HOLD_S = 3600.0  # longer than that nobody's `Retry-After` is waited for
_MOST_TOLD = 50
_BREATH_S = 1.0  # how often a waiting one does


@dataclass(frozen=True)
class Pace:
    """When a batch goes: at so many events or bytes, or when the oldest waited `age` seconds. Retries wait from `first` to `longest` s.

    An event that waited `expires` seconds is given up: after seven days the gateway has forgotten which ids it knows.
    """

    events: int = 500
    bytes: int = 384 * 1024
    age: float = 1.0
    first: float = 0.5
    longest: float = 60.0
    expires: float = 7 * 86_400.0 - 3_600.0


class Delivery:
    """Owns the store, the thread and the numbers. `on_failure` is called outside of the lock.

    The thread keeps `owner` alive, so that whoever forgets it still finds it at the end of the program, and closes it.
    """

    def __init__(
        self,
        store: Store,
        transport: Transport,
        key: str,
        pace: Pace,
        on_failure: Optional[OnFailure] = None,
        *,
        owner: object = None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store, self._transport, self._pace, self._on_failure = store, transport, pace, on_failure
        self._owner, self._clock, self._chance = owner, clock, chance
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "User-Agent": f"consentry-python/{__version__}",
        }
        self._accepted = self._delivered = self._declined = self._lost = self._unreported = 0
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._counting = threading.RLock()
        self._busy = False
        self._late: deque[Record] = deque()
        self._told: set[str] = set()
        self._telling = threading.local()
        self._thread: Optional[threading.Thread] = None
        self._out: list[Record] = []
        self._settled = 0
        self._since = 0.0
        self._hurries = 0
        self._deadline: Optional[float] = None
        self._last_try = False
        self._stopped = False
        self._trouble = ""

    def after_fork(self) -> None:
        """In the child: what waits, the connection and the numbers are the parent's."""
        self._accepted = self._delivered = self._declined = self._lost = self._unreported = 0
        self._begin()
        self._transport.forget()
        self._store.forget()

    # -- the caller's side

    def put(self, raw: bytes) -> bool:
        record = Record(int(self._clock()), raw)
        with self._lock:
            if self._busy:  # a signal's handler or a finaliser has interrupted this thread's own work here
                self._late.append(record)
                return True
            self._busy = True
            try:
                reason = self._keep(record)
            finally:
                self._busy = False
        if self._late:
            self._catch_up()
        if reason:
            self.lose(reason, raw)
            return False
        if self._thread is None:
            self.start()
        return True

    def _keep(self, record: Record) -> str:
        """Empty, or why not. Wakes the thread when there is something to wait for, and when a batch is full."""
        if self._deadline is not None:
            return "closed"
        store, pace = self._store, self._pace
        before = store.waiting_bytes
        try:
            if not store.put(record):
                return "queue_full"
        except OSError:
            return "spool_error"
        self._accepted += 1
        if store.waiting == 1:
            self._since = time.monotonic()
            self._changed.notify_all()
        elif store.waiting == pace.events or before < pace.bytes <= store.waiting_bytes:
            self._changed.notify_all()
        return ""

    @contextmanager
    def _working(self) -> Iterator[None]:
        """With the lock, and marked: calls that interrupt this thread meanwhile wait in `_late`. Nothing in here may wait."""
        with self._lock:
            self._busy = True
            try:
                yield
            finally:
                self._busy = False
        if self._late:
            self._catch_up()

    def _catch_up(self) -> None:
        with suppress(IndexError):
            while True:
                self.put(self._late.popleft().raw)

    def start(self) -> None:
        with self._working():
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="consentry", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter is going; `close` sends what is left
                    self._thread = None

    def flush(self, timeout: Optional[float], given_up: Callable[[], bool] = lambda: False) -> bool:
        """Sends now; whether everything that was accepted before is settled within `timeout` seconds.

        Who waits no longer makes `given_up` true and calls `look_up`.
        """
        with self._lock:
            if self._busy:  # the work that this interrupts would have to go on first
                return False
        with self._working():
            self._store.welcome()
        with self._changed:
            goal = self._settled + self._store.waiting + len(self._out)
            self._hurries += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._settled >= goal or self._stopped or given_up(), timeout)
                return self._settled >= goal
            finally:
                self._hurries -= 1

    def look_up(self) -> None:
        """Everybody who waits looks whether there is still something to wait for."""
        with self._changed:
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Sends what it can within `timeout` seconds. The rest is lost and told, or stays in the spool."""
        with self._changed:
            if self._deadline is not None:
                return
            interrupts = self._busy
            self._deadline = time.monotonic() + timeout
            thread = self._thread
            self._changed.notify_all()
        if interrupts:  # the thread needs what this one holds: it ends by itself
            return
        if thread is None:
            self._run()
        elif thread is not threading.current_thread():
            thread.join(max(timeout, 0.0) + _BREATH_S)
        self._end()

    def _end(self) -> None:
        with self._working():
            self._stopped = True
            self._changed.notify_all()
            store = self._store
            left = [] if store.lasting else [*self._out, *store.take(max(store.waiting, 1), max(store.waiting_bytes, 1))]
            if not (self._thread and self._thread.is_alive()):
                store.close()
                self._transport.close()
        for record in left:
            self.lose("closed", record.raw)

    def stats(self) -> Stats:
        with self._changed:
            return Stats(self._accepted, self._delivered, self._declined, self._lost, self._store.waiting + len(self._out))

    def lose(self, reason: str, raw: Optional[bytes] = None, status: Optional[int] = None, *, told: bool = False) -> None:
        """Count a final failure and tell the callback. `told`: the gateway knows of it already."""
        with self._counting:
            self._lost += 1
            self._unreported += not told
            first = reason not in self._told and len(self._told) < _MOST_TOLD
            self._told.add(reason)
        if first:
            _log.warning("an event is lost (%s); the next ones for this reason are only counted, in stats.lost", reason)
        if self._on_failure is None or self._telling.__dict__:  # a callback whose own event is lost would be called for ever
            return
        self._telling.now = True
        try:
            self._on_failure(Failure(reason, None if raw is None else json.loads(raw), status))
        except Exception:  # noqa: BLE001 -- whatever it is, it is the caller's
            _log.exception("on_failure failed")
        finally:
            del self._telling.now

    def lose_torn(self, lines: int) -> None:
        """Called with the lock held."""
        self._settled += lines
        with self._counting:
            self._lost += lines
            self._unreported += lines
        _log.error("%d events in the spool could not be read", lines)

    # -- the thread's side

    def _run(self) -> None:
        failures = 0
        while self._await_batch():
            again, asked = self._round()
            failures = failures + 1 if again else 0
            if again and not self._pause(failures, asked):
                return

    def _round(self) -> tuple[bool, Optional[float]]:
        """One batch out and settled. Whether something of it has to be sent again, and in how many seconds at the earliest."""
        try:
            again, asked = self._deliver(self._take())
            self._settle(again)
        except Exception as error:  # noqa: BLE001 -- the thread must go on: nobody else sends
            self._note(type(error).__name__, error)
            with suppress(OSError):
                self._settle(self._out)
            return True, None
        return bool(again), asked

    def _await_batch(self) -> bool:
        """Waits until a batch is due. False when there is nothing more to do."""
        while True:
            with self._working():
                self._store.welcome()
            with self._changed:
                due = self._due()
                if due <= 0:
                    return self._store.waiting > 0
                self._changed.wait(min(due, _IDLE_S))
            self._store.look_after()

    def _due(self) -> float:
        """Seconds until the next batch."""
        store, pace = self._store, self._pace
        if self._deadline is not None:
            return 0.0
        if not store.waiting:
            return _IDLE_S
        if self._hurries or store.waiting >= pace.events or store.waiting_bytes >= pace.bytes:
            return 0.0
        return self._since + pace.age - time.monotonic()

    def _take(self) -> list[Record]:
        with self._working():
            self._out = self._store.take(self._pace.events, self._pace.bytes)
            return self._out

    def _settle(self, again: list[Record]) -> None:
        with self._working():
            if self._stopped:
                return
            self._store.settle(again)
            self._settled += len(self._out) - len(again)
            self._out = []
            self._since = time.monotonic()
            self._changed.notify_all()

    def _pause(self, failures: int, asked: Optional[float]) -> bool:
        """Waits before the next attempt; not before the gateway `asked` for it. False when closing leaves no time for one.

        A last attempt is made when closing cuts a pause short, unless the gateway asked to be left alone.
        """
        backoff = min(self._pace.longest, self._pace.first * 2 ** min(failures - 1, 30)) * (0.5 + self._chance() / 2)
        end = time.monotonic() + max(min(asked or 0.0, _HOLD_S), backoff)
        while True:
            with self._changed:
                left = end - time.monotonic()
                if left <= 0:
                    return True
                if self._deadline is not None and end > self._deadline:
                    again, self._last_try = not self._last_try and not asked, True
                    return again
                self._changed.wait(min(left, _BREATH_S))
            self._store.look_after()

    def _deliver(self, batch: list[Record]) -> tuple[list[Record], Optional[float]]:
        """What has to be sent again, and how many seconds from now at the earliest."""
        oldest = self._clock() - self._pace.expires
        for record in batch:
            if record.at < oldest:
                self.lose("expired", record.raw)
        return self._send([record for record in batch if record.at >= oldest])

    def _send(self, batch: list[Record]) -> tuple[list[Record], Optional[float]]:
        if not batch:
            return [], None
        with self._counting:
            reported = self._unreported
        try:
            answer = self._post(batch, reported)
        except OSError as error:
            self._note(type(error).__name__)
            return batch, None
        if answer.status == _TOO_LARGE and len(batch) > 1:
            middle = len(batch) // 2
            first, second = self._send(batch[:middle]), self._send(batch[middle:])
            return first[0] + second[0], max(filter(None, (first[1], second[1])), default=None)
        results = _results_of(answer, len(batch)) if answer.status < _REDIRECT else None
        if results is not None:
            self._note("")
            with self._counting:
                self._unreported -= reported
            return self._share_out(batch, results), answer.retry_after
        if answer.status in _LATER or not _CLIENT_ERROR <= answer.status < _SERVER_ERROR:
            self._note(str(answer.status) if answer.status >= _REDIRECT else "unreadable answer")
            return batch, answer.retry_after
        for record in batch:
            self.lose("refused", record.raw, answer.status)
        self._note(str(answer.status), final=True)
        return [], None

    def _post(self, batch: Sequence[Record], dropped: int) -> Answer:
        sent_at = iso(datetime.fromtimestamp(self._clock(), timezone.utc))
        lost = f',"dropped":{dropped}' if dropped else ""
        head = f'{{"sentAt":"{sent_at}","partial":true{lost},"batch":['.encode()
        body = head + b",".join([record.raw for record in batch]) + b"]}"
        headers = self._headers
        if len(body) >= _GZIP_BYTES:
            body, headers = gzip.compress(body, 6), {**headers, "Content-Encoding": "gzip"}
        return self._transport.send("/v1/batch", body, headers)

    def ask(self, path: str, body: Any) -> Answer:
        """One request of its own in the caller's thread. Raises `OSError`."""
        return self._transport.send(path, json.dumps(body).encode(), self._headers, keep=False)

    def _share_out(self, batch: list[Record], results: dict[str, dict[str, Any]]) -> list[Record]:
        """Each event has the fate that its result names, and is stored where there is none. What has to be sent again."""
        again = []
        delivered = declined = 0
        for record in batch:
            result = results.get(json.loads(record.raw)["messageId"]) if results else None
            if result is None:
                delivered += 1
            elif result["outcome"] == "retry":
                again.append(record)
            elif result["outcome"] == "dropped":
                declined += 1
            else:
                self.lose(str(result.get("reason")), record.raw, told=True)
        with self._counting:
            self._delivered += delivered
            self._declined += declined
        return again

    def _note(self, trouble: str, error: Optional[Exception] = None, *, final: bool = False) -> None:
        """One line when sending begins to fail, or fails otherwise, and one when it works again. No addresses, no events.

        Of an `error` that nobody expected the place is told, not the text, which may quote what was sent.
        """
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if error is not None:
            _log.error("sending failed (%s)\n%s", trouble, "".join(traceback.format_tb(error.__traceback__)).rstrip())
        elif trouble in {"401", "403"}:
            _log.error("the gateway refuses the key (%s); events wait", trouble)
        elif final:
            _log.error("the gateway refuses events (%s), which are lost", trouble)
        elif trouble:
            _log.warning("events cannot be sent at the moment (%s)", trouble)
        else:
            _log.info("events are sent again")


def _results_of(answer: Answer, events: int) -> Optional[dict[str, dict[str, Any]]]:
    """What was not taken, by id. None for an answer that is not the gateway's, or not to so many events: then nobody has taken them."""
    try:
        told = json.loads(answer.body)
        results = [result for result in told["results"] if result["outcome"] not in _TAKEN]
        return {result["id"]: result for result in results} if told["accepted"] + len(results) == events else None
    except (ValueError, KeyError, TypeError):
        return None
