"""The daily token of the anonymous lane: how many visitors a day has, without telling who they are on the next.

Keyed BLAKE2b (RFC 7693) under 32 random bytes that live in memory for a day. Fields are length-prefixed, so that no two ways of cutting
them meet in one token. Without the key a token says nothing, and with it gone nobody can try addresses against it.
"""

from __future__ import annotations

import hashlib
from typing import Final

TOKEN_BYTES: Final = 12


def fingerprint(key: bytes, site: str, network: str, user_agent: str) -> bytes:
    """32 bytes that stand for a truncated network and a user agent at a site on the key's day. Not to be stored: see `token`."""
    state = hashlib.blake2b(key=key, digest_size=32, person=b"visitor")
    for field in (site, network, user_agent):
        encoded = field.encode(errors="surrogatepass")
        state.update(len(encoded).to_bytes(4, "big") + encoded)
    return state.digest()


def token(found: bytes, region: str) -> str:
    """What is stored: 24 hex digits, the region's own."""
    return hashlib.blake2b(region.encode(), key=found, digest_size=TOKEN_BYTES, person=b"visitor token").hexdigest()
