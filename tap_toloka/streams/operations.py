"""Operations that Toloka carries out in the background, and what came of them."""

from __future__ import annotations

import typing as t
from operator import itemgetter

from typing_extensions import override

from tap_toloka import dates
from tap_toloka.client import TolokaStream, since, until
from tap_toloka.fetch import Listing
from tap_toloka.filters import Choice, DateRange, Filters, IdRange
from tap_toloka.state import Start

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tap_toloka.fitting import Row
    from tap_toloka.lists import ListReader


class Operations(TolokaStream):
    """Operations that the requester started."""

    name = "operations"
    path = "/v1/operations"
    page_cap = 500
    replication_key = "submitted"
    change_dates = ("submitted", "finished")
    filters = Filters(
        type=Choice(
            "ANALYTICS",
            "KNOWN_SOLUTIONS.GENERATE",
            "POOL.ARCHIVE",
            "POOL.CLONE",
            "POOL.CLOSE",
            "POOL.OPEN",
            "PROJECT.ARCHIVE",
            "SOLUTION.AGGREGATE",
            "TASK_SUITE.BATCH_CREATE",
            "TASK.BATCH_CREATE",
            "TRAINING.ARCHIVE",
            "TRAINING.CLONE",
            "TRAINING.CLOSE",
            "TRAINING.OPEN",
            "USER_BONUS.BATCH_CREATE",
        ),
        status=Choice("PENDING", "RUNNING", "SUCCESS", "FAIL", changing=True),
        id=IdRange(str),
        submitted=DateRange(),
        finished=DateRange(),
    )

    @override
    def changed_since(self, listing: Listing) -> Iterator[Listing]:
        """Read also what has not finished yet: until then it changes without a date."""
        yield from super().changed_since(listing)
        start, filtered_by = self.progress.start, self.filters_in_use
        if start is None or self.progress.is_first or "status" in filtered_by:
            return
        older = until("submitted", start, self.progress.start_date)
        for status in ("PENDING", "RUNNING") if self.config["detect_changes"] else ():
            yield self.filtered(listing, {**older, "status": status})


class OperationByOperation(TolokaStream):
    """Rows that Toloka keeps by operation; they are there when it has finished."""

    replication_key = "operation_finished"
    change_dates = ("finished",)
    added_fields: t.ClassVar = frozenset({"operation_id", "operation_finished"})
    listed_by = "operation_id"
    selected_by_default = False
    keeps_rows = False
    types: t.ClassVar[Collection[str]]
    """Operations that have such rows."""
    kept_days: t.ClassVar[int | None] = None
    """For how many days Toloka keeps them; `None`: no such limit is known."""

    @override
    def listings(self, lists: ListReader) -> Iterator[Listing]:
        # Those that were skipped finished before the bookmark of the others.
        starts = [self.progress.start, *map(self.progress.start_of, self.progress.skipped_before)]
        earliest = min((one.date if one else "" for one in starts), default="")
        filters = since("finished", Start("gte", earliest) if earliest else None)
        operations = [
            operation
            for type_ in self.types
            for operation in lists.rows(
                Operations, ("id", "finished"), filters={**filters, "type": type_}
            )
            if not self.sharded or lists.shard.has(operation["id"])
        ]
        # Only now Toloka's clock is known for certain.
        kept = dates.shifted(self.run_began, days=-self.kept_days) if self.kept_days else ""
        listings = []
        for operation in sorted(operations, key=itemgetter("id")):
            id_, finished = operation["id"], operation["finished"]
            start = self.progress.start_of(id_)
            if finished and finished < kept and id_ in self.progress.skipped_before:
                msg = "Giving up on %s of operation %s: Toloka keeps them for %d days"
                self.logger.warning(msg, self.name, id_, self.kept_days)
            elif finished and finished >= kept and (start is None or start.includes(finished)):
                listing = Listing(
                    path={"operation_id": id_},
                    fields={"operation_id": id_, "operation_finished": finished},
                    owner=id_,
                )
                listings.append(self.filtered(listing, {}))
        self.owners_found = len(listings)
        yield from listings


class OperationLogs(OperationByOperation):
    """What became of each thing that an operation was to make."""

    name = "operation_logs"
    path = "/v1/operations/{operation_id}/log"
    primary_keys = ("operation_id", "number")
    added_fields = frozenset({"operation_id", "operation_finished", "number"})
    recognized_by = ("type",)
    sharded = True
    types = ("TASK.BATCH_CREATE", "TASK_SUITE.BATCH_CREATE", "USER_BONUS.BATCH_CREATE")
    kept_days = 31  # "only for the last month" (openapi)
    id_field = None
    rows_in = None
    filters = Filters()

    @override
    def compute_fields(self, rows: list[Row]) -> None:
        # Nothing else in an entry tells it from another one.
        for number, row in enumerate(rows):
            row.number = number


class AggregatedSolutions(OperationByOperation):
    """The labels of each task, aggregated over all answers."""

    name = "aggregated_solutions"
    path = "/v1/aggregated-solutions/{operation_id}"
    page_cap = 100_000
    page_size = 10_000  # rows are small, and Toloka allows five requests a minute
    primary_keys = ("operation_id", "task_id")
    id_field = "task_id"
    types = ("SOLUTION.AGGREGATE",)
    filters = Filters(task_id=IdRange(str))
