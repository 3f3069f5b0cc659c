"""Trainings."""

from __future__ import annotations

from tap_toloka.client import TolokaStream
from tap_toloka.filters import Filters


class Trainings(TolokaStream):
    """Trainings of the account, archived ones among them."""

    name = "trainings"
    path = "/v1/trainings"
    page_cap = 300
    filters = Filters(
        choices={"status": ("OPEN", "CLOSED", "ARCHIVED", "LOCKED")},
        references=("project_id",),
        dates=("created", "last_started"),
        changing=("status", "last_started"),
    )
