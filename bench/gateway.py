"""A real gateway in processes of its own: started, watched, stopped or killed."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

READY_S = 60.0


class Gateway:
    """An installation in `directory` and, between `start` and `stop` or `kill`, the processes that serve it on a loopback port.

    `keys` maps `write`, `server`, `privacy` and `read` to secrets. What the processes print goes to `log`, beside the directory.
    """

    def __init__(self, directory: Path, *, workers: int = 1, environ: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.log = directory.with_name(f"{directory.name}.log")
        self.port = free_port()
        self.workers = workers
        self.environ = {**os.environ, **(environ or {})}
        self.keys = self._init()
        self.process: subprocess.Popen[bytes] | None = None

    def _init(self) -> dict[str, str]:
        made = self.consentry("init", str(self.directory), "--json")
        return {name.removesuffix("_key"): secret for name, secret in json.loads(made).items()}

    @property
    def config(self) -> Path:
        return self.directory / "consentry.toml"

    def consentry(self, *arguments: str) -> bytes:
        """Run a command beside the gateway; what it printed. Raises `CalledProcessError`."""
        command = [sys.executable, "-m", "consentryd", *arguments]
        return subprocess.run(command, env=self.environ, check=True, stdout=subprocess.PIPE, timeout=600).stdout

    def start(self, *prefix: str) -> None:
        """Returns once `/readyz` answers 200. `prefix` are arguments of Python's before `-m consentryd`, such as a profiler."""
        command = [sys.executable, *prefix, "-m", "consentryd", "serve", "--config", str(self.config)]
        command += ["--port", str(self.port), "--workers", str(self.workers)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environ, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + READY_S
        while self.status("/readyz") != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the gateway did not start:\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL to all of them at once."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One request on a connection of its own; status and body. Raises `OSError` when nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def status(self, path: str) -> int:
        """The status of a GET, 0 when nobody answers."""
        try:
            return self.request("GET", path)[0]
        except OSError:
            return 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
