"""`python -m tests.rights.crash DATA STEP`: erases what is due and dies, without a chance to clean up, once STEP is durable.

STEP `at:<seconds>` dies at that moment instead, wherever it is.
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


def main(data: Path, step: str) -> None:
    def at_step(name: str) -> None:
        if name == step:
            die()

    with opened(data) as estate:
        if step.startswith("at:"):
            threading.Timer(float(step.removeprefix("at:")), die).start()
        estate.runner(at_step=at_step).run()
    if not step.startswith("at:"):
        sys.exit(f"there is no step {step}")
    die()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
