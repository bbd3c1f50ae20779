"""Who lives in a data directory: many processes may serve it, one after the other moves in, and nobody may while another directory takes
its place."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from consentryd.model.error import ConfigError

LOCK: Final = "serving.lock"


@contextmanager
def serving(root: Path) -> Iterator[None]:
    """Live in the data directory `root`, with others. Raises `ConfigError` while it is being replaced."""
    with _held(root, fcntl.LOCK_SH, f"A backup is being put in the place of {root}. Start again when that is done."):
        yield


@contextmanager
def vacated(root: Path) -> Iterator[None]:
    """Nobody lives in `root`, and nobody moves in. Raises `ConfigError` if somebody does."""
    if not root.exists():
        yield
        return
    with _held(
        root, fcntl.LOCK_EX, f"A gateway serves {root}, or events are imported. Stop that first: what it takes now would be lost."
    ):
        yield


@contextmanager
def moving_in(root: Path) -> Iterator[None]:
    """Nobody else makes or reads what a data directory begins with, its master key, its regions' keys and their databases, meanwhile: a
    process that saw them half made would take them for lost. Who changes them is alone, too. Waits for others; they take a second, or as
    long as a database is locked or a command takes to print a key."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@contextmanager
def _held(root: Path, kind: int, refusal: str) -> Iterator[None]:
    try:
        lock = os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"{root / LOCK} cannot be written: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(refusal) from None
        yield
    finally:
        os.close(lock)
