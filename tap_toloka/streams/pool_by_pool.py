"""What Toloka lists pool by pool, and which pools are read."""

from __future__ import annotations

import itertools
import typing as t

from typing_extensions import override

from tap_toloka import dates
from tap_toloka.client import TolokaStream
from tap_toloka.fetch import Listing
from tap_toloka.misfits import MISFITS
from tap_toloka.streams.pools import Pools
from tap_toloka.streams.trainings import Trainings

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from singer_sdk.helpers.types import Record

    from tap_toloka.lists import ListReader

APPEAL_DAYS = 30
"""Days in which a rejection may still be changed, and more. Toloka's guides say 9 days after it
(also openapi: a pool can be archived 9 days after the last), earlier ones 30 after the answer."""

LONGEST_REVIEW_DAYS = 21
"""Most days that `auto_accept_period_day` can be (openapi)."""

_FIELDS_OF_BOTH = (
    "id",
    "project_id",
    "status",
    "created",
    "last_started",
    "last_stopped",
    "assignment_max_duration_seconds",
    MISFITS,
)


class PoolByPool(TolokaStream):
    """Rows that Toloka lists pool by pool. It lists pools itself, whatever is selected of them."""

    listed_by = "pool_id"
    selected_by_default = False
    ended: t.ClassVar[Collection[str]] = ("CLOSED", "ARCHIVED")
    """Statuses of a pool in which nothing begins that would bring new rows."""

    @override
    def listings(self, lists: ListReader) -> Iterator[Listing]:
        pools = [
            pool
            for pool in sorted(matching_pools(self, lists), key=lambda pool: int(pool["id"]))
            if not self.config["skip_settled_pools"]
            or pool["id"] in self.progress.owners_left
            or (start := self.progress.start_of(pool["id"])) is None
            or self.can_change_after(pool, start.date)
        ]
        self.owners_found = len(pools)
        for pool in pools:
            listing = Listing(params={"pool_id": pool["id"]}, owner=pool["id"])
            start = self.progress.start_of(pool["id"])
            if start is None or start.includes(pool["created"]):  # all of it is new
                yield self.filtered(listing, {})
            else:
                yield from self.changed_since(listing)

    @classmethod
    def can_change_after(cls, pool: Record, date: str) -> bool:
        """Tell whether rows of a pool can have come or changed after a date.

        Nothing begins in a pool that is closed or archived. What had begun when it stopped ends
        within `assignment_max_duration_seconds`; it is accepted or rejected within
        `auto_accept_period_day` from then, automatically if nobody does it; and a rejection can be
        changed for some days more. A pool that starts again has a later `last_started`, one that
        never did counts from when it was created.
        """
        stopped = max(pool[name] or "" for name in ("created", "last_started", "last_stopped"))
        duration = pool["assignment_max_duration_seconds"]
        if pool["status"] not in cls.ended or not stopped or duration is None or pool[MISFITS]:
            return True
        review = pool.get("auto_accept_period_day") or LONGEST_REVIEW_DAYS
        return dates.shifted(stopped, days=review + APPEAL_DAYS, seconds=duration) > date


def matching_pools(stream: TolokaStream, lists: ListReader) -> Iterator[Record]:
    """Yield the pools and trainings that the filters `pool_id` and `project_id` leave.

    A training is a pool, too: tasks are put into it by its id. No reference says whether it is in
    the list of pools.
    """
    ids, projects = stream.owners("pool_id"), stream.owners("project_id")
    filters = {"id_gte": min(ids, key=int), "id_lte": max(ids, key=int)} if ids else {}
    if not ids and not projects and (first := stream.progress.first_owner_left(int)):
        filters = {"id_gte": first}  # those before are not read
    if len(projects) == 1:
        filters["project_id"] = next(iter(projects))
    pools: dict[str, Record] = {}
    for pool in itertools.chain(
        lists.rows(Pools, (*_FIELDS_OF_BOTH, "auto_accept_period_day"), filters=filters),
        lists.rows(Trainings, _FIELDS_OF_BOTH, filters=filters),
    ):
        if not ids or pool["id"] in ids:
            pools.setdefault(pool["id"], pool)
    if lists.limit is None:
        stream.warn_of_missing("pool_id", ids - pools.keys())
        found = {pool["project_id"] for pool in pools.values()}
        stream.warn_of_missing("project_id", projects - found)
    for pool in pools.values():
        if not projects or pool["project_id"] in projects:
            yield pool
