"""`python -m tests.rights.crash`: reads lines `DATA STEP`; for each a process erases what is due in DATA and dies, without a chance to
clean up, once STEP is durable. Prints how each died.

STEP `at:<seconds>` dies at that moment instead, wherever it is. One warm process forks the others: importing takes seconds, erasing less.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from tests.rights.estate import opened


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def live(data: Path, step: str) -> None:
    def at_step(name: str) -> None:
        if name == step:
            die()

    if step.startswith("at:"):
        threading.Timer(float(step.removeprefix("at:")), die).start()
    with opened(data) as estate:
        estate.runner(at_step=at_step).run()
    if step.startswith("at:"):
        die()


def main() -> None:
    for line in sys.stdin:
        data, step = line.split()
        child = os.fork()
        if child == 0:
            live(Path(data), step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
