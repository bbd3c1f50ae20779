"""JSON lines: one native event a line, in either spelling."""

from __future__ import annotations

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
        event = event._replace(sent_at=None)
        return (
            event if check_label(event.event_id, len(line)) is not None else event._replace(event_id=self._fingerprint.of(line))
        )
