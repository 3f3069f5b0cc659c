"""Pools of tasks."""

from __future__ import annotations

from tap_toloka.client import TolokaStream
from tap_toloka.filters import Choice, DateRange, Filters, Id, IdRange


class Pools(TolokaStream):
    """Pools of the account, including archived ones and those of trainings."""

    name = "pools"
    path = "/v1/pools"
    page_cap = 300
    changes_without_date = True
    change_dates = ("created", "last_started")
    filters = Filters(
        status=Choice("OPEN", "CLOSED", "ARCHIVED", "LOCKED", changing=True),
        project_id=Id(),
        id=IdRange(int),
        created=DateRange(),
        last_started=DateRange(),
    )
