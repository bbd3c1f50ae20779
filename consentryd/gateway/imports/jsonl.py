"""JSON lines: one native event a line, in either spelling."""

from __future__ import annotations

import msgspec

from consentryd.gateway.imports.fingerprint import Fingerprint
from consentryd.gateway.imports.line import Unread
from consentryd.gateway.protocols.segment import NO_EVENT, parse, read_event
from consentryd.gateway.stages.shape import check_label
from consentryd.model.error import BadRequest
from consentryd.model.event import RawEvent


class JsonlReader:
    def __init__(self, fingerprint: Fingerprint) -> None:
        self._fingerprint = fingerprint

    def read(self, line: bytes) -> RawEvent | Unread:
        """A line's `sentAt` tells nothing of its sender's clock: when it was received is not known."""
        try:
            event = read_event(parse(line), None)
        except BadRequest:
            return Unread.MALFORMED
        if event is NO_EVENT:
            return Unread.MALFORMED
        known = check_label(event.event_id, len(line)) is not None
        return msgspec.structs.replace(event, sent_at=None, event_id=event.event_id if known else self._fingerprint.of(line))
