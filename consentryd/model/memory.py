"""Bounded memories. One that is full is emptied: what still matters comes again, and nobody has to keep an order."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def keep(memory: dict[K, V], key: K, value: V, most: int) -> V:
    """Remember the value, among `most` at the most; the value again."""
    if len(memory) >= most:
        memory.clear()
    memory[key] = value
    return value


def keep_seen(memory: set[K], item: K, most: int) -> None:
    """Remember the item, among `most` at the most."""
    if len(memory) >= most:
        memory.clear()
    memory.add(item)
