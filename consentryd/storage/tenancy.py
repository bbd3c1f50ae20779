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
#: What a directory is called that was replaced, behind its own name.
REPLACED: Final = ".before-restore"


@contextmanager
def serving(root: Path) -> Iterator[None]:
    """Live in the data directory `root`, with others, or work on it for the time of a command: what came meanwhile would be lost with it.
    It is made if it is not there. Raises `ConfigError` while it is being replaced, or where nothing took its place."""
    check_home(root)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _held(root, fcntl.LOCK_SH, f"A backup is being put in the place of {root}. Start again when that is done."):
        yield


@contextmanager
def vacated(root: Path) -> Iterator[bool]:
    """Nobody lives in `root`, and nobody moves in; whether it was there. One that was not is there meanwhile, empty, and stays only where
    nothing is raised. Raises `ConfigError` if somebody does live there."""
    there = root.exists()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    refusal = f"A gateway serves {root}, or a command works on it. Stop that first: what it takes now would be lost."
    with _held(root, fcntl.LOCK_EX, refusal):
        try:
            yield there
        except BaseException:
            if not there:
                tear_down(root)
            raise


def tear_down(root: Path) -> None:
    """Of a directory that is vacated and empty nothing is left."""
    (root / LOCK).unlink()
    root.rmdir()


def check_home(root: Path) -> None:
    """Raises `ConfigError` where `root` was taken away to be replaced, and then nothing took its place: all that is stored is elsewhere."""
    old = root.with_name(root.name + REPLACED)
    if old.exists() and not root.exists():
        raise ConfigError(f"A restore was broken off: {old} is what {root} was. Rename it back, then restore again.")


@contextmanager
def moving_in(root: Path) -> Iterator[None]:
    """Nobody else makes or reads what a data directory begins with, its master key, its regions' keys and their databases, meanwhile: a
    process that saw them half made would take them for lost. Who changes them is alone, too. Waits for others; they take a second, or as
    long as a database is locked or a command takes to print a key."""
    with alone_in(root):
        yield


@contextmanager
def alone_in(folder: Path, *, refusal: str = "") -> Iterator[None]:
    """Have a folder, which is made if it is not there, to oneself among those that ask. Waits for another, or raises a `ConfigError` that
    says the `refusal`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
        except BlockingIOError:
            raise ConfigError(refusal) from None
        yield
    finally:
        os.close(lock)


@contextmanager
def _held(root: Path, kind: int, refusal: str) -> Iterator[None]:
    lock = _take(root / LOCK, kind, refusal)
    try:
        yield
    finally:
        os.close(lock)


def _take(path: Path, kind: int, refusal: str) -> int:
    """The lock of the directory that is there once it is held: another may have taken its place before that."""
    while True:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
            if _is(path, lock):
                return lock
        except BlockingIOError:
            os.close(lock)
            raise ConfigError(refusal) from None
        os.close(lock)


def _is(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False
