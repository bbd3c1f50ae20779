"""Merkle trees over an append-only list, as in RFC 9162 section 2.1: hashing, proofs and their verification. Pure.

Builders ask a `Nodes` for the hashes of complete subtrees, so that they cost some log2(size) lookups; verifiers need nothing but the proof.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

#: The hash of the complete subtree `position` of `level`: leaves [position << level, (position + 1) << level).
Nodes = Callable[[int, int], bytes]

EMPTY_ROOT: Final = hashlib.sha256().digest()


def leaf_hash(body: bytes) -> bytes:
    return hashlib.sha256(b"\0" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def completed(index: int, leaf: bytes, nodes: Nodes) -> Iterator[tuple[int, int, bytes]]:
    """The subtrees above level 0 that leaf `index` completes: (level, position, hash), lowest first."""
    found, level = leaf, 0
    while index & 1:
        found = node_hash(nodes(level, index - 1), found)
        index >>= 1
        level += 1
        yield level, index, found


def root_of(size: int, nodes: Nodes) -> bytes:
    """The root over the first `size` leaves."""
    return _range(0, size, nodes) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """PATH(index, D[size]), section 2.1.3.1. Raises `ValueError` unless 0 <= index < size."""
    if not 0 <= index < size:
        raise ValueError("the leaf is not within the tree")
    proof, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range(middle, end, nodes))
            end = middle
        else:
            proof.append(_range(start, middle, nodes))
            start = middle
    return proof[::-1]


def consistency_proof(first: int, second: int, nodes: Nodes) -> list[bytes]:
    """PROOF(first, D[second]), section 2.1.4.1. Raises `ValueError` unless 0 < first <= second."""
    if not 0 < first <= second:
        raise ValueError("the trees are not in order")
    proof, start, end, whole = [], 0, second, True
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            proof.append(_range(middle, end, nodes))
            end = middle
        else:
            proof.append(_range(start, middle, nodes))
            start, whole = middle, False
    return [*([] if whole else [_range(start, end, nodes)]), *proof[::-1]]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf hash is the one at `index` of the tree, section 2.1.3.2."""
    if not 0 <= index < size:
        return False
    position, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = node_hash(step, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, step)
        position, last = position >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the first tree is the beginning of the second, section 2.1.4.2."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        return False
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, step)
        position, last = position >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _range(start: int, end: int, nodes: Nodes) -> bytes:
    """The root over leaves [start, end), where `start` is where the recursion of section 2.1.1 puts it: aligned."""
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return nodes(level, start >> level)
    middle = start + _split(size)
    return node_hash(_range(start, middle, nodes), _range(middle, end, nodes))


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)
