"""What the tap prints: whole lines, also when it is stopped."""

from __future__ import annotations

import contextlib
import select
import sys
import typing as t

import msgspec
from singer_sdk.contrib.msgspec import MsgSpecWriter
from typing_extensions import override

from tap_toloka.bodies import contains_nul, repaired
from tap_toloka.signals import exit_status

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from singer_sdk.singerlib.messages import Message

    from tap_toloka.fitting import Row

LINES_AT_ONCE = 20
"""Rows in one write: few enough to stop soon after a signal, also if the reader is slow."""

_encode_lines = msgspec.json.Encoder().encode_lines


class _RecordLine(msgspec.Struct, tag_field="type", tag="RECORD"):
    stream: str
    record: t.Any  # a `Row`
    time_extracted: str
    version: int | msgspec.UnsetType = msgspec.UNSET


class LineWriter(MsgSpecWriter):
    """Writes Singer messages to stdout, and ends the process between two lines when asked to.

    The SDK reacts to SIGTERM in the middle of a write, which cuts a line when the reader is slow,
    and exits as if all were well.
    """

    def __init__(self) -> None:
        super().__init__()
        self._uninterrupted = 0
        self._signal: int | None = None

    @override
    def write_message(self, message: Message) -> None:
        line: bytes | bytearray = self.format_message(message)
        if contains_nul(line):  # of a stream map; those of Toloka were replaced
            line, _ = repaired(bytes(line))
        self._write(line)

    def write_rows(
        self, stream: str, rows: Sequence[Row], time_extracted: str, version: int | None = None
    ) -> None:
        """Write one RECORD message per row, without looking inside."""
        shown = msgspec.UNSET if version is None else version
        for start in range(0, len(rows), LINES_AT_ONCE):
            self._write(
                _encode_lines(
                    [
                        _RecordLine(stream, row, time_extracted, shown)
                        for row in rows[start : start + LINES_AT_ONCE]
                    ]
                )
            )

    def stop(self, signum: int) -> None:
        """End the process, with the exit status of a signal, once what is under way is whole.

        Raises:
            SystemExit: At once if nothing is under way.
        """
        if self._signal is None:  # two signals may have come at once
            self._signal = signum
            if not self._uninterrupted:
                raise SystemExit(exit_status(signum))

    @contextlib.contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Let a signal end the process only after the block.

        Raises:
            SystemExit: After the block, if there was a signal.
        """
        self._uninterrupted += 1
        try:
            yield
        finally:
            self._uninterrupted -= 1
        if self._signal is not None and not self._uninterrupted:
            raise SystemExit(exit_status(self._signal))

    def _write(self, lines: bytes | bytearray) -> None:
        # Straight to the file, which takes a part when a signal comes in between. (So does
        # stdout.buffer under PYTHONUNBUFFERED, usual in containers, and cuts lines.)
        file = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
        rest = memoryview(lines)
        with self.uninterrupted():
            try:
                while rest:
                    if (taken := file.write(rest)) is None:  # stdout does not block, and is full
                        select.select([], [file], [])
                    else:
                        rest = rest[taken:]
            finally:
                rest.release()  # else the SDK could not use the buffer of a message again
