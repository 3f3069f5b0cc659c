"""The settings of the tap, and what is wrong with a config."""

from __future__ import annotations

import re
import typing as t
from decimal import Decimal
from importlib import metadata
from ipaddress import ip_address
from urllib.parse import urlsplit

from singer_sdk import typing as th
from singer_sdk.helpers.capabilities import (
    EMIT_ACTIVATE_VERSION_CONFIG,
    FLATTENING_CONFIG,
    STREAM_MAPS_CONFIG,
)
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from tap_toloka import dates, maps
from tap_toloka.errors import QUOTA_SECONDS
from tap_toloka.hiding import LONGEST_SHOWN, shortened
from tap_toloka.shards import Shard
from tap_toloka.streams import STREAMS

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jsonschema import ValidationError

SETTINGS = th.PropertiesList(
    th.Property(
        "token",
        th.StringType,
        required=True,
        secret=True,
        title="Token",
        description="API key or OAuth token, from Profile > Integrations in Toloka.",
    ),
    th.Property(
        "token_type",
        th.StringType,
        default="auto",
        allowed_values=["auto", "ApiKey", "OAuth"],
        title="Token type",
        description=(
            "How the token is sent. `auto` detects API keys and OAuth tokens by their format."
        ),
    ),
    th.Property(
        "environment",
        th.StringType,
        default="PRODUCTION",
        allowed_values=["PRODUCTION", "SANDBOX"],
        title="Environment",
        description=(
            "Toloka environment to read. Production and sandbox have separate accounts and keys."
        ),
    ),
    th.Property(
        "api_url",
        th.StringType,
        title="API address",
        description=(
            "API address to use instead of the environment's, without `/api`. Plain HTTP is "
            "allowed for localhost only."
        ),
    ),
    th.Property(
        "account_id",
        th.StringType,
        title="Account ID",
        description=(
            "ID of the requester whose shared account is read, sent as `X-Act-Under-Account-ID`."
        ),
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description=(
            "Where streams without state start: rows with an earlier replication key are "
            "not read. UTC unless it has a time zone."
        ),
    ),
    th.Property(
        "filters",
        th.CustomType(
            {
                "type": ["object", "null"],
                "properties": {stream.name: stream.filters.json_schema() for stream in STREAMS},
                "additionalProperties": False,
            }
        ),
        title="Filters",
        description="Which rows to read, by stream. Takes the filters of Toloka's lists.",
    ),
    th.Property(
        "batch_size",
        th.CustomType(
            {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": max(stream.page_cap for stream in STREAMS),
            }
        ),
        title="Batch size",
        description=(
            "Maximum number of rows per request. If unset, 1,000, or Toloka's limit for the "
            "list if that is lower."
        ),
    ),
    th.Property(
        "lookback_days",
        th.CustomType({"type": ["integer", "null"], "minimum": 0}),
        default=0,
        title="Lookback days",
        description=(
            "Number of days before the bookmark that incremental runs read again, to pick "
            "up changes without a date, in streams that `detect_changes` does not cover."
        ),
    ),
    th.Property(
        "detect_changes",
        th.BooleanType,
        default=True,
        title="Detect changes",
        description=(
            "Find changes without a date in pools, trainings, projects and other lists of the "
            "account, at about one request per 300 rows of each in every run. `false` reads only "
            "rows that are new or whose dates show a change."
        ),
    ),
    th.Property(
        "skip_settled_pools",
        th.BooleanType,
        default=True,
        title="Skip settled pools",
        description=(
            "Skip pools in which nothing can have changed since the bookmark, in streams "
            "that are listed by pool. `false` reads all pools in every run."
        ),
    ),
    th.Property(
        "on_misfit",
        th.StringType,
        default="keep",
        allowed_values=["keep", "fail"],
        title="On values that do not fit",
        description=(
            "What to do with values that do not fit the schema: `keep` sets them to null and keeps "
            "them in the column `_misfits`, `fail` ends the stream and names them."
        ),
    ),
    th.Property(
        "max_concurrency",
        th.CustomType({"type": ["integer", "null"], "minimum": 1, "maximum": 64}),
        default=8,
        title="Maximum concurrency",
        description="Maximum number of concurrent requests. 1 reads over a single connection.",
    ),
    th.Property(
        "max_requests_per_second",
        th.CustomType({"type": ["integer", "null"], "minimum": 1, "maximum": 300}),
        default=100,
        title="Maximum requests per second",
        description="Maximum number of requests per second. Toloka allows 300 per account.",
    ),
    th.Property(
        "shard",
        th.StringType,
        title="Shard",
        description=(
            "Which part of the account to read, if several runs share it, each with its own state: "
            "`2/8` is the second of eight. Shard 1 also reads the lists of the account."
        ),
    ),
    th.Property(
        "timeout",
        th.CustomType({"type": ["integer", "null"], "minimum": 1, "maximum": 3_600}),
        default=60,
        title="Timeout",
        description="Seconds to wait for data before a request is retried.",
    ),
    th.Property(
        "max_retries",
        th.CustomType({"type": ["integer", "null"], "minimum": 0}),
        default=5,
        title="Maximum retries",
        description="How many times a failed request is retried.",
    ),
    th.Property(
        "retry_quotas",
        th.ArrayType(th.StringType(allowed_values=list(QUOTA_SECONDS))),
        default=["MIN"],
        title="Quotas to wait for",
        description=(
            "Exhausted quotas to wait for: `MIN`, `HOUR`, `DAY`. At any other the stream fails."
        ),
    ),
    th.Property(
        "user_agent",
        th.StringType,
        default=f"tap-toloka/{metadata.version('tap-toloka')}",
        title="User agent",
        description="User-Agent header. By default the name and version of the tap.",
    ),
    additional_properties=False,
).to_dict()
SETTINGS["properties"] |= {
    name: dict(setting)
    for config in (EMIT_ACTIVATE_VERSION_CONFIG, STREAM_MAPS_CONFIG, FLATTENING_CONFIG)
    for name, setting in config["properties"].items()
}
SETTINGS["properties"]["emit_activate_version_messages"]["description"] = (
    "Send ACTIVATE_VERSION after the last row of FULL_TABLE streams that were read completely and "
    "have no filters, so that the target can remove deleted rows."
)
# The SDK's own schema of stream maps is invalid, and its errors do not say what is wrong; see
# `maps.problems`. For lengths and depths it has no limits.
SETTINGS["properties"]["stream_maps"] = {
    name: value
    for name, value in SETTINGS["properties"]["stream_maps"].items()
    if name in {"type", "title", "description"}
}
# PostgreSQL cuts names after 63 bytes, and some of ours would be the same.
SETTINGS["properties"]["flattening_max_key_length"] |= {
    "default": 63,
    "description": "Maximum length of a flattened column name. The default fits PostgreSQL.",
}

_HOST = re.compile(r"(?!-)[\w-]{1,63}(\.[\w-]{1,63})*\.?|[0-9a-f]*:[0-9a-f:.]+")
_IN_HEADERS = ("token", "account_id", "user_agent")


def problems(config: Mapping[str, t.Any], schema: Mapping[str, t.Any], now: str) -> list[str]:
    """Return what is wrong with a config, one line each, without the token.

    Args:
        config: The config.
        schema: The JSON Schema of the settings, those that the SDK adds included.
        now: The present by this machine's clock, in the canonical form of `tap_toloka.dates`.
    """
    found = [_in_words(error) for error in DEFAULT_JSONSCHEMA_VALIDATOR(schema).iter_errors(config)]
    found += problems_with_maps(config)
    return found or list(_beyond_schema(config, now))


def problems_with_maps(config: Mapping[str, t.Any]) -> list[str]:
    """Return what is wrong with `stream_maps` in a config, one line each."""
    stream_maps = config.get("stream_maps")
    streams = [stream.name for stream in STREAMS]
    return list(maps.problems(stream_maps, streams)) if isinstance(stream_maps, dict) else []


def without_blanks(config: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a config without settings that are null or blank: they are as if they were not there.

    Meltano writes a blank text for a variable that is blank, as in `TAP_TOLOKA_START_DATE=`.
    """
    return {
        name: value
        for name, value in config.items()
        if value is not None and not (isinstance(value, str) and not value.strip())
    }


def _in_words(error: ValidationError) -> str:
    """Put an error of JSON Schema into a line: where, what, and what would be allowed."""
    path = [str(part) for part in error.absolute_path]
    where = f"{'.'.join(path)}: " if path else ""
    if error.validator == "additionalProperties":
        allowed = t.cast("t.Any", error.schema)["properties"]
        unknown = sorted({*t.cast("t.Any", error.instance)} - allowed.keys())
        what = shortened(", ".join(map(repr, unknown)), 3 * LONGEST_SHOWN)
        kind = {0: "setting", 1: "stream"}.get(len(path), "filter")
        return f"{where}unknown {kind} {what}; valid are {', '.join(allowed)}"
    if error.validator == "required":
        return f"{where}{error.message}"
    if path and path[0] == "token":
        return f"{where}it is not text"
    found = error.instance
    shown = str(found) if isinstance(found, Decimal) else shortened(repr(found))
    return f"{where}{' '.join(error.message.replace(repr(found), shown).split())}"


def _beyond_schema(config: Mapping[str, t.Any], now: str) -> Iterator[str]:
    """Yield what a JSON Schema cannot tell."""
    for name in _IN_HEADERS:
        value = config.get(name)
        if value is not None and not (value and value.isascii() and value.isprintable()):
            yield f"{name}: it must not be empty, or contain characters not allowed in a header"
    if " " in config["token"]:
        yield "token: it holds a space; give the bare key, without `ApiKey` or `OAuth`"
    if (start_date := config.get("start_date")) is not None:
        yield from _problems_with_date("start_date", start_date, now)
    for stream in STREAMS:
        yield from _problems_with_filters(stream, config.get("filters", {}), now)
    try:
        Shard.in_settings(config)
    except ValueError as error:
        yield f"shard: {shortened(repr(config['shard']))} is not a shard; {error}"
    if (api_url := config.get("api_url")) is not None and (wrong := _problem_with_url(api_url)):
        yield f"api_url: {wrong}"


def _problems_with_date(name: str, text: str, now: str) -> Iterator[str]:
    try:
        date = dates.canonical(text)
    except ValueError as error:
        yield f"{name}: {shortened(str(error))}; write YYYY-MM-DD or YYYY-MM-DDThh:mm:ss[.sss]"
        return
    if date > now:
        yield f"{name}: {date} is in the future by this machine's clock ({now}): nothing to read"


def _problems_with_filters(
    stream: type[t.Any], filters: Mapping[str, t.Any], now: str
) -> Iterator[str]:
    where = f"filters.{stream.name}"
    try:
        normal = stream.filters.normal(filters.get(stream.name, {}))
    except ValueError as error:
        yield f"{where}.{error}"
        return
    yield from (f"{where}: {problem}" for problem in stream.filters.empty_ranges(normal))
    for name, date in normal.items():
        if stream.filters.is_date(name) and name.endswith(("_gt", "_gte")):
            yield from _problems_with_date(f"{where}.{name}", date, now)


def _problem_with_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is not an address"
    if parts.scheme not in {"http", "https"} or not host or not _HOST.fullmatch(host):
        return "it must be a URL such as https://host"
    if parts.username or parts.password or set(url) & set("?#"):
        return "it may hold a host, a port and a path, and nothing else"
    if {"api", "v1"} & {*parts.path.split("/")[-2:]}:
        return "it must not include /api, which the tap appends"
    if parts.scheme == "http" and not _is_loopback(host):
        return f"the token would be sent to {host} unencrypted; use https://"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
