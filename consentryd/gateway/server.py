"""`consentry serve`: one worker in this process, or several beside it on one port."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from consentryd.config.settings import Settings
from consentryd.gateway.day_keys import DayKeys
from consentryd.gateway.exposition import Worker
from consentryd.gateway.listener import address_of, bind
from consentryd.gateway.supervisor import supervise
from consentryd.gateway.worker import OpenServices, run_worker


def serve(
    settings: Settings,
    regions: Sequence[str] | None,
    announce: Callable[[str], None] | None = None,
    *,
    compose: OpenServices | None = None,
) -> int:
    """Serves until SIGTERM or SIGINT; the exit code. Calls `announce` with the base URL once events can be sent.

    Raises `ConfigError` if the address cannot be had or, with one worker, the store cannot be opened.
    """
    open_services = compose or _composition_root()
    workers = settings.server.workers
    with bind(settings.server, shared=workers > 1) as listening:
        address = address_of(listening)

        def ready() -> None:
            if announce is not None:
                announce(address)

        if workers > 1:
            return supervise(open_services, settings, regions, listening.getsockname()[1], ready)
        run_worker(open_services, settings, regions, listening, Worker(keys=DayKeys()), ready)
    return 0


def _composition_root() -> OpenServices:
    from consentryd.gateway.compose import open_services  # noqa: PLC0415 -- half a second that a server over doubles need not wait

    return open_services
