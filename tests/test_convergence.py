"""Whatever changes and fails while runs read, the warehouse ends up with what Toloka has."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tap_toloka.streams.apps import AppItems
from tap_toloka.streams.assignments import Assignments
from tap_toloka.streams.pools import Pools
from tests.simulation import BEGINNING, CHANGING, Account, RandomRuns, Warehouse, pick_run_times
from toloka_emulator import APP_PROJECT_IDS, Dice, Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_toloka.client import TolokaStream

END = BEGINNING + timedelta(days=500)

LOW_IDS = ("", "99", "104")
TRANSIENT_FAULTS = (
    Fault(status=429),
    Fault(quota="MIN"),
    Fault(status=500),
    Fault(status=503, headers={"Retry-After": "1"}),
    Fault(body="<html>Maintenance</html>"),
    Fault(body={"items": [{"id": 1}], "content": [{"id": 1}], "has_more": False}),
    Fault(cut=True),
    Fault(reset=True),
    Fault(without_has_more=True),
)


def pick_faults(stream: type[TolokaStream], account: Account, dice: Dice) -> list[Fault]:
    """Pick what goes wrong in a run."""
    kind = dice.randrange(4)
    if kind == 0:  # it fails
        return [Fault(status=503, after=dice.pick((0, 1, 3)), times=None)]
    transient = [
        msgspec.structs.replace(dice.pick(TRANSIENT_FAULTS), after=dice.randrange(10))
        for _ in range(4)
    ]
    pool_ids = [pool["id"] for pool in account.pools.rows()]
    if kind == 1 and stream is Assignments and pool_ids:
        return [refused_pool(dice.pick(pool_ids)), *transient]
    if kind == 1 and stream is AppItems:
        path = f"*/{dice.pick(APP_PROJECT_IDS)}/items"
        return [Fault(status=403, times=None, path=path), *transient]
    return transient


def refused_pool(pool_id: str) -> Fault:
    """Refuse all requests for assignments of a pool."""
    return Fault(status=403, times=None, path="*/assignments", params={"pool_id": pool_id})


def ways_in(account: Account) -> Counter[str]:
    """Count the requests for changed assignments by how their pools were read."""
    ways = Counter({"by date": 0, "whole": 0, "whole, then by date": 0})
    for request in account.requests:
        if request.path.endswith("/assignments"):
            is_whole, is_first = "submitted_gt" not in request.params, "id_gt" not in request.params
            ways["whole" if is_whole else "by date" if is_first else "whole, then by date"] += 1
    return ways


@pytest.mark.parametrize("stream", CHANGING, ids=lambda stream: stream.name)
def test_whatever_changes_and_fails_the_warehouse_ends_up_with_what_toloka_has(
    stream: type[TolokaStream],
) -> None:
    dice = Dice(stream.name)
    run_times = tuple(pick_run_times(dice, 40, END))
    with Account(stream.name, run_times=run_times) as account:
        if stream is Assignments:
            account.schedule_assignments(700, 10, END)
        for _ in range(200 if stream is not Assignments else 0):
            account.schedule(account.moment(BEGINNING, END), partial(account.create, stream.name))
        warehouse = Warehouse(account, stream, batch_size=5)
        for moment in run_times:
            account.wait_until(moment)
            faults = pick_faults(stream, account, dice)
            warehouse.settings["max_concurrency"] = dice.pick((8, 60, 60))
            warehouse.run(*faults, keeps_state=dice.chance(0.5))
        assert warehouse.failed_runs > 2, "else it shows little"
        assert account.changes_during_runs > 20
        if stream is Assignments:
            assert min(ways_in(account).values()) > 3
        account.finish()
        warehouse.catch_up()
        warehouse.check_rows()


@pytest.mark.parametrize("seed", [1, 5])  # these take the rule to its limits
def test_no_change_is_lost_in_pools_that_are_skipped(seed: int) -> None:
    pools_read = {}
    for skip in (True, False):
        run_times = tuple(pick_run_times(Dice(seed), 20, END))
        with Account(seed, run_times=run_times, at_limit=0.9) as account:
            account.schedule_assignments(600, 6, END)
            settings = {"skip_settled_pools": skip, "batch_size": 1_000}
            warehouse = Warehouse(account, Assignments, **settings)
            pools_read[skip] = 0
            for moment in run_times:
                account.wait_until(moment)
                account.clear_requests()
                warehouse.run()
                ids = {request.params.get("pool_id") for request in account.requests}
                pools_read[skip] += len(ids - {None})
            account.finish()
            warehouse.run()
            warehouse.check_rows()
    assert pools_read[True] < pools_read[False]


class RunsOfPools(RandomRuns):
    """Pools are created, and filters change, between runs."""

    streams = (Pools,)

    @property
    def steps(self) -> tuple[Callable[[], object], ...]:
        return (*super().steps, self.create_pools, self.change_filters)

    def fill_account(self) -> None:
        for _ in range(4):
            self.create_pools()
        self.change_filters()

    def create_pools(self) -> None:
        for _ in range(self.dice.randrange(1, 6)):  # some have the same date
            self.account.wait(timedelta(milliseconds=self.dice.randrange(3)))
            self.account.create_pool(project_id=self.dice.pick("12"))

    def change_filters(self) -> None:
        filters = {"project_id": self.dice.pick(("", "1", "2")), "id_gt": self.dice.pick(LOW_IDS)}
        chosen = {name: value for name, value in filters.items() if value}
        self.warehouse.settings["filters"] = {"pools": chosen}

    def run_and_compare(self) -> None:
        """Run, compare, and run once more: then only what was started lately is read."""
        super().run_and_compare()
        bookmark = self.warehouse.state.get("bookmarks", {}).get("pools", {})
        filters = self.warehouse.settings["filters"]["pools"]
        records = self.warehouse.run().records
        if bookmark.get("filters", {}) == filters:
            since = bookmark["replication_key_value"]
            assert all(pool["last_started"] > since for pool in records)


class RunsOfChangingRows(RandomRuns):
    """Pools open and close, and rows change within the limits that Toloka sets.

    Some pools are refused for some time.
    """

    streams = CHANGING

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.refused: set[str] = set()

    @property
    def steps(self) -> tuple[Callable[[], object], ...]:
        changes = (*[self.change_rows] * 4, *[self.create_rows] * 2)
        pools = (self.create_pool, self.change_pool, self.refuse_a_pool_or_none)
        return (*super().steps, *changes, *pools)

    @property
    def faults(self) -> list[Fault]:
        return [refused_pool(pool_id) for pool_id in sorted(self.refused)]

    @property
    def pools(self) -> list[dict[str, Any]]:
        return self.account.pools.rows()

    def fill_account(self) -> None:
        for _ in range(2):
            self.create_pool()
            self.create_rows()

    def create_pool(self) -> None:
        limits = {"assignment_max_duration_seconds": 600, "auto_accept_period_day": 2}
        self.account.change_pool(self.account.create_pool(**limits), "OPEN")

    def change_pool(self) -> None:
        pool = self.dice.pick(self.pools)
        status = self.dice.pick(("OPEN", "CLOSED", "LOCKED", "ARCHIVED"))
        if "ARCHIVED" not in {status, pool["status"]} or pool["status"] == "CLOSED":
            self.account.change_pool(pool["id"], status)

    def create_rows(self) -> None:
        at = self.account.now + timedelta(seconds=self.dice.randrange(2))  # then: during a run
        streams: tuple[type[TolokaStream], ...] = (*CHANGING, Assignments, Assignments)
        for stream in streams:
            pool_id = self.dice.pick(self.pools)["id"] if stream is Assignments else ""
            self.account.schedule(at, partial(self.create_row, stream, pool_id))
        self.account.wait(timedelta())

    def create_row(self, stream: type[TolokaStream], pool_id: str) -> None:
        """Create a row, unless it is an assignment in a pool that is not open."""
        open_pools = {pool["id"] for pool in self.pools if pool["status"] == "OPEN"}
        if not pool_id or pool_id in open_pools:
            self.account.create(stream.name, pool_id)

    def change_rows(self) -> None:
        at = self.account.now + timedelta(milliseconds=self.dice.pick((0, 500, 1500, 3000)))
        for stream in CHANGING:
            for row_id in self.account.versions[stream.name]:
                if self.dice.chance(0.5):
                    change = partial(self.account.change, stream.name, row_id)
                    self.account.schedule(at, change)
        self.account.wait(timedelta())

    def refuse_a_pool_or_none(self) -> None:
        pool_id = self.dice.pick(("", *(pool["id"] for pool in self.pools)))
        self.refused = {*self.refused, pool_id} if pool_id else set()

    def run_and_compare(self) -> None:
        self.refused = set()
        super().run_and_compare()


@pytest.mark.parametrize("seed", range(2))
def test_pools_are_not_lost_to_failing_runs_and_other_filters(seed: int) -> None:
    RunsOfPools(seed).check(steps=40)


@pytest.mark.parametrize("seed", range(2))
def test_changes_are_not_lost_to_failing_runs_and_refused_pools(seed: int) -> None:
    RunsOfChangingRows(seed).check(steps=100)
