"""The one table of settings. The model, the example file and `docs/configuration.md` are all made from it.

A section is a pydantic model, a setting is a field with its default and a description in plain words (units in the name or the text).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

RegionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Server(Section):
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8088, ge=0, le=65535, description="Port to listen on.")
    workers: int = Field(1, ge=1, le=64, description="Processes that serve one port over one store.")
    public_url: str | None = Field(None, description="The address clients use, for snippets and redirects; default: host and port.")
    trusted_proxies: list[str] = Field(default=[], description="Networks (CIDR) whose X-Forwarded-For is believed. Empty: nobody's.")
    shutdown_timeout_s: float = Field(8.0, gt=0, le=60, description="How long SIGTERM waits for requests in flight.")
    header_timeout_s: float = Field(10.0, gt=0, description="How long a client may take to send its request head.")
    body_timeout_s: float = Field(15.0, gt=0, description="How long a client may take to send its request body.")
    log_format: Literal["auto", "json", "console"] = Field("auto", description="Log lines for people or machines; auto asks the terminal.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")


class Limits(Section):
    event_bytes: int = Field(32 * 1024, ge=1024, description="Largest event, as compact JSON.")
    batch_bytes: int = Field(512 * 1024, ge=1024, description="Largest request body as sent.")
    inflated_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="Largest request body after decompression, enforced while inflating.")
    batch_events: int = Field(1000, ge=1, le=100_000, description="Most events in one batch.")
    depth: int = Field(16, ge=2, le=128, description="Deepest nesting of an event.")
    keys_per_level: int = Field(255, ge=8, description="Most keys on one level of an event.")
    id_chars: int = Field(255, ge=16, le=1024, description="Longest user id, anonymous id, session id or event id.")
    event_name_chars: int = Field(200, ge=16, le=1024, description="Longest event name.")
    max_age_days: int = Field(400, ge=1, description="Events with an older timestamp are refused or clamped.")
    max_future_minutes: int = Field(24 * 60, ge=1, description="Events with a timestamp further ahead are refused or clamped.")
    bad_time: Literal["reject", "clamp"] = Field("reject", description="What becomes of a timestamp out of range.")
    requests_per_second_per_key: float = Field(5000.0, gt=0, description="Sustained requests a second of one key; bursts of twice that.")
    requests_per_second_per_network: float = Field(200.0, gt=0, description="Sustained requests a second of one client network (v4 /24, v6 /48) with a write key; bursts of five times that.")


class Storage(Section):
    data_dir: Path = Field(Path("data"), description="Where everything is kept; relative to the configuration file.")
    commit_interval_ms: float = Field(3.0, ge=0, le=1000, description="How long a commit waits for company.")
    commit_events: int = Field(2000, ge=1, description="A commit with this many events does not wait.")
    pending_events: int = Field(20_000, ge=1, description="Events waiting for a commit before new requests are told to come back.")
    dedup_days: int = Field(7, ge=1, le=90, description="How long an event id is remembered.")
    seal_events: int = Field(200_000, ge=1, description="Log size that starts sealing into the lake.")
    seal_interval_s: float = Field(300.0, gt=0, description="Age of the oldest log row that starts sealing.")
    compact_files: int = Field(8, ge=2, description="Small files of one month and bucket that start compaction.")
    min_free_bytes: int = Field(256 * 1024 * 1024, ge=0, description="Below this much free disk the gateway is not ready and refuses events.")
    rejected_events: int = Field(10_000, ge=0, description="Most refused events kept for inspection, per region.")
    rejected_days: int = Field(7, ge=0, description="How long refused events are kept.")


class Privacy(Section):
    country_database: Path | None = Field(None, description="A MaxMind-format database instead of the one that ships.")
    city: bool = Field(False, description="Also keep the subdivision (needs a database that knows it).")
    bots: Literal["drop", "flag", "keep"] = Field("drop", description="What becomes of events from known bots.")
    query_parameters: list[str] = Field(default=["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"], description="URL query parameters that are kept.")
    titles: bool = Field(True, description="Keep page titles.")


class Region(Section):
    countries: list[str] = Field(default=[], description="ISO country codes, or the groups EU, EEA; `*` takes every country no other region names, and the unknown.")
    endpoint: str | None = Field(None, description="Where clients of this region should send, named when another process refuses their events.")


class Retention(Section):
    consented_days: int = Field(760, ge=1, description="Consented events older than this are deleted, a month at a time.")
    anonymous_days: int = Field(760, ge=1, description="Anonymous events older than this are deleted, a month at a time.")


class Site(Section):
    anonymous_lane: Literal["auto", "off", "counts", "daily"] = Field("auto", description="What is kept of events without a grant; auto follows the jurisdiction.")
    anonymous_events: list[str] = Field(default=["page_viewed", "screen_viewed"], description="Event names that may be counted anonymously.")
    country: str | None = Field(None, description="Jurisdiction to assume where a visitor's country is unknown. Default: the strictest.")
    tracking_plan: Path | None = Field(None, description="A JSON file of event name to JSON Schema of its properties.")
    tracking_plan_mode: Literal["off", "flag", "reject"] = Field("off", description="What becomes of events that do not fit the tracking plan.")
    retention: Retention = Field(default=Retention(), description="How long events are kept.")


DEFAULT_REGIONS = {"eu": Region(countries=["*"]), "us": Region(countries=["US"])}


class Settings(Section):
    """All settings. `site` holds the defaults of every site, `sites` what differs by site."""

    server: Server = Server()
    limits: Limits = Limits()
    storage: Storage = Storage()
    privacy: Privacy = Privacy()
    regions: dict[RegionName, Region] = Field(default=DEFAULT_REGIONS, min_length=1)
    site: Site = Site()
    sites: dict[str, Site] = {}
