"""The requester whose token it is."""

from __future__ import annotations

import sys
import typing as t

from tap_toloka.client import RowsOf, TolokaStream
from tap_toloka.fetch import Listing
from tap_toloka.filters import Filters

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Iterator


class Requester(TolokaStream):
    """The account and its balance: one row per run, so that the balance can be followed."""

    name = "requester"
    path = "/v1/requester"
    primary_keys = ("id", "read_at")
    replication_key = None
    added_fields = frozenset({"read_at"})
    id_field = None
    rows_in = None
    filters = Filters()

    @override
    def listings(self, rows_of: RowsOf) -> Iterator[Listing]:
        # Toloka does not say when the balance was what it is.
        yield Listing(fields={"read_at": self.run_began})
