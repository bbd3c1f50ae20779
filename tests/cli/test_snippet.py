"""`consentry snippet`: the script element for a page."""

import re

import pytest

from consentryd.gateway import sdk


def test_the_element_names_version_hash_and_a_placeholder(run, installed):
    told = run("snippet", "--url", "https://events.example/")
    assert told.code == 0
    assert told.out == (
        f'<script async src="https://events.example/sdk/{sdk.VERSION}.js" integrity="{sdk.integrity("sdk.js")}" '
        'crossorigin="anonymous" data-key="YOUR_WRITE_KEY"></script>\n'
    )
    assert "placeholder" in told.err


@pytest.mark.parametrize("url", ["events.example", "ftp://events.example", "//events.example", "https://events.example:port", ""])
def test_what_is_no_address_is_refused_and_makes_no_key(run, installed, url):
    told = run("snippet", "--url", url, "--site", "blog")
    assert (told.code, told.out) == (1, "")
    assert "--url must be an address such as `https://events.example.com`." in told.err
    assert run("keys", "list", "--site", "blog", "--json").json == []


def test_a_key_that_is_valid_is_put_in(run, installed):
    told = run("snippet", "--key", installed["write_key"])
    assert f'data-key="{installed["write_key"]}"' in told.out
    assert "http://127.0.0.1:8088/sdk/" in told.out
    assert told.err == ""


def test_a_site_gets_a_new_write_key(run, installed):
    secret = run("snippet", "--site", "blog", "--json").json["key"]
    assert re.fullmatch(r"csy_write_[\w-]{43}", secret)
    (made,) = [key for key in run("keys", "list", "--json").json if key["site"] == "blog"]
    assert (made["kind"], made["name"]) == ("write", "snippet")


def test_the_public_address_of_the_settings_is_used(run, installed, monkeypatch):
    monkeypatch.setenv("CONSENTRY_SERVER_PUBLIC_URL", "https://shop.example/in")
    assert run("snippet", "--json").json["src"] == f"https://shop.example/in/sdk/{sdk.VERSION}.js"


@pytest.mark.parametrize("kind", ["server", "privacy", "read"])
def test_a_secret_key_never_gets_into_a_page(run, installed, kind):
    told = run("snippet", "--key", installed[f"{kind}_key"])
    assert (told.code, told.out) == (1, "")
    assert installed[f"{kind}_key"] not in told.err


def test_a_key_of_another_site_is_refused(run, installed):
    assert run("snippet", "--key", installed["write_key"], "--site", "blog").code == 1
    assert run("snippet", "--key", "csy_write_nothing").code == 1


def test_where_every_address_is_listened_on_the_element_names_one_that_works_and_says_for_whom(run, installed, monkeypatch):
    monkeypatch.setenv("CONSENTRY_SERVER_HOST", "0.0.0.0")
    told = run("snippet", "--key", installed["write_key"])
    assert 'src="http://localhost:8088/sdk/' in told.out
    assert "`server.public_url`" in told.err
    assert run("snippet", "--key", installed["write_key"], "--url", "https://events.example").err == ""
