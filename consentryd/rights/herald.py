"""Tells a request's callbacks of each change of its status, over all regions as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consentryd.rights.desk import Caller, Desk
from consentryd.rights.opendsr import status_of


@dataclass(frozen=True, slots=True)
class Herald:
    """Queues messages in the first region of the process, whose runner delivers them."""

    desk: Desk

    def report(self) -> int:
        """Queue what changed since the last look; how many messages. Another process may look at the same time."""
        office = next(iter(self.desk.offices.values()))
        queued = 0
        with office.casebook() as book:
            for row in book.with_callbacks():
                told = self.desk.get(row.id, Caller("herald", tuple(row.terms["sites"])))
                if told["status"] == row.terms.get("reported"):
                    continue
                with book.transaction():
                    fresh = book.get(row.id)
                    if fresh is None or fresh.terms.get("reported") == told["status"]:
                        continue
                    now = self.desk.clock.now()
                    for url in fresh.terms["callbacks"]:
                        kind, body = self._message(told, url, opendsr=bool(fresh.terms.get("opendsr")))
                        book.deliveries.add(row.id, kind, url, body, now)
                        queued += 1
                    book.update(row.id, fresh.changed_at, terms={**fresh.terms, "reported": told["status"]})
        return queued

    def _message(self, told: dict[str, Any], url: str, *, opendsr: bool) -> tuple[str, dict[str, Any]]:
        if opendsr:
            settings = self.desk.settings
            state = status_of(told, settings.rights.opendsr_domain, settings.server.public_url)
            return "opendsr", {**state, "status_callback_url": url}
        kept = ("id", "status", "sites", "received_at", "due_at", "completed_at", "regions_not_covered")
        return "status", {
            "type": "request_status",
            "request_type": told["type"],
            **{name: told[name] for name in kept if name in told},
        }
