"""The command `tap-toloka`: what goes wrong becomes one line, and no line holds a secret."""

from __future__ import annotations

import gc
import logging
import sys
import typing as t

from simplejson import JSONDecodeError
from singer_sdk.exceptions import ConfigValidationError, SingerSDKError
from singer_sdk.plugin_base import SingerCommand

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if t.TYPE_CHECKING:
    import click


class TolokaCommand(SingerCommand):
    """Ends with one line and status 1 where settings, answers or luck are bad.

    An error that is none of these is a defect of ours and keeps its traceback.
    """

    @override
    def main(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
        logging.setLogRecordFactory(_record_without_secrets)
        # All that was imported stays; the garbage collector need not look at it for every page.
        gc.freeze()
        try:
            return super().main(*args, **kwargs)
        except ConfigValidationError as error:
            for line in error.errors:
                self.logger.error("%s", line)  # noqa: TRY400  # one line, no traceback
        except JSONDecodeError as error:
            self.logger.error("A file that was given is no JSON: %s", error)  # noqa: TRY400
        except (SingerSDKError, OSError) as error:
            self.logger.error("%s", " ".join(str(error).split()))  # noqa: TRY400
        sys.exit(1)

    @override
    def invoke(self, ctx: click.Context) -> t.Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # of which click would say nothing
            self.logger.error(  # noqa: TRY400
                "Whoever reads the output of this tap went away; what it logged says why"
            )
            ctx.exit(1)


_secrets: set[str] = set()
_make_record = logging.getLogRecordFactory()


def hide(secret: object) -> None:
    """Put `***` in the place of a secret in all that the process logs from here on."""
    if secret:
        _secrets.add(str(secret))


def _record_without_secrets(*args: t.Any, **kwargs: t.Any) -> logging.LogRecord:
    record = _make_record(*args, **kwargs)
    if record.exc_info and record.exc_info[0]:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    for secret in _secrets:
        if secret in record.getMessage():
            record.msg, record.args = record.getMessage().replace(secret, "***"), ()
        if record.exc_text and secret in record.exc_text:
            record.exc_text, record.exc_info = record.exc_text.replace(secret, "***"), None
    return record
