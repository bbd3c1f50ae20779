"""Settings: where they come from, which wins, and what is said about mistakes."""

from pathlib import Path

import pytest

from consentryd.config.load import load_settings
from consentryd.config.settings import Settings
from consentryd.model.error import ConfigError


@pytest.fixture
def write(tmp_path):
    def _write(text):
        path = tmp_path / "consentry.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def complaint(path, environ=None):
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ or {})
    return str(caught.value)


def test_without_a_file_everything_has_its_default():
    assert load_settings(None, {}) == Settings()


def test_the_environment_overrides_the_file(write):
    path = write("[server]\nport = 1\nworkers = 2\n")
    settings = load_settings(path, {"CONSENTRY_SERVER_PORT": "9000", "HOME": "/root", "CONSENTRY_CONFIG": "x.toml"})
    assert (settings.server.port, settings.server.workers) == (9000, 2)


@pytest.mark.parametrize(
    ("variable", "text", "read", "value"),
    [
        ("CONSENTRY_SERVER_HOST", "0.0.0.0", lambda s: s.server.host, "0.0.0.0"),
        ("CONSENTRY_PRIVACY_TITLES", "false", lambda s: s.privacy.titles, False),
        (
            "CONSENTRY_PRIVACY_QUERY_PARAMETERS",
            "utm_source, utm_term,",
            lambda s: s.privacy.query_parameters,
            ["utm_source", "utm_term"],
        ),
        ("CONSENTRY_PRIVACY_QUERY_PARAMETERS", '["utm_term"]', lambda s: s.privacy.query_parameters, ["utm_term"]),
        ("CONSENTRY_PRIVACY_QUERY_PARAMETERS", "", lambda s: s.privacy.query_parameters, []),
        ("CONSENTRY_SERVER_PUBLIC_URL", "", lambda s: s.server.public_url, None),
        ("CONSENTRY_SITE_RETENTION_CONSENTED_DAYS", "30", lambda s: s.site.retention.consented_days, 30),
        ("CONSENTRY_REGIONS_EU_ENDPOINT", "https://eu.example", lambda s: s.regions["eu"].endpoint, "https://eu.example"),
        ("CONSENTRY_REGIONS_EU_ENDPOINT", "https://eu.example", lambda s: s.regions["eu"].countries, ["*"]),
        ("CONSENTRY_REGIONS_EU_ENDPOINT", "https://eu.example", lambda s: list(s.regions), ["eu", "us"]),
        ("CONSENTRY_REGIONS_LATIN_AMERICA_COUNTRIES", "BR,AR", lambda s: s.regions["latin-america"].countries, ["BR", "AR"]),
        ("CONSENTRY_REGIONS", '{"ch": {"countries": ["*"]}}', lambda s: list(s.regions), ["ch"]),
        ("CONSENTRY_CONSENT_EVENTS", '{"order_*": "marketing"}', lambda s: s.consent.events, {"order_*": "marketing"}),
        ("CONSENTRY_SITES_MY_SHOP_RETENTION_ANONYMOUS_DAYS", "9", lambda s: s.site_of("my-shop").retention.anonymous_days, 9),
    ],
)
def test_a_variable_sets_what_its_name_says(variable, text, read, value):
    assert read(load_settings(None, {variable: text})) == value


def test_a_variable_finds_the_site_that_the_file_spells_its_own_way(write):
    path = write('[sites."shop_a.example"]\ncountry = "DE"\n')
    settings = load_settings(path, {"CONSENTRY_SITES_SHOP_A_EXAMPLE_COUNTRY": "FR"})
    assert {name: site.country for name, site in settings.sites.items()} == {"shop_a.example": "FR"}


def test_a_site_starts_from_the_defaults_of_every_site(write):
    path = write('[site]\ncountry = "DE"\nretention.anonymous_days = 30\n[sites.shop]\nretention.consented_days = 10\n')
    settings = load_settings(path, {})
    shop = settings.site_of("shop")
    assert (shop.country, shop.retention.anonymous_days, shop.retention.consented_days) == ("DE", 30, 10)
    assert settings.site_of("other") == settings.site


def test_paths_are_relative_to_the_file(write, tmp_path):
    path = write('[sites.shop]\ntracking_plan = "plan.json"\n[privacy]\ncountry_database = "/usr/share/geo.mmdb"\n')
    settings = load_settings(path, {})
    assert settings.storage.data_dir == tmp_path / "data"
    assert settings.sites["shop"].tracking_plan == tmp_path / "plan.json"
    assert settings.privacy.country_database == Path("/usr/share/geo.mmdb")


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("server.prot", "server.port"),
        ("server.work_ers", "server.workers"),
        ("limits.port", "server.port"),
        ("servr.port", "server"),
        ("storage.datadir", "storage.data_dir"),
        ("regions.eu.country", "regions.eu.countries"),
        ("sites.shop.retention.consented", "sites.shop.retention.consented_days"),
    ],
)
def test_an_unknown_setting_is_an_error_that_names_the_nearest(write, wrong, nearest):
    section, _, key = wrong.rpartition(".")
    assert complaint(write(f"[{section}]\n{key} = 1\n")).endswith(f"Did you mean {nearest}?")


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("CONSENTRY_SERVER_PROT", "CONSENTRY_SERVER_PORT"),
        ("CONSENTRY_PORT", "CONSENTRY_SERVER_PORT"),
        ("CONSENTRY_DATA_DIR", "CONSENTRY_STORAGE_DATA_DIR"),
        ("CONSENTRY_REGIONS_EU_COUNTRY", "CONSENTRY_REGIONS_NAME_COUNTRIES"),
    ],
)
def test_an_unknown_variable_is_an_error_that_names_the_nearest(wrong, nearest):
    assert complaint(None, {wrong: "1"}) == f"{wrong}: unknown setting. Did you mean {nearest}?"


def test_what_is_like_nothing_gets_no_suggestion(write):
    assert complaint(None, {"CONSENTRY_FOO": "1"}) == "CONSENTRY_FOO: unknown setting."
    assert complaint(write("[server]\nqqqqqqqq = 1\n")) == "consentry.toml: unknown setting server.qqqqqqqq."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server]\nport = 'S3CRET'", "server.port: allowed is whole number, at least 0, at most 65535"),
        ("[server]\nport = 70000", "server.port: allowed is whole number, at least 0, at most 65535"),
        (
            "[server]\ntrusted_proxies = ['S3CRET']",
            "server.trusted_proxies.0: allowed is list of address or network such as `10.0.0.0/8`",
        ),
        ("[site]\nanonymous_lane = 'S3CRET'", "site.anonymous_lane: allowed is `auto` or `off` or `counts` or `daily`"),
        ("[regions.EU]", "regions.EU: allowed is 1 to 32 lower-case letters, digits and dashes"),
        ("server = 'S3CRET'", "server: allowed is a table"),
        ("[regions]\neu = 'S3CRET'", "regions.eu: allowed is a table"),
        ("[sites]\nshop = 5", "sites.shop: allowed is a table"),
        (
            "[privacy.allow.'*']\n'*' = ['S3CRET']",
            "privacy.allow.*: allowed is table of 1 to 63 lower-case letters, digits, dots, dashes and underscores",
        ),
        (
            "[privacy]\nquery_parameters = ['utm_source', 'S3CRET']",
            "privacy.query_parameters.1: allowed is list of `utm_source` or `utm_medium` or `utm_campaign` or `utm_term` or `utm_content`",
        ),
        (
            "[privacy.allow.shop]\nOrder = ['total', 'properties.S3CRET']",
            "to list of names of properties such as `total` or `items.price`, without `properties.` before them and without `*`",
        ),
        ("[privacy.allow.shop]\nOrder = ['traits.S3CRET']", "privacy.allow.shop.Order.0: allowed is"),
        ("[privacy.allow.shop]\n'*' = ['*']", "privacy.allow.shop.*.0: allowed is"),
        ("[privacy.allow.shop]\n'*' = ['items.*']", "privacy.allow.shop.*.0: allowed is"),
        ("[privacy]\nrules = ['S3CRET']", "privacy.rules.0: allowed is a table"),
        ("[privacy]\nrules = 'S3CRET'", "privacy.rules: allowed is list of table"),
        ("[server]\nport = true", "server.port: allowed is whole number"),
        ("[server]\nbody_timeout_s = true", "server.body_timeout_s: allowed is number"),
        ("[server]\nbody_timeout_s = inf", "server.body_timeout_s: allowed is number"),
        ("[privacy]\naudit_interval_hours = nan", "privacy.audit_interval_hours: allowed is number"),
        (
            "[storage]\nrejected_events = 10000000000000000000",
            "storage.rejected_events: allowed is whole number, at least 0, at most 1000000000",
        ),
        (
            "[limits]\ninflated_bytes = 1073741825",
            "limits.inflated_bytes: allowed is whole number, at least 1024, at most 1073741824",
        ),
        ("[storage]\nrejected_days = 1000001", "storage.rejected_days: allowed is whole number, at least 0, at most 1000000"),
        (
            "[site.retention.purposes]\nanalytics = 1000001",
            "allowed is table of text to whole number, at least 1, at most 1000000",
        ),
        (
            "[regions.a]\ncountries = ['DE']\n[regions.b]\ncountries = ['DE']",
            "regions.a and regions.b both take DE; a country has one region",
        ),
        ("[server]\nport = S3CRET", "is not TOML: at line 2"),
        ("a = 1\na = ", "is not TOML: at "),
        ("[server]\nport = 1\nport = 2\n[limits]", "is not TOML: at line 3, column 9: a setting stands twice."),
        ("[server\n", "is not TOML: at line 1, column 8: a table whose `]` is missing."),
        ("[server]\nhost = S3CRET", "at line 2, column 8: a value that is none; texts stand in quotes"),
        ('[server]\nhost = "S3CRET\n', "a text that does not end on its line"),
        ('[storage]\ndata_dir = "C:\\S3CRET"', "a backslash in a text; write it twice"),
        ("[server]\nport 1", "a name without `=` and a value behind it"),
        ("[server]\nport = 08", "something behind the value, or a number such as `08`"),
        ("[server]\n[privacy]\n[server]\n", "[server] stands in it twice; write its settings under the first"),
    ],
)
def test_a_wrong_value_is_told_by_what_is_allowed_and_never_repeated(write, text, says):
    said = complaint(write(text))
    assert says in said
    assert "S3CRET" not in said


def test_a_wrong_variable_is_named_and_its_value_is_not():
    said = complaint(None, {"CONSENTRY_SERVER_PORT": "S3CRET", "CONSENTRY_SITES": "{S3CRET"})
    assert said.splitlines() == [
        "CONSENTRY_SITES: must be JSON",
        "CONSENTRY_SERVER_PORT: server.port: allowed is whole number, at least 0, at most 65535",
    ]


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("CONSENTRY_REGIONS", "[]", "regions: allowed is a table"),
        ("CONSENTRY_REGIONS", '{"eu": "S3CRET"}', "regions.eu: allowed is a table"),
        ("CONSENTRY_REGIONS", '{"EU": {}}', "regions.EU: allowed is 1 to 32 lower-case letters"),
        ("CONSENTRY_REGIONS", '{"eu": {"endpont": "S3CRET"}}', "Did you mean regions.eu.endpoint?"),
        ("CONSENTRY_PRIVACY_RULES", "S3CRET", "privacy.rules.0: allowed is a table"),
        ("CONSENTRY_PRIVACY_RULES", '[{"key": "x", "action": "S3CRET"}]', "privacy.rules.0.action: allowed is `hash`"),
        ("CONSENTRY_PRIVACY_ALLOW", "S3CRET", "must be JSON"),
        ("CONSENTRY_PRIVACY_ALLOW", '{"shop": "S3CRET"}', "privacy.allow.shop: allowed is table"),
        ("CONSENTRY_SERVER_HOST", "", "server.host: allowed is address or host name such as `127.0.0.1`"),
        ("CONSENTRY_SERVER_HOST", "http://S3CRET", "server.host: allowed is address or host name"),
        ("CONSENTRY_SERVER_HOST", "127.0.0.1:8088", "server.host: allowed is address or host name"),
        ("CONSENTRY_SERVER_HOST", "[::1]", "server.host: allowed is address or host name"),
        ("CONSENTRY_SERVER_BODY_TIMEOUT_S", "inf", "server.body_timeout_s: allowed is number"),
    ],
)
def test_a_wrong_variable_of_a_list_or_a_table_is_told_as_the_others(variable, text, says):
    said = complaint(None, {variable: text})
    assert said.startswith(f"{variable}: ")
    assert says in said
    assert "S3CRET" not in said


def test_settings_that_begin_with_a_byte_order_mark_are_read(write):
    assert load_settings(write("\ufeff[server]\nport = 1\n"), {}).server.port == 1


def test_every_mistake_is_told_at_once(write):
    said = complaint(write("[server]\nprot = 1\nport = -1\n[limits]\ndepth = 1\n"), {"CONSENTRY_X": "1"})
    assert len(said.splitlines()) == 4


def test_a_missing_or_unreadable_file_is_told(tmp_path):
    assert "does not exist" in complaint(tmp_path / "none.toml")
    assert "cannot be read" in complaint(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    assert "not UTF-8" in complaint(tmp_path / "latin.toml")
