"""`consentry demo`: a gateway and a shop, from nothing, gone afterwards."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

import consentryd

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(consentryd.__file__).parent.parent)}


@contextmanager
def playing(directory, *options, **environ):
    """The shop's address, the gateway's and the settings file, once both are printed."""
    command = [sys.executable, "-m", "consentryd", "demo", "--port", "0", "--shop-port", "0", *options]
    environment = {**ENVIRONMENT, "TMPDIR": str(directory), **environ}
    with subprocess.Popen(command, cwd=directory, env=environment, stdout=subprocess.PIPE, text=True) as child:
        watchdog = threading.Timer(100, child.kill)
        watchdog.start()
        text = ""
        for line in child.stdout:
            text += line
            if line.startswith("Ctrl-C"):
                break
        shop, gateway = re.findall(r"^The \w+ is at +(http://127\.0\.0\.1:\d+)$", text, re.MULTILINE)
        try:
            yield shop, gateway, Path(re.search(r"--config (\S+)", text)[1])
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait()
            watchdog.cancel()
    assert child.returncode == 0


def get(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode(), answer.headers


def track(gateway, key, origin, **consent):
    body = {
        "event": "product_viewed",
        "anonymousId": "visitor-1",
        "context": {"consent": {"purposes": {"analytics": True}, **consent}},
        "writeKey": key,
    }
    request = urllib.request.Request(f"{gateway}/v1/track", json.dumps(body).encode(), {"Origin": origin})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_the_shop_knows_its_gateway_and_its_key_and_nothing_is_left(run, here):
    elsewhere = here / "elsewhere"
    with playing(here, CONSENTRY_STORAGE_DATA_DIR=str(elsewhere)) as (shop, gateway, config):
        for page in (
            "/",
            "/index.html",
            "/product.html?id=sencha",
            "/cart.html",
            "/checkout.html",
            "/thanks.html",
            "/about.html",
        ):
            html, headers = get(shop + page)
            assert headers["Content-Type"] == "text/html; charset=utf-8"
            assert "{{" not in html
            (script,) = re.findall(r'<script async src="([^"]+)"', html)
            assert script == f"{gateway}/sdk.js"
            for asset in re.findall(r'(?:src|href)="(\w+\.(?:js|css|svg))"', html):
                assert get(f"{shop}/{asset}")[0]
        assert "consentry" in get(script)[0]
        (key,) = set(re.findall(r'data-key="(csy_write_[\w-]+)"', html))
        assert track(gateway, key, shop)["accepted"] == 1
        with pytest.raises(urllib.error.HTTPError, match="403"):
            track(gateway, key, "https://elsewhere.example")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{shop}/../site.py")
        assert config.exists()
    assert not config.parent.exists()
    assert not elsewhere.exists()


def test_a_directory_that_is_given_stays_and_its_shop_keys_are_revoked(run, here):
    for _ in range(2):
        with playing(here, "--directory", str(here / "demo")) as (shop, gateway, config):
            key = re.search(r'data-key="([^"]+)"', get(shop)[0])[1]
            assert track(gateway, key, shop)["accepted"] == 1
    assert [row["event"] for row in run("events", "--config", config, "--json").json] == ["product_viewed"] * 2
    keys = [key for key in run("keys", "list", "--config", config, "--json").json if key["name"] == "demo shop"]
    assert len(keys) == 2
    assert all(key["revoked_at"] for key in keys)


def test_the_shop_asks_under_the_notice_that_grants_need(run, here):
    (here / "demo").mkdir()
    (here / "demo" / "consentry.toml").write_text('[consent]\nnotices = ["2026-01", "2026-06"]\n')
    with playing(here, "--directory", str(here / "demo")) as (shop, gateway, _):
        html = get(f"{shop}/cart.html")[0]
        (notice,) = re.findall(r'data-notice="([^"]*)"', html)
        (key,) = re.findall(r'data-key="([^"]+)"', html)
        assert track(gateway, key, shop, notice=notice)["accepted"] == 1


@pytest.mark.parametrize("option", ["--port", "--shop-port"])
@pytest.mark.parametrize("port", ["65536", "-1"])
def test_a_port_that_is_none_is_wrong_usage(run, here, option, port):
    told = run("demo", "--directory", here / "demo", option, port)
    assert told.code == 2
    assert option in told.err
    assert not (here / "demo").exists()
