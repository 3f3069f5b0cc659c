"""Files that Tolokers attached to their answers."""

from __future__ import annotations

from tap_toloka.filters import Choice, DateRange, Filters, IdRange, Owners, Text
from tap_toloka.streams.pool_by_pool import PoolByPool


class Attachments(PoolByPool):
    """What is known of each file; not the file itself."""

    name = "attachments"
    path = "/v1/attachments"
    page_cap = 100
    filters = Filters(
        type=Choice("ASSIGNMENT_ATTACHMENT"),
        name=Text(),
        user_id=Text(),
        assignment_id=Text(),
        pool_id=Owners(int),
        project_id=Owners(int),
        id=IdRange(str),
        created=DateRange(),
    )
