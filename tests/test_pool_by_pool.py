"""What Toloka lists pool by pool: all of it arrives, and few pools are asked for nothing."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tap_toloka.errors import TolokaError
from tap_toloka.parallel import Pace
from tap_toloka.streams.assignments import Assignments
from tap_toloka.streams.attachments import Attachments
from tap_toloka.streams.tasks import Tasks, TaskSuites
from tests.runner import TAP, Run, catalog_of, config_for, run_inside, run_process
from tests.test_parallel import threads_of_ours, wait_until
from toloka_emulator import Dice, Emulator, Fault, make_pool, make_pools, make_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tap_toloka.client import TolokaStream
    from toloka_emulator import Request

Row = dict[str, Any]

STREAMS: tuple[type[TolokaStream], ...] = (Assignments, Tasks, TaskSuites, Attachments)
every_stream = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
BOOKMARK = "2024-05-06T07:08:09.100"


def row_of(stream: type[TolokaStream], pool: str, number: int, created: str, **fields: Any) -> Row:
    """Make a row of a pool."""
    id_ = f"{int(pool):010x}--{number:024x}"
    where = {"details": {"pool_id": pool}} if stream is Attachments else {"pool_id": pool}
    return {"id": id_, "created": created, **where, **fields}


def assignment(pool: str, number: int, created: str, **fields: Any) -> Row:
    """Make an assignment of a pool."""
    return row_of(Assignments, pool, number, created, **fields)


def open_pool(id_: str, created: str = "2019-01-01T00:00:00", **fields: Any) -> Row:
    """Make a pool in which anything may happen."""
    return make_pool(id_, created, status="OPEN", last_started=created, **fields)


def serve(pools: Iterable[Row], rows: Iterable[Row], stream: Any = Assignments) -> Emulator:
    """Make an emulator of pools and rows in them."""
    return Emulator(rows={"pools": pools, stream.name: rows})


def state_of(stream: type[TolokaStream], date: str = BOOKMARK, **filters: str) -> dict[str, Any]:
    """Return the state after a run that read all up to a date."""
    bookmark: dict[str, Any] = {
        "replication_key": stream.replication_key,
        "replication_key_value": f"{date}Z",
    }
    if filters:
        bookmark["filters"] = filters
    return {"bookmarks": {stream.name: bookmark}}


def asked(emulator: Emulator, stream: type[TolokaStream] = Assignments) -> list[Request]:
    """Return the requests for lists of pools, without those for the pools."""
    return [r for r in emulator.requests if r.path == f"/api{stream.path}"]


def pools_asked(emulator: Emulator, stream: type[TolokaStream] = Assignments) -> set[str]:
    """Return the ids of the pools whose lists were asked for."""
    return {request.params["pool_id"] for request in asked(emulator, stream)}


def date_params(request: Request) -> dict[str, str]:
    """Return the bounds of dates in a request."""
    return {
        name: value
        for name, value in request.params.items()
        if name.endswith(("_gt", "_gte", "_lt", "_lte")) and not name.startswith("id_")
    }


def shifted(date: str, **period: float) -> str:
    """Go so far ahead of a date, or back."""
    moment = datetime.fromisoformat(date) + timedelta(**period)
    return moment.isoformat(timespec="milliseconds")


def of_stream(run: Run, name: str) -> list[dict[str, Any]]:
    """Return the messages of a stream but for when they were printed, in order of ids."""
    messages = [m for m in run.messages if m.get("stream") == name]
    for message in messages:
        message.pop("time_extracted", None)
    return sorted(messages, key=lambda m: (m["type"] != "SCHEMA", m.get("record", {}).get("id")))


def bookmark_of(run: Run, name: str = "assignments") -> Any:
    """Return the bookmark of a stream in the last state."""
    assert run.state is not None
    return run.state["bookmarks"][name].get("replication_key_value")


def warnings(run: Run) -> list[str]:
    """Return the lines of the log that say what was passed over."""
    return [line for line in run.log.splitlines() if "Skipping pool" in line]


def both(first: dict[str, Any], *others: str) -> dict[str, Any]:
    """Return a catalog in which further streams are selected."""
    catalog: dict[str, Any] = json.loads(json.dumps(first))
    for entry in catalog["streams"]:
        if entry["stream"] in others:
            entry["metadata"][-1]["metadata"]["selected"] = True
    return catalog


# Beside the stream of pools


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
def test_the_stream_of_pools_is_what_it_would_be_alone(
    stream: type[TolokaStream], config: dict[str, Any], changes: dict[str, Any]
) -> None:
    pools = list(make_pools(20, seed=1))
    rows = [row_of(stream, pool["id"], 1, pool["created"]) for pool in pools]
    catalog = catalog_of(**changes)
    with serve(pools, rows, stream) as emulator:
        settings = config_for(emulator, batch_size=12, **config)
        alone = [run_inside(settings, catalog=catalog)]
        alone.append(run_inside(settings, alone[0].state, catalog))
        asked_alone = [dict(r.params) for r in emulator.requests]
        emulator.clear_requests()
        among = [run_inside(settings, catalog=both(catalog, stream.name))]
        among.append(run_inside(settings, among[0].state, both(catalog, stream.name)))
        asked_among = [dict(r.params) for r in emulator.requests if r.path == "/api/v1/pools"]
        only = run_inside(settings, stream=stream.name)
    for one, other in zip(alone, among, strict=True):
        assert of_stream(one, "pools") == of_stream(other, "pools")
        assert one.state
        assert other.state
        assert one.state["bookmarks"]["pools"] == other.state["bookmarks"]["pools"]
    assert of_stream(among[0], stream.name) == of_stream(only, stream.name)
    assert Counter(map(str, asked_alone)) <= Counter(map(str, asked_among))
    assert only.state
    assert only.state["bookmarks"].keys() == {stream.name}
    if "start_date" not in config:
        assert set(only.ids) == {row["id"] for row in rows}, "whatever is asked of pools"


@every_stream
def test_what_is_deselected_or_mapped_of_pools_decides_nothing(
    stream: type[TolokaStream],
) -> None:
    rows = [row_of(stream, "17", 1, BOOKMARK)]
    catalog = both(catalog_of("created", "status", "project_id"), stream.name)
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


def test_one_bookmark_is_enough_for_thousands_of_pools() -> None:
    pools = [make_pool(str(id_), LONG_AGO) for id_ in range(1000, 4000)]
    rows = [assignment(str(id_), 1, "2024-05-06T07:08:09") for id_ in range(1, 4000)]
    filters = {"project_id": [81776, 74175, 9000, 10001, 133047]}
    with serve(pools, rows) as emulator, patch.object(Pace, "wait"):
        emulator.faults.add(Fault(path="/api/v1/assignments", status=404, after=9, times=50))
        config = config_for(emulator, filters={"assignments": filters})
        run = run_inside(config, stream="assignments")
        assert len(pools_asked(emulator)) == 3000
    assert run.ids
    assert run.state == state_of(
        Assignments, "2024-05-06T07:08:09.000", project_id="10001,133047,74175,81776,9000"
    )
    assert len(json.dumps(run.state)) < 2048


# Which pools are asked

DAY = 86_400
# When nothing can have happened in a pool any more, as seconds after it stopped, by its settings.
SETTLES: list[tuple[Row, int]] = [
    ({}, (21 + 30) * DAY + 600),
    ({"auto_accept_period_day": None}, (21 + 30) * DAY + 600),
    ({"auto_accept_period_day": 0}, (21 + 30) * DAY + 600),
    ({"auto_accept_period_day": 1}, (1 + 30) * DAY + 600),
    ({"auto_accept_period_day": 14}, (14 + 30) * DAY + 600),
    ({"assignment_max_duration_seconds": 5}, (21 + 30) * DAY + 5),
    (
        {"assignment_max_duration_seconds": DAY, "auto_accept_period_day": 7},
        (7 + 30 + 1) * DAY,
    ),
    ({"assignment_max_duration_seconds": 0}, (21 + 30) * DAY),
]
LONG_AGO = "2015-01-01T00:00:00"
# Which date tells when a pool stopped: the latest.
STOPPED: list[tuple[str, Row]] = [
    ("created", {}),
    ("created", {"last_started": None, "last_stopped": None}),
    ("last_started", {"created": LONG_AGO}),
    ("last_stopped", {"created": LONG_AGO, "last_started": LONG_AGO}),
    ("last_stopped", {"created": LONG_AGO}),
    ("last_started", {"created": LONG_AGO, "last_stopped": LONG_AGO}),
]


def pools_around(bookmark: str, status: str) -> Iterator[tuple[Row, bool]]:
    """Yield pools that stopped just too long ago, or not quite; and whether they can change."""
    number = 1000
    for fields, seconds in SETTLES:
        for name, dates in STOPPED:
            for late in (-1, 0, 0.001, 1):
                number += 1
                stopped = shifted(bookmark, seconds=late - seconds)
                pool = {**make_pool(str(number), stopped, status=status), **dates, **fields}
                pool[name] = stopped
                yield pool, late > 0


@every_stream
@pytest.mark.parametrize("status", ["CLOSED", "ARCHIVED", "OPEN", "LOCKED"])
def test_a_pool_in_which_nothing_can_have_changed_is_not_asked(
    stream: type[TolokaStream], status: str
) -> None:
    ends = {"ARCHIVED"} if stream in {Tasks, TaskSuites} else {"CLOSED", "ARCHIVED"}
    pools = list(pools_around(BOOKMARK, status))
    if status not in ends:
        pools = pools[::12]  # all are asked
    with serve([pool for pool, _ in pools], [], stream) as emulator:
        run_inside(
            config_for(emulator),
            state_of(stream),
            stream=stream.name,
        )
        assert pools_asked(emulator, stream) == {
            pool["id"] for pool, can_change in pools if can_change or status not in ends
        }


@every_stream
def test_a_pool_of_which_too_little_is_known_is_asked(stream: type[TolokaStream]) -> None:
    pools = [
        make_pool("1", LONG_AGO, status="ARCHIVED", assignment_max_duration_seconds=None),
        {**make_pool("2", LONG_AGO, status="ARCHIVED"), "created": None},
        make_pool("3", LONG_AGO, status=None),
        make_pool("4", LONG_AGO, status="MELTED"),
        make_pool("5", LONG_AGO, status="ARCHIVED"),
        make_pool("6", LONG_AGO, status="ARCHIVED", assignment_max_duration_seconds=10**15),
    ]
    del pools[3]["assignment_max_duration_seconds"]
    with serve(pools, [], stream) as emulator:
        run_inside(config_for(emulator), state_of(stream), stream=stream.name)
        assert pools_asked(emulator, stream) == {"1", "2", "3", "4", "6"}


@every_stream
def test_settled_pools_are_asked_if_the_settings_say_so(stream: type[TolokaStream]) -> None:
    pools = [make_pool(str(id_), LONG_AGO, status="ARCHIVED") for id_ in (1, 2, 3)]
    with serve(pools, [], stream) as emulator:
        for settings in ({}, {"skip_settled_pools": None}, {"skip_settled_pools": True}):
            run_inside(config_for(emulator, **settings), state_of(stream), stream=stream.name)
            assert pools_asked(emulator, stream) == set()
        config = config_for(emulator, skip_settled_pools=False)
        run_inside(config, state_of(stream), stream=stream.name)
        assert pools_asked(emulator, stream) == {"1", "2", "3"}


@every_stream
def test_a_look_back_reaches_pools_that_had_settled(stream: type[TolokaStream]) -> None:
    seconds = (21 + 30) * DAY + 600
    pools = [
        make_pool(str(days), shifted(BOOKMARK, days=-days, seconds=1 - seconds), status="ARCHIVED")
        for days in (0, 10, 11)
    ]
    with serve(pools, [], stream) as emulator:
        run_inside(config_for(emulator, lookback_days=10), state_of(stream), stream=stream.name)
        assert pools_asked(emulator, stream) == {"0", "10"}


@every_stream
def test_a_training_is_asked_as_a_pool_is_and_once_if_it_is_listed_as_one(
    stream: type[TolokaStream],
) -> None:
    plain = [
        open_pool("1"),
        make_pool("2", LONG_AGO, status="ARCHIVED"),
        make_pool("3", shifted(BOOKMARK, days=1), status="ARCHIVED"),
        open_pool("4", assignment_max_duration_seconds=None),
    ]
    # The list of trainings does not tell how long a review may take.
    seconds = (21 + 30) * DAY + 600
    edge = [shifted(BOOKMARK, seconds=late - seconds) for late in (0, 1)]
    ended = [make_pool(str(5 + n), at, status="ARCHIVED") for n, at in enumerate(edge)]
    rows = {
        "pools": [plain[0], open_pool("9")],
        "trainings": [*plain, *ended],
        stream.name: [row_of(stream, str(id_), 1, BOOKMARK) for id_ in range(1, 10)],
    }
    each_date = len(stream.change_dates)
    with Emulator(rows=rows) as emulator:
        first = run_inside(config_for(emulator), stream=stream.name)
        assert sorted(r.params["pool_id"] for r in asked(emulator, stream)) == [*"1234569"]
        assert len(first.ids) == 7
        emulator.clear_requests()
        run_inside(config_for(emulator), state_of(stream), stream=stream.name)
        assert Counter(r.params["pool_id"] for r in asked(emulator, stream)) == {
            "1": each_date,
            "3": 1,
            "4": each_date,
            "6": each_date,
            "9": each_date,
        }


@every_stream
def test_a_training_can_be_chosen(
    stream: type[TolokaStream], caplog: pytest.LogCaptureFixture
) -> None:
    pools, trainings = ([open_pool(id_, project_id=id_) for id_ in ids] for ids in ("12", "34"))
    with Emulator(rows={"pools": pools, "trainings": trainings}) as emulator:
        for chosen in ({"pool_id": [1, 4]}, {"project_id": [1, 4]}, {"project_id": [4]}):
            emulator.clear_requests()
            config = config_for(emulator, filters={stream.name: chosen})
            run_inside(config, stream=stream.name)
            assert pools_asked(emulator, stream) == {"1", "4"} & {
                str(id_) for ids in chosen.values() for id_ in ids
            }
    assert "do not exist" not in caplog.text


@every_stream
def test_a_full_table_is_all_pools(stream: type[TolokaStream]) -> None:
    pools = [make_pool("1", LONG_AGO, status="ARCHIVED"), open_pool("2")]
    rows = [row_of(stream, pool["id"], 1, LONG_AGO) for pool in pools]
    catalog = catalog_of(stream=stream.name, replication_method="FULL_TABLE")
    with serve(pools, rows, stream) as emulator:
        run = run_inside(config_for(emulator), state_of(stream), catalog)
        assert [date_params(request) for request in asked(emulator, stream)] == [{}, {}]
    assert len(run.ids) == 2


# What is asked of a pool


@every_stream
def test_a_first_run_asks_each_pool_once_for_all(stream: type[TolokaStream]) -> None:
    pools = list(make_pools(30, seed=3))
    with serve(pools, [row_of(stream, pools[0]["id"], 1, LONG_AGO)], stream) as emulator:
        run_inside(config_for(emulator), stream=stream.name)
        requests = asked(emulator, stream)
    assert sorted(r.params["pool_id"] for r in requests) == sorted(pool["id"] for pool in pools)
    for request in requests:
        limit = str(min(1000, stream.page_cap))
        assert request.params == {
            "pool_id": request.params["pool_id"],
            "sort": "id",
            "limit": limit,
        }


def lists_of_changes(stream: type[TolokaStream], since: str, *, bound: str) -> list[Row]:
    """Return the bounds that tell what is new since a date, and what is older and changed."""
    until = {"gt": "lte", "gte": "lt"}[bound]
    first, *others = stream.change_dates
    return [
        {f"{first}_{bound}": since},
        *({f"{other}_{bound}": since, f"{first}_{until}": since} for other in others),
    ]


def in_any_order(bounds: Iterable[dict[str, str]]) -> list[str]:
    """Make a list comparable."""
    return sorted(str(sorted(bound.items())) for bound in bounds)


@every_stream
def test_a_later_run_asks_a_live_pool_by_each_date_and_a_new_one_once(
    stream: type[TolokaStream],
) -> None:
    pools = [
        open_pool("1"),
        open_pool("2", BOOKMARK),
        open_pool("3", shifted(BOOKMARK, seconds=0.001)),
        make_pool("4", shifted(BOOKMARK, days=1), status="ARCHIVED"),
        make_pool("5", LONG_AGO, status="ARCHIVED"),
    ]
    with serve(pools, [], stream) as emulator:
        run_inside(config_for(emulator), state_of(stream), stream=stream.name)
        bounds = {
            pool["id"]: in_any_order(
                date_params(r) for r in asked(emulator, stream) if r.params["pool_id"] == pool["id"]
            )
            for pool in pools
        }
    changes = in_any_order(lists_of_changes(stream, BOOKMARK, bound="gt"))
    assert bounds == {"1": changes, "2": changes, "3": ["[]"], "4": ["[]"], "5": []}
    assert len(changes) == (6 if stream is Assignments else 1)


@every_stream
def test_a_start_date_is_a_bound_that_holds_itself(stream: type[TolokaStream]) -> None:
    pools = [
        open_pool("1"),
        open_pool("2", BOOKMARK),
        open_pool("3", shifted(BOOKMARK, seconds=0.001)),
        make_pool("4", LONG_AGO, status="ARCHIVED"),
    ]
    with serve(pools, [], stream) as emulator:
        run_inside(config_for(emulator, start_date=BOOKMARK), stream=stream.name)
        requests = asked(emulator, stream)
    changes = in_any_order(lists_of_changes(stream, BOOKMARK, bound="gte"))
    for pool, bounds in (("1", changes), ("2", changes), ("3", ["[]"]), ("4", [])):
        of_pool = [date_params(r) for r in requests if r.params["pool_id"] == pool]
        assert in_any_order(of_pool) == bounds


def test_an_assignment_that_changed_twice_comes_once() -> None:
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


# Filters that choose pools


@every_stream
@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"pool_id": [2]}, ["2"]),
        ({"pool_id": ["2", 40, "0003"]}, ["2", "3", "40"]),
        ({"pool_id": [9, 100]}, ["9", "100"]),
        ({"project_id": [7]}, ["2", "40"]),
        ({"project_id": ["7", 8]}, ["2", "3", "40"]),
        ({"project_id": [7, 9], "pool_id": ["2", "3"]}, ["2"]),
        ({"project_id": [6]}, []),
    ],
    ids=str,
)
def test_only_what_belongs_to_the_chosen_is_read(
    stream: type[TolokaStream], chosen: dict[str, Any], expected: list[str]
) -> None:
    projects = {"1": "5", "2": "7", "3": "8", "9": "10", "40": "7", "100": "10"}
    pools = [open_pool(id_, project_id=project) for id_, project in projects.items()]
    rows = [row_of(stream, id_, 1, BOOKMARK) for id_ in projects]
    with serve(pools, rows, stream) as emulator:
        config = config_for(emulator, filters={stream.name: chosen})
        run = run_inside(config, stream=stream.name)
        assert pools_asked(emulator, stream) == {*expected}
        assert {str(int(id_.partition("--")[0], 16)) for id_ in run.ids} == {*expected}
        for request in emulator.requests:
            assert "," not in "".join(request.params.values()), "Toloka takes one"


@pytest.mark.parametrize(
    ("chosen", "params"),
    [
        ({"pool_id": [9, 40, 100]}, {"id_gte": "9", "id_lte": "100"}),
        ({"project_id": ["07"]}, {"project_id": "7"}),
        ({"project_id": [7], "pool_id": [3]}, {"project_id": "7", "id_gte": "3", "id_lte": "3"}),
        ({"project_id": [7, 8]}, {}),
    ],
    ids=str,
)
def test_as_few_pools_are_listed_as_toloka_can_tell(
    chosen: dict[str, Any], params: dict[str, str]
) -> None:
    with Emulator() as emulator:
        config = config_for(emulator, filters={"assignments": chosen})
        run_inside(config, stream="assignments")
        requests = emulator.requests
    assert [request.path for request in requests] == ["/api/v1/pools", "/api/v1/trainings"]
    for request in requests:
        assert request.params == {"sort": "id", "limit": "300", **params}


@every_stream
def test_a_pool_that_is_chosen_and_not_there_is_warned_of_once(
    stream: type[TolokaStream], caplog: pytest.LogCaptureFixture
) -> None:
    with serve([open_pool("2")], [row_of(stream, "2", 1, BOOKMARK)], stream) as emulator:
        config = config_for(emulator, filters={stream.name: {"pool_id": [2, 30, 4]}})
        run = run_inside(config, stream=stream.name)
    assert len(run.ids) == 1
    (line,) = [line for line in caplog.messages if "do not exist" in line]
    assert f"`filters.{stream.name}.pool_id` names" in line
    assert line.endswith(": 4, 30")


@every_stream
@pytest.mark.parametrize(
    "now", [{}, {"pool_id": [1]}, {"pool_id": [1, 2, 3]}, {"project_id": [81776]}], ids=str
)
def test_other_pools_chosen_make_the_bookmark_count_for_nothing(
    stream: type[TolokaStream], now: dict[str, Any]
) -> None:
    state = state_of(stream, pool_id="1,2")
    pools = [open_pool("1"), make_pool("2", LONG_AGO, status="ARCHIVED")]
    rows = [row_of(stream, id_, 1, LONG_AGO) for id_ in ("1", "2")]
    with serve(pools, rows, stream) as emulator:
        same = config_for(emulator, filters={stream.name: {"pool_id": ["2", 1]}})
        assert run_inside(same, state, stream=stream.name).ids == []
        other = config_for(emulator, filters={stream.name: now})
        run = run_inside(other, state, stream=stream.name)
        read = sorted(run.ids)
        assert read == [row["id"] for row in rows][: 1 if now == {"pool_id": [1]} else 2]
    assert run.state
    kept = run.state["bookmarks"][stream.name]
    assert kept.get("filters", {}) == stream.filters.normal(now)
    assert bookmark_of(run, stream.name) == f"{LONG_AGO}.000Z"


# Pools that cannot be read


@pytest.fixture
def five() -> Iterator[Emulator]:
    """Serve five pools with five assignments each, that changed after the bookmark."""
    rows = [
        assignment(str(pool), number, LONG_AGO, accepted=shifted(BOOKMARK, hours=number + 1))
        for pool in range(1, 6)
        for number in range(5)
    ]
    with serve([open_pool(str(pool)) for pool in range(1, 6)], rows) as emulator:
        yield emulator


def ids_in(emulator: Emulator, *without: str) -> list[str]:
    """Return the ids of all assignments but for those of some pools."""
    rows = emulator.tables["assignments"].rows()
    return [row["id"] for row in rows if row["pool_id"] not in without]


GREATEST = f"{shifted(BOOKMARK, hours=5)}Z"


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (None, None),
        (None, state_of(Assignments)),
        (Fault(status=410), state_of(Assignments)),
        (Fault(body={"code": "DOES_NOT_EXIST"}, status=400), None),
    ],
    ids=str,
)
def test_a_pool_that_is_gone_is_one_warning_and_the_bookmark_moves(
    five: Emulator, state: Any, fault: Fault | None
) -> None:
    if fault is None:
        five.removed_pools.add("3")  # it was there when pools were listed
    else:
        gone = {"path": "/api/v1/assignments", "params": {"pool_id": "3"}}
        five.faults.add(Fault(**gone, status=fault.status, body=fault.body, times=None))  # type: ignore[arg-type]
    config = config_for(five, batch_size=2)
    run = run_process(config=config, state=state, catalog=catalog_of(stream="assignments"))
    assert run.status == 0, run.log
    assert sorted(run.ids) == ids_in(five, "3")
    (line,) = warnings(run)
    assert "pool 3" in line
    assert f"Toloka answered {fault.status if fault else 404}" in line
    assert bookmark_of(run) == GREATEST


@pytest.mark.parametrize(
    ("state", "status"),
    [(None, 403), (state_of(Assignments), 403), (state_of(Assignments), 409)],
    ids=["first", "later", "conflict"],
)
def test_a_pool_that_is_refused_is_one_warning_and_comes_when_it_is_given_back(
    five: Emulator, state: Any, status: int
) -> None:
    fault = Fault(path="/api/v1/assignments", params={"pool_id": "3"}, status=status, times=None)
    five.faults.add(fault)
    config, catalog = config_for(five, batch_size=2), catalog_of(stream="assignments")
    run = run_process(config=config, state=state, catalog=catalog)
    assert run.status == 0, run.log
    assert sorted(run.ids) == ids_in(five, "3")
    (line,) = warnings(run)
    assert "pool 3" in line
    assert str(status) in line
    assert run.state
    before = None if state is None else f"{BOOKMARK}Z"
    assert bookmark_of(run) == before
    (stays,) = [
        line for line in run.log.splitlines() if "Bookmark of assignments not moved" in line
    ]
    assert "could not read 3." in stays
    five.faults.clear()
    again = run_inside(config, run.state, stream="assignments")
    assert sorted(again.ids) == ids_in(five), "what was missing among it"
    assert bookmark_of(again) == GREATEST


@pytest.mark.parametrize(
    "params", [{"skipped_gt": "*"}, {"accepted_gt": "*", "id_gt": "*"}], ids=str
)
def test_a_pool_that_is_refused_in_part_holds_the_bookmark_too(
    five: Emulator, params: dict[str, str]
) -> None:
    refused = {"pool_id": "3", **params}
    five.faults.add(Fault(path="/api/v1/assignments", params=refused, status=403, times=None))
    config = config_for(five, batch_size=2, max_concurrency=1)
    run = run_inside(config, state_of(Assignments), stream="assignments")
    assert set(ids_in(five, "3")) < set(run.ids)
    assert bookmark_of(run) == f"{BOOKMARK}Z"


def test_a_gone_pool_does_not_excuse_a_refused_one(five: Emulator) -> None:
    for pool, status in (("1", 404), ("3", 403)):
        fault = Fault(
            path="/api/v1/assignments", params={"pool_id": pool}, status=status, times=None
        )
        five.faults.add(fault)
    run = run_inside(config_for(five), state_of(Assignments), stream="assignments")
    assert sorted(run.ids) == ids_in(five, "1", "3")
    assert bookmark_of(run) == f"{BOOKMARK}Z"


def test_a_pool_of_which_one_list_is_gone_and_one_refused_is_refused(five: Emulator) -> None:
    for status, params in ((404, {"created_gt": "*"}), (403, {"accepted_gt": "*"})):
        refused = {"pool_id": "3", **params}
        five.faults.add(Fault(path="/api/v1/assignments", params=refused, status=status))
    config = config_for(five, max_concurrency=1)
    run = run_inside(config, state_of(Assignments), stream="assignments")
    assert sorted(run.ids) == ids_in(five, "3")
    assert bookmark_of(run) == f"{BOOKMARK}Z"


def test_what_somebody_else_says_of_a_pool_moves_no_bookmark(five: Emulator) -> None:
    page = "<html>404 Not Found</html>"
    params = {"pool_id": "3"}
    five.faults.add(
        Fault(path="/api/v1/assignments", params=params, status=404, body=page, times=None)
    )
    run = run_inside(config_for(five), state_of(Assignments), stream="assignments", may_fail=True)
    assert run.state is None or bookmark_of(run) == f"{BOOKMARK}Z"


@pytest.mark.parametrize("state", [None, state_of(Assignments)], ids=["first", "later"])
def test_all_pools_refused_is_an_error_in_one_line(five: Emulator, state: Any) -> None:
    five.faults.add(Fault(path="/api/v1/assignments", status=403, times=None))
    catalog = catalog_of(stream="assignments")
    run = run_process(config=config_for(five), state=state, catalog=catalog)
    assert run.status == 1
    assert run.records == []
    assert run.state == state
    assert "Traceback" not in run.log
    assert "403" in run.log.splitlines()[-1]
    assert len(warnings(run)) == 5


@pytest.mark.parametrize("status", [400, 401])
def test_another_error_in_the_middle_ends_the_run(five: Emulator, status: int) -> None:
    five.faults.add(Fault(path="/api/v1/assignments", after=12, status=status, times=None))
    config = config_for(five, max_concurrency=2)
    run = run_process(
        config=config, state=state_of(Assignments), catalog=catalog_of(stream="assignments")
    )
    assert run.status == 1
    assert run.state == state_of(Assignments)
    assert "Traceback" not in run.log
    assert f"assignments: Toloka answered {status}" in run.log.splitlines()[-1]
    assert len(asked(five)) <= 12 + 2


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_list_of_pools_that_cannot_be_read_ends_the_run(five: Emulator, status: int) -> None:
    five.faults.add(Fault(path="/api/v1/pools", after=1, status=status, times=None))
    with pytest.raises(TolokaError, match=f"pools: Toloka answered {status}"):
        run_inside(config_for(five, batch_size=2), stream="assignments")
    wait_until(lambda: not threads_of_ours())
    assert asked(five) == []


# How fast


@pytest.mark.parametrize("most", [1, 3, 8])
def test_so_many_pools_are_read_at_once_and_no_more(most: int) -> None:
    pools = [open_pool(str(id_)) for id_ in range(100, 140)]
    rows = [assignment(pool["id"], 1, LONG_AGO) for pool in pools]
    with serve(pools, rows) as emulator:
        emulator.latency = 0.03
        run = run_inside(
            config_for(emulator, max_concurrency=most, batch_size=20),
            stream="assignments",
        )
        assert emulator.most_in_flight == most
        assert len(asked(emulator)) == 40
    assert len(run.ids) == 40


def test_the_pace_is_kept_over_listing_and_reading_together() -> None:
    pools = [open_pool(str(id_)) for id_ in range(100, 160)]
    with serve(pools, []) as emulator:
        config = config_for(emulator, batch_size=2, max_requests_per_second=40)
        run_inside(config, stream="assignments")
        assert len(emulator.requests) >= 30 + 60
        assert 20 < emulator.log.most_in_a_second <= 40 + 2


# Between two runs


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_leaves_what_the_next_one_can_start_from(
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
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            assert process.stdout
            begun = b"".join(process.stdout.readline() for _ in range(100))
            process.send_signal(signum)
            rest, log = process.communicate(timeout=60)
        finally:
            process.kill()
        stopped = Run(begun + rest, log.decode(), process.returncode)
        assert stopped.status == 128 + signum
        assert stopped.output.endswith(b"}\n")
        assert "Traceback" not in stopped.log
        assert 0 < len(stopped.ids) < len(rows)
        assert stopped.state == state
        emulator.faults.clear()
        again = run_inside(config_for(emulator), stopped.state, stream="assignments")
    assert sorted(again.ids) == [row["id"] for row in rows]
    assert bookmark_of(again) == f"{shifted(BOOKMARK, hours=50)}Z"


class Warehouse(RuleBasedStateMachine):
    """Runs into a warehouse while pools and assignments live.

    After a run that could read everything the warehouse holds each assignment as Toloka has it.
    What happens keeps to the limits that Toloka sets, to the last second.
    """

    DURATION, REVIEW = 600, 2
    ENDS = timedelta(seconds=DURATION)
    STEPS: ClassVar[dict[str, dict[str, timedelta]]] = {
        "ACTIVE": {"SUBMITTED": ENDS, "SKIPPED": ENDS, "EXPIRED": ENDS},
        "SUBMITTED": {"ACCEPTED": timedelta(days=REVIEW), "REJECTED": timedelta(days=REVIEW)},
        "REJECTED": {"ACCEPTED": timedelta(days=9)},
    }
    """What can become of an assignment, and how long after the step before."""

    def __init__(self) -> None:
        super().__init__()
        self.emulator = Emulator()
        self.emulator.__enter__()
        self.dice = Dice(0)
        self.now = datetime(2024, 1, 1)  # noqa: DTZ001  # as Toloka prints it
        self.state: dict[str, Any] | None = None
        self.loaded: dict[str, Row] = {}
        self.refused: set[str] = set()
        self.begun = 0

    def teardown(self) -> None:
        self.emulator.__exit__()

    @property
    def pools(self) -> list[Row]:
        return self.emulator.pools.rows()

    @property
    def assignments(self) -> list[Row]:
        return self.emulator.tables["assignments"].rows()

    @property
    def printed_now(self) -> str:
        return self.now.isoformat(timespec="milliseconds")

    def later(self) -> str:
        """Let a little time pass: nothing has the date of what was there in an earlier run."""
        self.now += timedelta(milliseconds=1)
        return self.printed_now

    @initialize(batch_size=st.integers(1, 4), threads=st.integers(1, 4))
    def choose_how_it_is_read(self, batch_size: int, threads: int) -> None:
        self.settings = {"batch_size": batch_size, "max_concurrency": threads}

    @rule()
    def create_pool(self) -> None:
        id_ = str(97 + 2 * len(self.pools))
        pool = {
            **make_pool(id_, self.later()),
            "assignment_max_duration_seconds": self.DURATION,
            "auto_accept_period_day": self.REVIEW,
        }
        self.emulator.pools.add([pool])

    @precondition(lambda self: self.pools)
    @rule(data=st.data(), status=st.sampled_from(["OPEN", "OPEN", "CLOSED", "LOCKED", "ARCHIVED"]))
    def change_pool(self, data: st.DataObject, status: str) -> None:
        pool = data.draw(st.sampled_from(self.pools))
        if status == "ARCHIVED" and pool["status"] == "CLOSED":
            self.emulator.pools.change(pool["id"], status=status)
        elif "ARCHIVED" not in {status, pool["status"]} and status != pool["status"]:
            date = "last_started" if status == "OPEN" else "last_stopped"
            changes: Row = {"status": status, date: self.later()}
            self.emulator.pools.change(pool["id"], **changes)

    @precondition(lambda self: any(pool["status"] == "OPEN" for pool in self.pools))
    @rule(data=st.data(), count=st.integers(1, 5))
    def begin(self, data: st.DataObject, count: int) -> None:
        pool = data.draw(st.sampled_from([p for p in self.pools if p["status"] == "OPEN"]))
        for _ in range(count):
            self.begun += 1
            created = self.later()
            at = self.now.replace(tzinfo=timezone.utc)
            facts = {"pool_id": pool["id"], "status": "ACTIVE", "created": created}
            row = make_row("assignments", self.dice, at, **facts)
            row["id"] = f"{int(pool['id']):010x}--{self.begun:024x}"
            self.emulator.tables["assignments"].add([row])

    @precondition(lambda self: self.assignments)
    @rule(data=st.data())
    def take_on(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(self.assignments))
        steps = self.STEPS.get(row["status"], {})
        status = data.draw(st.sampled_from([None, *steps]))
        date, since = self.later(), row.get(row["status"].lower()) or row["created"]
        if status and self.now - datetime.fromisoformat(since) <= steps[status]:
            changes: Row = {"status": status, status.lower(): date}
            self.emulator.tables["assignments"].change(row["id"], **changes)

    @rule(period=st.sampled_from([timedelta(minutes=9), timedelta(days=1.9), timedelta(days=60)]))
    def let_time_pass(self, period: timedelta) -> None:
        self.now += period

    @precondition(lambda self: self.pools)
    @rule(data=st.data())
    def refuse_a_pool_or_give_all_back(self, data: st.DataObject) -> None:
        pool = data.draw(st.sampled_from([None, *(p["id"] for p in self.pools)]))
        self.refused = self.refused | {pool} if pool else set()

    @precondition(lambda self: self.begun)
    @rule(after=st.integers(0, 6), status=st.sampled_from([400, 500]))
    def run_into_trouble(self, after: int, status: int) -> None:
        self.emulator.faults.add(Fault(status=status, after=after, times=None))
        self.run()

    @rule()
    def run(self) -> None:
        for pool in self.refused:
            params = {"pool_id": pool}
            fault = Fault(path="/api/v1/assignments", params=params, status=403, times=None)
            self.emulator.faults.add(fault)
        config = config_for(self.emulator, max_retries=0, **self.settings)
        run = run_inside(config, self.state, stream="assignments", may_fail=True)
        self.emulator.faults.clear()
        self.loaded |= {record["id"]: record for record in run.records}
        self.state = run.state or self.state

    @rule()
    def run_whole(self) -> None:
        self.refused = set()
        self.run()
        for row in self.assignments:
            loaded = self.loaded[row["id"]]
            assert (loaded["status"], loaded["updated"]) == (
                row["status"],
                max(f"{row[name]}Z" for name in Assignments.change_dates if row.get(name)),
            )


TestWarehouse = Warehouse.TestCase
TestWarehouse.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
