import pytest

from consentryd.config.settings import Settings
from consentryd.consent.profile import PROFILES, check_profile, require_profile
from consentryd.model.error import ConfigError

GOOD = {
    "none": {},
    "strict": {"consent": {"dnt": "deny", "gpc_scope": "all"}},
    "cnil-exempt": {"consent": {"exemptions": ["audience-measurement"]}},
    "uk-statistics": {"consent": {"exemptions": ["statistics"], "dnt": "deny"}},
    "us-opt-out": {},
}


def settings(profile, **over):
    base = GOOD[profile]
    merged = {**base, **over, "consent": {**base.get("consent", {}), **over.get("consent", {}), "profile": profile}}
    return Settings.model_validate(merged)


@pytest.mark.parametrize("profile", PROFILES)
def test_settings_that_meet_a_profile_start(profile):
    assert check_profile(settings(profile)) == []
    require_profile(settings(profile))


def rules(*kept):
    return {"privacy": {"rules": [{**rule, "action": "keep"} for rule in kept]}}


def test_a_rule_that_keeps_one_thing_or_drops_what_a_profile_forbids_breaks_none():
    one = [{"detector": "*", "path": "properties.sku", "action": "keep"}, {"detector": "email", "action": "keep"}]
    dropping = [
        {"detector": "click_id", "action": "drop"},
        {"key": "lat", "action": "generalise"},
        {"key": "(", "action": "keep"},
    ]
    assert check_profile(settings("cnil-exempt", privacy={"rules": one + dropping})) == []


LONG = {"retention": {"consented_days": 800}}


@pytest.mark.parametrize(
    ("profile", "over", "setting"),
    [
        ("strict", {"consent": {"exemptions": ["statistics"]}}, "consent.exemptions"),
        ("strict", {"consent": {"dnt": "ignore"}}, "consent.dnt"),
        ("strict", {"consent": {"gpc_scope": "ads"}}, "consent.gpc_scope"),
        ("strict", {"consent": {"conflict": "newest"}}, "consent.conflict"),
        ("strict", {"consent": {"jurisdictions_file": "own.toml"}}, "consent.jurisdictions_file"),
        ("strict", {"consent": {"purposes_file": "own.toml"}}, "consent.purposes_file"),
        ("strict", {"site": {"anonymous_lane": "daily"}}, "site.anonymous_lane"),
        ("strict", {"sites": {"shop": {"anonymous_lane": "daily"}}}, "sites.shop.anonymous_lane"),
        ("cnil-exempt", {"consent": {"exemptions": []}}, "consent.exemptions"),
        ("cnil-exempt", {"consent": {"exemptions": ["audience-measurement", "statistics"]}}, "consent.exemptions"),
        ("cnil-exempt", {"consent": {"default_purpose": "marketing"}}, "consent.default_purpose"),
        ("cnil-exempt", {"consent": {"events": {"ad_*": "marketing"}}}, "consent.events.ad_*"),
        ("cnil-exempt", {"site": LONG}, "site.retention.consented_days"),
        ("cnil-exempt", {"sites": {"shop": {"retention": {"anonymous_days": 762}}}}, "sites.shop.retention.anonymous_days"),
        ("cnil-exempt", {"site": {"anonymous_lane": "daily"}}, "site.anonymous_lane"),
        ("cnil-exempt", {"consent": {"conflict": "newest"}}, "consent.conflict"),
        ("cnil-exempt", {"privacy": {"coordinate_decimals": 2}}, "privacy.coordinate_decimals"),
        ("cnil-exempt", {"privacy": {"dry_run": True}}, "privacy.dry_run"),
        ("cnil-exempt", rules({"detector": "click_id"}), "privacy.rules.0"),
        ("cnil-exempt", rules({"detector": "email"}, {"key": "GCLID", "event": "order_*"}), "privacy.rules.1"),
        ("cnil-exempt", rules({"detector": "coordinate", "site": "shop"}), "privacy.rules.0"),
        ("cnil-exempt", rules({"key": "lat(itude)?"}), "privacy.rules.0"),
        ("cnil-exempt", rules({"detector": "*"}), "privacy.rules.0"),
        ("strict", rules({"detector": "*", "event": "order_*"}), "privacy.rules.0"),
        ("uk-statistics", rules({"detector": "*"}), "privacy.rules.0"),
        ("strict", {"privacy": {"dry_run": True}}, "privacy.dry_run"),
        ("uk-statistics", {"privacy": {"dry_run": True}}, "privacy.dry_run"),
        ("uk-statistics", {"consent": {"exemptions": []}}, "consent.exemptions"),
        ("uk-statistics", {"consent": {"default_purpose": "marketing"}}, "consent.default_purpose"),
        ("uk-statistics", {"consent": {"dnt": "ignore"}}, "consent.dnt"),
        ("us-opt-out", {"consent": {"conflict": "newest"}}, "consent.conflict"),
        ("us-opt-out", {"consent": {"jurisdictions_file": "own.toml"}}, "consent.jurisdictions_file"),
    ],
)
def test_a_setting_that_breaks_a_clause_stops_start_up_and_names_it(profile, over, setting):
    violations = check_profile(settings(profile, **over))
    assert [violation.setting for violation in violations] == [setting]
    with pytest.raises(ConfigError) as caught:
        require_profile(settings(profile, **over))
    assert f"{setting}: {violations[0].text} ({violations[0].clause})" in str(caught.value)
