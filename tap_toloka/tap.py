"""The tap: wiring, signals, state as it comes in, the test of the connection."""

from __future__ import annotations

import os
import signal
import sys
import threading
import typing as t
from datetime import datetime, timezone
from functools import cached_property

from simplejson import JSONDecodeError
from singer_sdk import Tap
from singer_sdk.exceptions import ConfigurationError, ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.singerlib import Catalog
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_toloka import dates, settings
from tap_toloka.api import TolokaApi
from tap_toloka.command import TolokaCommand, hide
from tap_toloka.errors import TolokaError
from tap_toloka.output import LineWriter
from tap_toloka.state import checked
from tap_toloka.streams import STREAMS

if t.TYPE_CHECKING:
    import click
    from singer_sdk.helpers.capabilities import CapabilitiesEnum

    from tap_toloka.client import TolokaStream


_TOKEN = f"{settings.PREFIX}TOKEN"


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

    def __init__(self, **kwargs: t.Any) -> None:
        if isinstance(config := kwargs.get("config"), dict):
            hide(config.get("token"))
            # A setting that is null is a setting that is not there.
            kwargs["config"] = {k: v for k, v in config.items() if v is not None}
        given_state = kwargs.get("state")
        if given_state is not None and not isinstance(given_state, dict):
            # The SDK would take it for the name of a file, or for no state at all.
            msg = "Invalid state: expected an object with the single key `bookmarks`"
            raise ConfigurationError(msg)
        if (catalog := kwargs.get("catalog")) is not None:
            kwargs["catalog"] = _checked_catalog(catalog)
        hide(os.environ.get(_TOKEN))
        try:
            super().__init__(**kwargs)
        except ConfigValidationError:
            self._check_config(**kwargs)
            raise
        except ValueError:  # the SDK's, of a variable that does not hold what its setting takes
            self._check_environment(**kwargs)
            raise
        hide(self.config.get("token"))
        if kwargs.get("validate_config", True):
            self._check_config(**kwargs)
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGTERM, signal.SIGINT):
                signal.signal(signum, lambda number, _frame: self.message_writer.stop(number))

    def _check_config(self, **kwargs: t.Any) -> None:
        self._check_environment(**kwargs)
        self._refuse(settings.problems(dict(self.config), self.config_jsonschema, _now()))

    def _check_environment(self, *, parse_env_config: bool = False, **_: t.Any) -> None:
        if parse_env_config:
            hide(os.environ.get(_TOKEN))  # the SDK has read a `.env` meanwhile
            self._refuse(settings.problems_in_environment(os.environ, self.config_jsonschema))

    def _refuse(self, problems: list[str]) -> None:
        if problems:
            msg = "Config validation failed"
            raise ConfigValidationError(msg, errors=problems, schema=self.config_jsonschema)

    @cached_property
    def api(self) -> TolokaApi:
        """Toloka, as the key of the settings sees it."""
        return TolokaApi(self.config)

    @override  # the SDK asks for all streams here
    def discover_streams(self) -> list[TolokaStream]:
        return [stream(self, lambda: self.api, self.message_writer) for stream in STREAMS]

    @override  # the SDK builds the maps of deselected streams from schemas without any field
    def setup_mapper(self) -> None:
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

    @override  # the SDK hands over the state here, and recommends to check it
    def load_state(self, state: dict[str, t.Any]) -> None:
        """Take a state.

        Raises:
            ConfigurationError: If it cannot be right.
        """
        keys = {stream.name: stream.replication_key for stream in STREAMS}
        try:
            super().load_state(checked(state, keys))
        except ValueError as error:
            msg = f"Invalid state: {error}"
            raise ConfigurationError(msg) from error

    def test_connection(self) -> None:
        """Read one row of each stream, and log which streams can be read.

        Raises:
            TolokaError: If some cannot.
        """
        self.write_schemas()  # also selects all streams
        unreadable = []
        for name, one in self.streams.items():
            stream = t.cast("TolokaStream", one)
            try:
                stream.read_and_write(1)
            except TolokaError as error:
                unreadable.append(name)
                self.logger.error("%s cannot be read: %s", name, error)  # noqa: TRY400  # one line
            else:
                found = (
                    "can be read"
                    if stream.answered
                    else "has nothing to be listed by yet; not tested"
                )
                self.logger.info("%s %s", name, found)
        if unreadable:
            msg = f"{len(unreadable)} streams cannot be read: {', '.join(unreadable)}"
            raise TolokaError(msg)

    @classmethod
    @override  # the SDK fails with a traceback if a file does not hold an object
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> t.Any:
        try:
            return super().cb_config(ctx, param, value)
        except JSONDecodeError:
            raise
        except (TypeError, ValueError) as error:
            msg = "Invalid config: a config file must hold a JSON object"
            raise ConfigurationError(msg) from error

    @classmethod
    @override  # `--test`: the SDK's own ends at the first stream that cannot be read
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        if value != CliTestOptionValue.All.value:
            super().cb_test(ctx, param, value)
            return
        config = ctx.params["config"]
        tap = cls(config=config.config, parse_env_config=config.parse_env)
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
        return TolokaCommand(
            name=command.name,
            help=command.help,
            callback=command.callback,
            context_settings=command.context_settings,
            params=command.params,
            logger=cls.logger,
        )


def _checked_catalog(catalog: t.Any) -> Catalog:  # noqa: ANN401  # from a file
    """Read a catalog.

    Raises:
        ConfigurationError: If it is not one.
    """
    if isinstance(catalog, Catalog):
        return catalog
    msg = "Invalid catalog: expected an object with a list of `streams`, as written by --discover"
    if not isinstance(catalog, dict) or not isinstance(catalog.get("streams"), list):
        raise ConfigurationError(msg)
    try:
        return Catalog.from_dict(catalog)
    except KeyError as error:
        msg += f"; an entry lacks {error}"
        raise ConfigurationError(msg) from error
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(msg) from error


def _now() -> str:
    return dates.from_datetime(datetime.now(timezone.utc))
