"""Files that Tolokers attached to their answers."""

from __future__ import annotations

from tap_toloka.filters import Filters
from tap_toloka.streams.pool_by_pool import PoolByPool


class Attachments(PoolByPool):
    """What is known of each file; not the file itself."""

    name = "attachments"
    path = "/v1/attachments"
    page_cap = 100
    filters = Filters(
        choices={"type": ("ASSIGNMENT_ATTACHMENT",)},
        texts=("name", "user_id", "assignment_id"),
        lists={"pool_id": int, "project_id": int},
        id_order=str,
    )
