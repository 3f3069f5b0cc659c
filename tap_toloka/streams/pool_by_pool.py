"""What Toloka lists pool by pool, and which pools are read."""

from __future__ import annotations

import itertools
import sys
import typing as t
from dataclasses import replace

import msgspec
from typing_extensions import override

from tap_toloka import dates
from tap_toloka.client import TolokaStream, warn_of_missing, with_any_date_in
from tap_toloka.fetch import Listing
from tap_toloka.misfits import MISFITS
from tap_toloka.streams.pools import Pools
from tap_toloka.streams.trainings import Trainings

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from singer_sdk.helpers.types import Record

    from tap_toloka.lists import ListReader
    from tap_toloka.state import Start

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


class Pool(msgspec.Struct, frozen=True, gc=False):
    """What is kept of each pool for as long as a run takes, in some 300 bytes.

    Attributes:
        id: Its id.
        project_id: Its project.
        status: Its status.
        created: When it was created; `None`: unknown.
        settled: The last time at which something in it can change once it is closed; `""`: unknown.
    """

    id: str
    project_id: str | None
    status: str | None
    created: str | None
    settled: str

    @classmethod
    def of(cls, row: Record) -> Pool:
        """Take what is needed from a row.

        What had begun when a pool stopped ends within `assignment_max_duration_seconds`; it is
        accepted or rejected within `auto_accept_period_day` from then, automatically if nobody does
        it; and a rejection can be changed for some days more. A pool that starts again has a later
        `last_started`, one that never did counts from when it was created.
        """
        stopped = max(row[name] or "" for name in ("created", "last_started", "last_stopped"))
        duration, settled = row["assignment_max_duration_seconds"], ""
        if stopped and duration is not None and not row[MISFITS]:
            review = row.get("auto_accept_period_day") or LONGEST_REVIEW_DAYS
            settled = dates.shifted(stopped, days=review + APPEAL_DAYS, seconds=duration)
        project_id, status = (_shared(row[name]) for name in ("project_id", "status"))
        return cls(row["id"], project_id, status, row["created"], settled)


def _shared(text: str | None) -> str | None:
    """Return the one copy of a text that many pools have."""
    return text and sys.intern(text)


class PoolByPool(TolokaStream):
    """Rows that Toloka lists pool by pool. It lists pools itself, whatever is selected of them."""

    listed_by = "pool_id"
    sharded = True
    selected_by_default = False
    ended: t.ClassVar[Collection[str]] = ("CLOSED", "ARCHIVED")
    """Statuses of a pool in which nothing begins that would bring new rows."""

    @override
    def listings(self, lists: ListReader) -> Iterator[Listing]:
        pools = [
            pool
            for pool in matching_pools(self, lists)
            if lists.shard.has(pool.id) and self._may_have_changed(pool)
        ]
        self.owners_found = len(pools)
        # If all lists by date fit into the connections at once, waiting for a first page would only
        # take longer.
        older = sum(self._start_in(pool) is not None for pool in pools)
        fit_at_once = older * len(self.change_dates) <= self.config["max_concurrency"]
        for pool in pools:
            listing = Listing(params={"pool_id": pool.id}, owner=pool.id)
            start = self._start_in(pool)
            if start is None:
                yield self.filtered(listing, {})
            elif len(self.change_dates) == 1 or (
                # Of one that was begun, state says by which of the lists.
                fit_at_once and pool.id not in self.progress.owners_left
            ):
                yield from self.changed_since(listing)
            else:
                yield self._whole_or_changed_since(listing, start)

    def _may_have_changed(self, pool: Pool) -> bool:
        """Tell whether a pool may have rows that were not read."""
        start = self.progress.start_of(pool.id)
        return (
            start is None
            or not self.config["skip_settled_pools"]
            or pool.id in self.progress.owners_left
            or self.can_change_after(pool, start.date)
        )

    def _start_in(self, pool: Pool) -> Start | None:
        """Return the date from which a pool is read; `None`: all of it is new."""
        start = self.progress.start_of(pool.id)
        return None if start is None or start.includes(pool.created) else start

    def _whole_or_changed_since(self, listing: Listing, start: Start) -> Listing:
        """Return the list of all rows, which is one request if they fill no more than a page.

        What is new or has changed is taken from its first page. If there is more, it goes on as
        `changed_since` says: most of a long list has not changed.
        """
        has_changed = with_any_date_in(self.change_dates, start)
        return replace(
            self.filtered(listing, {}),
            leave_out=lambda row: not has_changed(row),
            instead=tuple(self.changed_since(listing)),
        )

    @classmethod
    def can_change_after(cls, pool: Pool, date: str) -> bool:
        """Tell whether rows of a pool can have come or changed after a date.

        Nothing begins in a pool that is closed or archived, and what has begun ends.
        """
        return pool.status not in cls.ended or not pool.settled or pool.settled > date


def matching_pools(stream: TolokaStream, lists: ListReader) -> Sequence[Pool]:
    """Return the pools and trainings that the filters `pool_id` and `project_id` leave, by id."""
    ids, projects = stream.owners("pool_id"), stream.owners("project_id")
    filters = {"id_gte": min(ids, key=int), "id_lte": max(ids, key=int)} if ids else {}
    if not ids and not projects and (first := stream.progress.first_owner_left(int)):
        filters = {"id_gte": first}  # those before are not read
    if len(projects) == 1:
        filters["project_id"] = next(iter(projects))
    pools = lists.parents("pools", filters, lambda: _pools(lists, filters))
    if ids:
        pools = [pool for pool in pools if pool.id in ids]
    if lists.limit is None:
        warn_of_missing(stream, "pool_id", ids - {pool.id for pool in pools})
        found = {pool.project_id for pool in pools}
        warn_of_missing(stream, "project_id", projects - found)
    return [pool for pool in pools if pool.project_id in projects] if projects else pools


def _pools(lists: ListReader, filters: Mapping[str, str]) -> Sequence[Pool]:
    """Read pools and trainings.

    A training is a pool, too: tasks are put into it by its id. No reference says whether it is in
    the list of pools.
    """
    pools: dict[str, Pool] = {}
    for row in itertools.chain(
        lists.rows(Pools, (*_FIELDS_OF_BOTH, "auto_accept_period_day"), filters=filters),
        lists.rows(Trainings, _FIELDS_OF_BOTH, filters=filters),
    ):
        pools.setdefault(row["id"], Pool.of(row))
    return sorted(pools.values(), key=lambda pool: int(pool.id))
