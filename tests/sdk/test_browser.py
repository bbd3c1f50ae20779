"""The browser SDK in headless Chromium: against a recording gateway, on the demonstration shop, and against the real gateway."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent.parent / "sdk_js"
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))

#: Those against the real gateway run by default; a minute of browsing beside a recording one does not.
SUITES = ["real", "demo", *(pytest.param(name, marks=pytest.mark.slow) for name in ("browser", "shop"))]


def _missing():
    if not shutil.which("node") or not (SOURCE / "node_modules").is_dir():
        return "the SDK's tests are not installed: `npm ci` in sdk_js, or `make test`, does it"
    if not CHROMIUM.exists():
        return f"no browser at {CHROMIUM}: install Debian's chromium, or name one in CHROMIUM"
    return None


@pytest.mark.timeout(240)
@pytest.mark.parametrize("suite", SUITES)
def test_the_sdk_in_a_browser(suite):
    if reason := _missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    command = ["node", "--test", "--test-force-exit", "--test-reporter=spec", f"test/e2e/{suite}.test.mjs"]
    environment = {**os.environ, "GATEWAY_PYTHON": sys.executable}
    done = subprocess.run(command, cwd=SOURCE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped 0" in done.stdout, done.stdout
