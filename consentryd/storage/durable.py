"""Files and folder entries that are on the disk when the call returns. What is private is readable by its owner only (mode 0600)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

_PRIVATE: Final = 0o600
_ANYBODYS: Final = 0o666  # but for what the umask takes


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    _sync(folder, os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Make the file's bytes durable, whoever wrote them."""
    _sync(path, 0)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def place(path: Path, content: bytes, *, private: bool = False) -> None:
    """A file that is whole from the moment it has its name. Raises `FileExistsError` where another has it."""
    fresh = _beside(path)
    try:
        _write(fresh, content, private=private)
        os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """What is written takes the place of what was at `path`: old or new but never half."""
    fresh = _beside(path)
    try:
        with _written(fresh, private=private) as file:
            yield file
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)


def make_private(path: Path) -> None:
    """An empty private file at `path` if there is none: who opens it after that gives it no other mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE))


def write_private(path: Path, text: str) -> None:
    """A new private file. Raises `FileExistsError`; its folder's entry is the caller's to sync."""
    _write(path, text.encode(), private=True)


def place_private(path: Path, text: str) -> None:
    """A private file at `path` unless another process was first, whose file then stays."""
    try:
        place(path, text.encode(), private=True)
    except FileExistsError:
        sync_folder(path.parent)


def replace_private(path: Path, text: str) -> None:
    """A private file in the place of what was there, old or new but never half."""
    with replacing(path, private=True) as file:
        file.write(text.encode())


def _write(path: Path, content: bytes, *, private: bool) -> None:
    with _written(path, private=private) as file:
        file.write(content)


@contextmanager
def _written(path: Path, *, private: bool) -> Iterator[IO[bytes]]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE if private else _ANYBODYS)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}")
