"""The tree against RFC 9162's definitions, computed by brute force."""

import hashlib
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentryd.storage import merkle

LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(40)]


def mth(leaves):
    return _mth(tuple(leaves))


@cache
def _mth(leaves):
    """MTH of section 2.1.1, as written."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = max(power for power in (1 << bit for bit in range(8)) if power < len(leaves))
    return hashlib.sha256(b"\1" + _mth(leaves[:split]) + _mth(leaves[split:])).digest()


class Tree:
    def __init__(self, size):
        self.nodes = {}
        for index in range(size):
            self.nodes[0, index] = LEAVES[index]
            for level, position, found in merkle.completed(index, LEAVES[index], self.node):
                self.nodes[level, position] = found

    def node(self, level, position):
        return self.nodes[level, position]


TREE = Tree(len(LEAVES))


def test_a_leaf_and_a_node_hash_as_the_vectors_of_certificate_transparency():
    assert merkle.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", range(len(LEAVES) + 1))
def test_every_root_is_the_definition_s(size):
    assert merkle.root_of(size, TREE.node) == mth(LEAVES[:size])


@pytest.mark.parametrize("size", range(1, len(LEAVES) + 1))
def test_every_leaf_is_proven_and_nothing_else_is(size):
    root = mth(LEAVES[:size])
    for index in range(size):
        proof = merkle.inclusion_proof(index, size, TREE.node)
        assert merkle.verify_inclusion(LEAVES[index], index, size, proof, root)
        assert not merkle.verify_inclusion(LEAVES[index - 1], index, size, proof, root) or size == 1
        assert not merkle.verify_inclusion(LEAVES[index], index, size, [*proof, root], root)
        assert not merkle.verify_inclusion(LEAVES[index], index, size, proof[:-1], root) or not proof


@pytest.mark.parametrize("second", range(1, len(LEAVES) + 1))
def test_every_earlier_tree_is_proven_to_be_the_beginning(second):
    for first in range(1, second + 1):
        proof = merkle.consistency_proof(first, second, TREE.node)
        old, new = mth(LEAVES[:first]), mth(LEAVES[:second])
        assert merkle.verify_consistency(first, old, second, new, proof)
        assert not merkle.verify_consistency(first, old[::-1], second, new, proof)
        assert not merkle.verify_consistency(first, old, second, new[::-1], proof)
        assert first == second or not merkle.verify_consistency(first, old, second, new, [*proof, old])


@settings(max_examples=200)
@given(st.integers(1, len(LEAVES)), st.data())
def test_a_proof_with_a_changed_hash_proves_nothing(size, data):
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, TREE.node)
    if proof:
        step = data.draw(st.integers(0, len(proof) - 1))
        proof[step] = bytes([proof[step][0] ^ 1]) + proof[step][1:]
        assert not merkle.verify_inclusion(LEAVES[index], index, size, proof, mth(LEAVES[:size]))


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_leaf_outside_of_the_tree_has_no_proof(index, size):
    with pytest.raises(ValueError, match="not within"):
        merkle.inclusion_proof(index, size, TREE.node)
    assert not merkle.verify_inclusion(LEAVES[0], index, size, [], mth(LEAVES[:size]))


@pytest.mark.parametrize(("first", "second"), [(0, 3), (4, 3)])
def test_trees_out_of_order_have_no_proof(first, second):
    with pytest.raises(ValueError, match="order"):
        merkle.consistency_proof(first, second, TREE.node)
    assert not merkle.verify_consistency(first, mth(LEAVES[:first]), second, mth(LEAVES[:second]), [])
