"""The tap: state as it comes in, one stream after the other, the test of the connection."""

from __future__ import annotations

import os
import sys
import threading
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from types import MappingProxyType

from singer_sdk import Tap
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigurationError, ConfigValidationError, SingerSDKError
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.singerlib import Catalog
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_toloka import catalog, dates, maps, settings, variables
from tap_toloka.account import account_of, problem_with_state
from tap_toloka.api import TolokaApi
from tap_toloka.command import JsonFile, TolokaCommand
from tap_toloka.errors import FatalError, TolokaError
from tap_toloka.hiding import hide, shortened
from tap_toloka.lists import ParentCache
from tap_toloka.output import LineWriter
from tap_toloka.report import RunReport, counted, why_failed
from tap_toloka.shards import Shard
from tap_toloka.signals import name_of_stop, on_stop
from tap_toloka.state import checked
from tap_toloka.streams import STREAMS

if t.TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Mapping, Sequence

    import click
    from singer_sdk.helpers.capabilities import CapabilitiesEnum

    from tap_toloka.client import TolokaStream


class TapToloka(Tap):
    """Reads everything a requester has in Toloka."""

    name = "tap-toloka"
    config_jsonschema = settings.SETTINGS
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
    account: Mapping[str, str] = MappingProxyType({})
    """The account that is read, once that was found out."""

    def __init__(self, **kwargs: t.Any) -> None:
        if isinstance(config := kwargs.get("config"), dict):
            hide(config.get("token"))
            kwargs["config"] = settings.without_blanks(config)
        given_state = kwargs.get("state")
        if given_state is not None and not isinstance(given_state, dict):
            # The SDK would take it for the name of a file, or for no state at all.
            msg = "Invalid state: expected an object with the single key `bookmarks`"
            raise ConfigurationError(msg)
        if isinstance(given_catalog := kwargs.get("catalog"), dict):
            kwargs["catalog"] = _checked_catalog(given_catalog)
        try:
            super().__init__(**kwargs)
        except ConfigValidationError as error:
            if error.schema:  # from the SDK's check of the config; ours has better words
                self._check_config()
            raise
        hide(self.config.get("token"))
        if kwargs.get("validate_config", True):
            self._check_config()
        if threading.current_thread() is threading.main_thread():
            on_stop(self.message_writer.stop)

    @override  # the SDK's own handler cuts lines, and needs what is not there yet
    def _setup_signal_handlers(self) -> None:
        """Leave signals as they are until this object is complete."""

    @override  # the SDK maps deselected streams without any field, and ends with tracebacks
    def setup_mapper(self) -> None:
        """Set up stream maps and flattening.

        Raises:
            ConfigurationError: If they cannot be.
        """
        _refuse(settings.problems_with_maps(self.config))
        with maps.failing_at_the_start(self.config):
            super(Tap, self).setup_mapper()
            selected = {
                name: entry
                for name, entry in self.catalog.items()
                if entry.metadata.resolve_selection()[()]
            }
            self.mapper.register_raw_streams_from_catalog(Catalog(selected))
            for name in self.catalog.keys() - selected.keys():
                entry = self.catalog[name]
                schema, keys = entry.schema.to_dict(), entry.key_properties
                self.mapper.register_raw_stream_schema(name, schema, keys)

    @classproperty
    @override  # the SDK takes any text for a boolean, and fails with a traceback on other kinds
    def _env_var_config(cls) -> dict[str, t.Any]:  # noqa: N805
        """The settings that environment variables hold.

        Raises:
            ConfigurationError: If `.env` cannot be read, or a variable does not hold what its
                setting takes.
        """
        try:
            parse_environment_config({}, variables.PREFIX)  # only adds `.env` to the environment
        except ValueError as error:
            msg = f"Invalid `.env`: {error}"
            raise ConfigurationError(msg) from error
        hide(os.environ.get(f"{variables.PREFIX}TOKEN"))
        found, problems = variables.settings_in(os.environ, cls.config_jsonschema)
        _refuse(problems)
        return found

    def _check_config(self) -> None:
        if unknown := variables.unknown(os.environ, self.config_jsonschema):
            self.logger.warning(
                "Ignoring environment variables that are not settings: %s", ", ".join(unknown)
            )
        _refuse(settings.problems(dict(self.config), self.config_jsonschema, _now()))

    @cached_property
    def api(self) -> TolokaApi:
        """Toloka, as the key of the settings sees it."""
        return TolokaApi(self.config)

    @override  # the SDK asks for all streams here
    def discover_streams(self) -> list[TolokaStream]:
        parents = ParentCache()
        return [
            stream(self, lambda: self.api, self.message_writer, lambda: self.account, parents)
            for stream in STREAMS
        ]

    @override  # the SDK hands over the state here, and recommends to check it
    def load_state(self, state: dict[str, t.Any]) -> None:
        """Take a state.

        Raises:
            ConfigurationError: If it cannot be right.
        """
        keys = {stream.name: stream.replication_key for stream in STREAMS}
        try:
            usable = checked(state, keys)
        except ValueError as error:
            msg = f"Invalid state: {error}"
            raise ConfigurationError(msg) from error
        if gone := state.get("bookmarks", {}).keys() - usable["bookmarks"].keys():
            self.logger.warning(
                "Ignoring invalid state entries of unknown streams: %s",
                shortened(", ".join(sorted(map(repr, gone)))),
            )
        super().load_state(usable)

    def run(self) -> None:
        """Read all selected streams; one that fails does not keep the others from being read.

        Raises:
            TolokaError: At the end, if some could not be read; at once, if it is not known whose
                rows they are.
        """
        selected = [t.cast("TolokaStream", one) for one in self.streams.values() if one.selected]
        shard = Shard.in_settings(self.config)
        streams = _of_shard(shard, selected, self.config, self.logger)
        of_shard = "" if shard.is_whole else f" of shard {shard}"
        msg = "Reading %s%s: %s"
        self.logger.info(msg, counted(len(streams), "stream"), of_shard, _names(streams) or "none")
        report = RunReport([stream.report for stream in streams], self._bookmarks)
        try:
            self.check_account()
            if self.state:
                self.state_writer.write_state(self.state)
            self._read_streams(streams)
        except TolokaError:  # of the account: no stream was begun, so there is no more to tell
            raise
        except BaseException as error:
            self._log_summary(report)
            self.logger.error("%s", report.total(stopped_by=name_of_stop(error)))  # noqa: TRY400
            raise
        self._log_summary(report)
        if report.failed:
            raise TolokaError(report.total())
        self.logger.info("%s", report.total())

    def _read_streams(self, streams: Sequence[TolokaStream]) -> None:
        """Read streams, unless it makes no sense any more.

        One may meet what all seem to meet, as some APIs of Toloka may not take a key that others
        take. The second one in a row ends the run.
        """
        last: Exception | None = None
        for stream in streams:
            error = _read(stream, self.logger)
            is_second = isinstance(error, FatalError) and isinstance(last, FatalError)
            if is_second or isinstance(error, OSError):  # the latter from writing
                return
            last = error

    @property
    def _bookmarks(self) -> dict[str, t.Any]:
        bookmarks: dict[str, t.Any] = self.state.get("bookmarks", {})
        return bookmarks

    def _log_summary(self, report: RunReport) -> None:
        for level, line in report.lines(self._bookmarks):
            self.logger.log(level, "%s", line)

    def check_account(self) -> None:
        """Find out whose rows are read, before anything is written.

        Raises:
            TolokaError: If it cannot be found out, or the state is of another account.
        """
        self.account = account_of(self.api, self.config)
        selected = [name for name, stream in self.streams.items() if stream.selected]
        entries = {name: entry for name, entry in self._bookmarks.items() if name in selected}
        problem = problem_with_state(entries, self.account, self.config.get("account_id"))
        if problem:
            raise TolokaError(problem)

    def test_connection(self) -> None:
        """Read one row of each stream, and log which streams can be read.

        Raises:
            FatalError: If all streams would fail in the same way.
            TolokaError: If some cannot.
        """
        self.write_schemas()  # also selects all streams
        unreadable = []
        for name, one in self.streams.items():
            stream = t.cast("TolokaStream", one)
            try:
                stream.read_and_write(1)
            except FatalError:
                raise
            except TolokaError as error:
                unreadable.append(name)
                self.logger.error("%s cannot be read: %s", name, error)  # noqa: TRY400  # one line
            else:
                found = (
                    "can be read"
                    if stream.answered
                    else f"not tested: the account has no {stream.listed_by or 'row'} yet"
                )
                self.logger.info("%s %s", name, found)
        if unreadable:
            msg = f"{counted(len(unreadable), 'stream')} cannot be read: {', '.join(unreadable)}"
            raise TolokaError(msg)

    @classmethod
    @override  # the SDK's way to read files ends with tracebacks
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> t.Any:
        files = [name for name in value if name != "ENV"]
        config: dict[str, t.Any] = {}
        for name in files:
            config |= JsonFile().convert(name, param, ctx)
        return _Config(config, parse_env=len(files) < len(value))

    @classmethod
    @override  # as above
    def invoke(
        cls, *, about: bool = False, about_format: str | None = None, **kwargs: t.Any
    ) -> None:
        if about:
            super().invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        config: _Config = kwargs["config"]
        tap = cls(
            config=config.config,
            state=kwargs["state"],
            catalog=kwargs["catalog"],
            parse_env_config=config.parse_env,
        )
        tap.run()

    @classmethod
    @override  # the SDK's own ends at the first stream that cannot be read, and takes no catalog
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        is_schema = value == CliTestOptionValue.Schema.value
        catalog = ctx.params.get("catalog") if is_schema else None
        if value != CliTestOptionValue.All.value and catalog is None:
            super().cb_test(ctx, param, value)
            return
        config = ctx.params["config"]
        tap = cls(config=config.config, catalog=catalog, parse_env_config=config.parse_env)
        if is_schema:
            _write_schemas(tap)
        else:
            tap.test_connection()
        ctx.exit()

    @classmethod
    @override  # the SDK's text names each setting, but not what an object holds
    def print_about(cls, output_format: str | None = None) -> None:
        super().print_about(output_format)
        if output_format in {None, "text"}:
            lines = [
                f"  - {stream.name}: {', '.join(stream.filters.json_schema()['properties'])}"
                for stream in STREAMS
                if stream.filters.kinds
            ]
            sys.stdout.write("\n".join(["Filters by stream:", *lines, ""]))

    @classmethod
    @override  # the SDK's command prints tracebacks
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        for param in command.params:
            if param.name in {"catalog", "state"}:
                param.type = JsonFile()
                param.is_eager = True  # `--test=schema` reads the catalog
        return TolokaCommand(
            name=command.name,
            help=command.help,
            callback=command.callback,
            context_settings=command.context_settings,
            params=command.params,
            logger=cls.logger,
        )


@dataclass
class _Config:
    """What `--config` gives, as the SDK wants it."""

    config: dict[str, t.Any]
    parse_env: bool


def _of_shard(
    shard: Shard,
    streams: Sequence[TolokaStream],
    config: Mapping[str, t.Any],
    logger: logging.Logger,
) -> Sequence[TolokaStream]:
    """Return those of the selected streams that this run has to read.

    Raises:
        ConfigurationError: If shards would remove each other's rows.
    """
    if shard.is_whole:
        return streams
    sharded = [stream for stream in streams if stream.sharded]
    full_tables = [one for one in sharded if one.is_full_table and one.keeps_rows]
    if full_tables and config.get("emit_activate_version_messages"):
        msg = (
            "With `shard`, `emit_activate_version_messages` would let each run remove the rows of "
            f"the others from {_names(full_tables)}. Turn it off, or leave these FULL_TABLE "
            "streams to a run without `shard`"
        )
        raise ConfigurationError(msg)
    if shard.has_account_lists:
        return streams
    if not sharded:
        msg = "Nothing to read for shard %s: shards split streams such as assignments and tasks"
        logger.warning(msg, shard)
    if others := [stream for stream in streams if stream not in sharded]:
        logger.info("Shard %s leaves %s to shard 1", shard, _names(others))
    return sharded


def _names(streams: Iterable[TolokaStream]) -> str:
    return ", ".join(stream.name for stream in streams)


def _read(stream: TolokaStream, logger: logging.Logger) -> Exception | None:
    """Read a stream, and return why it failed, if it did."""
    try:
        with stream.report.reading():
            stream.sync()
    except MemoryError:
        raise
    except Exception as error:  # a bug that one stream meets, too
        if is_bug := not isinstance(error, (TolokaError, SingerSDKError, OSError)):
            logger.exception("%s failed", stream.name)
        # Its traceback would hold the last answers.
        error = error.with_traceback(None)
        stream.report.failure = why_failed(stream.name, error, is_bug=is_bug)
        msg = "%s failed because %s"
        logger.error(msg, stream.name, stream.report.failure)  # noqa: TRY400
        return error
    return None


def _write_schemas(tap: TapToloka) -> None:
    """Write the SCHEMA messages of the selected streams, from which a target makes its tables."""
    for stream in tap.streams.values():
        if stream.selected:
            stream._write_schema_message()  # noqa: SLF001  # as the SDK's own `write_schemas` does


def _checked_catalog(given: dict[str, t.Any]) -> Catalog:
    try:
        return catalog.checked(given)
    except ValueError as error:
        msg = f"Invalid catalog: {error}"
        raise ConfigurationError(msg) from error


def _refuse(problems: list[str]) -> None:
    if problems:
        msg = "Config validation failed"
        raise ConfigValidationError(msg, errors=problems)


def _now() -> str:
    return dates.from_datetime(datetime.now(timezone.utc))
