"""The built browser SDK inside the package: what the manifest says of it, and that it is built from its source."""

import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from consentryd.gateway import sdk

SOURCE = Path(__file__).parent.parent.parent / "sdk_js"


def _skip_or_fail(reason):
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.mark.parametrize("name", sdk.NAMES)
def test_the_integrity_value_is_that_of_the_script(name):
    digest = hashlib.sha384(sdk.bundle(name)).digest()
    assert sdk.integrity(name) == "sha384-" + base64.b64encode(digest).decode()


@pytest.mark.parametrize(("name", "budget"), [("core.js", 4096), ("sdk.js", 6144), ("signals.js", 2048), ("stub.js", 512)])
def test_each_script_is_within_its_size_after_gzip(name, budget):
    assert len(gzip.compress(sdk.bundle(name), 9)) <= budget


@pytest.mark.parametrize("name", sdk.NAMES)
def test_no_script_needs_more_than_a_strict_policy_allows(name):
    script = sdk.bundle(name).decode()
    assert all(word not in script for word in ("eval(", "new Function", "innerHTML", "document.write", "document.cookie"))


def test_the_version_is_that_of_the_npm_package():
    assert json.loads((SOURCE / "package.json").read_text())["version"] == sdk.VERSION
    assert f'"{sdk.VERSION}"'.encode() in sdk.bundle("sdk.js")


@pytest.mark.parametrize("name", ["../__init__.py", "manifest.json", "sdk", ""])
def test_only_scripts_have_names(name):
    with pytest.raises(KeyError):
        sdk.bundle(name)
    with pytest.raises(KeyError):
        sdk.integrity(name)


def test_the_scripts_are_built_from_their_source():
    if not shutil.which("node") or not (SOURCE / "node_modules").is_dir():
        _skip_or_fail("the SDK's build is not installed: `npm ci` in sdk_js, or `make test`, does it")
    done = subprocess.run(["node", "build.mjs", "--check"], cwd=SOURCE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
