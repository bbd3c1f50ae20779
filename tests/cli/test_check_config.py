"""`consentry check-config`: mistakes are told, differences are shown."""

import re

import pytest


def test_a_fresh_file_is_valid_and_all_default(run, installed):
    told = run("check-config")
    assert told.code == 0
    assert "All settings have their defaults." in told.out


def test_what_differs_is_shown_with_its_value(run, here, installed, monkeypatch):
    monkeypatch.setenv("CONSENTRY_SERVER_PORT", "9001")
    told = run("check-config")
    assert "server.port" in told.out
    assert "9001" in told.out
    assert "server.host" not in told.out
    assert run("check-config", "--json").json["server"]["port"] == 9001


def test_of_a_site_only_what_differs_from_the_sites_defaults_is_shown(run, here):
    (here / "consentry.toml").write_text(
        '[site]\nanonymous_lane = "off"\n[sites.shop]\ncountry = "DE"\n[sites.shop.retention]\nconsented_days = 90\n'
    )
    told = run("check-config")
    assert [line.split() for line in told.out.splitlines()[2:]] == [
        ["site.anonymous_lane", "off"],
        ["sites.shop.country", "DE"],
        ["sites.shop.retention.consented_days", "90"],
    ]


def test_values_are_shown_as_a_settings_file_has_them(run, here):
    (here / "consentry.toml").write_text('[privacy]\ntitles = false\n[consent]\nnotices = ["v1", "v2"]\n')
    told = run("check-config").out
    assert re.search(r"privacy.titles +false", told)
    assert re.search(r'consent.notices +\["v1","v2"\]', told)


def test_another_data_directory_is_a_difference(run, here, installed):
    (here / "consentry.toml").write_text('[storage]\ndata_dir = "elsewhere"\n')
    told = run("check-config", "--config", str(here / "consentry.toml"))
    assert f"storage.data_dir  {here / 'elsewhere'}" in told.out
    (here / "consentry.toml").write_text('[storage]\ndata_dir = "data"\n')
    assert "All settings have their defaults." in run("check-config", "--config", str(here / "consentry.toml")).out


def test_a_setting_that_does_nothing_is_said_and_is_no_mistake(run, here, installed):
    (here / "consentry.toml").write_text('[site]\ntracking_plan_mode = "reject"\n[privacy]\ncity = true\n')
    for options in ([], ["--json"]):
        told = run("check-config", *options)
        assert told.code == 0
        assert [line.split()[0] for line in told.err.splitlines()] == ["site.tracking_plan_mode", "privacy.city"]
    told = run("doctor", "--json")
    assert told.code == 0
    assert (told.json[0]["check"], told.json[0]["state"]) == ("settings", "warn")
    assert "site.tracking_plan_mode is reject" in told.json[0]["detail"]


def test_every_mistake_is_a_line(run, here):
    (here / "consentry.toml").write_text("[server]\nprot = 1\nport = 'S3CRET'\n")
    told = run("check-config")
    assert told.code == 1
    assert told.err.splitlines() == [
        "consentry.toml: server.port: allowed is whole number, at least 0, at most 65535",
        "consentry.toml: unknown setting server.prot. Did you mean server.port?",
    ]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            '[[privacy.rules]]\ndetector = "emial"\naction = "mask"\n',
            "privacy.rules.0.detector: there is no detector emial. Did you mean email?",
        ),
        ('[[privacy.rules]]\ndetector = "qqqq"\naction = "mask"\n', "there is no detector qqqq. See docs/scrubbing.md."),
        ('[[privacy.rules]]\nkey = "("\naction = "mask"\n', "privacy.rules.0.key: is no regular expression: missing )"),
        (
            '[[privacy.rules]]\ndetector = "email"\naction = "hsh"\n',
            "privacy.rules.0.action: allowed is `hash` or `encrypt` or `drop` or `mask` or `type` or `generalise` or `keep`",
        ),
        ('[[privacy.rules]]\naction = "hash"\n', "privacy.rules.0: a rule names either a detector or a key"),
        (
            '[[privacy.rules]]\ndetector = "email"\nkey = "mail"\naction = "hash"\n',
            "privacy.rules.0: a rule names either a detector or a key",
        ),
        ('[[privacy.rules]]\ndetector = "email"\n', "privacy.rules.0.action: allowed is `hash` or"),
        (
            '[[privacy.rules]]\ndetecter = "email"\naction = "hash"\n',
            "unknown setting privacy.rules.0.detecter. Did you mean privacy.rules.0.detector?",
        ),
        ('[regions.eu]\ncountries = ["XX"]\n', "regions.eu.countries.0: allowed is list of ISO country code"),
        ('[site]\ncountry = "UK"\n', "site.country: allowed is ISO country code such as `DE`"),
        ('[site]\nsubject_token_secret = "short"\n', "site.subject_token_secret must be 32 bytes or longer."),
        ('[sites.shop]\nsubject_verifier = "short"\n', "sites.shop.subject_verifier must be base64 of the 32 bytes"),
        ('[sites.shop]\nsubject_token_secret = "short"\n', "sites.shop.subject_token_secret must be 32 bytes or longer."),
        ('[rights]\nopendsr_domain = "x.example"\n', "rights.opendsr_key go together."),
        ('[rights]\ncallbacks = ["https://x.example:port/"]\n', "rights.callbacks.0: allowed is list of address"),
        ('[rights]\ndownstream = ["https://x.example:99999/"]\n', "rights.downstream.0: allowed is list of address"),
        ('[rights]\nscan_dir = "none"\n', "rights.scan_dir: none does not exist"),
        (
            "[site.retention]\npurposes = { advertising = 30 }\n",
            "site.retention.purposes names the purpose 'advertising', which is not one of: analytics,",
        ),
        ("[sites.a.retention]\npurposes = { ads = 30 }\n", "sites.a.retention.purposes names the purpose 'ads'"),
        ('[analytics]\npurposes = ["analitics"]\n', "analytics.purposes names the purpose 'analitics'"),
        ("[sites.a.retention]\nregions = { mars = 30 }\n", "sites.a.retention.regions names mars; the regions are eu, us"),
        ('[analytics]\ntimezone = "Europe/Berlyn"\n', "analytics.timezone: allowed is IANA time zone such as `Europe/Berlin`"),
        ('[analytics]\ntimezone = ""\n', "analytics.timezone: allowed is IANA time zone"),
        ('[analytics]\ncurrency = "euro"\n', "analytics.currency: allowed is ISO currency code such as `EUR`"),
        ('[analytics]\nrates = "consentry.toml"\n', "it needs the columns day, currency and rate."),
        ('[storage]\ndata_dir = ""\n', "storage.data_dir: allowed is path"),
        ('[keys]\nmaster = "vault:x"\n', "keys.master must be file:PATH, env:NAME or command:ARGV."),
        ('[keys]\nmaster = "file:none"\n', "data/none does not exist. A path of keys.master begins in the data directory"),
        ('[keys]\nmaster = "command:no-such-program --now"\n', "The command of keys.master is not found: no-such-program."),
    ],
)
def test_what_only_a_start_would_refuse_is_refused_here(run, here, settings, says):
    (here / "consentry.toml").write_text(settings)
    told = run("check-config")
    assert told.code == 1
    assert says in told.err


@pytest.mark.parametrize(
    ("setting", "table", "says"),
    [
        ("purposes_file", "version = 1\n", "The purposes file own.toml is not as documented: purpose: is missing."),
        (
            "purposes_file",
            'version = 1\n[purpose.analytics]\nname = "Usage"\nmeaning = "x"\non_withdrawal = "burn"\n',
            "purpose.analytics.on_withdrawal: Input should be 'keep', 'anonymise' or 'erase'; purpose.analytics.meaning: is not known.",
        ),
        ("purposes_file", 'version = 1\n[purpose]\nanalytics = "x"\n', "purpose.analytics: must be a table."),
        ("purposes_file", "version = 1\n[purpose.analytics]\n", "not as documented: purpose.analytics.text: is missing."),
        ("purposes_file", "version = 1\npurpose = 3\n", "purpose: must be a table."),
        (
            "jurisdictions_file",
            'version = 1\n[[jurisdiction]]\ncodes = ["UK"]\nname = "x"\nregime = "opt-in"\neffective_from = 2020-01-01\nlaw = "x"\n',
            "The jurisdictions file own.toml is not as documented: jurisdiction.0.codes.0: no country such as `DE`",
        ),
    ],
)
def test_a_mistake_in_ones_own_table_is_named_by_its_place(run, here, setting, table, says):
    (here / "own.toml").write_text(table)
    (here / "consentry.toml").write_text(f'[consent]\n{setting} = "own.toml"\n')
    told = run("check-config")
    assert told.code == 1
    assert says in told.err
    assert len(told.err.splitlines()) == 1


def test_a_command_that_gives_the_master_key_is_not_run(run, here):
    (here / "consentry.toml").write_text('[keys]\nmaster = "command:touch ran"\n')
    assert run("check-config").code == 0
    assert not (here / "ran").exists()


def test_a_folder_to_search_is_no_mistake(run, here):
    (here / "logs").mkdir()
    (here / "consentry.toml").write_text('[rights]\nscan_dir = "logs"\n')
    assert run("check-config").code == 0


def test_mistakes_of_every_kind_are_told_together(run, here):
    (here / "consentry.toml").write_text(
        '[keys]\nmaster = "vault:x"\n[site]\ntracking_plan = "none.json"\n[[privacy.rules]]\nkey = "("\naction = "drop"\n'
    )
    assert len(run("check-config").err.splitlines()) == 3


def test_a_file_that_is_named_must_exist(run, here):
    (here / "plan.json").write_text("{}")
    (here / "c.toml").write_text('[site]\ntracking_plan = "plan.json"\n[privacy]\ncountry_database = "none.mmdb"\n')
    told = run("check-config", "--config", "c.toml")
    assert told.code == 1
    assert told.err.splitlines() == ["privacy.country_database: none.mmdb does not exist"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ('[site]\ntracking_plan = "bad.json"\n', "bad.json"),
        ('[privacy]\ncountry_database = "bad.json"\n', "bad.json"),
        (
            '[rights]\nopendsr_domain = "x.example"\nopendsr_certificate = "bad.json"\nopendsr_key = "bad.json"\n',
            "rights.opendsr_certificate is no certificate in PEM.",
        ),
    ],
)
def test_a_file_that_holds_something_else_is_told(run, here, settings, says):
    (here / "bad.json").write_text("[1]")
    (here / "consentry.toml").write_text(settings)
    told = run("check-config")
    assert told.code == 1
    assert says in told.err
