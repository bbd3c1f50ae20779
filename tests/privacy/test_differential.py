"""What the full detectors find, the quick looks let through to them: the prefilter and `confirm` replaced by none find nothing more."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentryd.config.settings import Privacy
from consentryd.privacy import harmless
from consentryd.privacy.inspector import Inspector
from consentryd.privacy.prefilter import Prefilter
from consentryd.privacy.rules import load_rules
from consentryd.privacy.scrub import Scrubber
from tests.privacy.test_shortcuts import VALUES

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_ALPHABETS = {
    "a": _LETTERS + _DIGITS,
    "w": _LETTERS + _DIGITS + "_-",
    "x": "0123456789abcdef",
    "9": _DIGITS,
    "A": _LETTERS[:26] + _DIGITS,
}

#: Prefixes and parts of providers' keys, each part an alphabet and a length.
KEYS = {
    "Amazon": ("AKIA", "A16"),
    "GitHub": ("ghp_", "a36"),
    "GitHub, fine-grained": ("github_pat_", "a22", "_", "a59"),
    "Slack bot": ("xoxb-", "910", "-", "913", "-", "a24"),
    "Slack user": ("xoxp-", "911", "-", "911", "-", "912", "-", "x32"),
    "Slack app": ("xapp-1-A", "A10", "-", "913", "-", "x64"),
    "Stripe": ("sk_live_", "a24"),
    "Stripe webhook": ("whsec_", "w31", "a1"),
    "Google": ("AIza", "w34", "a1"),
    "Google OAuth": ("ya29.", "w60", "a1"),
    "SendGrid": ("SG.", "w22", ".", "w42", "a1"),
    "GitLab": ("glpat-", "w19", "a1"),
    "npm": ("npm_", "a36"),
    "PyPI": ("pypi-", "w80", "a1"),
    "Hugging Face": ("hf_", "a34"),
    "DigitalOcean": ("dop_v1_", "x64"),
    "OpenAI": ("sk-", "a48"),
    "OpenAI project": ("sk-proj-", "w60", "a1"),
    "Anthropic": ("sk-ant-api03-", "w90", "a1"),
    "Mailgun": ("key-", "x32"),
    "Twilio": ("SK", "x32"),
    "Shopify": ("shpat_", "x32"),
    "Notion": ("ntn_", "a46"),
    "Linear": ("lin_api_", "a40"),
    "Databricks": ("dapi", "x32"),
    "Grafana": ("glsa_", "a32", "_", "x8"),
    "New Relic": ("NRAK-", "A27"),
    "Postman": ("PMAK-", "x24", "-", "x34"),
    "Supabase": ("sbp_", "x40"),
    "Groq": ("gsk_", "a52"),
    "Replicate": ("r8_", "a37"),
    "Brevo": ("xkeysib-", "x64", "-", "a16"),
    "RubyGems": ("rubygems_", "x48"),
    "Pulumi": ("pul-", "x40"),
    "Slack hook": ("hooks.slack.com/services/T0", "A8", "/B0", "A8", "/", "a24"),
    "Telegram": ("bot", "910", ":AA", "a33"),
}

WRAPPERS = (
    "{}",
    "key is {}",
    "https://a.example/x?t={}&y=1",
    "({})",
    '"token":"{}"',
    "{}, da39a3ee5e6b4b0d3255bfef95601890afd80709 and x",
    "a-b-c {}.",
    "0a1b2c3d4e5f/{}",
    "x={};",
    "[{}]",
    "123456789012345678901234567890 {}",
    "aB3dE/fG6hI/jK9lM/nO2pQ/rS5tU/{}",
    "a\n{}\nb",
    "\u00fc{}\u00fc",
    "_{}",
    "-{}",
    ".{}",
    "+{}",
)


@st.composite
def _key(draw: st.DrawFn) -> str:
    key = ""
    for part in KEYS[draw(st.sampled_from(sorted(KEYS)))]:
        if part[0] in _ALPHABETS and part[1:].isdigit():
            key += draw(st.text(_ALPHABETS[part[0]], min_size=int(part[1:]), max_size=int(part[1:])))
        else:
            key += part
    return key


_TEXTS = st.builds(str.format, st.sampled_from(WRAPPERS), st.one_of(_key(), st.sampled_from(sorted(VALUES.values()))))


def scrubber() -> Scrubber:
    return Scrubber(load_rules(), b"k" * 32, "eu", Privacy())


_WARM, _AUDIT = scrubber(), Inspector()


def found_by_all(text: str) -> set[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harmless, "confirm", lambda _data, gate: gate)
        patch.setattr(Prefilter, "clears", lambda *_: False)
        return {redaction.rule for redaction in scrubber().scrub("x", "shop", {"properties": {"note": text}}).redactions}


@settings(max_examples=400, deadline=None)
@given(_TEXTS)
def test_what_the_detectors_find_the_quick_looks_let_through(text: str) -> None:
    fields = {"properties": {"note": text}}
    everything = found_by_all(text)
    assert {redaction.rule for redaction in _WARM.scrub("x", "shop", fields).redactions} == everything
    assert bool(_AUDIT.look("x", "shop", fields)) == bool(everything)


@pytest.mark.parametrize("wrapper", WRAPPERS[:-4])
@pytest.mark.parametrize("provider", sorted(KEYS))
def test_a_providers_key_is_found_whatever_its_neighbours(provider: str, wrapper: str) -> None:
    filled = {alphabet: characters[1:] + characters[:1] for alphabet, characters in _ALPHABETS.items()}
    parts = [
        (filled[part[0]] * 5)[7 : 7 + int(part[1:])] if part[0] in filled and part[1:].isdigit() else part
        for part in KEYS[provider]
    ]
    assert _WARM.scrub("x", "shop", {"properties": {"note": wrapper.format("".join(parts))}}).redactions
