"""JSON lines: one native event a line, in either spelling."""

from __future__ import annotations

from typing import Any

import msgspec

from consentryd.gateway.imports.fingerprint import Fingerprint
from consentryd.gateway.imports.line import Read, Unread
from consentryd.gateway.protocols.segment import NO_EVENT, parse, read_event
from consentryd.gateway.stages.shape import check_label
from consentryd.model.error import BadRequest


class JsonlReader:
    def __init__(self, fingerprint: Fingerprint) -> None:
        self._fingerprint = fingerprint

    def read(self, line: bytes) -> Read | Unread:
        """A line's `sentAt` tells nothing of its sender's clock: when it was received is not known."""
        try:
            item = parse(line)
        except BadRequest:
            return Unread.MALFORMED
        event = read_event(item, None)
        if event is NO_EVENT:
            return Unread.MALFORMED
        known = check_label(event.event_id, len(line)) is not None
        event_id = event.event_id if known else self._fingerprint.of(line)
        return Read(msgspec.structs.replace(event, sent_at=None, event_id=event_id), _region(item))


def _region(item: Any) -> str | None:
    region = item.get("region") if isinstance(item, dict) else item.region
    return str(region) if region else None
