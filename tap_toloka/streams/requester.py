"""The requester whose token it is."""

from __future__ import annotations

import sys
import typing as t
from datetime import datetime, timezone

from tap_toloka import dates
from tap_toloka.client import WholeAnswer
from tap_toloka.filters import Filters

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context


class Requester(WholeAnswer):
    """The account and its balance: a row a run, so that the balance can be followed."""

    name = "requester"
    path = "/v1/requester"
    primary_keys = ("id", "read_at")
    replication_key = None
    added_fields = frozenset({"read_at"})
    filters = Filters(ids=(), dates=())

    @override
    def contexts(self) -> Iterator[Context]:
        # Toloka does not say when the balance was what it is.
        began = datetime.fromtimestamp(self._run_began, timezone.utc)
        yield {"read_at": dates.from_datetime(began)}
