"""Signed notes and checkpoints, against the published example of Go's note package."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consentryd.storage.note import BadNote, Checkpoint, Verifier, open_checkpoint, open_note, sign_note

NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = TEXT + (
    "\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def keypair(name="consentry/eu/1"):
    key = Ed25519PrivateKey.generate()
    return Verifier(name, key.public_key().public_bytes_raw()), key


def test_a_note_signed_elsewhere_opens():
    assert open_note(NOTE, [Verifier.parse(NEUMANN)]) == TEXT


@pytest.mark.parametrize("position", [3, len(TEXT) + 30, len(NOTE) - 10])
def test_a_changed_note_does_not_open(position):
    changed = NOTE[:position] + ("A" if NOTE[position] != "A" else "B") + NOTE[position + 1 :]
    with pytest.raises(BadNote):
        open_note(changed, [Verifier.parse(NEUMANN)])


@pytest.mark.parametrize(
    "vkey", ["", "PeterNeumann", NEUMANN.replace("c74", "c75"), NEUMANN.replace("Peter", "Petra"), NEUMANN[:-1]]
)
def test_what_is_no_verifier_key_is_refused(vkey):
    with pytest.raises(BadNote):
        Verifier.parse(vkey)


def test_signatures_of_others_are_ignored_and_ours_is_found():
    ours, key = keypair()
    note = sign_note(TEXT, ours, key)
    _, _, others = NOTE.rpartition("\n\n")
    assert open_note(note + others, [ours]) == TEXT
    assert open_note(NOTE + note.rpartition("\n\n")[2], [ours]) == TEXT
    with pytest.raises(BadNote, match="no known key"):
        open_note(note, [Verifier.parse(NEUMANN)])


def test_a_checkpoint_comes_back_and_its_vkey_too():
    verifier, key = keypair()
    checkpoint = Checkpoint("consentry/eu/1", 20852163, bytes(32))
    assert open_checkpoint(sign_note(checkpoint.text, verifier, key), [Verifier.parse(verifier.vkey)]) == checkpoint


@pytest.mark.parametrize(
    "text", ["a\n1\n", "\n1\nAAAA\n", "a\n01\n" + Checkpoint("a", 1, bytes(32)).text[4:], "a\nx\nAAAA\n", "a\n1\nAAAA\n"]
)
def test_signed_text_that_is_no_checkpoint_is_refused(text):
    verifier, key = keypair()
    with pytest.raises(BadNote):
        open_checkpoint(sign_note(text, verifier, key), [verifier])
