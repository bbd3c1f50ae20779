"""What a process and its descendants use, read from /proc (Linux)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """The process and its descendants, as far as they live."""
    found, queue = [], [pid]
    while queue:
        pid = queue.pop()
        try:
            tasks = list(Path(f"/proc/{pid}/task").iterdir())
        except OSError:
            continue
        found.append(pid)
        for task in tasks:
            with suppress(OSError):  # threads come and go
                queue += [int(child) for child in (task / "children").read_text().split()]
    return found


def threads(pid: int) -> dict[int, dict[str, float]]:
    """CPU seconds, user and system, by process and thread: `main`, which runs the event loop, and the others by their names."""
    used: dict[int, dict[str, float]] = {}
    for member in family(pid):
        used[member] = {}
        for task in Path(f"/proc/{member}/task").iterdir():
            try:
                name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
            except OSError:
                continue
            fields = rest.split()
            name = "main" if task.name == str(member) else f"other {name}"
            used[member][name] = used[member].get(name, 0.0) + (int(fields[11]) + int(fields[12])) / _TICK
    return used


def cpu_seconds(pid: int) -> float:
    """User and system time of the processes that live, since each began."""
    return sum(sum(times.values()) for times in threads(pid).values())


def rss_bytes(pid: int) -> int:
    total = 0
    for member in family(pid):
        try:
            total += int(Path(f"/proc/{member}/statm").read_text().split()[1]) * _PAGE
        except OSError:
            continue
    return total


def written_bytes(pid: int) -> int:
    """What the processes that live gave to be written to a disk, since each began."""
    total = 0
    for member in family(pid):
        with suppress(OSError):
            told = dict(line.split(": ") for line in Path(f"/proc/{member}/io").read_text().splitlines())
            total += int(told["write_bytes"])
    return total
