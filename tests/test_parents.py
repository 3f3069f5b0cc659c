"""Parents that streams are listed by, as pools, are read once in a run."""

from __future__ import annotations

import sys
import tracemalloc
from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.lists import ParentCache
from tap_toloka.streams.pool_by_pool import Pool
from tap_toloka.streams.tasks import Tasks
from tap_toloka.tap import TapToloka
from tests.expected_rows import whole_account
from tests.pool_streams import BOOKMARK, LONG_AGO, open_pool, row_of, serve
from tests.pool_streams import STREAMS as BY_POOL
from tests.runner import catalog_of_all, config_for, run_inside, stopped_after
from toloka_emulator import Emulator, Fault, make_pool, print_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

NAMES = (*(stream.name for stream in BY_POOL), "user_metadata", "app_batches", "app_items")
LISTS = ("pools", "trainings", "app-projects")


def catalog_of_names(*names: str) -> dict[str, Any]:
    """Return a catalog in which these streams are selected."""
    catalog = catalog_of_all()
    catalog["streams"] = [entry for entry in catalog["streams"] if entry["stream"] in names]
    return catalog


def lists_read(emulator: Emulator) -> Counter[str]:
    """Count the requests for lists of parents."""
    return Counter(name for r in emulator.requests for name in LISTS if r.path.endswith(f"/{name}"))


@pytest.fixture
def account() -> Iterator[Emulator]:
    """Serve rows of all lists."""
    with Emulator(rows=whole_account(20, seed=3)) as emulator:
        yield emulator


def test_pools_trainings_and_app_projects_are_listed_once_in_a_run(account: Emulator) -> None:
    for _ in range(2):
        account.clear_requests()
        run = run_inside(config_for(account), catalog=catalog_of_names(*NAMES))
        assert {m["stream"] for m in run.messages if m["type"] == "RECORD"} == {*NAMES}
        assert lists_read(account) == dict.fromkeys(LISTS, 1), "no run takes it from another one"


def test_filters_of_a_stream_narrow_the_list_that_is_read_for_it(account: Emulator) -> None:
    ids = [pool["id"] for pool in account.pools.rows()][:2]
    names = ("assignments", "attachments", "task_suites", "tasks")
    filters: dict[str, Any] = {name: {"pool_id": ids} for name in names[:2]}
    filters["tasks"] = {"project_id": [81776]}
    config = config_for(account, filters=filters)
    run_inside(config, catalog=catalog_of_names(*names))
    of_pools = [r.params for r in account.requests if r.path.endswith("/pools")]
    narrow = {"id_gte": min(ids, key=int), "id_lte": max(ids, key=int)}
    assert [{**params} for params in of_pools] == [
        {"sort": "id", "limit": "300", **more} for more in ({**narrow}, {})
    ], "after the second one all are known"
    read = {
        r.params["pool_id"] for r in account.requests if r.path.endswith(("/assignments", "/tasks"))
    }
    pools = [*account.pools.rows(), *account.tables["trainings"].rows()]
    assert read == {*ids} | {pool["id"] for pool in pools if pool.get("project_id") == "81776"}


def test_a_list_that_could_not_be_read_is_read_again_for_the_next_stream(
    account: Emulator,
) -> None:
    account.faults.add(Fault(path="*/trainings", status=400))
    names = [stream.name for stream in BY_POOL]
    run = run_inside(config_for(account), catalog=catalog_of_names(*names), may_fail=True)
    assert run.status == 1
    assert len({m["stream"] for m in run.messages if m["type"] == "RECORD"}) == 3
    assert lists_read(account) == {"pools": 2, "trainings": 2}


def test_the_connection_test_keeps_nothing(account: Emulator) -> None:
    tap = TapToloka(config=config_for(account))
    tap.test_connection()
    assert lists_read(account)["trainings"] == 1 + len(BY_POOL) + 1, "the stream itself, too"


class Growing(Emulator):
    """An account in which a pool with a task appears while suites are read."""

    async def handle(self, request: web.Request) -> web.Response:
        if request.path.endswith("/task-suites") and len(self.pools) == 1:
            now = print_exactly(datetime.now(timezone.utc))
            self.pools.add([open_pool("2", now)])
            self.tables["tasks"].add([row_of(Tasks, "2", 1, now)])
        return await super().handle(request)


def test_a_pool_that_is_made_after_the_list_was_read_is_read_by_the_next_run() -> None:
    rows = [row_of(Tasks, "1", 1, BOOKMARK)]
    catalog = catalog_of_names("task_suites", "tasks")
    with Growing(rows={"pools": [open_pool("1")], "tasks": rows}) as emulator:
        first = run_inside(config_for(emulator), catalog=catalog)
        assert first.ids == [rows[0]["id"]]
        later = run_inside(config_for(emulator), first.state, catalog)
        assert later.ids == [row["id"] for row in emulator.tables["tasks"].rows()][1:]
    assert len(later.ids) == 1


@pytest.mark.parametrize(("stream", "beside", "lists"), [(0, 1, 2), (1, 0, 1)])
def test_a_run_that_goes_on_lists_only_the_pools_that_are_left_unless_all_are_known(
    stream: int, beside: int, lists: int
) -> None:
    resumed, other = BY_POOL[stream], BY_POOL[beside]
    pools = [open_pool(str(n)) for n in range(10, 30)]
    rows = [row_of(resumed, pool["id"], 1, LONG_AGO) for pool in pools]
    with serve(pools, rows, resumed) as emulator:
        config = config_for(emulator, max_concurrency=1)
        with stopped_after(12):
            stopped = run_inside(config, stream=resumed.name)
        emulator.clear_requests()
        again = run_inside(config, stopped.state, catalog_of_names(resumed.name, other.name))
        asked = [r.params.get("id_gte") for r in emulator.requests if r.path.endswith("/pools")]
    assert sorted({*stopped.ids, *again.ids}) == [row["id"] for row in rows]
    assert [first is None for first in asked] == [False, True][-lists:]


def test_what_was_found_with_filters_is_not_taken_for_all() -> None:
    parents = ParentCache()
    assert parents.get("pools", {"id_gte": "2"}, lambda: [2, 3]) == [2, 3]
    assert parents.get("pools", {"id_gte": "3"}, lambda: [3]) == [3]
    assert parents.get("pools", {"id_gte": "2"}, list) == [2, 3]
    assert parents.get("apps", {}, lambda: [5]) == [5]
    assert parents.get("pools", {}, lambda: [1, 2, 3]) == [1, 2, 3]
    assert parents.get("pools", {"id_gte": "3"}, list) == [1, 2, 3]


def test_a_hundred_thousand_pools_take_less_than_40_mb() -> None:
    facts = {"_misfits": None, "last_started": LONG_AGO, "last_stopped": LONG_AGO}
    row = {**make_pool("1", LONG_AGO, status="ARCHIVED"), **facts}
    created = [f"2015-01-01T00:00:00.{number:04}Z" for number in range(10_000)]
    tracemalloc.start()
    pools = [
        Pool.of({**row, "id": str(10**6 + number), "created": date, "status": "".join("OPEN")})
        for number, date in enumerate(created)
    ]
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(pools) == 10_000
    assert used + sum(map(sys.getsizeof, created)) < 4_000_000
