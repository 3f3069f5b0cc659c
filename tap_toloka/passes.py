"""One read of a stream: page after page is written, then the bookmark moves.

If it fails or is stopped, what is left of it goes into state.
"""

from __future__ import annotations

import typing as t
from contextlib import closing

from tap_toloka import dates
from tap_toloka.clock import monotonic
from tap_toloka.pages import greatest_date
from tap_toloka.report import HowFar
from tap_toloka.splitting import scale_of

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tap_toloka.clock import Clock
    from tap_toloka.fetch import Reading, ReadPage
    from tap_toloka.fingerprints import Compared, Fingerprints
    from tap_toloka.fitting import Row
    from tap_toloka.progress import Progress
    from tap_toloka.remaining import Remaining
    from tap_toloka.report import StreamReport

CHECKPOINT_SECONDS = 30.0
"""Seconds between two checkpoints. Some targets flush all rows that they hold at each."""


class Pass:
    """Reads and writes what is left of the lists of a stream, once.

    Args:
        reading: Reads the pages.
        remaining: Knows what was not written yet.
        progress: The bookmark.
        replication_key: The replication key, if there is one.
        began: Returns when the run began, by Toloka's clock.
        clock: Toloka's clock.
        write_rows: Writes the rows of a page.
        write_state: Writes STATE.
        report: Counts what was read.
        listed_by: What there is a list for each of; `None`: one list for the account.
        owners: Returns how many of these there are, once that is known.
        limit: For a test of the connection: most rows to write, of one page, and no more.
    """

    def __init__(  # noqa: PLR0913  # they go by name
        self,
        *,
        reading: Reading,
        remaining: Remaining,
        progress: Progress,
        replication_key: str | None,
        began: Callable[[], str],
        clock: Clock,
        write_rows: Callable[[list[Row]], None],
        write_state: Callable[[], None],
        report: StreamReport,
        listed_by: str | None,
        owners: Callable[[], int],
        limit: int | None = None,
    ) -> None:
        self._reading = reading
        self._remaining = remaining
        self._progress = progress
        self._replication_key = replication_key
        self._began = began
        self._clock = clock
        self._write_rows = write_rows
        self._write_state = write_state
        self._report = report
        self._listed_by = listed_by
        self._owners = owners
        self._first_id: str | None = None
        self._limit = limit
        self._fingerprints = None if limit is not None else progress.fingerprints
        self._latest_begin = ""
        self._has_read = False
        self._next_checkpoint = monotonic() + CHECKPOINT_SECONDS
        self.rows = 0
        """How many rows were written."""
        self.greatest = ""
        """The greatest value of the replication key that was written."""

    def run(self, on_request: Callable[[], None], on_rows: Callable[[int], None]) -> None:
        """Write all rows. If that fails or is stopped, what is left goes into state.

        Args:
            on_request: Called for each request that was answered.
            on_rows: Called with how many rows were written.

        Raises:
            TolokaError: If they could not be read.
        """
        try:
            with closing(self._reading.pages(on_request)) as pages:
                for read in pages:
                    self._progress.check(self._clock)
                    on_rows(self._write(read))
                    if self._limit is not None and read.page.rows:
                        return
                    if monotonic() >= self._next_checkpoint:
                        self.checkpoint()
            self._progress.check(self._clock)  # also if there was no page
        except OSError:  # there is nowhere to write to any more
            raise
        except BaseException:
            self.checkpoint()
            raise

    def _write(self, read: ReadPage) -> int:
        rows = read.page.rows[: self._limit]
        if self._replication_key:
            self.greatest = max(self.greatest, greatest_date(rows, self._replication_key))
        # Rows that are written count, also if the page is not written whole.
        self._has_read = self._has_read or self._progress.has_blocks
        if self._fingerprints:
            compared = self._compare(read, self._fingerprints)
            rows = compared.changed
            self._fingerprints.begin(compared)
            self._write_rows(rows)
            # Last: if a stop comes in between, rows are printed once more.
            self._remaining.written(read)
            self._fingerprints.written(compared)
            self._report.missing += compared.missing
        else:
            self._write_rows(rows)
            self._remaining.written(read)
        self._has_read = True
        self.rows += len(rows)
        self._report.page(len(rows), self._how_far(read))
        return len(rows)

    def _compare(self, read: ReadPage, fingerprints: Fingerprints) -> Compared:
        # Later answers may tell that the run began a bit earlier. What counts as new must not
        # change in between, so this is earlier at once.
        self._latest_begin = self._latest_begin or dates.shifted(self._began(), seconds=-1)
        return fingerprints.compare(read, self._progress.latest(self._latest_begin))

    @property
    def began(self) -> str:
        """When the run began, by Toloka's clock, or a bit earlier."""
        return min(self._began(), self._latest_begin or self._began())

    def _how_far(self, read: ReadPage) -> HowFar | None:
        """Return how much is written, if that is known without a request of its own."""
        if self._listed_by is not None:
            return HowFar(self._remaining.finished_owners, self._owners(), self._listed_by)
        if read.listing.number or not read.page.ids:  # what is new takes longest
            return None
        self._first_id = self._first_id or read.page.ids[0]
        last, order = read.last_id, read.order
        if last is None or (scale := scale_of(last, order)) is None:
            return None
        try:
            first, end = scale.to_number(self._first_id), scale.to_number(last)
            left = sum(
                scale.to_number(part.until or last) - scale.to_number(part.after or self._first_id)
                for part in self._remaining.parts()
                if not part.number
            )
        except ValueError:  # ids of two kinds
            return None
        return HowFar(end - first - left, end - first)

    def checkpoint(self) -> None:
        """Write to state what is left now, if anything was written."""
        if self._limit is not None or not self._has_read:
            return
        skipped = set(self._reading.skipped)
        refused = {owner: owner in skipped for owner in self._reading.refused}
        self._progress.checkpoint(self._remaining, self.greatest, self.began, refused)
        self._write_state()
        self._next_checkpoint = monotonic() + CHECKPOINT_SECONDS
