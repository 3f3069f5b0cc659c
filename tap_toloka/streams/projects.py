"""Projects."""

from __future__ import annotations

from tap_toloka.client import TolokaStream
from tap_toloka.filters import Choice, DateRange, Filters, IdRange, Text


class Projects(TolokaStream):
    """Projects of the account, including archived ones."""

    name = "projects"
    path = "/v1/projects"
    page_cap = 300
    changes_without_date = True
    filters = Filters(
        status=Choice("ACTIVE", "ARCHIVED", changing=True),
        owner=Text(),
        id=IdRange(int),
        created=DateRange(),
    )
