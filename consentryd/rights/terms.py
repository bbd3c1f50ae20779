"""What the receipts of a site say of its processing, by the settings in force."""

from __future__ import annotations

from functools import partial

from consentryd.config.settings import Settings
from consentryd.consent.policy import Policy
from consentryd.consent.receipt import Terms
from consentryd.model.decision import Lane
from consentryd.storage.retention import days_of


def terms_of(settings: Settings, policy: Policy, region: str, site: str) -> Terms:
    kept_days = partial(days_of, settings, region, site, Lane.CONSENTED)
    controller = settings.consent.controller or site
    return Terms(region, policy.purposes, controller, settings.consent.max_age_days, kept_days, settings.rights.recipients)
