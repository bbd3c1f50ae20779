"""The one table of settings. The model, the example file and `docs/configuration.md` are all made from it.

A section is a pydantic model, a setting is a field with its default and a description in plain words (units in the name or the
text).
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from consentryd.config.countries import COUNTRIES, GROUPS

KEEP_DAYS = 760
#: 2,700 years. Times are 64-bit microseconds, and beyond some hundred times as much there is none.
MOST_DAYS = 1_000_000

MAX_PORT = 65_535
MAX_WORKERS = 64

RegionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$", description="1 to 32 lower-case letters, digits and dashes")]
SiteName = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$",
        description="1 to 63 lower-case letters, digits, dots, dashes and underscores",
    ),
]


def _named(path: object) -> object:
    """An empty path would be the folder of the settings file."""
    if path == "":
        raise ValueError("empty")
    return path


def _country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError("is no country")
    return code


def _country_or_group(code: str) -> str:
    return code if code in GROUPS or code == "*" else _country(code)


Country = Annotated[str, AfterValidator(_country), Field(description="ISO country code such as `DE`")]
CountryOrGroup = Annotated[
    str, AfterValidator(_country_or_group), Field(description="ISO country code such as `DE`, `EU`, `EEA` or `*`")
]


def _property(name: str) -> str:
    """Nothing is called so: traits are stored as properties, and there are no wildcards."""
    if name.startswith(("properties.", "traits.")) or "*" in name.split("."):
        raise ValueError("is no name of a property")
    return name


AllowedName = Annotated[
    str,
    AfterValidator(_property),
    Field(description="names of properties such as `total` or `items.price`, without `properties.` before them and without `*`"),
]
CampaignParameter = Literal["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"]
PiiAction = Literal["hash", "encrypt", "drop", "mask", "type", "generalise", "keep"]
TcfScope = Annotated[
    str, Field(pattern=r"^(publisher|vendor:[1-9][0-9]{0,4})$", description="`publisher` or a vendor's id such as `vendor:52`")
]


def _url(text: str) -> str:
    try:
        urlsplit(text).port  # noqa: B018 - raises for one that is none
    except ValueError:
        raise ValueError("has a host or port that is none") from None
    return text


Url = Annotated[
    str,
    Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", description="address such as `https://events.example.com`"),
    AfterValidator(_url),
]


def _host(text: str) -> str:
    if ":" in text:
        ip_address(text)
    return text


Host = Annotated[
    str,
    Field(pattern=r"^[^\s/?#@\[\]]+$", description="address or host name such as `127.0.0.1`, `::1` or `gateway.internal`"),
    AfterValidator(_host),
]


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise ValueError("is no address or network, or has bits set behind its prefix") from None
    return text


Network = Annotated[str, AfterValidator(_network), Field(description="address or network such as `10.0.0.0/8`")]


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is not an IANA time zone such as `Europe/Berlin`")
    return name


ZoneName = Annotated[str, AfterValidator(_known_zone)]
TimeZone = Annotated[ZoneName, Field(description="IANA time zone such as `Europe/Berlin`")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO currency code such as `EUR`")]


class Section(BaseModel):
    """A group of settings. An empty text means "not set" where not being set is the default."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        unset = {name for name, field in cls.model_fields.items() if field.default is None and values.get(name) == ""}
        return {name: value for name, value in values.items() if name not in unset}

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation in {int, float}:
            raise ValueError("a number")
        return value


class Server(Section):
    host: Host = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8088, ge=0, le=MAX_PORT, description="Port to listen on.")
    workers: int = Field(1, ge=1, le=MAX_WORKERS, description="Processes that serve one port over one store.")
    public_url: Url | None = Field(
        None,
        description="The address clients use, for snippets and redirects; default: host and port (for all addresses `localhost`).",
    )
    trusted_proxies: list[Network] = Field(
        default=[], description="Networks (CIDR) whose X-Forwarded-For is believed. Empty: nobody's."
    )
    shutdown_timeout_s: float = Field(8.0, gt=0, le=60, description="How long SIGTERM waits for requests in flight.")
    header_timeout_s: float = Field(10.0, gt=0, description="How long a client may take to send its request head.")
    body_timeout_s: float = Field(15.0, gt=0, description="How long a client may take to send its request body.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="Log lines for people or machines; auto asks the terminal."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")


class Limits(Section):
    event_bytes: int = Field(32 * 1024, ge=1024, description="Largest event: its properties and traits as compact JSON.")
    batch_bytes: int = Field(512 * 1024, ge=1024, description="Largest request body as sent.")
    inflated_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, le=1024**3, description="Largest request body after decompression, enforced while inflating."
    )
    batch_events: int = Field(1000, ge=1, le=100_000, description="Most events in one batch.")
    depth: int = Field(16, ge=2, le=128, description="Deepest nesting of properties and traits.")
    keys_per_level: int = Field(255, ge=8, description="Most keys on one level of properties and traits.")
    id_chars: int = Field(255, ge=16, le=1024, description="Longest user id, anonymous id, session id or event id.")
    event_name_chars: int = Field(200, ge=16, le=1024, description="Longest event name.")
    max_age_days: int = Field(400, ge=1, description="Events with an older timestamp are refused or clamped.")
    max_future_minutes: int = Field(24 * 60, ge=1, description="Events with a timestamp further ahead are refused or clamped.")
    bad_time: Literal["reject", "clamp"] = Field("reject", description="What becomes of a timestamp out of range.")
    requests_per_second_per_key: float = Field(
        5000.0, gt=0, description="Sustained requests a second of one key; bursts of twice that."
    )
    requests_per_second_per_network: float = Field(
        200.0,
        gt=0,
        description=(
            "Sustained requests a second of one client network (v4 /24, v6 /48) with a write key; bursts of five times that."
        ),
    )
    consents_per_second_per_network: float = Field(
        20.0,
        gt=0,
        description="Of these, sustained choices a second (`POST /v1/consent`), each of which stays on record; bursts of five times that.",
    )


class Storage(Section):
    data_dir: Annotated[Path, BeforeValidator(_named)] = Field(
        Path("data"), description="Where everything is kept; relative to the configuration file."
    )
    commit_interval_ms: float = Field(3.0, ge=0, le=1000, description="How long a commit waits for company.")
    commit_events: int = Field(2000, ge=1, description="A commit with this many events does not wait.")
    pending_events: int = Field(
        20_000, ge=1, description="Events waiting for a commit before new requests are told to come back."
    )
    dedup_days: int = Field(7, ge=1, le=90, description="How long an event id is remembered.")
    seal_events: int = Field(200_000, ge=1, description="Log size that starts sealing into the lake.")
    seal_interval_s: float = Field(300.0, gt=0, description="Age of the oldest log row that starts sealing.")
    compact_files: int = Field(8, ge=2, description="Small files of one month and bucket that start compaction.")
    min_free_bytes: int = Field(
        256 * 1024 * 1024, ge=0, description="Below this much free disk the gateway is not ready and refuses events."
    )
    rejected_events: int = Field(10_000, ge=0, le=10**9, description="Most refused events kept for inspection, per region.")
    rejected_days: int = Field(7, ge=0, le=MOST_DAYS, description="How long refused events are kept.")


class PiiRule(Section):
    """One line of the rule table: what is found, or the key it lies under, where, and what becomes of it."""

    detector: str | None = Field(None, description="A detector of docs/scrubbing.md, such as `email`; or name a `key`.")
    key: str | None = Field(
        None, description="A regular expression for the whole key, as lower_snake_case; or name a `detector`."
    )
    action: PiiAction = Field(description="What becomes of the value.")
    site: str = Field("*", description="Sites the rule is for; `*` and `?` are wildcards.")
    event: str = Field("*", description="Event names the rule is for; `*` and `?` are wildcards.")
    path: str = Field("*", description="Paths the rule is for, such as `properties.user.*`; `*` and `?` are wildcards.")

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if (self.detector is None) == (self.key is None):
            raise ValueError("a rule names either a detector or a key")
        return self


class Privacy(Section):
    country_database: Path | None = Field(None, description="A MaxMind-format database instead of the one that ships.")
    city: bool = Field(False, description="Also keep the subdivision (needs a database that knows it).")
    bots: Literal["drop", "flag", "keep"] = Field(
        "drop", description="What becomes of events from known bots; `flag` puts `bot` into the property `$flags`."
    )
    query_parameters: list[CampaignParameter] = Field(
        default=list(get_args(CampaignParameter)),
        description="URL query parameters that are kept, as columns; there are no others.",
    )
    titles: bool = Field(True, description="Keep page titles.")
    rules: list[PiiRule] = Field(
        default=[], description="Rules that come before the shipped ones (docs/scrubbing.md); the first that fits wins."
    )
    allow: dict[SiteName, dict[str, list[AllowedName]]] = Field(
        default={},
        description=(
            "Site, then event name (also `Order*`; `*`: all others), then the only properties kept, also `items.price`; "
            "`group_id` and `$flags` are kept only if listed. Empty: no narrowing."
        ),
    )
    dry_run: bool = Field(False, description="Count what scrubbing would change, and change nothing. Personal data is stored.")
    audit_interval_hours: float = Field(
        24.0, ge=0, description="How often a serving gateway looks through what is stored for personal data; 0: never."
    )
    coordinate_decimals: int = Field(1, ge=0, le=6, description="Decimals kept of a latitude or longitude; 1 is about 11 km.")
    phone_countries: list[Country] = Field(
        default=[],
        description="Countries whose national phone numbers are found in any text, not only under a key such as `phone`.",
    )


class Keys(Section):
    master: str | None = Field(
        None,
        description="The master key that wraps the regions' keys: `file:PATH`, `env:NAME` or `command:ARGV`; "
        "by default the file `master.key` in the data directory.",
    )


class Consent(Section):
    profile: Literal["none", "strict", "cnil-exempt", "uk-statistics", "us-opt-out"] = Field(
        "none", description="A named set of legal conditions: start-up refuses when a setting violates one."
    )
    purposes_file: Path | None = Field(None, description="Your own table of purposes instead of the one that ships.")
    jurisdictions_file: Path | None = Field(None, description="Your own table of jurisdictions instead of the one that ships.")
    default_purpose: str = Field("analytics", description="The purpose of events that no pattern in `events` matches.")
    events: dict[str, str] = Field(
        default={}, description="Pattern of event names (`*`, `?`) to purpose; the first that matches decides."
    )
    categories: dict[str, list[str]] = Field(
        default={}, description="A banner's category name or id to purposes. A name equal to a purpose needs no entry."
    )
    exemptions: list[Literal["audience-measurement", "statistics"]] = Field(
        default=[], description="Exemptions whose conditions you meet; they count only where the jurisdiction knows them."
    )
    tcf_scope: TcfScope = Field("publisher", description="Whose consent an IAB TCF string must carry.")
    conflict: Literal["restrictive", "newest"] = Field(
        "restrictive", description="Where one signal grants and another denies: denial wins, or the newest if all are dated."
    )
    dnt: Literal["ignore", "deny"] = Field("ignore", description="Whether `DNT: 1` denies every purpose.")
    gpc_scope: Literal["ads", "all"] = Field(
        "ads", description="What an opt-out signal such as `Sec-GPC` stops: purposes of sale and advertising, or all."
    )
    anonymous_after_denial: Literal["counts", "nothing"] = Field(
        "counts", description="What the anonymous lane may keep of people who objected."
    )
    notices: list[str] = Field(default=[], description="Versions of the notice under which grants count. Empty: any.")
    max_age_days: int = Field(395, ge=1, le=396, description="Older choices count as denial; 13 months at most.")
    max_future_hours: int = Field(24, ge=0, le=24, description="Choices dated further ahead count as denial.")
    controller: str | None = Field(
        None, max_length=200, description="Who answers for the processing, as receipts name them; default: the site's name."
    )
    remembered: int = Field(8192, ge=64, description="Distinct signals, and distinct cases, whose decision is remembered.")


class Rights(Section):
    grace_s: float = Field(0.0, ge=0, description="How long a request waits, and may be cancelled, before it is carried out.")
    block: Literal["forever", "no"] = Field(
        "forever", description="Whether future events of an erased person are refused, where the request does not say."
    )
    export_hours: float = Field(
        72.0, gt=0, le=720, description="How long a person's export waits, encrypted, to be fetched once."
    )
    backup_days: int = Field(
        30, ge=0, description="How long you keep backups; certificates name the day when the last one is gone."
    )
    recipients: list[str] = Field(default=[], description="Others that receive people's data, as exports name them.")
    callbacks: list[Url] = Field(
        default=[], description="The only addresses that a request may have its changes of status reported to."
    )
    downstream: list[Url] = Field(
        default=[], description="Addresses that are told of every erasure, whose acknowledgement its certificate records."
    )
    downstream_hours: float = Field(
        24.0, ge=0, description="How long a certificate waits for acknowledgements; later ones are missing in it."
    )
    webhook_secret: SecretStr | None = Field(
        None, description="Signs what is sent to `callbacks` and `downstream` (HMAC-SHA256)."
    )
    scan_dir: Path | None = Field(
        None, description="A folder outside of the data directory that erasures search too, such as the one of log files."
    )
    scan_events: int = Field(
        1_000_000, ge=0, description="Up to so many events in a region an erasure decodes all of them in search of the person."
    )
    opendsr_domain: str | None = Field(None, description="Our domain as an OpenDSR processor; not set: /opendsr/ is closed.")
    opendsr_certificate: Path | None = Field(None, description="The PEM certificate of that domain, issued by an authority.")
    opendsr_key: Path | None = Field(None, description="The PEM private key of that certificate, RSA or ECDSA.")


PropertyName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$", description="the name of a property")]


class Analytics(Section):
    timezone: TimeZone = Field("UTC", description="The time zone of queries that name none.")
    week_start: int = Field(1, ge=1, le=7, description="The day weeks begin on, 1 Monday to 7 Sunday.")
    purposes: list[str] = Field(
        default=["analytics"], min_length=1, description="Purposes whose events queries may see; all others never enter one."
    )
    currency: Currency = Field("EUR", description="The currency that revenue is reported in.")
    rates: Path | None = Field(
        None, description="A CSV file with the columns `day`, `currency`, `rate` (units of `currency` above for one of it)."
    )
    test_traffic: dict[str, list[str]] = Field(
        default={}, description="Property to values that mark events of tests and staff, which queries leave out unless asked."
    )
    promoted: list[PropertyName] = Field(
        default=[],
        max_length=30,
        description=(
            "Properties of events (`plan`, `user.plan`, `/a.b`) that lake files keep as columns, which questions read faster; "
            "files written before get them when they are merged. Answers do not depend on it."
        ),
    )
    min_group_size: int = Field(0, ge=0, le=1000, description="Groups of fewer subjects are not shown to any key.")
    late_arrival_minutes: int = Field(
        0, ge=0, le=7 * 24 * 60, description="How long after its end a bucket counts as incomplete."
    )
    cohort_hours: float = Field(
        24.0,
        ge=0,
        le=24 * 31,
        description="How often the members of dynamic cohorts are looked up and kept on record; 0: when asked.",
    )
    threads: int = Field(2, ge=1, le=64, description="Threads that one query uses.")
    memory_mb: int = Field(512, ge=64, description="Memory that one query may use; what would need more is refused.")
    cache_mb: int = Field(128, ge=0, description="Memory for results that may be asked for again, per process.")
    query_seconds: float = Field(60.0, gt=0, description="A query that takes longer is stopped.")
    queries: int = Field(2, ge=1, le=64, description="Queries that run at a time, per process; others wait.")
    queries_per_key: int = Field(8, ge=1, le=1000, description="Queries of one key that may run or wait at a time, per process.")
    sql_rows: int = Field(10_000, ge=1, le=1_000_000, description="Most rows that `POST /v1/sql` answers with.")
    sql_seconds: float = Field(30.0, gt=0, description="An SQL statement that takes longer is stopped.")


class Region(Section):
    countries: list[CountryOrGroup] = Field(
        default=[],
        description=("ISO country codes, or the groups EU, EEA; `*` takes every country no other region names, and the unknown."),
    )
    endpoint: Url | None = Field(
        None, description="Where clients of this region should send, named when another process refuses their events."
    )


Days = Annotated[int, Field(ge=1, le=MOST_DAYS, description=f"whole number, at least 1, at most {MOST_DAYS}")]


class Retention(Section):
    consented_days: int = Field(
        KEEP_DAYS, ge=1, le=MOST_DAYS, description="Consented events older than this are deleted, once a day."
    )
    anonymous_days: int = Field(
        KEEP_DAYS, ge=1, le=MOST_DAYS, description="Anonymous events older than this are deleted, once a day."
    )
    purposes: dict[str, Days] = Field(
        default={}, description="Purpose to days, for consented events of purposes that are kept for a shorter time."
    )
    regions: dict[str, Days] = Field(
        default={}, description="Region to days, for regions in which all is kept for a shorter time."
    )


class Site(Section):
    anonymous_lane: Literal["auto", "off", "counts", "daily"] = Field(
        "auto", description="What is kept of events without a grant; auto follows the jurisdiction."
    )
    anonymous_events: list[str] = Field(
        default=["page_viewed", "screen_viewed"], description="Event names that may be counted anonymously."
    )
    country: Country | None = Field(
        None, description="Jurisdiction to assume where a visitor's country is unknown. Default: the strictest."
    )
    tracking_plan: Path | None = Field(None, description="A JSON file of event name to JSON Schema of its properties.")
    tracking_plan_mode: Literal["off", "flag", "reject"] = Field(
        "off",
        description="What becomes of events that do not fit the tracking plan; `flag` puts `plan` into the property `$flags`.",
    )
    subject_token_secret: SecretStr | None = Field(
        None, description="Your backend signs short-lived tokens for logged-in people with it (JWT, HS256); 32 bytes or more."
    )
    subject_verifier: str | None = Field(
        None, description="Instead of a secret: the public Ed25519 key of those tokens (JWT, EdDSA), base64 of 32 bytes."
    )
    retention: Retention = Field(default=Retention(), description="How long events are kept.")


DEFAULT_REGIONS = {"eu": Region(countries=["*"]), "us": Region(countries=["US"])}


class Settings(Section):
    """All settings. `site` holds the defaults of every site, `sites` what differs by site."""

    server: Server = Field(default=Server(), description="The HTTP side.")
    limits: Limits = Field(default=Limits(), description="What a client may send; beyond it the answer is an error.")
    storage: Storage = Field(default=Storage(), description="The log, the lake and the disk.")
    privacy: Privacy = Field(default=Privacy(), description="What is taken off every event, beyond what always is.")
    keys: Keys = Field(default=Keys(), description="The key above all keys.")
    consent: Consent = Field(default=Consent(), description="Whose choice counts, for what, and where.")
    analytics: Analytics = Field(default=Analytics(), description="Queries over what is stored.")
    rights: Rights = Field(default=Rights(), description="People's requests: access, erasure and the rest.")
    regions: dict[RegionName, Region] = Field(
        default=DEFAULT_REGIONS,
        min_length=1,
        description="Where events are kept. Nothing of one region is written under another's folder.",
    )
    site: Site = Field(default=Site(), description="The defaults of every site.")
    sites: dict[SiteName, Site] = Field(default={}, description="What differs at one site from `[site]`.")

    def site_of(self, name: str) -> Site:
        """The settings of a site: its own in `sites`, which start from `site`, else `site`."""
        return self.sites.get(name, self.site)

    @model_validator(mode="before")
    @classmethod
    def _sites_start_from_site(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        sites, defaults = values.get("sites"), _given(values.get("site"))
        if not isinstance(sites, Mapping) or not isinstance(defaults, Mapping):
            return values
        return {**values, "sites": {name: _merged(defaults, _given(site)) for name, site in sites.items()}}

    @model_validator(mode="after")
    def _retention_names_regions(self) -> Self:
        for key, site in (("site", self.site), *((f"sites.{name}", site) for name, site in self.sites.items())):
            for region in site.retention.regions:
                if region not in self.regions:
                    raise ValueError(f"{key}.retention.regions names {region}; the regions are {', '.join(self.regions)}")
        return self

    @model_validator(mode="after")
    def _no_country_twice(self) -> Self:
        home: dict[str, str] = {}
        for name, region in self.regions.items():
            for country in region.countries:
                if home.setdefault(country, name) != name:
                    raise ValueError(f"regions.{home[country]} and regions.{name} both take {country}; a country has one region")
        return self


def _given(section: Any) -> Any:
    """What was set, without defaults."""
    if section is None:
        return {}
    return section.model_dump(exclude_unset=True) if isinstance(section, BaseModel) else section


def _merged(base: Mapping[str, Any], over: Any) -> Any:
    """`over` laid on `base`, table by table; anything but a table replaces."""
    if not isinstance(over, Mapping):
        return over
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _merged(below, value) if isinstance(below, Mapping) else value
    return merged
