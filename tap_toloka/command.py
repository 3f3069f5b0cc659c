"""The command `tap-toloka`: each error is one line, and no line holds a secret."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import sys
import typing as t
from pathlib import Path

import click
from singer_sdk import metrics
from singer_sdk.exceptions import ConfigurationError, ConfigValidationError, SingerSDKError
from singer_sdk.logging import StructuredFormatter
from singer_sdk.plugin_base import SingerCommand
from typing_extensions import override

from tap_toloka import files
from tap_toloka.errors import TolokaError
from tap_toloka.hiding import safe

if t.TYPE_CHECKING:
    from collections.abc import Iterator


class TolokaCommand(SingerCommand):
    """Ends with one line and status 1 if settings, files, answers or connections are bad.

    Any other error is a bug of the tap and keeps its traceback.
    """

    @override
    def main(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
        logging.setLogRecordFactory(_safe_record)
        for handler in logging.getLogger().handlers:
            if isinstance(handler.formatter, StructuredFormatter):
                handler.setFormatter(_NamedMetrics(handler.formatter))
        sys.excepthook = self.excepthook
        if sys.stdout is None:
            self.logger.error("Standard output is closed: there is nowhere to write to")
            sys.exit(1)
        # All that was imported stays: the garbage collector need not look at it for every page.
        gc.freeze()
        try:
            return super().main(*args, **kwargs)
        except ConfigValidationError as error:
            for line in error.errors:
                self.logger.error("%s", line)  # noqa: TRY400  # one line, no traceback
        except (TolokaError, SingerSDKError, OSError) as error:
            self.logger.error("%s", " ".join(str(error).split()))  # noqa: TRY400
            _drop_output()
        sys.exit(1)

    @override  # click would repeat what is too much, which may be the token
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_extra_args = True
        rest = super().parse_args(ctx, args)
        if rest:
            ctx.fail("Unexpected argument. Only options are accepted, such as --config FILE")
        return rest

    @override  # `--discover`, `--test` and the like do all their work here
    def make_context(self, *args: t.Any, **kwargs: t.Any) -> click.Context:
        with self._all_is_written():
            return super().make_context(*args, **kwargs)

    @override
    def invoke(self, ctx: click.Context) -> t.Any:
        with self._all_is_written():
            return super().invoke(ctx)

    @contextlib.contextmanager
    def _all_is_written(self) -> Iterator[None]:
        try:
            try:
                yield
            finally:  # Python itself would do it too late for an error in one line
                sys.stdout.flush()
        except BrokenPipeError:  # of which click would say nothing
            self.logger.error(  # noqa: TRY400
                "Broken pipe: the target stopped reading; see its log"
            )
            _drop_output()
            sys.exit(1)


def _drop_output() -> None:
    """Let what cannot be written go nowhere, else Python tries it again when it ends."""
    with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


class JsonFile(click.ParamType):  # type: ignore[type-arg]  # not in all versions of click
    """An option that takes the name of a file with a JSON object, and gives the object."""

    name = "filename"

    @override
    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, t.Any]:
        option = param.name if param and param.name else ""
        try:
            return files.read(option, value)
        except ValueError as error:
            msg = f"Invalid {option}: {error}"
            raise ConfigurationError(msg) from None


_make_record = logging.getLogRecordFactory()


def _safe_record(*args: t.Any, **kwargs: t.Any) -> logging.LogRecord:
    record = _make_record(*args, **kwargs)
    if record.exc_info and record.exc_info[0]:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
        if (text := safe(record.exc_text)) != record.exc_text:
            record.exc_text, record.exc_info = text, None
    message = record.getMessage()
    if (text := safe(message)) != message:
        record.msg, record.args = text, ()
    return record


class _NamedMetrics(logging.Formatter):
    """The SDK's structured log lines, with the stream's name in the message of a metric.

    Meltano shows the message, the name and the value of a metric, but none of its tags.
    """

    def __init__(self, structured: StructuredFormatter) -> None:
        super().__init__()
        self._structured = structured

    @override
    def format(self, record: logging.LogRecord) -> str:
        line = self._structured.format(record)
        point = record.args[0] if isinstance(record.args, tuple) and record.args else None
        if not isinstance(point, metrics.Point):
            return line
        stream = point.tags.get(metrics.Tag.STREAM)
        named = {"message": f"METRIC {stream}", "stream_name": stream}
        return json.dumps(json.loads(line) | named, separators=(",", ":"))
