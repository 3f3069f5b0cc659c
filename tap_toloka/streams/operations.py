"""Operations that Toloka carries out on its own time, and what came of them."""

from __future__ import annotations

import sys
import typing as t
from datetime import datetime, timezone

import msgspec

from tap_toloka import dates
from tap_toloka.client import TolokaStream, WholeAnswer
from tap_toloka.filters import Filters

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from singer_sdk.helpers.types import Context

    from tap_toloka.rows import Row


class Operations(TolokaStream):
    """Operations that the requester started."""

    name = "operations"
    path = "/v1/operations"
    page_cap = 500
    replication_key = "submitted"
    change_dates = ("submitted", "finished")
    filters = Filters(
        choices={
            "type": (
                "ANALYTICS",
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
            "status": ("PENDING", "RUNNING", "SUCCESS", "FAIL"),
        },
        dates=change_dates,
        id_order=str,
        changing=("status",),
    )


class OperationByOperation(TolokaStream):
    """Rows that Toloka keeps by operation; they are there when it has finished."""

    replication_key = "operation_finished"
    change_dates = ("finished",)
    added_fields: t.ClassVar = frozenset({"operation_id", "operation_finished"})
    listed_by = "operation_id"
    selected_by_default = False
    types: t.ClassVar[Collection[str]]
    """Operations of which there are rows."""
    kept_days: t.ClassVar[int | None] = None
    """For how many days Toloka keeps them; None: no such limit is known."""

    @override
    def contexts(self) -> Iterator[Context]:
        filters = self._since()
        if self.kept_days is not None:
            now = dates.from_datetime(datetime.fromtimestamp(self._run_began, timezone.utc))
            kept = dates.shifted(now, days=-self.kept_days)
            filters["finished_gte"] = max(kept, filters.get("finished_gte", ""))
        yield from [
            {"operation_id": operation["id"], "operation_finished": operation["finished"]}
            for kind in self.types
            for operation in self.rows_of(Operations, ("id", "finished"), {**filters, "type": kind})
            if operation["finished"]
        ]


class OperationLogs(OperationByOperation, WholeAnswer):
    """What became of each thing that an operation was to make."""

    name = "operation_logs"
    path = "/v1/operations/{operation_id}/log"
    primary_keys = ("operation_id", "number")
    added_fields = frozenset({"operation_id", "operation_finished", "number"})
    types = ("TASK.BATCH_CREATE", "TASK_SUITE.BATCH_CREATE", "USER_BONUS.BATCH_CREATE")
    kept_days = 31  # "only for the last month" (openapi)
    filters = Filters(ids=(), dates=())

    @override
    def add_fields(self, rows: list[Row], context: Context) -> None:
        # Nothing else in an entry tells it from another one.
        super().add_fields(rows, context)
        for number, row in enumerate(rows):
            row["number"] = msgspec.Raw(b"%d" % number)


class AggregatedSolutions(OperationByOperation):
    """What the answers to each task come to together."""

    name = "aggregated_solutions"
    path = "/v1/aggregated-solutions/{operation_id}"
    page_cap = 100_000
    page_size = 10_000  # rows are small, and Toloka allows five requests a minute
    primary_keys = ("operation_id", "task_id")
    id_field = "task_id"
    types = ("SOLUTION.AGGREGATE",)
    filters = Filters(ids=("task_id",), id_order=str, dates=())
