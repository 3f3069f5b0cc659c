"""Assignments: who was given which tasks, what they answered, and what became of it."""

from __future__ import annotations

import sys
import typing as t

import msgspec

from tap_toloka.filters import Filters
from tap_toloka.streams.pool_by_pool import PoolByPool

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if t.TYPE_CHECKING:
    from singer_sdk.helpers.types import Context

    from tap_toloka.rows import Row

_NULL = b"null"


class Assignments(PoolByPool):
    """Assignments in all their statuses; each step stamps a date, and nothing else tells of it."""

    name = "assignments"
    path = "/v1/assignments"
    page_cap = 100_000
    replication_key = "updated"
    change_dates = ("created", "submitted", "accepted", "rejected", "skipped", "expired")
    added_fields = frozenset({"updated"})
    added_from = change_dates
    filters = Filters(
        several={
            "status": ("ACCEPTED", "ACTIVE", "EXPIRED", "REJECTED", "SKIPPED", "SUBMITTED"),
        },
        texts=("user_id", "task_suite_id", "task_id"),
        lists={"pool_id": int, "project_id": int},
        id_order=str,
        dates=change_dates,
    )

    @override
    def add_fields(self, rows: list[Row], context: Context) -> None:
        """Add `updated`, the latest date of each row: Toloka has no date of the last change.

        Raises:
            ValueError: If a row has none of the dates.
        """
        for row in rows:
            latest = b""
            for name in self.added_from:
                date = bytes(row.get(name, _NULL))
                # They have one form, in which the order of texts is the order of time.
                if date > latest and date != _NULL:
                    latest = date
            if not latest:
                msg = "an assignment has none of its dates"
                raise ValueError(msg)
            row["updated"] = msgspec.Raw(latest)
