"""Consentry's client for Python servers: events that carry their consent, delivered exactly once.

from consentry import Consentry

with Consentry("csy_server_...", "https://events.example.com") as consentry:
    consentry.track("order_completed", {"revenue": 19.9, "currency": "EUR"}, user_id="u-1", consent={"analytics": True})
"""

from consentry.aio import AsyncConsentry
from consentry.bound import Bound
from consentry.client import Consentry
from consentry.consent import Consent
from consentry.failure import ConsentryError, Failure, Stats
from consentry.redact import redact_url
from consentry.version import __version__

__all__ = ["AsyncConsentry", "Bound", "Consent", "Consentry", "ConsentryError", "Failure", "Stats", "__version__", "redact_url"]
