"""The command `tap-toloka`: each error is one line, and no line holds a secret."""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
import typing as t

from simplejson import JSONDecodeError
from singer_sdk.exceptions import ConfigValidationError, SingerSDKError
from singer_sdk.plugin_base import SingerCommand
from typing_extensions import override

from tap_toloka.errors import TolokaError, printable

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    import click


class TolokaCommand(SingerCommand):
    """Ends with one line and status 1 if settings, files, answers or connections are bad.

    Any other error is a bug of the tap and keeps its traceback.
    """

    @override
    def main(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
        logging.setLogRecordFactory(_record_without_secrets)
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
        except JSONDecodeError as error:
            self.logger.error("Invalid JSON in a given file: %s", error)  # noqa: TRY400
        except (TolokaError, SingerSDKError, OSError) as error:
            self.logger.error("%s", " ".join(str(error).split()))  # noqa: TRY400
        sys.exit(1)

    @override  # `--discover`, `--test` and the like do all their work here
    def make_context(self, *args: t.Any, **kwargs: t.Any) -> click.Context:
        with self._one_line_if_the_pipe_breaks():
            return super().make_context(*args, **kwargs)

    @override
    def invoke(self, ctx: click.Context) -> t.Any:
        with self._one_line_if_the_pipe_breaks():
            return super().invoke(ctx)

    @contextlib.contextmanager
    def _one_line_if_the_pipe_breaks(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # of which click would say nothing
            self.logger.error(  # noqa: TRY400
                "Broken pipe: the target stopped reading; see its log"
            )
            sys.exit(1)


_secrets: set[str] = set()
_make_record = logging.getLogRecordFactory()


def hide(secret: object) -> None:
    """Log `***` instead of a secret from here on."""
    if secret:
        _secrets.add(str(secret))


def _record_without_secrets(*args: t.Any, **kwargs: t.Any) -> logging.LogRecord:
    record = _make_record(*args, **kwargs)
    if record.exc_info and record.exc_info[0]:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    # Names and ids come from a server: nothing of it is to act on a terminal.
    if not (text := record.getMessage()).isprintable():
        record.msg, record.args = "\n".join(map(printable, text.split("\n"))), ()
    for secret in _secrets:
        if secret in record.getMessage():
            record.msg, record.args = record.getMessage().replace(secret, "***"), ()
        if record.exc_text and secret in record.exc_text:
            record.exc_text, record.exc_info = record.exc_text.replace(secret, "***"), None
    return record
