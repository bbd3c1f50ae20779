"""`python -m tests.gateway.serving WORKERS`: the real server over doubles, for tests that need a process."""

from __future__ import annotations

import sys

from consentryd.gateway.server import serve
from tests.kit import open_doubles, settings_of

if __name__ == "__main__":
    settings = settings_of(server={"workers": int(sys.argv[1]), "shutdown_timeout_s": 2.0})

    def announce(url: str) -> None:
        sys.stdout.write(url + "\n")
        sys.stdout.flush()

    sys.exit(serve(settings, None, announce, compose=open_doubles))
