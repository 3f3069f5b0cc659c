"""Assignments: which tasks a Toloker was given, the answers, and what became of them."""

from __future__ import annotations

import typing as t
from operator import attrgetter

from typing_extensions import override

from tap_toloka.filters import Choices, DateRange, Filters, IdRange, Owners, Text
from tap_toloka.streams.pool_by_pool import PoolByPool

if t.TYPE_CHECKING:
    from tap_toloka.fitting import Row


class Assignments(PoolByPool):
    """Assignments in all statuses; each step of one has a date, and nothing else tells of it."""

    name = "assignments"
    path = "/v1/assignments"
    page_cap = 100_000
    replication_key = "updated"
    change_dates = ("created", "submitted", "accepted", "rejected", "skipped", "expired")
    added_fields = frozenset({"updated"})
    added_from = change_dates
    filters = Filters(
        status=Choices("ACCEPTED", "ACTIVE", "EXPIRED", "REJECTED", "SKIPPED", "SUBMITTED"),
        user_id=Text(),
        task_suite_id=Text(),
        task_id=Text(),
        pool_id=Owners(int),
        project_id=Owners(int),
        id=IdRange(str),
        created=DateRange(),
        submitted=DateRange(),
        accepted=DateRange(),
        rejected=DateRange(),
        skipped=DateRange(),
        expired=DateRange(),
    )

    @override
    def compute_fields(self, rows: list[Row]) -> None:
        """Add `updated`, the latest date of each row: Toloka has no date of the last change.

        Raises:
            ValueError: If a row has none of the dates.
        """
        dates_of = attrgetter(*self.added_from)
        for row in rows:
            # They have one form, in which the order of text is the order of time.
            row.updated = max(filter(None, dates_of(row)), default="")
            if not row.updated:
                msg = "an assignment has none of its dates"
                raise ValueError(msg)
