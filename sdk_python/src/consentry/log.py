"""Log records as events: `logging.getLogger().addHandler(ConsentryHandler(client))`."""

from __future__ import annotations

import logging
from typing import Optional

from consentry.bound import Calls
from consentry.consent import ConsentLike

_OWN = "consentry"


class ConsentryHandler(logging.Handler):
    """Tracks `event` for each record from `level` on: logger, level, module, line and the kind of exception, as `anonymous_id`.

    The message is left out unless `message=True`: it is where personal data hides. Then the template is sent, never its arguments.
    `consent` is what holds for the server itself, which is nobody; without it the client's holds.
    """

    def __init__(
        self,
        client: Calls,
        level: int = logging.ERROR,
        *,
        event: str = "log_recorded",
        anonymous_id: str = "server",
        message: bool = False,
        consent: Optional[ConsentLike] = None,
    ) -> None:
        super().__init__(level)
        self._client = client
        self._event, self._anonymous_id, self._message = event, anonymous_id, message
        self._consent = consent

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] == _OWN:  # our own troubles would feed on themselves
            return
        try:
            properties: dict[str, object] = {
                "logger": record.name,
                "level": record.levelname,
                "module": record.module,
                "line": record.lineno,
            }
            if record.exc_info and record.exc_info[0] is not None:
                properties["exception"] = record.exc_info[0].__name__
            if self._message:
                properties["message"] = str(record.msg)
            self._client.track(self._event, properties, anonymous_id=self._anonymous_id, consent=self._consent)
        except Exception:  # noqa: BLE001 -- a handler never raises, logging says what to do then
            self.handleError(record)
