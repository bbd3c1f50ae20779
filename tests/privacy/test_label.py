"""Labels: what stands before a value in a text that is no JSON as a whole is as good as a key."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from consentryd.config.settings import PiiRule, Privacy
from consentryd.privacy.rules import load_rules
from consentryd.privacy.scrub import Scrubber


def scrubber(*rules: PiiRule) -> Scrubber:
    return Scrubber(load_rules(rules), b"k" * 32, "eu", Privacy())


def stored(text: str, using: Scrubber | None = None) -> Any:
    return (using or scrubber()).scrub("Failed", "shop", {"properties": {"note": text}}).fields["properties"].get("note")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('POST /login {"user":"x","password":"hunter2"} 401', 'POST /login {"user":"x","password":"[secret]"} 401'),
        ('window.user = {"firstName":"Max","plan":"pro"};', 'window.user = {"firstName":"[name]","plan":"pro"};'),
        ('{"password": "hunter2", // note\n "a": 1}', '{"password": "[secret]", // note\n "a": 1}'),
        ('{"password":"hunter2","items":[{"a":1},{"b":', '{"password":"[secret]","items":[{"a":1},{"b":'),
        ("{'user': 'x', 'password': 'hunter2'}", "{'user': 'x', 'password': '[secret]'}"),
        ('{password: "hunter2", a: 1}', '{password: "[secret]", a: 1}'),
        ('login(first_name: "Max", password: "hunter2") { id }', 'login(first_name: "[name]", password: "[secret]") { id }'),
        ('{:password=>"hunter2", :a=>1}', '{:password=>"[secret]", :a=>1}'),
        ('x {\\"password\\":\\"hunter2\\"} y', 'x {\\"password\\":\\"[secret]\\"} y'),
        ('{"v":"x {\\"password\\":\\"hunter2\\"}"} {}', '{"v":"x {\\"password\\":\\"[secret]\\"}"} {}'),
        ("User(firstName=Max, lastName=Muster, plan=pro)", "User(firstName=[name], lastName=[name], plan=pro)"),
        ("User{firstName='Max', plan='pro'}", "User{firstName='[name]', plan='pro'}"),
        ('<user password="hunter2 x"/>', '<user password="[secret]"/>'),
        ("<a:user><firstName>Max</firstName><n>1</n></a:user>", "<a:user><firstName>[name]</firstName><n>1</n></a:user>"),
        ("<password><![CDATA[hunter2]]></password>", "<password><![CDATA[[secret]]]></password>"),
        ("login failed: password: hunter2", "login failed: password: [secret]"),
        ("[db]\npassword = hunter2\nport = 5432", "[db]\npassword = [secret]\nport = 5432"),
        ("PIN: 4711", "PIN: [secret]"),
        ("пароль: secret1", "пароль: [secret]"),
        ('{"first_name":"Max","dob":"1980-04-02","age":34} x', '{"first_name":"[name]","dob":"1980","age":30-39} x'),
        (
            "https://x.example/?d=" + quote('{"password":"hunter2"}', safe=""),
            'https://x.example/?d={"password":"[secret]"}',
        ),
        (quote("<b><password>hunter2</password></b>", safe=""), "<b><password>[secret]</password></b>"),
        (
            "BEGIN:VCARD\nN:Muster;Max;;;\nFN:Max Muster\nADR;TYPE=HOME:;;Lindenweg 1;Ulm\nBDAY:1980-01-02\nEND:VCARD",
            "BEGIN:VCARD\nN:[name]\nFN:[name]\nADR;TYPE=HOME:[postal_address]\nBDAY:1980\nEND:VCARD",
        ),
        ("MECARD:N:Muster,Max;EMAIL:max@x.example;;", "MECARD:N:[name];EMAIL:[email];;"),
        ("ATTENDEE;CN=Max Muster;RSVP=TRUE:mailto:max@x.example", "ATTENDEE;CN=[name];RSVP=TRUE:mailto:[email]"),
    ],
)
def test_what_a_label_tells_of_its_value_holds(text: str, expected: str) -> None:
    assert stored(text) == expected
    assert stored(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Invalid token: unexpected end of input",
        "Password: required",
        "password: must not be empty",
        "Cookies: accept all",
        "Tokens: 1500",
        "Enter your password:",
        "Secret: a novel",
        'authorization: "granted"',
        "Authorization: granted",
        "{'a': 1, 'name': 'Red shoes'}",
        "<name>Red shoes</name>",
        '<div class="name">Home</div>',
        "12:30, https://shop.example/login:8080 and a::b",
        "Key: ArrowDown2",
        "Lamp(name=Red shoes, id=12)",
        "TypeError: Cannot read properties of undefined (reading 'password')",
    ],
)
def test_a_label_alone_is_none(text: str) -> None:
    assert stored(text) == text


def test_a_rule_holds_for_what_a_label_tells() -> None:
    keep = scrubber(PiiRule(detector="name", event="Failed", action="keep"), PiiRule(detector="secret", action="drop"))
    assert stored('x {"first_name":"Max","password":"abc"}', keep) == 'x {"first_name":"Max","password":""}'


def test_digits_in_a_label_are_looked_at_each_time() -> None:
    scrub = scrubber()
    for _ in range(3):
        assert stored('x "line2": "Ulm" ', scrub) == stored('x "line2": "Ulm" ')
        assert stored('x "address9": "Ulm" ', scrub) == 'x "address9": "Ulm" '
        assert stored('x "address1": "Ulm" ', scrub) == 'x "address1": "[postal_address]" '
