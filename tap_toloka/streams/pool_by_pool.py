"""What Toloka lists pool by pool, and which pools are asked."""

from __future__ import annotations

import itertools
import sys
import typing as t

from tap_toloka import dates
from tap_toloka.client import TolokaStream
from tap_toloka.streams.pools import Pools
from tap_toloka.streams.trainings import Trainings

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from singer_sdk.helpers.types import Context, Record

APPEAL_DAYS = 30
"""Days in which a rejection may still be changed, and more. Toloka's guides say 9 days after it
(also openapi: a pool can be archived 9 days after the last), earlier ones 30 after the answer."""

LONGEST_REVIEW_DAYS = 21
"""Most days that `auto_accept_period_day` can be (openapi)."""

_ASKED_OF_BOTH = (
    "id",
    "project_id",
    "status",
    "created",
    "last_started",
    "last_stopped",
    "assignment_max_duration_seconds",
)


class PoolByPool(TolokaStream):
    """Rows that Toloka lists pool by pool; a stream of them is a handful of facts, too.

    It lists pools and trainings itself: all there are, whatever is asked of the streams of these.
    """

    listed_by = "pool_id"
    selected_by_default = False
    ended: t.ClassVar[Collection[str]] = ("CLOSED", "ARCHIVED")
    """Statuses of a pool in which nothing begins that would bring new rows."""

    @override
    def contexts(self) -> Iterator[Context]:
        since = "".join(self._since().values())
        pools = [
            (pool["id"], (pool["created"] or "") > since)
            for pool in self._pools()
            if not self.config["skip_settled_pools"] or self.can_change_after(pool, since)
        ]
        self.logger.info("Reading %s of %d pools", self.name, len(pools))
        for pool_id, all_is_new in pools:
            context = {"pool_id": pool_id}
            yield from [context] if all_is_new else self.changed_since(context)

    @classmethod
    def can_change_after(cls, pool: Record, date: str) -> bool:
        """Tell whether rows of a pool can have come or changed after a date.

        Nothing begins in a pool that is closed or archived. What had begun when it stopped ends
        within `assignment_max_duration_seconds`; it is accepted or rejected within
        `auto_accept_period_day` from then, by itself if nobody does it; and a rejection can be
        changed for some days more. A pool that starts again has a later `last_started`, one that
        never did counts from when it was created.
        """
        stopped = max(pool[name] or "" for name in ("created", "last_started", "last_stopped"))
        duration = pool["assignment_max_duration_seconds"]
        if pool["status"] not in cls.ended or not stopped or duration is None:
            return True
        review = pool.get("auto_accept_period_day") or LONGEST_REVIEW_DAYS
        return dates.shifted(stopped, days=review + APPEAL_DAYS, seconds=duration) > date

    def _pools(self) -> Iterator[Record]:
        """Yield the pools that `filters` leave, trainings among them."""
        ids, projects = (
            set(filter(None, self.filters_in_use.get(name, "").split(",")))
            for name in ("pool_id", "project_id")
        )
        filters = {"id_gte": min(ids, key=int), "id_lte": max(ids, key=int)} if ids else {}
        if len(projects) == 1:
            filters["project_id"] = next(iter(projects))
        found: set[str] = set()
        # A training is a pool, too: tasks are put into it by its id. No reference says whether it
        # is in the list of pools.
        for pool in itertools.chain(
            self.rows_of(Pools, (*_ASKED_OF_BOTH, "auto_accept_period_day"), filters),
            self.rows_of(Trainings, _ASKED_OF_BOTH, filters),
        ):
            wanted = pool["id"] in ids or not ids
            if wanted and pool["id"] not in found:
                found.add(pool["id"])
                if pool["project_id"] in projects or not projects:
                    yield pool
        if ids - found and not projects and self.ABORT_AT_RECORD_COUNT is None:
            self.logger.warning(
                "The filter `pool_id` of %s names pools that are not there: %s",
                self.name,
                ", ".join(sorted(ids - found, key=int)),
            )
