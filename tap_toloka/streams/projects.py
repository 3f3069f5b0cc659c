"""Projects."""

from __future__ import annotations

from tap_toloka.client import TolokaStream
from tap_toloka.filters import Filters


class Projects(TolokaStream):
    """Projects of the account, archived ones among them."""

    name = "projects"
    path = "/v1/projects"
    page_cap = 300
    filters = Filters(
        choices={"status": ("ACTIVE", "ARCHIVED")},
        texts=("owner",),
        changing=("status",),
    )
