"""What a run has read, for its log: how far it is, and a summary as its last lines."""

from __future__ import annotations

import logging
import os
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from tap_toloka.clock import monotonic
from tap_toloka.errors import TolokaError
from tap_toloka.hiding import shortened

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_OFTEN, _SELDOM = 10, 60
"""Seconds between two lines that say how far a stream is: at first, and once it takes long."""

_LONG = 300
"""Seconds after which a stream takes long."""

_LEAST_SHARE = 0.01
"""How much of a stream has to be read before the time left is told by it."""

_UNITS = {
    "pool_id": "pools",
    "operation_id": "operations",
    "app_project_id": "app projects",
    "user_id": "Tolokers",
}
"""What there is a list for each of, by `TolokaList.listed_by`."""

_LONGEST_BUG = 300  # characters that are shown of an error that is no one-line text of ours

_REFUSED = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}

# What state holds of a stream.
_BOOKMARK, _UNFINISHED = "replication_key_value", "unfinished"


@dataclass(frozen=True)
class HowFar:
    """How much of a stream has been read, also by earlier runs that this one resumes.

    Attributes:
        done: Pools, operations, ... whose lists have been read, or how wide the ranges of ids are
            that have been.
        total: The same of all that is to be read.
        listed_by: What `done` counts, as `TolokaList.listed_by`; `None`: ids.
    """

    done: int
    total: int
    listed_by: str | None = None

    @property
    def share(self) -> float:
        """How much it is of the whole, from 0 to 1."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 1.0

    def __str__(self) -> str:
        if self.listed_by is None:  # ids are not spread evenly
            return f"about {min(int(100 * self.share), 99)} %"
        # Some that an interrupted run has left may not be listed any more.
        return f"{max(self.done, 0):,} of {self.total:,} {_UNITS[self.listed_by]}"


@dataclass
class StreamReport:
    """What one run has read of one stream.

    Attributes:
        name: The name of the stream.
        logger: Where it is logged how far the stream is.
        clock: Gives the time in seconds.
        rows: Rows that were written.
        requests: Requests that Toloka answered, for its own lists and for those that they were
            found by.
        misfits: Values that did not fit the schema and became null.
        missing: Rows that were printed by earlier runs, and are not listed any more.
        seconds: How long it took, once it has ended.
        failure: Why it could not be read to the end, in words.
        complete: Whether it was read to the end.
    """

    name: str
    logger: logging.Logger
    clock: Callable[[], float] = monotonic
    rows: int = 0
    requests: int = 0
    misfits: int = 0
    missing: int = 0
    seconds: float = 0.0
    failure: str = ""
    complete: bool = False
    _began: float | None = None
    _logged: float = 0.0
    _first: tuple[float, float] | None = None
    """When it was first known how far the stream is, and which share had been read by then."""
    _how_far: HowFar | None = None

    @property
    def level(self) -> int:
        """The log level of its line in the summary."""
        if self.failure:
            return logging.ERROR
        return logging.INFO if self.complete else logging.WARNING

    def remarks(self, *, unfinished: bool) -> str:
        """Return what its line in the summary says beside numbers.

        Args:
            unfinished: Whether the next run resumes where this one ended.
        """
        remarks = []
        if self.misfits:
            remarks.append(f"{counted(self.misfits, 'value')} did not fit the schema")
        if self.missing:
            remarks.append(f"{counted(self.missing, 'row')} no longer listed")
        if unfinished and self.begun and not self.complete:
            remarks.append("the next run reads the rest")
        if self.failure:
            remarks.append(f"failed because {self.failure}")
        elif not self.complete:
            remarks.append("interrupted" if self.begun else "not read")
        return "; ".join(remarks)

    @property
    def begun(self) -> bool:
        """Whether reading began."""
        return self._began is not None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Note when reading begins, when it ends, and whether it came to the end."""
        self._began = self._logged = self.clock()
        try:
            yield
            self.complete = True
        finally:
            self.seconds = self.clock() - self._began

    def request(self) -> None:
        """Note a request that was answered."""
        self.requests += 1
        self._log_if_due()

    def page(self, rows: int, how_far: HowFar | None = None) -> None:
        """Note that rows were written, and how much has been read after them, if that is known."""
        self.rows += rows
        if how_far is not None:
            known, self._how_far = self._how_far, how_far
            # It begins anew in the second pass of a run that resumes another one.
            if known is None or how_far.share < known.share:
                self._first = self.clock(), how_far.share
        self._log_if_due()

    def _log_if_due(self) -> None:
        if self._began is None:  # in a test of the connection
            return
        now = self.clock()
        every = _OFTEN if now - self._began <= _LONG else _SELDOM
        if now - self._logged >= every:
            self._logged = now
            self.logger.info("%s: %s", self.name, ", ".join(self._progress(now - self._began)))

    def _progress(self, seconds: float) -> Iterator[str]:
        if self._how_far is not None:
            yield str(self._how_far)
        yield counted(self.rows, "row")
        rate = self.rows / seconds
        yield f"{_rounded(rate)} rows/s" if rate >= 1 else counted(self.requests, "request")
        if (left := self._seconds_left()) is not None:
            yield f"{_in_words(left)} left"

    def _seconds_left(self) -> float | None:
        """Estimate from what this run has read; `None`: that is too little to tell, or all."""
        if self._how_far is None or self._first is None:
            return None
        began, share_before = self._first
        share = self._how_far.share
        seconds, read = self.clock() - began, share - share_before
        if share == 1 or read < _LEAST_SHARE or seconds <= 0:
            return None
        return seconds * (1 - share) / read


class RunReport:
    """What one run has read of its streams.

    Args:
        streams: What it has read of each, in the order in which they are read.
        bookmarks: The bookmarks that the run began with, as state has them.
        clock: Gives the time in seconds.
    """

    def __init__(
        self,
        streams: Sequence[StreamReport],
        bookmarks: Mapping[str, t.Any],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._streams = streams
        self._before = {name: entry.get(_BOOKMARK) for name, entry in bookmarks.items()}
        self._clock = clock
        self._began = clock()

    @property
    def failed(self) -> list[StreamReport]:
        """The streams that failed."""
        return [one for one in self._streams if one.failure]

    def lines(self, bookmarks: Mapping[str, t.Any]) -> Iterator[tuple[int, str]]:
        """Yield a line for each stream, with its log level; those that failed come last.

        Args:
            bookmarks: The bookmarks as they are now.
        """
        streams = sorted(self._streams, key=lambda one: one.level)
        table = [self._columns(one, bookmarks.get(one.name, {})) for one in streams]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for one, (name, *numbers, bookmark) in zip(streams, table, strict=True):
            cells = [
                name.ljust(widths[0]),
                *(text.rjust(width) for text, width in zip(numbers, widths[1:], strict=False)),
                bookmark.ljust(widths[-1]),
            ]
            remarks = one.remarks(unfinished=_UNFINISHED in bookmarks.get(one.name, {}))
            yield one.level, "  ".join([*(cells if one.begun else cells[:1]), remarks]).rstrip()

    def _columns(self, one: StreamReport, entry: Mapping[str, t.Any]) -> list[str]:
        """Return name, rows, requests, time and bookmark of a stream."""
        bookmark = entry.get(_BOOKMARK)
        moved = "moved" if bookmark != self._before.get(one.name) else "unchanged"
        return [
            one.name,
            counted(one.rows, "row", padded=True),
            counted(one.requests, "request", padded=True),
            f"{one.seconds:,.1f} s",
            f"bookmark {bookmark} ({moved})" if bookmark else "no bookmark",
        ]

    def total(self, stopped_by: str = "") -> str:
        """Return the last line: how many streams were read, how many failed, rows and time.

        Args:
            stopped_by: What stopped the run, as `SIGTERM`.
        """
        complete = sum(one.complete for one in self._streams)
        not_begun = sum(not one.begun for one in self._streams)
        failed = [one.name for one in self.failed]
        interrupted = len(self._streams) - not_begun - complete - len(failed)
        parts = [f"{complete} of {counted(len(self._streams), 'stream')} read"]
        if failed:
            parts.append(f"{len(failed)} failed ({', '.join(failed)})")
        if interrupted:
            parts.append(f"{interrupted} interrupted")
        if not_begun:
            parts.append(f"{not_begun} not read")
        parts += [
            counted(sum(one.rows for one in self._streams), "row"),
            f"{self._clock() - self._began:,.1f} s",
        ]
        line = ", ".join(parts)
        return f"Stopped by {stopped_by}: {line}" if stopped_by else line


def why_failed(name: str, error: Exception, *, is_bug: bool) -> str:
    """Say why a stream failed, and how to leave it out if Toloka refuses it.

    Args:
        name: The name of the stream.
        error: What it failed by.
        is_bug: Whether its text says nothing to users; then its traceback has been logged.
    """
    if isinstance(error, BrokenPipeError):
        return "the target stopped reading (broken pipe); see its log"
    if isinstance(error, OSError):
        return f"the output cannot be written: {error.strerror or error}"
    text = " ".join(str(error).removeprefix(f"{name}: ").split())
    if is_bug:
        what = shortened(f"{type(error).__name__}: {text}", _LONGEST_BUG)
        return f"of a bug in the tap, with the traceback above: {what}"
    if isinstance(error, TolokaError) and error.status in _REFUSED:
        text += f". To leave it out, {_how_to_leave_out(name)}"
    return text


def _how_to_leave_out(name: str) -> str:
    if extractor := os.environ.get("MELTANO_EXTRACTOR_NAME"):
        return f"run `meltano select --exclude {extractor} {name} '*'`"
    return f"set `selected` of {name} to false in the catalog"


def counted(number: int, singular: str, *, padded: bool = False) -> str:
    """Return a number of things, as `1 row` and `1,200 rows`; padded, both are equally wide."""
    return f"{number:,} {singular}{'s' if number != 1 else ' ' if padded else ''}"


def _rounded(rate: float) -> str:
    """Return a rate with as many digits as it is good for."""
    return f"{float(f'{rate:.3g}'):,.0f}"


def _in_words(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004
        return "less than a minute"
    hours, minutes = divmod(round(seconds / 60), 60)
    if not hours:
        return f"about {minutes} min"
    return f"about {hours} h {minutes} min" if hours < 10 else f"about {hours:,} h"  # noqa: PLR2004
