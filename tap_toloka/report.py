"""What a run has read so far, for its log."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from tap_toloka.clock import monotonic

if t.TYPE_CHECKING:
    from tap_toloka.errors import TolokaError


@dataclass
class StreamReport:
    """What one run has read of one stream.

    Attributes:
        rows: Rows that were written.
        requests: Requests that Toloka answered, for its own lists and for those that they were
            found by.
        began: When it began, as `tap_toloka.clock.monotonic` counts; `None`: it did not.
        seconds: How long it took.
        bookmark: The bookmark afterwards.
        failure: Why it could not be read to the end.
    """

    rows: int = 0
    requests: int = 0
    began: float | None = None
    seconds: float = 0.0
    bookmark: str | None = None
    failure: TolokaError | None = None

    def begin(self) -> None:
        """Note that reading begins."""
        self.began = monotonic()

    def request(self) -> None:
        """Note a request that was answered."""
        self.requests += 1

    def page(self, rows: int) -> None:
        """Note that a page was written."""
        self.rows += rows

    def end(self) -> None:
        """Note that reading ends, whether it failed or not."""
        if self.began is not None:
            self.seconds = monotonic() - self.began
