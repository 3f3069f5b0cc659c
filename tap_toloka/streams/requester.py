"""The requester whose token it is."""

from __future__ import annotations

import typing as t

from typing_extensions import override

from tap_toloka.client import TolokaStream
from tap_toloka.filters import Filters

if t.TYPE_CHECKING:
    from tap_toloka.fitting import Row


class Requester(TolokaStream):
    """The account and its balance: one row per run, so that the balance can be followed."""

    name = "requester"
    path = "/v1/requester"
    primary_keys = ("id", "read_at")
    replication_key = None
    added_fields = frozenset({"read_at"})
    id_field = None
    rows_in = None
    keeps_rows = False  # of the balances of the past it lists none
    filters = Filters()

    @override
    def compute_fields(self, rows: list[Row]) -> None:
        # Toloka does not say when the balance was what it is.
        for row in rows:
            row.read_at = self._connect().clock.now()
