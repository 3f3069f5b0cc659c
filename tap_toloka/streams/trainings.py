"""Trainings."""

from __future__ import annotations

from tap_toloka.client import TolokaStream
from tap_toloka.streams.pools import Pools


class Trainings(TolokaStream):
    """Trainings of the account, including archived ones."""

    name = "trainings"
    path = "/v1/trainings"
    page_cap = 300
    changes_without_date = True
    change_dates = Pools.change_dates
    filters = Pools.filters
