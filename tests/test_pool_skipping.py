"""Pools are skipped if nothing can have changed in them since the bookmark."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from tap_toloka.streams.assignments import Assignments
from tap_toloka.streams.pool_by_pool import APPEAL_DAYS, LONGEST_REVIEW_DAYS, Pool
from tap_toloka.streams.tasks import Tasks, TaskSuites
from tests.pool_streams import (
    BOOKMARK,
    LONG_AGO,
    date_params,
    every_stream,
    open_pool,
    pools_requested,
    requests_for,
    row_of,
    serve,
    shifted,
    state_of,
)
from tests.runner import catalog_of, config_for, no_waiting, run_inside
from toloka_emulator import Emulator, make_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_toloka.client import TolokaStream

Row = dict[str, Any]


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
# The latest date is when a pool stopped.
STOPPED: list[tuple[str, Row]] = [
    ("created", {}),
    ("created", {"last_started": None, "last_stopped": None}),
    ("last_started", {"created": LONG_AGO}),
    ("last_stopped", {"created": LONG_AGO, "last_started": LONG_AGO}),
    ("last_stopped", {"created": LONG_AGO}),
    ("last_started", {"created": LONG_AGO, "last_stopped": LONG_AGO}),
]


def pools_around(bookmark: str, status: str) -> Iterator[tuple[Row, bool]]:
    """Yield pools that stopped just long enough ago to be skipped, or not quite; and which."""
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
def test_a_pool_is_skipped_if_nothing_can_have_changed_in_it(
    stream: type[TolokaStream], status: str
) -> None:
    ends = {"ARCHIVED"} if stream in {Tasks, TaskSuites} else {"CLOSED", "ARCHIVED"}
    pools = list(pools_around(BOOKMARK, status))
    if status not in ends:
        pools = pools[::12]  # all are read
    with (
        serve([pool for pool, _ in pools], [], stream) as emulator,
        no_waiting(rate_limit=False),
    ):
        run_inside(
            config_for(emulator),
            state_of(stream),
            stream=stream.name,
        )
        assert pools_requested(emulator, stream) == {
            pool["id"] for pool, can_change in pools if can_change or status not in ends
        }


@every_stream
def test_a_pool_of_which_too_little_is_known_is_read(stream: type[TolokaStream]) -> None:
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
        assert pools_requested(emulator, stream) == {"1", "2", "3", "4", "6"}


@every_stream
def test_no_pool_is_skipped_if_the_settings_say_so(stream: type[TolokaStream]) -> None:
    pools = [make_pool(str(id_), LONG_AGO, status="ARCHIVED") for id_ in (1, 2, 3)]
    with serve(pools, [], stream) as emulator:
        for settings in ({}, {"skip_settled_pools": None}, {"skip_settled_pools": True}):
            run_inside(config_for(emulator, **settings), state_of(stream), stream=stream.name)
            assert pools_requested(emulator, stream) == set()
        config = config_for(emulator, skip_settled_pools=False)
        run_inside(config, state_of(stream), stream=stream.name)
        assert pools_requested(emulator, stream) == {"1", "2", "3"}


@every_stream
def test_a_lookback_reads_pools_that_would_be_skipped(stream: type[TolokaStream]) -> None:
    seconds = (21 + 30) * DAY + 600
    pools = [
        make_pool(str(days), shifted(BOOKMARK, days=-days, seconds=1 - seconds), status="ARCHIVED")
        for days in (0, 10, 11)
    ]
    with serve(pools, [], stream) as emulator:
        run_inside(config_for(emulator, lookback_days=10), state_of(stream), stream=stream.name)
        assert pools_requested(emulator, stream) == {"0", "10"}


@every_stream
def test_a_training_is_read_like_a_pool_and_once_if_it_is_listed_as_one(
    stream: type[TolokaStream],
) -> None:
    plain = [
        open_pool("1"),
        make_pool("2", LONG_AGO, status="ARCHIVED"),
        make_pool("3", shifted(BOOKMARK, days=1), status="ARCHIVED"),
        open_pool("4", assignment_max_duration_seconds=None),
    ]
    # The list of trainings does not say how long a review may take.
    seconds = (21 + 30) * DAY + 600
    edge = [shifted(BOOKMARK, seconds=late - seconds) for late in (0, 1)]
    ended = [make_pool(str(5 + n), at, status="ARCHIVED") for n, at in enumerate(edge)]
    rows = {
        "pools": [plain[0], open_pool("9")],
        "trainings": [*plain, *ended],
        stream.name: [row_of(stream, str(id_), 1, BOOKMARK) for id_ in range(1, 10)],
    }
    with Emulator(rows=rows) as emulator:
        first = run_inside(config_for(emulator), stream=stream.name)
        assert sorted(r.params["pool_id"] for r in requests_for(emulator, stream)) == [*"1234569"]
        assert len(first.ids) == 7
        emulator.clear_requests()
        run_inside(config_for(emulator), state_of(stream), stream=stream.name)
        assert sorted(r.params["pool_id"] for r in requests_for(emulator, stream)) == [*"13469"]


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
            assert pools_requested(emulator, stream) == {"1", "4"} & {
                str(id_) for ids in chosen.values() for id_ in ids
            }
    assert "nothing to read" not in caplog.text


@every_stream
def test_a_full_table_skips_no_pool(stream: type[TolokaStream]) -> None:
    pools = [make_pool("1", LONG_AGO, status="ARCHIVED"), open_pool("2")]
    rows = [row_of(stream, pool["id"], 1, LONG_AGO) for pool in pools]
    catalog = catalog_of(stream=stream.name, replication_method="FULL_TABLE")
    with serve(pools, rows, stream) as emulator:
        run = run_inside(config_for(emulator), state_of(stream), catalog)
        assert [date_params(request) for request in requests_for(emulator, stream)] == [{}, {}]
    assert len(run.ids) == 2


shares = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
milliseconds = st.integers(0, 90 * 86_400_000).map(lambda number: timedelta(milliseconds=number))
A_MILLISECOND = timedelta(milliseconds=1)


@given(
    pauses=st.lists(milliseconds, min_size=2, max_size=6),
    duration=st.integers(5, 10**6),
    review=st.none() | st.integers(1, LONGEST_REVIEW_DAYS),
    taken=st.lists(shares, min_size=4, max_size=4),
    status=st.sampled_from(["CLOSED", "ARCHIVED"]),
)
@settings(max_examples=200, deadline=None)
def test_a_pool_is_read_as_long_as_anything_can_change_in_it(
    pauses: list[timedelta], duration: int, review: int | None, taken: list[float], status: str
) -> None:
    created = datetime(2023, 6, 1)  # noqa: DTZ001  # as Toloka prints it
    dates = [created]  # then it starts and stops in turn
    for pause in pauses[: len(pauses) // 2 * 2]:
        dates.append(dates[-1] + pause)

    def pool_at(number: int) -> Pool:
        """Return the pool as it was after so many of its dates."""
        starts, stops = dates[1 : number + 1 : 2], dates[2 : number + 1 : 2]
        row = {
            "id": "1",
            "project_id": "1",
            "status": "OPEN" if len(starts) > len(stops) else status,
            "created": in_tap(created),
            "last_started": in_tap(starts[-1]) if starts else None,
            "last_stopped": in_tap(stops[-1]) if stops else None,
            "assignment_max_duration_seconds": duration,
            "auto_accept_period_day": review,
            "_misfits": None,
        }
        return Pool.of(row)

    for number in range(1, len(dates), 2):
        start, stop = dates[number : number + 2]
        steps = [
            stop - start,
            timedelta(seconds=duration),
            timedelta(days=review or LONGEST_REVIEW_DAYS),
            timedelta(days=APPEAL_DAYS),
        ]
        change = start
        for longest, share in zip(steps, taken, strict=True):
            change += longest * share
            unread_since = in_tap(change - A_MILLISECOND)
            for later in range(number, len(dates)):  # runs, at and after the change
                if later + 1 == len(dates) or dates[later + 1] > change:
                    assert Assignments.can_change_after(pool_at(later), unread_since)
        unchangeable_since = in_tap(stop + sum(steps[1:], timedelta()))
        assert not Assignments.can_change_after(pool_at(number + 1), unchangeable_since)


def in_tap(moment: datetime) -> str:
    """Print a date in the tap's one form."""
    return moment.isoformat(timespec="milliseconds") + "Z"
