"""Signing keys are made once, wrapped, rotated for every process, and never replaced in silence."""

import json
import threading

import pytest

from consentryd.model.clock import ManualClock
from consentryd.model.error import ConfigError
from consentryd.storage.signing import SigningKeys, path_of, public_keys

NOW = 1_795_291_200_000_000
WRAP = b"w" * 32


def keys_in(root, region="eu", wrap=WRAP):
    return SigningKeys(root, region, wrap, ManualClock(NOW))


def test_two_processes_that_start_together_sign_with_one_key(tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(keys_in(tmp_path).signer().id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_rotation_is_noticed_by_others_and_destroys_the_old_secret(tmp_path):
    ours, theirs = keys_in(tmp_path), keys_in(tmp_path)
    old = theirs.signer()
    message, signature = b"said before", old.sign(b"said before")
    ours.rotate()
    assert theirs.signer().id == ours.signer().id != old.id
    assert theirs.signer().origin == old.origin
    assert [key.retired_at for key in ours.public()] == [NOW, None]
    assert ours.public()[0].verifier.verify(signature, message)
    secrets = [key["secret"] for key in json.loads(path_of(tmp_path, "eu").read_text())["keys"]]
    assert (secrets[0], secrets[1] is None) == (None, False)


def test_public_keys_need_no_wrapping_key_and_no_secret_is_in_the_clear(tmp_path):
    signer = keys_in(tmp_path).signer()
    path = path_of(tmp_path, "eu")
    assert [key.id for key in public_keys(path)] == [signer.id]
    raw = signer.key.private_bytes_raw()
    assert raw not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0


def test_keys_that_go_while_they_are_in_use_are_not_replaced(tmp_path):
    keys = keys_in(tmp_path)
    keys.signer()
    path_of(tmp_path, "eu").unlink()
    with pytest.raises(ConfigError, match="are gone"):
        keys.signer()
    assert not path_of(tmp_path, "eu").exists()


@pytest.mark.parametrize("spoil", ["wrap", "region", "public", "file", "member", "list", "short"])
def test_keys_that_do_not_open_are_an_error_and_never_new_ones(tmp_path, spoil):
    keys_in(tmp_path).signer()
    path = path_of(tmp_path, "eu")
    before = path.read_text()
    keys = keys_in(tmp_path, wrap=b"x" * 32) if spoil == "wrap" else keys_in(tmp_path)
    if spoil == "region":
        path_of(tmp_path, "us").parent.mkdir(parents=True)
        path_of(tmp_path, "us").write_text(before)
        keys = keys_in(tmp_path, region="us")
    if spoil == "public":
        document = json.loads(before)
        document["keys"][0]["public"] = "A" * 43 + "="
        path.write_text(json.dumps(document))
    if spoil in {"member", "list", "short"}:
        document = json.loads(before)
        key = document["keys"][0]
        document["keys"] = [{"member": {"public": key["public"]}, "list": [1], "short": {**key, "public": "AAAA"}}[spoil]]
        path.write_text(json.dumps(document))
    if spoil == "file":
        path.write_text(before[:-40])
    with pytest.raises(ConfigError, match=r"signing key.*Restore the file"):
        keys.signer()
    with pytest.raises(ConfigError, match=r"signing key.*Restore the file"):
        keys.public()
