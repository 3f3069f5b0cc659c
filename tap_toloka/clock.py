"""What time it is for Toloka, whatever the clock of this machine says.

Rows have Toloka's dates, so all that they are compared with has to be Toloka's time as well.
"""

from __future__ import annotations

import email.utils
import logging
import threading
import time
import typing as t
from datetime import datetime, timezone

from tap_toloka import dates

if t.TYPE_CHECKING:
    from collections.abc import Mapping

_NOTABLE_SECONDS = 30
"""A difference between this machine and Toloka that is worth a warning."""

_POSSIBLE_YEARS = range(2016, 2100)
"""A server that gives another year does not know the time. (Toloka's first dates are of 2016.)"""

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)

logger = logging.getLogger("tap-toloka.clock")


def monotonic() -> float:
    """Return seconds by a clock of this machine that is never set, and does not stop in sleep."""
    # Linux stops the latter while the machine sleeps.
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


def http_date(text: str) -> datetime:
    """Read a date as HTTP has it; without a zone (`-0000`) it is UTC as well.

    Raises:
        ValueError: If it is none. (Python also raises `TypeError` and `OverflowError` for some.)
    """
    date = email.utils.parsedate_to_datetime(text)
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Return when a server sent an answer, by its `Date`; `None` if that is not to be trusted.

    It is the time cut to whole seconds (RFC 9110). An answer with an `Age` came from a cache.
    """
    if "Age" in headers:
        return None
    try:
        date = http_date(headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.year in _POSSIBLE_YEARS else None


class Clock:
    """Toloka's clock, as far as the answers tell; until one did, the clock of this machine.

    Each answer says that at least so much time had passed at Toloka when it arrived. The least of
    these estimates is kept: what `at` says is never later than the truth, also if an answer was
    long under way, or one of Toloka's servers is ahead of the others. Threads may share it.

    Attributes:
        known: Whether an answer has told the time.
    """

    def __init__(self) -> None:
        self.known = False
        self._offset = self._greatest_offset = time.time() - monotonic()
        self._lock = threading.Lock()

    @property
    def whose(self) -> str:
        """Whose clock it is, for messages."""
        return "Toloka's clock" if self.known else "this machine's clock"

    def hear(self, headers: Mapping[str, str], arrived: float) -> None:
        """Learn from an answer.

        Args:
            headers: Its headers, with names in any case.
            arrived: When they arrived, as `monotonic` counts.
        """
        if (date := date_of(headers)) is None:
            return
        offset = date.timestamp() - arrived
        with self._lock:
            was_known, self.known = self.known, True
            self._offset = min(self._offset, offset) if was_known else offset
            self._greatest_offset = max(self._greatest_offset, offset) if was_known else offset
        if not was_known:
            _warn_of_difference(time.time() - date.timestamp())

    def at(self, moment: float) -> str:
        """Return what time it was at a moment of `monotonic`, in the canonical form of dates."""
        seconds = self._offset + moment
        return dates.from_datetime(datetime.fromtimestamp(seconds, timezone.utc))

    def latest(self) -> str:
        """Return what time it is by the server that is ahead of all others, in that form."""
        seconds = self._greatest_offset + monotonic()
        return dates.from_datetime(datetime.fromtimestamp(seconds, timezone.utc))

    def seconds_at(self, moment: float) -> int:
        """Return what time it was at a moment of `monotonic`, in seconds since 1970."""
        return int(self._offset + moment)

    def now(self) -> str:
        """Return what time it is, in the canonical form of dates."""
        return self.at(monotonic())


def _warn_of_difference(seconds: float) -> None:
    if abs(seconds) > _NOTABLE_SECONDS:
        logger.warning(
            "The clock of this machine is %.0f s %s Toloka's, which is used instead. Check the "
            "time of this machine",
            abs(seconds),
            "ahead of" if seconds > 0 else "behind",
        )
