"""Files and folder entries that are on the disk when the call returns. What is private is readable by its owner only (mode 0600)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the file's bytes durable, whoever wrote them."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def place(path: Path, content: bytes) -> None:
    """A file that is whole from the moment it has its name. Raises `FileExistsError` where another has it."""
    fresh = _beside(path)
    try:
        with _written(fresh) as file:
            file.write(content)
        os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """What is written takes the place of what was at `path`: old or new but never half."""
    fresh = _beside(path)
    try:
        with _written(fresh) as file:
            yield file
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def make_private(path: Path) -> None:
    """An empty private file at `path` if there is none: who opens it after that gives it no other mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def write_private(path: Path, text: str) -> None:
    """A new private file. Raises `FileExistsError`; its folder's entry is the caller's to sync."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def place_private(path: Path, text: str) -> None:
    """A private file at `path` unless another process was first, whose file then stays."""
    fresh = _beside(path)
    write_private(fresh, text)
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    sync_folder(path.parent)


def replace_private(path: Path, text: str) -> None:
    """A private file in the place of what was there, old or new but never half."""
    fresh = _beside(path)
    write_private(fresh, text)
    fresh.replace(path)
    sync_folder(path.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}")
