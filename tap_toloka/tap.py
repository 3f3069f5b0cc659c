"""The tap: its settings, its streams, its state."""

from __future__ import annotations

import signal
import sys
import threading
import typing as t
from datetime import datetime, timezone
from functools import cached_property
from importlib import metadata
from ipaddress import ip_address
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from singer_sdk import Tap
from singer_sdk import typing as th
from singer_sdk.exceptions import ConfigurationError, ConfigValidationError
from singer_sdk.helpers.capabilities import (
    EMIT_ACTIVATE_VERSION_CONFIG,
    PluginCapabilities,
    TapCapabilities,
)

from tap_toloka import dates
from tap_toloka.command import TolokaCommand, hide
from tap_toloka.errors import QUOTA_SECONDS
from tap_toloka.output import LineWriter
from tap_toloka.streams import STREAMS

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import click
    from singer_sdk.helpers.capabilities import CapabilitiesEnum

    from tap_toloka.client import TolokaStream

_VERSION = metadata.version("tap-toloka")

_SETTINGS = th.PropertiesList(
    th.Property(
        "token",
        th.StringType,
        required=True,
        secret=True,
        title="Token",
        description="API key or OAuth token, from Profile → Integrations in Toloka.",
    ),
    th.Property(
        "token_type",
        th.StringType,
        default="auto",
        allowed_values=["auto", "ApiKey", "OAuth"],
        title="Token type",
        description="How the token is sent. `auto` tells an API key from an OAuth token by shape.",
    ),
    th.Property(
        "environment",
        th.StringType,
        default="PRODUCTION",
        allowed_values=["PRODUCTION", "SANDBOX"],
        title="Environment",
        description="Which Toloka to read. Accounts and keys of the two are separate.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        title="API address",
        description="Another address instead of the environment's, without `/api`.",
    ),
    th.Property(
        "account_id",
        th.StringType,
        title="Account ID",
        description="Requester whose shared account is read; sent as `X-Act-Under-Account-ID`.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description=(
            "Where a stream without state begins: rows whose replication key is not before it. "
            "UTC unless it carries a zone."
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
        description="Which rows are read, by stream: the filters of Toloka's own lists.",
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
            "Most rows in one request. Where it is absent, that is 1,000, or what Toloka gives of "
            "a list at once if that is less, as 300 pools."
        ),
    ),
    th.Property(
        "lookback_days",
        th.CustomType({"type": ["integer", "null"], "minimum": 0}),
        default=0,
        title="Lookback days",
        description=(
            "Incremental runs also read again what is as young as so many days before the "
            "bookmark, for what changed without a date that tells."
        ),
    ),
    th.Property(
        "skip_settled_pools",
        th.BooleanType,
        default=True,
        title="Skip settled pools",
        description=(
            "Streams that are read pool by pool leave out pools in which nothing can have changed "
            "since the bookmark; `false` asks all pools in each run."
        ),
    ),
    th.Property(
        "max_concurrency",
        th.CustomType({"type": ["integer", "null"], "minimum": 1, "maximum": 64}),
        default=8,
        title="Maximum concurrency",
        description="Most requests under way at once; 1 reads with one connection.",
    ),
    th.Property(
        "max_requests_per_second",
        th.CustomType({"type": ["integer", "null"], "minimum": 1, "maximum": 300}),
        default=100,
        title="Maximum requests per second",
        description="Toloka allows an account 300.",
    ),
    th.Property(
        "timeout",
        th.CustomType({"type": ["integer", "null"], "minimum": 1}),
        default=60,
        title="Timeout",
        description="Seconds that Toloka may stay silent during one request.",
    ),
    th.Property(
        "max_retries",
        th.CustomType({"type": ["integer", "null"], "minimum": 0}),
        default=5,
        title="Maximum retries",
        description="How often one request is tried again before the run gives up.",
    ),
    th.Property(
        "retry_quotas",
        th.ArrayType(th.StringType(allowed_values=list(QUOTA_SECONDS))),
        default=["MIN"],
        title="Quotas to wait for",
        description="Which quotas are waited for when they ran out: `MIN`, `HOUR`, `DAY`.",
    ),
    th.Property(
        "user_agent",
        th.StringType,
        default=f"tap-toloka/{_VERSION}",
        title="User agent",
        description="What the tap calls itself; names it and its version by default.",
    ),
    additional_properties=False,
).to_dict()
_SETTINGS["properties"] |= EMIT_ACTIVATE_VERSION_CONFIG["properties"]

_BAD_STATE = "The state that was given cannot be right"
_STATE_KEYS = frozenset({"replication_key", "replication_key_value", "filters"})
_MARKERS = frozenset({"progress_markers", "replication_key_signpost", "starting_replication_value"})
"""What the SDK leaves in state while a run is under way, for this tap or an older one."""


class TapToloka(Tap):
    """Everything a requester has in Toloka."""

    name = "tap-toloka"
    config_jsonschema = _SETTINGS
    message_writer_class = LineWriter
    # Without BATCH: the SDK's batch files hold deselected fields, and skip stream maps.
    capabilities: t.ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        TapCapabilities.ACTIVATE_VERSION,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    message_writer: LineWriter

    def __init__(self, **kwargs: t.Any) -> None:
        self.unreadable: list[str] = []
        """Streams that a test of the connection could not read."""
        if isinstance(config := kwargs.get("config"), dict):
            hide(config.get("token"))
            # A setting that is null is a setting that is not there.
            kwargs["config"] = {k: v for k, v in config.items() if v is not None}
        state = kwargs.get("state")
        if state is not None and not isinstance(state, dict):
            # The SDK would take it for the name of a file, or for no state at all.
            msg = f"{_BAD_STATE}: it must be an object that holds `bookmarks`"
            raise ConfigurationError(msg)
        super().__init__(**kwargs)
        hide(self.config.get("token"))
        if kwargs.get("validate_config", True) and (errors := list(_errors_in(self.config))):
            msg = "Config validation failed"
            raise ConfigValidationError(msg, errors=errors, schema=self.config_jsonschema)
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGTERM, signal.SIGINT):
                signal.signal(signum, lambda number, _frame: self.message_writer.stop(number))

    @cached_property
    def connections(self) -> HTTPAdapter:
        """Connections that all streams share, so that each is opened once.

        urllib3's pool, of which it is made, is there for threads to share.
        """
        return HTTPAdapter(pool_maxsize=self.config["max_concurrency"])

    @override
    def discover_streams(self) -> list[TolokaStream]:
        return [stream(self) for stream in STREAMS]

    @override
    def load_state(self, state: dict[str, t.Any]) -> None:
        """Take a state, with its dates brought into the one form that they are compared in.

        Raises:
            ConfigurationError: If it cannot be right. Asked with it, Toloka might answer nothing,
                for ever, and every run would look fine.
        """
        now = dates.from_datetime(datetime.now(timezone.utc))
        try:
            super().load_state(_checked_state(state, now))
        except ValueError as error:
            msg = f"{_BAD_STATE}: {error}"
            raise ConfigurationError(msg) from error

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        return TolokaCommand(
            name=command.name,
            help=command.help,
            callback=command.callback,
            context_settings=command.context_settings,
            params=command.params,
            logger=cls.logger,
        )


def _errors_in(config: Mapping[str, t.Any]) -> Iterator[str]:
    """Find what a JSON Schema cannot tell; no line shows the token."""
    for name in ("token", "account_id", "user_agent"):
        value = config.get(name)
        if value is not None and not (value and value.isascii() and value.isprintable()):
            yield f"{name}: it is empty, or holds a character that no HTTP header can"
    if " " in config["token"]:
        yield "token: it holds a space; give the bare key, without `ApiKey` or `OAuth`"
    if (start_date := config.get("start_date")) is not None:
        try:
            dates.canonical(start_date)
        except ValueError as error:
            yield f"start_date: {error}; write YYYY-MM-DD or YYYY-MM-DDThh:mm:ss[.sss]"
    for stream in STREAMS:
        try:
            stream.filters.normal(config.get("filters", {}).get(stream.name, {}))
        except ValueError as error:
            yield f"filters.{stream.name}.{error}"
    if (api_url := config.get("api_url")) is not None and (wrong := _error_in_address(api_url)):
        yield f"api_url: {wrong}"


def _error_in_address(address: str) -> str | None:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is no address"
    if parts.scheme not in {"http", "https"} or not host:
        return "it must begin with https:// and a host"
    if parts.username or parts.password or set(address) & set("?#"):
        return "it may hold a host, a port and a path, and nothing else"
    if {"api", "v1"} & {*parts.path.split("/")[-2:]}:
        return "it must end before /api, which the tap adds"
    if parts.scheme == "http" and not _is_loopback(host):
        return f"{host} would be sent the token in the clear; use https://"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked_state(state: dict[str, t.Any], now: str) -> dict[str, t.Any]:
    bookmarks = state.get("bookmarks", {})
    if not isinstance(bookmarks, dict) or state.keys() - {"bookmarks"}:
        msg = "it must hold `bookmarks`, an object, and nothing else"
        raise ValueError(msg)
    ours = {stream.name: stream.replication_key for stream in STREAMS}
    return {
        "bookmarks": {
            name: _checked_bookmark(name, ours[name], bookmark, now) if name in ours else bookmark
            for name, bookmark in bookmarks.items()
        }
    }


def _checked_bookmark(
    name: str,
    replication_key: str | None,
    bookmark: t.Any,  # noqa: ANN401  # from a file
    now: str,
) -> dict[str, t.Any]:
    if not isinstance(bookmark, dict) or (wrong := bookmark.keys() - _STATE_KEYS - _MARKERS):
        keys = "`, `".join(sorted(_STATE_KEYS))
        found = f"holds {sorted(wrong)}" if isinstance(bookmark, dict) else f"is {bookmark!r}"
        msg = f"the bookmark of {name} {found}; it may hold `{keys}`"
        raise ValueError(msg)
    if bookmark.get("replication_key", replication_key) != replication_key:
        msg = f"the bookmark of {name} is by {bookmark['replication_key']!r}"
        raise ValueError(msg)
    if not isinstance(bookmark.get("filters", {}), dict):
        msg = f"the bookmark of {name} has filters that are no object"
        raise ValueError(msg)  # noqa: TRY004  # as below
    value = bookmark.get("replication_key_value")
    if value is None:
        return bookmark
    if not isinstance(value, str):
        msg = f"the bookmark of {name} is {value!r}, which is not a date"
        raise ValueError(msg)  # noqa: TRY004  # from the reader's side it is a bad value
    try:
        date = dates.canonical(value)
    except ValueError as error:
        msg = f"the bookmark of {name}: {error}"
        raise ValueError(msg) from None
    if date > now:
        msg = f"the bookmark of {name}, {date}, is later than now, {now}"
        raise ValueError(msg)
    return {**bookmark, "replication_key_value": date}
