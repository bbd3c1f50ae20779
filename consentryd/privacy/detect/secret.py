"""Credentials: JSON web tokens, PEM private keys, Authorization values, and keys of common providers by their published prefixes."""

from __future__ import annotations

import base64
import re
from typing import Final

import orjson

from consentryd.privacy.detect.detector import Detector, Gate


def _is_jwt(match: re.Match[str]) -> bool:
    """The first part decodes to a JOSE header (RFC 7515 section 4.1.1: `alg` must be present)."""
    head = match[0].partition(".")[0]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except ValueError:
        return False
    return isinstance(header, dict) and "alg" in header


def _is_basic(match: re.Match[str]) -> bool:
    """RFC 7617: base64 of `user:password`."""
    try:
        return b":" in base64.b64decode(match["credentials"] + "=" * (-len(match["credentials"]) % 4))
    except ValueError:
        return False


JWT: Final = Detector(
    name="jwt",
    gate=Gate.RUN,
    sign="eyj",
    pattern=re.compile(r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,3}", re.ASCII),
    check=_is_jwt,
)
PEM: Final = Detector(
    name="pem",
    gate=Gate.ADDRESS,
    sign="-----begin",
    pattern=re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}-----(?:[^\"-]{0,20000}-----END [A-Z0-9 ]{0,40}-----|[^\"-]{0,20000})"),
)
BEARER: Final = Detector(
    name="bearer",
    gate=Gate.RUN,
    sign="bearer",
    pattern=re.compile(r"(?<![\w\[])bearer[ :=]{1,2}(?P<credentials>[A-Za-z0-9._~+/-]{16,}={0,2})", re.ASCII | re.IGNORECASE),
    group="credentials",
)
BASIC: Final = Detector(
    name="basic_auth",
    gate=Gate.RUN | Gate.QUERY,
    sign="basic ",
    pattern=re.compile(r"(?<![\w\[])basic (?P<credentials>[A-Za-z0-9+/]{8,}={0,2})", re.ASCII | re.IGNORECASE),
    check=_is_basic,
    group="credentials",
)
PROVIDER: Final = Detector(
    name="provider_key",
    gate=Gate.RUN,
    pattern=re.compile(
        r"(?<![A-Za-z0-9])(?:"
        r"(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}"  # Amazon
        r"|gh[opsur]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"
        r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{20,}"  # Slack
        r"|[srp]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,}"  # Stripe
        r"|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}"  # Google
        r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{32,}"  # SendGrid
        r"|gl(?:pat|ptt|dt|rt)-[A-Za-z0-9_-]{20,}"  # GitLab
        r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}|hf_[A-Za-z0-9]{30,}|dop_v1_[a-f0-9]{64}"
        r"|sk-(?:proj-|ant-[a-z0-9]+-)?[A-Za-z0-9_-]{32,}"  # OpenAI, Anthropic
        r"|ntn_[A-Za-z0-9]{40,}|lin_api_[A-Za-z0-9]{40}|dapi[a-f0-9]{32}"  # Notion, Linear, Databricks
        r"|glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}|NRAK-[A-Z0-9]{27}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}"  # Grafana, New Relic, Postman
        r"|sbp_[a-f0-9]{40}|gsk_[A-Za-z0-9]{50,}|r8_[A-Za-z0-9]{37}"  # Supabase, Groq, Replicate
        r"|xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}"  # Brevo
        r"|rubygems_[a-f0-9]{48}|pul-[a-f0-9]{40}"  # RubyGems, Pulumi
        r"|hooks\.slack\.com/services/T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{20,}"
        r"|key-[a-f0-9]{32}|SK[a-f0-9]{32}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"  # Mailgun, Twilio, Shopify
        r")(?![A-Za-z0-9])",
        re.ASCII,
    ),
)

#: Keys that begin with what anything may begin with, which `sole` need not try everywhere.
PROVIDER_BEHIND: Final = Detector(
    name="provider_key",
    gate=Gate.RUN,
    pattern=re.compile(
        r"(?<![A-Za-z0-9])(?:(?:bot)?[0-9]{8,10}:AA[A-Za-z0-9_-]{32,34}|[a-f0-9]{32}-us[0-9]{1,2})(?![A-Za-z0-9])",  # Telegram, Mailchimp
        re.ASCII,
    ),
)

DETECTORS: Final = (JWT, PEM, BEARER, BASIC, PROVIDER, PROVIDER_BEHIND)
