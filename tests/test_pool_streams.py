"""Streams that are read pool by pool read all rows in few requests."""

from __future__ import annotations

import json
import signal
import subprocess
import tracemalloc
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.streams.assignments import Assignments
from tap_toloka.streams.attachments import Attachments
from tap_toloka.streams.tasks import Tasks, TaskSuites
from tests.pool_streams import (
    BOOKMARK,
    LONG_AGO,
    STREAMS,
    also_selecting,
    assignment,
    bookmark_of,
    date_params,
    every_stream,
    messages_of,
    open_pool,
    pools_requested,
    requests_for,
    row_of,
    serve,
    shifted,
    state_of,
)
from tests.runner import TAP, Run, catalog_of, config_for, no_waiting, requests_for_rows, run_inside
from toloka_emulator import Fault, make_pool, make_pools

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tap_toloka.client import TolokaStream

Row = dict[str, Any]


@pytest.mark.parametrize(
    ("stream", "config", "changes"),
    [
        (Assignments, {}, {}),
        (Assignments, {"filters": {"pools": {"status": "OPEN", "id_gt": 1_000_000}}}, {}),
        (Tasks, {"filters": {"pools": {"created_lt": "2020-01-01"}}, "lookback_days": 2000}, {}),
        (TaskSuites, {"filters": {"pools": {"project_id": 9000}}}, {}),
        (Attachments, {"start_date": "2022-01-01"}, {"replication_method": "FULL_TABLE"}),
    ],
)
def test_the_stream_of_pools_is_the_same_beside_streams_that_read_pools(
    stream: type[TolokaStream], config: dict[str, Any], changes: dict[str, Any]
) -> None:
    pools = list(make_pools(20, seed=1))
    rows = [row_of(stream, pool["id"], 1, pool["created"]) for pool in pools]
    catalog = catalog_of(**changes)
    with serve(pools, rows, stream) as emulator:
        settings = config_for(emulator, batch_size=12, **config)
        alone = [run_inside(settings, catalog=catalog)]
        alone.append(run_inside(settings, alone[0].state, catalog))
        requests_alone = [dict(r.params) for r in requests_for_rows(emulator)]
        emulator.clear_requests()
        among = [run_inside(settings, catalog=also_selecting(catalog, stream.name))]
        among.append(run_inside(settings, among[0].state, also_selecting(catalog, stream.name)))
        requests_among = [dict(r.params) for r in emulator.requests if r.path == "/api/v1/pools"]
        only = run_inside(settings, stream=stream.name)
    for one, other in zip(alone, among, strict=True):
        assert messages_of(one, "pools") == messages_of(other, "pools")
        assert one.state
        assert other.state
        assert one.state["bookmarks"]["pools"] == other.state["bookmarks"]["pools"]
    assert messages_of(among[0], stream.name) == messages_of(only, stream.name)
    assert Counter(map(str, requests_alone)) <= Counter(map(str, requests_among))
    assert only.state
    assert only.state["bookmarks"].keys() == {stream.name}
    if "start_date" not in config:
        assert set(only.ids) == {row["id"] for row in rows}, "filters of pools do not matter"


@every_stream
def test_selection_and_maps_of_pools_do_not_matter(
    stream: type[TolokaStream],
) -> None:
    rows = [row_of(stream, "17", 1, BOOKMARK)]
    catalog = also_selecting(catalog_of("created", "status", "project_id"), stream.name)
    for entry in catalog["streams"]:
        if entry["stream"] == "pools":
            entry["metadata"][-1]["metadata"]["selected"] = False
    with serve([make_pool("17", "2024-01-01T00:00:00")], rows, stream) as emulator:
        for maps in ({}, {"pools": None}, {"pools": {"id": "id", "__else__": None}}):
            run = run_inside(config_for(emulator, stream_maps=maps), catalog=catalog)
            assert [r["id"] for r in run.records] == [rows[0]["id"]]


@every_stream
def test_a_catalog_need_not_have_pools(stream: type[TolokaStream]) -> None:
    catalog = catalog_of(stream=stream.name)
    catalog["streams"] = [e for e in catalog["streams"] if e["stream"] == stream.name]
    rows = [row_of(stream, "17", 1, BOOKMARK)]
    with serve([open_pool("17")], rows, stream) as emulator:
        assert run_inside(config_for(emulator), catalog=catalog).ids == [rows[0]["id"]]


def test_one_bookmark_is_enough_for_a_thousand_pools() -> None:
    pools = [make_pool(str(id_), LONG_AGO) for id_ in range(500, 1500)]
    rows = [assignment(str(id_), 1, "2024-05-06T07:08:09") for id_ in range(1, 1500)]
    filters = {"project_id": [81776, 74175, 9000, 10001, 133047]}
    with serve(pools, rows) as emulator, no_waiting(rate_limit=False):
        emulator.faults.add(Fault(path="/api/v1/assignments", status=404, after=9, times=50))
        config = config_for(emulator, filters={"assignments": filters})
        run = run_inside(config, stream="assignments")
        assert len(pools_requested(emulator)) == 1000
    assert run.ids
    state = run.state
    assert state
    assert len(json.dumps(state)) < 2048
    assert len(state["bookmarks"]["assignments"].pop("skipped")) == 50
    assert state["bookmarks"]["assignments"].pop("account")
    assert state == state_of(
        Assignments, "2024-05-06T07:08:09.000", project_id="10001,133047,74175,81776,9000"
    )


@every_stream
def test_a_first_run_sends_one_request_per_pool(stream: type[TolokaStream]) -> None:
    pools = list(make_pools(30, seed=3))
    with serve(pools, [row_of(stream, pools[0]["id"], 1, LONG_AGO)], stream) as emulator:
        run_inside(config_for(emulator), stream=stream.name)
        requests = requests_for(emulator, stream)
    assert sorted(r.params["pool_id"] for r in requests) == sorted(pool["id"] for pool in pools)
    for request in requests:
        limit = str(min(1000, stream.page_cap))
        assert request.params == {
            "pool_id": request.params["pool_id"],
            "sort": "id",
            "limit": limit,
        }


def lists_of_changes(stream: type[TolokaStream], since: str, *, bound: str) -> list[Row]:
    """Return the bounds of what is new since a date, and of what is older and changed."""
    until = {"gt": "lte", "gte": "lt"}[bound]
    first, *others = stream.change_dates
    return [
        {f"{first}_{bound}": since},
        *({f"{other}_{bound}": since, f"{first}_{until}": since} for other in others),
    ]


def in_any_order(bounds: Iterable[dict[str, str]]) -> list[str]:
    """Make a list comparable."""
    return sorted(str(sorted(bound.items())) for bound in bounds)


@pytest.mark.parametrize(
    ("stream", "most", "by_date"),
    [
        (Assignments, 12, True),
        (Assignments, 11, False),
        *((stream, 8, True) for stream in STREAMS if stream is not Assignments),
    ],
)
def test_a_later_run_reads_an_old_pool_by_each_date_if_all_is_requested_at_once(
    stream: type[TolokaStream], most: int, *, by_date: bool
) -> None:
    pools = [
        open_pool("1"),
        open_pool("2", BOOKMARK),
        open_pool("3", shifted(BOOKMARK, seconds=0.001)),
        make_pool("4", shifted(BOOKMARK, days=1), status="ARCHIVED"),
        make_pool("5", LONG_AGO, status="ARCHIVED"),
    ]
    with serve(pools, [], stream) as emulator:
        config = config_for(emulator, max_concurrency=most)
        run_inside(config, state_of(stream), stream=stream.name)
        bounds = {
            pool["id"]: in_any_order(
                date_params(r)
                for r in requests_for(emulator, stream)
                if r.params["pool_id"] == pool["id"]
            )
            for pool in pools
        }
    changes = in_any_order(lists_of_changes(stream, BOOKMARK, bound="gt"))
    older = changes if by_date else ["[]"]
    assert bounds == {"1": older, "2": older, "3": ["[]"], "4": ["[]"], "5": []}
    assert len(changes) == (6 if stream is Assignments else 1)


@every_stream
def test_the_start_date_is_an_inclusive_bound(stream: type[TolokaStream]) -> None:
    pools = [
        open_pool("1"),
        open_pool("2", BOOKMARK),
        open_pool("3", shifted(BOOKMARK, seconds=0.001)),
        make_pool("4", LONG_AGO, status="ARCHIVED"),
    ]
    with serve(pools, [], stream) as emulator:
        run_inside(config_for(emulator, start_date=BOOKMARK), stream=stream.name)
        requests = requests_for(emulator, stream)
    changes = in_any_order(lists_of_changes(stream, BOOKMARK, bound="gte"))
    for pool, bounds in (("1", changes), ("2", ["[]"]), ("3", ["[]"]), ("4", [])):
        of_pool = [date_params(r) for r in requests if r.params["pool_id"] == pool]
        assert in_any_order(of_pool) == bounds


def test_an_assignment_that_changed_twice_is_printed_once() -> None:
    later = [shifted(BOOKMARK, hours=hours) for hours in range(1, 4)]
    rows = [
        assignment("1", 1, LONG_AGO, submitted=later[0], accepted=later[1]),
        assignment("1", 2, LONG_AGO, submitted=later[0], rejected=later[1], accepted=later[2]),
        assignment("1", 3, BOOKMARK, skipped=later[0]),
        assignment("1", 4, LONG_AGO, expired=later[0]),
        assignment("1", 5, LONG_AGO, submitted=BOOKMARK, accepted=BOOKMARK),
        assignment("1", 6, later[0], submitted=later[1], accepted=later[2]),
        assignment("2", 7, LONG_AGO, submitted=later[0], accepted=later[1]),
    ]
    with serve([open_pool("1"), open_pool("2")], rows) as emulator:
        for concurrency in (1, 8):
            config = config_for(emulator, batch_size=1, max_concurrency=concurrency)
            run = run_inside(config, state_of(Assignments), stream="assignments")
            assert sorted(run.ids) == [row["id"] for row in rows if row["id"][-1] != "5"]
    assert bookmark_of(run) == f"{later[2]}Z"


@pytest.mark.parametrize("most", [1, 3, 8])
def test_max_concurrency_pools_are_read_at_once_and_no_more(most: int) -> None:
    pools = [open_pool(str(id_)) for id_ in range(100, 140)]
    rows = [assignment(pool["id"], 1, LONG_AGO) for pool in pools]
    with serve(pools, rows) as emulator:
        emulator.latency = 0.03
        run = run_inside(
            config_for(emulator, max_concurrency=most, batch_size=20),
            stream="assignments",
        )
        assert emulator.most_in_flight == most
        assert len(requests_for(emulator)) == 40
    assert len(run.ids) == 40


def test_the_rate_limit_holds_for_listing_and_reading_together() -> None:
    pools = [open_pool(str(id_)) for id_ in range(100, 160)]
    with serve(pools, []) as emulator:
        config = config_for(emulator, batch_size=2, max_requests_per_second=40)
        run_inside(config, stream="assignments")
        assert len(emulator.requests) >= 30 + 60
        assert 20 < emulator.log.most_in_a_second <= 40 + 2


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_after_a_stopped_run_the_next_one_reads_the_rest(
    signum: signal.Signals, tmp_path: Path
) -> None:
    pools = [open_pool(str(id_)) for id_ in range(100, 140)]
    rows = [
        assignment(pool["id"], number, LONG_AGO, submitted=shifted(BOOKMARK, hours=number + 1))
        for pool in pools
        for number in range(50)
    ]
    state = state_of(Assignments)
    with serve(pools, rows) as emulator:
        emulator.faults.add(Fault(path="/api/v1/assignments", after=60, delay=120, times=None))
        command = [*TAP]
        for name, value in (
            ("config", config_for(emulator, timeout=120)),
            ("catalog", catalog_of(stream="assignments")),
            ("state", state),
        ):
            (tmp_path / name).write_text(json.dumps(value))
            command += [f"--{name}", str(tmp_path / name)]
        pipes: dict[str, Any] = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        with subprocess.Popen(command, **pipes) as process:
            assert process.stdout
            assert process.stderr
            first_lines = b"".join(process.stdout.readline() for _ in range(100))
            process.send_signal(signum)
            # Not `communicate`, which does not know of what `readline` has read ahead.
            rest, log = process.stdout.read(), process.stderr.read()
        stopped = Run(first_lines + rest, log.decode(), process.returncode)
        assert stopped.status == 128 + signum
        assert stopped.output.endswith(b"}\n")
        assert "Traceback" not in stopped.log
        assert 0 < len(stopped.ids) < len(rows)
        assert bookmark_of(stopped) == f"{BOOKMARK}Z"
        emulator.faults.clear()
        again = run_inside(config_for(emulator), stopped.state, stream="assignments")
    assert sorted({*stopped.ids, *again.ids}) == [row["id"] for row in rows]
    assert len(again.ids) < len(rows)
    assert bookmark_of(again) == f"{shifted(BOOKMARK, hours=50)}Z"


def test_memory_does_not_grow_with_the_rows_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0

    def count(_writer: Any, _stream: str, rows: list[Any], *_: Any) -> None:
        nonlocal written
        written += len(rows)

    monkeypatch.setattr("tap_toloka.output.LineWriter.write_rows", count)
    peaks = []
    for number in (2_000, 2_000, 20_000):  # the first also fills caches
        dates = {"submitted": shifted(BOOKMARK, hours=1), "accepted": shifted(BOOKMARK, hours=2)}
        rows = (assignment("1", n, LONG_AGO, **dates) for n in range(number))
        with serve([open_pool("1")], rows) as emulator:
            config = config_for(emulator, batch_size=500, max_concurrency=2)
            tracemalloc.start()
            run_inside(config, state_of(Assignments), stream="assignments")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert written == 24_000
    assert peaks[2] < peaks[1] + 1_000_000, "less than the ids take: 100 bytes each"
