"""Pools of tasks."""

from __future__ import annotations

from tap_toloka.client import TolokaStream
from tap_toloka.filters import Filters


class Pools(TolokaStream):
    """Pools of the account, archived ones and those of trainings among them."""

    name = "pools"
    path = "/v1/pools"
    page_cap = 300
    filters = Filters(
        choices={"status": ("OPEN", "CLOSED", "ARCHIVED", "LOCKED")},
        references=("project_id",),
        dates=("created", "last_started"),
        changing=("status", "last_started"),
    )
