"""What is known of each list of Toloka. A further list is one more `Resource`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_DIGITS = 20  # as many as the largest number of 64 bits has


@dataclass(frozen=True, kw_only=True)
class Resource:
    """The facts of a list that decide how it answers.

    Attributes:
        path: Where the list is; a single row is at `path/{id}`.
        cap: The most rows that `limit` may ask for.
        default_limit: How many rows come without `limit`.
        ids: Whether ids are decimal numbers, ordered as such, or texts.
        dates: Fields that can be filtered with `_gt`, `_gte`, `_lt`, `_lte`.
        exact: Fields that can be filtered by one value.
        one_of: Filters of which at least one has to be there.
        sort_by: Fields that `sort` may name: `id` and some of `dates`.
        statuses: What the filter `status` may be.
    """

    path: str
    cap: int
    default_limit: int
    ids: Literal["numbers", "texts"]
    dates: tuple[str, ...]
    exact: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    sort_by: tuple[str, ...]
    statuses: tuple[str, ...] = ()

    def key(self, row_id: str) -> str:
        """Make an id comparable: numbers are filled up with zeros, so that texts order as they do.

        Raises:
            ValueError: The id should be a decimal number and is not.
        """
        if self.ids == "texts":
            return row_id
        if not re.fullmatch(f"[0-9]{{1,{_DIGITS}}}", row_id):
            msg = f"not a decimal number: {row_id!r}"
            raise ValueError(msg)
        return row_id.zfill(_DIGITS)


# openapi: GET /pools; cap and default: "Filtering requests" of the introduction.
POOLS = Resource(
    path="/api/v1/pools",
    cap=300,
    default_limit=50,
    ids="numbers",
    dates=("created", "last_started"),
    exact=("status", "project_id"),
    sort_by=("id", "created", "last_started"),
    statuses=("OPEN", "CLOSED", "LOCKED", "ARCHIVED"),
)

RESOURCES = {"pools": POOLS}
"""The lists that the emulator serves, by the name that `/_emulator/{name}` takes."""
