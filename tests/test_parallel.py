"""Several connections bring exactly the rows that one would, in hardly more requests."""

from __future__ import annotations

import itertools
import math
import threading
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_toloka.errors import TolokaError
from tap_toloka.pages import IdCursor, Page
from tap_toloka.parallel import Pace, StoppedError, Threads
from tap_toloka.splitting import PARTS_PER_PAGE, Splitter
from tests.runner import (
    config_for,
    no_waiting,
    requests_for_rows,
    run_inside,
    threads_of_tap,
    wait_until,
)
from toloka_emulator import Emulator, Fault, make_pool, make_pools, make_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runner import Run
    from toloka_emulator import Request

# Ids in clusters with gaps between, as an account has them among all ids of Toloka.
clusters = st.lists(
    st.tuples(st.integers(1, 10**6), st.integers(1, 60), st.sampled_from([1, 1, 2, 50])),
    max_size=6,
)
faults = st.lists(
    st.builds(
        Fault,
        after=st.integers(0, 20),
        status=st.sampled_from([429, 500, 503]),
    )
    | st.builds(
        Fault,
        after=st.integers(0, 20),
        body=st.sampled_from(["", "<html>", {}, {"items": [], "has_more": True}]),
    ),
    max_size=3,
)


def ids_of(drawn: list[tuple[int, int, int]]) -> list[int]:
    """Return the ids of clusters: how far off each begins, how many it has, how wide apart."""
    ids: list[int] = []
    last = 0
    for gap, count, step in drawn:
        ids += range(last + gap, last + gap + count * step, step)
        last = ids[-1]
    return ids


def without(emulator: Emulator, sort: str) -> int:
    """Count the requests to the emulator but for those with a sort."""
    return sum(request.params["sort"] != sort for request in requests_for_rows(emulator))


def waste(lists: int, pages: int, threads: int) -> float:
    """Return how many requests may bring nothing: the greatest ids, and parts that are empty."""
    return lists * (1 + threads) + PARTS_PER_PAGE * pages if threads > 1 else 0


DATE = "2024-01-01T00:00:00"
POOL = "36502086"


def pool_of(number: int) -> dict[str, Any]:
    """Make a pool, whose id is a number."""
    return make_pool(str(number), DATE)


def assignment_of(number: int, pool: str = POOL) -> dict[str, Any]:
    """Make an assignment, whose id is two numbers in hexadecimal digits."""
    return {"id": f"{int(pool):010x}--{number:024x}", "pool_id": pool, "created": DATE}


def operation_of(number: int) -> dict[str, Any]:
    """Make an operation, whose id is a UUID or 24 digits; both kinds lie among each other."""
    id_ = str(UUID(int=number << 96)) if number % 3 else f"{number << 64:024x}"
    return {"id": id_, "type": "POOL.OPEN", "submitted": DATE}


def run_with(emulator: Emulator, faults: list[Fault], stream: str, **settings: Any) -> Run:
    """Read a stream while requests fail, without any waiting."""
    for fault in faults:
        emulator.faults.add(fault)
    with no_waiting(rate_limit=False):
        return run_inside(config_for(emulator, **settings), stream=stream)


@pytest.mark.parametrize(
    ("stream", "row_of"),
    [("pools", pool_of), ("assignments", assignment_of), ("operations", operation_of)],
    ids=["numbers", "texts", "texts of two kinds"],
)
@given(
    drawn=clusters,
    batch_size=st.integers(1, 40),
    max_concurrency=st.integers(1, 12),
    bounds=st.tuples(st.integers(0, 10**6), st.integers(10**6 + 1, 10**7)) | st.none(),
    faults=faults,
)
@settings(max_examples=40, deadline=None)
def test_each_row_comes_once_whatever_the_split_and_whatever_fails(  # noqa: PLR0913, PLR0917
    stream: str,
    row_of: Callable[[int], dict[str, Any]],
    drawn: list[tuple[int, int, int]],
    batch_size: int,
    max_concurrency: int,
    bounds: tuple[int, int] | None,
    faults: list[Fault],
) -> None:
    order: Callable[[str], Any] = int if stream == "pools" else str
    ids = [row_of(number)["id"] for number in ids_of(drawn)]
    ends = [] if bounds is None else [row_of(bound)["id"] for bound in bounds]
    filters = dict(zip(("id_gt", "id_lte"), ends, strict=False))
    wanted = [id_ for id_ in ids if not ends or order(ends[0]) < order(id_) <= order(ends[1])]
    rows = [row_of(number) for number in ids_of(drawn)]
    owners = {"pools": [make_pool(POOL, DATE)]} if stream == "assignments" else {}
    with Emulator(rows={**owners, stream: rows}) as emulator:
        run = run_with(
            emulator,
            faults,
            stream,
            batch_size=batch_size,
            max_concurrency=max_concurrency,
            filters={stream: filters},
        )
        asked = len(requests_for_rows(emulator))
    assert sorted(run.ids, key=order) == sorted(wanted, key=order)
    pages = max(math.ceil(len(wanted) / batch_size), 1)
    assert asked <= pages + waste(1, pages, max_concurrency) + 2 * len(owners) + len(faults)


@pytest.mark.parametrize("max_concurrency", [1, 8])
def test_a_list_in_an_order_that_only_toloka_knows_is_read_whole_and_never_split(
    max_concurrency: int,
) -> None:
    projects = [*make_rows("app_projects", 1_000)]
    ids = [row["id"] for row in projects]
    sizes = {"batch_size": 20, "max_concurrency": max_concurrency}
    with Emulator(rows={"app_projects": projects}) as emulator:
        run = run_inside(config_for(emulator, **sizes), stream="app_projects")
        asked = [request.params for request in requests_for_rows(emulator)]
    assert run.ids == sorted(ids, key=lambda id_: (id_.lower(), id_)) != sorted(ids)
    assert [params.get("id_gt") for params in asked] == [None, *run.ids[19:-1:20]]
    assert all(params.keys() <= {"sort", "limit", "id_gt"} for params in asked)


@given(
    counts=st.lists(st.integers(0, 5) | st.integers(0, 60), max_size=8),
    batch_size=st.integers(1, 20),
    max_concurrency=st.integers(1, 12),
    step=st.sampled_from([1, 1, 50, 10**9]),
    faults=faults,
)
@settings(max_examples=20, deadline=None)
def test_each_row_of_many_lists_comes_once_whatever_fails(
    counts: list[int],
    batch_size: int,
    max_concurrency: int,
    step: int,
    faults: list[Fault],
) -> None:
    pools = [str(1000 + 7 * number) for number in range(len(counts))]
    rows = [
        assignment_of(step * number, pool)
        for pool, count in zip(pools, counts, strict=True)
        for number in range(count)
    ]
    with Emulator(
        rows={"pools": [make_pool(pool, DATE) for pool in pools], "assignments": rows}
    ) as emulator:
        sizes = {"batch_size": batch_size, "max_concurrency": max_concurrency}
        run = run_with(emulator, faults, "assignments", **sizes)
        asked = [r.params for r in emulator.requests if "pool_id" in r.params]
    assert sorted(run.ids) == [row["id"] for row in rows]
    pages = sum(max(math.ceil(count / batch_size), 1) for count in counts)
    greatest = [params["pool_id"] for params in asked if params["sort"] == "-id"]
    longer = [pool for pool, n in zip(pools, counts, strict=True) if n > batch_size]
    assert len(greatest) <= len(longer) + len(faults)
    assert len(asked) <= pages + waste(len(longer), pages, max_concurrency) + len(faults)


def requests_of(emulator: Emulator) -> list[Request]:
    """Return the requests for assignments."""
    return [request for request in emulator.requests if "pool_id" in request.params]


def most_at_once(requests: list[Request]) -> int:
    """Return how many of these requests waited for an answer at once."""
    begun = [(request.started, 1) for request in requests]
    steps = sorted([*begun, *((request.ended or math.inf, -1) for request in requests)])
    return max(itertools.accumulate(step for _, step in steps))


def test_a_big_list_among_small_ones_is_shared_out_when_threads_would_idle() -> None:
    pools = [str(id_) for id_ in range(100, 106)]
    counts = {**dict.fromkeys(pools, 3), "102": 400}
    rows = [assignment_of(n, pool) for pool, count in counts.items() for n in range(count)]
    owners = [make_pool(pool, DATE) for pool in pools]
    with Emulator(rows={"pools": owners, "assignments": rows}, latency=0.05) as emulator:
        config = config_for(emulator, batch_size=10)
        run = run_inside(config, stream="assignments")
        requests = requests_of(emulator)
    assert sorted(run.ids) == [row["id"] for row in rows]
    assert most_at_once([r for r in requests if r.params["pool_id"] == "102"]) == 8
    assert len(requests) <= 5 + 40 + waste(1, 40, 8)


@pytest.mark.parametrize("threads", [2, 4])
def test_no_list_waits_for_the_greatest_id_of_another(threads: int) -> None:
    pools = [str(id_) for id_ in range(100, 140)]
    rows = [assignment_of(number, pool) for pool in pools for number in range(9)]
    owners = [make_pool(pool, DATE) for pool in pools]
    with Emulator(rows={"pools": owners, "assignments": rows}, latency=0.01) as emulator:
        config = config_for(emulator, batch_size=3, max_concurrency=threads)
        run = run_inside(config, stream="assignments")
        asked = [request.params for request in requests_of(emulator)]
    assert sorted(run.ids) == [row["id"] for row in rows]
    greatest = [place for place, params in enumerate(asked) if params["sort"] == "-id"]
    begun = [place for place, params in enumerate(asked) if "id_gt" not in params]
    begun = [place for place in begun if place not in greatest]
    assert len(begun) == len(pools)
    late = sum(place > min(greatest, default=math.inf) for place in begun)
    assert late <= 1, "the last list may be on its way"
    assert len(greatest) <= threads


def read_in_parts(ids: list[int], threads: int, size: int = 300) -> tuple[int, float]:
    """Read ids in turns, all threads at once; return how many requests and turns it took."""
    splitter, requests, turns = Splitter(int, threads), 2, 2
    read: list[int] = []

    def take(cursor: IdCursor) -> tuple[IdCursor, list[int], bool]:
        after, end = int(cursor.current_value or 0), int(cursor.end or ids[-1])
        rows = [id_ for id_ in ids if after < id_ <= end]
        pages.append(Page([], [*map(str, rows[:size])], len(rows) > size))
        cursor.read(b"")
        return cursor, rows[:size], len(rows) > size

    def split(cursor: IdCursor, rows: list[int], idle: int) -> list[IdCursor]:
        first, last = str(rows[0]), str(rows[-1])
        return cursor.split(splitter.bounds(first, last, cursor.end, idle))

    pages: list[Page] = []
    cursors = [IdCursor(lambda _body, _fields, _leave_out: pages.pop(), str(ids[0] - 1))]

    cursor, rows, _ = take(cursors[0])
    read += rows
    splitter.last_id = str(ids[-1])
    cursors = split(cursor, rows, threads)
    while cursors:
        turns += 1
        requests += len(cursors[:threads])
        taken = [take(cursor) for cursor in cursors[:threads]]
        cursors = cursors[threads:]
        going_on = sum(more for *_, more in taken)
        for cursor, rows, more in taken:
            read += rows
            if more:
                idle = threads - going_on - len(cursors) + 1
                cursors += split(cursor, rows, max(idle, 1))
                going_on -= 1
    assert sorted(read) == ids
    return requests, turns


@pytest.mark.parametrize(
    ("ids", "turns"),
    [
        ([*range(5, 150_000, 5)], 20),
        ([*range(15_000), *range(10**9, 10**9 + 15_000)], 25),
        ([*range(15_000), *range(15_000, 15_015_000, 1000)], 25),
        ([*range(0, 15_000_000, 1000), *range(15_000_000, 15_015_000)], 25),
        ([*range(30_000), 10**12], 30),
        ([id_ + 10**6 * (id_ // 700) for id_ in range(30_000)], 30),
    ],
    ids=["even", "two clusters", "dense first", "dense last", "one far off", "many clusters"],
)
def test_no_thread_idles_for_long_and_few_requests_are_wasted(ids: list[int], turns: int) -> None:
    pages = math.ceil(len(ids) / 300)
    requests, taken = read_in_parts(ids, 8)
    assert requests <= pages * 1.2
    assert taken <= turns, "one connection takes 100"


def test_one_page_costs_one_request() -> None:
    with Emulator(pools=make_pools(300, seed=20)) as emulator:
        assert len(run_inside(config_for(emulator)).ids) == 300
        assert len(requests_for_rows(emulator)) == 1


def test_one_connection_is_one_connection() -> None:
    with Emulator(pools=make_pools(1000, seed=21), latency=0.01) as emulator:
        run = run_inside(config_for(emulator, max_concurrency=1))
        assert len(run.ids) == 1000
        assert len(requests_for_rows(emulator)) == 4
        assert without(emulator, "-id") == 4
        assert emulator.most_in_flight == 1
    assert run.ids == sorted(run.ids, key=int)


def test_requests_are_under_way_at_once_but_no_more_than_wanted() -> None:
    with Emulator(pools=make_pools(3000, seed=22), latency=0.1) as emulator:
        run_inside(config_for(emulator, batch_size=30, max_concurrency=5))
        assert emulator.most_in_flight == 5
        assert len(requests_for_rows(emulator)) <= 100 * 1.2


def test_the_greatest_id_is_asked_for_within_the_same_filters() -> None:
    rows = [
        make_pool(str(id_), "2024-01-01T00:00:00", project_id=str(id_ % 2)) for id_ in range(99)
    ]
    with Emulator(pools=rows) as emulator:
        filters = {"project_id": "1", "id_lt": "80"}
        run_inside(config_for(emulator, batch_size=5, filters={"pools": filters}))
        (greatest,) = [r.params for r in requests_for_rows(emulator) if r.params["sort"] == "-id"]
    assert dict(greatest) == {"sort": "-id", "limit": "1", **filters}


def test_what_is_created_meanwhile_is_never_in_the_way() -> None:
    with Emulator(pools=make_pools(900, seed=23), latency=0.05) as emulator:
        there = {row["id"] for row in emulator.pools.rows()}
        stop = threading.Event()

        def create() -> None:
            for id_ in range(2_000_000, 2_001_000):
                emulator.pools.add([make_pool(str(id_), "2024-01-01T00:00:00")])
                if stop.wait(0.002):
                    return

        creator = threading.Thread(target=create)
        creator.start()
        run = run_inside(config_for(emulator, batch_size=30))
        stop.set()
        creator.join()
    assert len(set(run.ids)) == len(run.ids)
    assert there <= set(run.ids)


def test_whoever_reads_slowly_holds_the_fetchers_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with Emulator(pools=make_pools(2000, seed=24)) as emulator:
        ahead: list[int] = []

        def write_slowly(_writer: Any, _stream: str, rows: list[Any], *_: Any) -> None:
            time.sleep(0.05)
            written.append(len(rows))
            ahead.append(len(requests_for_rows(emulator)) - len(written))

        written: list[int] = []
        monkeypatch.setattr("tap_toloka.output.LineWriter.write_rows", write_slowly)
        run_inside(config_for(emulator, batch_size=20, max_concurrency=4))
        assert sum(written) == 2000
    assert max(ahead) <= 4 + 4, "those under way, and the wasted ones"


def test_an_error_in_a_thread_ends_the_run_and_all_threads() -> None:
    with Emulator(pools=make_pools(2000, seed=25), latency=0.05) as emulator:
        emulator.faults.add(Fault(status=400, after=6, times=None))
        with pytest.raises(TolokaError, match="Toloka answered 400"):
            run_inside(config_for(emulator, batch_size=20))
        wait_until(lambda: not threads_of_tap())
        asked = len(emulator.requests)
        time.sleep(0.2)
        assert len(emulator.requests) == asked


def test_no_thread_is_left_after_a_run() -> None:
    with Emulator(pools=make_pools(900, seed=26)) as emulator:
        run_inside(config_for(emulator))
        wait_until(lambda: not threads_of_tap())


def test_too_many_requests_slow_down_all_threads() -> None:
    with Emulator(pools=make_pools(2000, seed=27), latency=0.02) as emulator:
        refused = Fault(status=429, headers={"Retry-After": "1"}, after=10)
        emulator.faults.add(refused)
        run = run_inside(config_for(emulator, batch_size=20))
        assert len(run.ids) == 2000
        (when,) = [r.ended for r in emulator.requests if r.status == 429 and r.ended]
        # What was under way at that moment still comes in.
        during = [r for r in emulator.requests if when + 0.1 < r.started < when + 0.99]
        after = [r for r in emulator.requests if r.started > when + 0.99]
    assert not during
    assert len(after) > 20


@pytest.mark.parametrize("rate", [10, 50])
def test_the_pace_is_kept_as_toloka_sees_it(rate: int) -> None:
    with Emulator(pools=make_pools(rate * 20, seed=28)) as emulator:
        config = config_for(emulator, batch_size=10, max_requests_per_second=rate)
        run = run_inside(config)
        assert len(run.ids) == rate * 20
        assert rate * 0.5 < emulator.log.most_in_a_second <= rate + 2


def test_whoever_waits_for_its_turn_is_told_to_stop() -> None:
    pace = Pace(1)
    pace.wait(threading.Event())
    pace.pause(3600)
    threads: Threads[None] = Threads(1)
    with threads:
        threads.start(lambda: pace.wait(threads.stopped))
        time.sleep(0.05)
        assert threads.busy
    with pytest.raises(StoppedError):
        threads.result()


def test_the_first_error_is_the_one_that_is_told() -> None:
    threads: Threads[None] = Threads(4)

    def fail(seconds: float) -> None:
        time.sleep(seconds)
        raise OSError(str(seconds))

    with threads:
        for seconds in (0.3, 0.01, 0.2):
            threads.start(lambda seconds=seconds: fail(seconds))  # type: ignore[misc]
        with pytest.raises(OSError, match=r"0\.01"):
            threads.result()
