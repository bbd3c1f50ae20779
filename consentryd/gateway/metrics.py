"""What the gateway counts about itself. Labels come from closed sets: route templates, statuses, outcomes, reasons, region names."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from consentryd.consent.signals.reading import Invalid
from consentryd.model.outcome import OUTCOME_OF, Outcome, Reason, Result
from consentryd.privacy.redaction import Action

_LATENCY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)
_STORED: Final = Outcome.STORED
_MOST_DROPPED: Final = 10_000_000  # a queue of this length would not fit a client's memory


class Metrics:
    """One process's numbers, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._events = Counter(
            "consentry_events", "Events that came in, by what became of them.", ("outcome", "reason"), registry=self.registry
        )
        self._requests = Counter(
            "consentry_requests", "Requests answered, by route template and status.", ("route", "status"), registry=self.registry
        )
        self._client_dropped = Counter(
            "consentry_client_dropped_events", "Events that SDKs say they lost before sending.", registry=self.registry
        )
        self._consent_invalid = Counter(
            "consentry_consent_invalid",
            "Consent signals that were refused, and count as denial.",
            ("reason",),
            registry=self.registry,
        )
        self._batch = self._histogram(
            "consentry_batch_seconds", "Time from the request's head to its answer, per collecting request."
        )
        self._commit = self._histogram("consentry_commit_seconds", "Time one durable group commit takes.", "region")
        self._commit_failures = Counter(
            "consentry_commit_failures",
            "Commits that failed with nothing kept, by cause.",
            ("region", "cause"),
            registry=self.registry,
        )
        self._log_depth = Gauge("consentry_log_events", "Events in the log, not yet sealed.", ("region",), registry=self.registry)
        self._seal_lag = Gauge(
            "consentry_seal_lag_seconds", "Age of the oldest event that is not yet sealed.", ("region",), registry=self.registry
        )
        self._audit = Gauge(
            "consentry_audit_findings", "What the last privacy audit found.", ("detector",), registry=self.registry
        )
        self._audited_at = Gauge(
            "consentry_audit_timestamp_seconds",
            "When the last privacy audit ended, in Unix time; 0: never.",
            registry=self.registry,
        )
        self._event_counter = lru_cache(maxsize=None)(self._events.labels)
        self._request_counter = lru_cache(maxsize=1024)(self._requests.labels)
        self._stored = self._event_counter(Outcome.STORED.value, "")
        for outcome, reason in _fates():
            self._event_counter(outcome, reason)
        for refusal in Invalid:
            self._consent_invalid.labels(refusal.value)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=_LATENCY_BUCKETS, registry=self.registry)

    def count_results(self, results: Sequence[Result]) -> None:
        """Counts each event once. Plainly stored ones, nearly all of them, are counted without hashing an enum each."""
        others = [result for result in results if result.outcome is not _STORED]
        if len(others) < len(results):
            self._stored.inc(len(results) - len(others))
        for (outcome, reason), events in Tally((result.outcome, result.reason) for result in others).items():
            self._event_counter(outcome.value, "" if reason is None else reason.value).inc(events)

    def count_client_dropped(self, dropped: Any) -> None:
        """A batch's `dropped`, as it came: anybody may send one, so what is no number of events counts for nothing."""
        if type(dropped) is int and 0 < dropped <= _MOST_DROPPED:
            self._client_dropped.inc(dropped)

    def count_request(self, route: str, status: int) -> None:
        self._request_counter(route, str(status)).inc()

    def count_invalid_consent(self, reason: Invalid) -> None:
        self._consent_invalid.labels(reason.value).inc()

    def observe_batch(self, seconds: float) -> None:
        self._batch.observe(seconds)

    def observe_commit(self, region: str, seconds: float) -> None:
        self._commit.labels(region).observe(seconds)

    def count_commit_failure(self, region: str, cause: str, commits: int = 1) -> None:
        self._commit_failures.labels(region, cause).inc(commits)

    def set_log_depth(self, region: str, events: int) -> None:
        self._log_depth.labels(region).set(events)

    def set_seal_lag(self, region: str, seconds: float) -> None:
        self._seal_lag.labels(region).set(seconds)

    def set_audit(self, findings: Mapping[str, int], finished_at: float) -> None:
        """By detector. Those that found nothing this time are gone."""
        self._audit.clear()
        for detector, count in findings.items():
            self._audit.labels(detector).set(count)
        self._audited_at.set(finished_at)

    def watch_redactions(self, counts: Iterable[Mapping[tuple[str, Action], int]]) -> None:
        """Show what scrubbers count by rule and action. Rules come from the settings, so their number is bounded."""
        self.registry.register(_Redactions(tuple(counts)))


class _Redactions(Collector):
    """Reads the scrubbers' own counts when it is asked: nothing is counted twice on the way of an event."""

    def __init__(self, counts: Sequence[Mapping[tuple[str, Action], int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        total: Tally[tuple[str, Action]] = Tally()
        for counts in self._counts:
            total.update(dict(counts))
        family = CounterMetricFamily(
            "consentry_redactions",
            "What scrubbing took out, or in a dry run would have, by rule and action.",
            labels=("rule", "action"),
        )
        for (rule, action), count in sorted(total.items()):
            family.add_metric((rule, str(action)), count)
        yield family


def _fates() -> Iterable[tuple[str, str]]:
    """Every outcome with every reason it can have, so that a rate over a series that never happened is zero and not absent."""
    for outcome in (Outcome.STORED, Outcome.ANONYMOUS, Outcome.DUPLICATE):
        yield outcome.value, ""
    for reason in Reason:
        yield OUTCOME_OF[reason].value, reason.value
