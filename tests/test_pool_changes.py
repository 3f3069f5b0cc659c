"""What has changed in pools since the last run is read in few requests, and all of it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from tap_toloka.errors import TolokaError
from tap_toloka.fetch import Listing, Range
from tap_toloka.remaining import WHOLE, Remaining
from tap_toloka.state import Part, Start, Unfinished
from tap_toloka.streams.assignments import Assignments
from tests.pool_streams import (
    BOOKMARK,
    LONG_AGO,
    assignment,
    bookmark_of,
    date_params,
    open_pool,
    requests_for,
    serve,
    shifted,
    state_of,
)
from tests.runner import Run, catalog_of, config_for, no_waiting, run_inside, stopped_after
from toloka_emulator import Dice, Emulator, Fault, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toloka_emulator.server.query import Query

Row = dict[str, Any]

DATES = Assignments.change_dates
LATER = shifted(BOOKMARK, hours=1)
BY_DATE, WHOLE_FIRST = 64, 5
"""Most requests at once with which pools are read by each date, or by their whole lists first."""


def rows_of(pool: str, count: int, *changed: int) -> Iterator[Row]:
    """Make old assignments of a pool; of those with these numbers one of the dates is later."""
    for number in range(count):
        dates = {"created": LONG_AGO, "submitted": BOOKMARK, "accepted": BOOKMARK}
        if number in changed:
            dates[DATES[(int(pool) + number) % len(DATES)]] = LATER
        yield assignment(pool, number, **dates)


def later_run(emulator: Emulator, state: Any = None, **settings: Any) -> Run:
    """Read assignments with a bookmark."""
    config = config_for(emulator, **settings)
    return run_inside(config, state or state_of(Assignments), stream="assignments")


def changed_in(emulator: Emulator) -> list[str]:
    """Return the ids of the assignments with a date after the bookmark."""
    rows = emulator.tables["assignments"].rows()
    return sorted(row["id"] for row in rows if any(row.get(d, "") > BOOKMARK for d in DATES))


@pytest.mark.parametrize("kind", ["pools", "trainings"])
def test_one_request_tells_what_has_changed_in_a_pool_of_a_page(kind: str) -> None:
    pools = [open_pool(str(id_)) for id_ in range(100, 140)]
    rows = [row for pool in pools for row in rows_of(pool["id"], 3)]
    with Emulator(rows={kind: pools, "assignments": rows}) as emulator:
        run = later_run(emulator)
        assert run.records == []
        assert bookmark_of(run) == f"{BOOKMARK}Z"
        assert [date_params(r) for r in requests_for(emulator)] == [{}] * 40
        for number, row in enumerate(rows[::7]):
            date = DATES[number % len(DATES)]
            emulator.tables["assignments"].change(row["id"], visible_in=0, **{date: LATER})
        emulator.clear_requests()
        run = later_run(emulator)
        assert sorted(run.ids) == [row["id"] for row in rows[::7]]
        assert bookmark_of(run) == f"{LATER}Z"
        assert len(requests_for(emulator)) == 40


def test_a_pool_of_more_than_a_page_is_read_on_by_each_date() -> None:
    pools = [open_pool(str(id_)) for id_ in range(1, 6)]
    rows = [*rows_of("3", 20, 0, 3, 4, 9, 10, 19), *rows_of("4", 4, 1)]
    with serve(pools, rows) as emulator:
        run = later_run(emulator, batch_size=4)
        assert sorted(run.ids) == changed_in(emulator)
        requests = requests_for(emulator)
    assert sum(not date_params(request) for request in requests) == 5, "each once"
    by_date = [request for request in requests if date_params(request)]
    assert {request.params["pool_id"] for request in by_date} == {"3"}
    assert len(by_date) == 6
    assert {request.params["id_gt"] for request in by_date} == {rows[3]["id"]}, "not from the start"


@pytest.mark.parametrize("most", [BY_DATE, WHOLE_FIRST])
def test_what_has_changed_does_not_depend_on_what_is_selected(most: int) -> None:
    rows = [row for pool in "123" for row in rows_of(pool, 9, 2, 5, 8)]
    catalog = catalog_of(*DATES, "status", "_misfits", stream="assignments")
    with serve([open_pool(pool) for pool in "123"], rows) as emulator:
        config = config_for(emulator, max_concurrency=most, batch_size=4)
        run = run_inside(config, state_of(Assignments), catalog)
        assert sorted(run.ids) == changed_in(emulator)
    assert not {*DATES} & run.records[0].keys()


@pytest.mark.parametrize("most", [BY_DATE, WHOLE_FIRST])
def test_a_pool_that_was_skipped_is_read_from_where_it_was_left(most: int) -> None:
    since = shifted(BOOKMARK, days=-5)
    rows = [
        assignment(pool, number, LONG_AGO, accepted=shifted(since, hours=number - 3))
        for pool in "123"
        for number in range(6)
    ]
    state = state_of(Assignments)
    state["bookmarks"]["assignments"]["skipped"] = {"2": f"{since}Z"}
    with serve([open_pool(pool) for pool in "123"], rows) as emulator:
        for size in (1_000, 2):
            run = later_run(emulator, state, max_concurrency=most, batch_size=size)
            assert sorted(run.ids) == [row["id"] for row in rows[6 + 3 : 12]]


def test_values_that_do_not_fit_are_not_counted_of_rows_that_did_not_change(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = [row for pool in "123" for row in rows_of(pool, 3, 1)]
    for row in rows:
        row["reward"] = "much"
    with (
        serve([open_pool(pool) for pool in "123"], rows) as emulator,
        caplog.at_level(logging.INFO),
    ):
        run = later_run(emulator)
    assert [record["_misfits"] is not None for record in run.records] == [True] * 3
    (line,) = [line for line in caplog.messages if line.startswith("assignments ")]
    assert "3 values did not fit" in line


@pytest.mark.parametrize(
    "fault",
    [Fault(status=500), Fault(cut=True), Fault(without_has_more=True), Fault(body={"items": []})],
    ids=str,
)
def test_a_page_that_fails_is_read_again(fault: Fault) -> None:
    rows = [row for pool in "123" for row in rows_of(pool, 9, 2, 5, 8)]
    with serve([open_pool(pool) for pool in "123"], rows) as emulator, no_waiting():
        emulator.faults.add(fault)
        run = later_run(emulator, batch_size=4)
        assert sorted(run.ids) == changed_in(emulator)


def test_a_first_run_from_a_start_date_takes_old_pools_as_later_runs_do() -> None:
    rows = [row for pool in "123" for row in rows_of(pool, 3, 1)]
    with serve([open_pool(pool) for pool in "123"], rows) as emulator:
        config = config_for(emulator, start_date=LATER)
        run = run_inside(config, stream="assignments")
        assert sorted(run.ids) == changed_in(emulator)
        assert len(requests_for(emulator)) == 3


@pytest.mark.parametrize("seed", range(6))
def test_later_runs_that_are_stopped_again_and_again_read_all_that_has_changed(seed: int) -> None:
    """Some runs read by date and others do not, and each goes on with what another one left."""
    dice = Dice(seed)
    rows: list[Row] = []
    for number, pool in enumerate(range(95, 105)):
        count = (3, 12, 40)[number % 3]
        rows += rows_of(str(pool), count, *(n for n in range(count) if dice.chance(0.7)))
    state: Any = state_of(Assignments)
    printed, runs = [], 0
    with serve([open_pool(str(pool)) for pool in range(95, 105)], rows) as emulator:
        status = 1
        while status:
            most = dice.pick((1, WHOLE_FIRST, BY_DATE))
            with stopped_after(dice.randrange(4, 16)):
                run = later_run(emulator, state, batch_size=5, max_concurrency=most)
            state, status = run.state or state, run.status
            assert len(json.dumps(state)) < 30_000
            printed += run.ids
            runs += 1
            assert runs < 200, "it does not go on"
        assert sorted({*printed}) == changed_in(emulator)
    assert runs > 2
    assert "unfinished" not in json.dumps(state)
    # Up to a page of each list that was under way.
    assert len(printed) <= 1.5 * len({*printed})


def left_after(begun: tuple[str, int], *left: Part) -> Remaining:
    """Return what a run left."""
    date = f"{BOOKMARK}Z"
    return Remaining(int, Unfinished(date, Start("gt", date), date, "", begun, left))


def lists_of(*pools: str) -> Iterator[Listing]:
    """Make the lists of pools, each a whole one and three that are read instead."""
    for pool in pools:
        yield Listing(owner=pool, instead=(Listing(owner=pool),) * 3)


def numbers(remaining: Remaining, *pools: str) -> list[tuple[str | None, int, Sequence[Range]]]:
    """Return what is left of these lists."""
    return [(one.owner, one.number, one.ranges) for one in remaining.listings(lists_of(*pools))]


ALL = (Range(),)


def test_a_run_that_read_by_date_alone_is_taken_up_by_date() -> None:
    """So did versions that did not know of anything else."""
    remaining = left_after(("10", 1), Part("9", 2, "a", ""), Part("10", 0, "b", "c"))
    assert numbers(remaining, "8", "9", "10", "11") == [
        ("9", 2, (Range("a"),)),
        ("10", 0, (Range("b", "c"),)),
        ("10", 2, ALL),
        ("11", WHOLE, ALL),
    ]


def test_of_a_list_that_was_read_on_by_date_only_that_is_left() -> None:
    remaining = left_after(("10", WHOLE), Part("9", WHOLE, "", ""), Part("10", 1, "b", ""))
    assert numbers(remaining, "8", "9", "10", "11") == [
        ("9", WHOLE, ALL),
        ("10", 1, (Range("b"),)),
        ("11", WHOLE, ALL),
    ]
    assert numbers(left_after(("10", WHOLE)), "10") == []
    assert numbers(left_after(("10", 2)), "10") == []


@pytest.mark.parametrize("most", [BY_DATE, WHOLE_FIRST])
def test_a_change_whose_date_cannot_be_read_is_printed(most: int) -> None:
    odd, usual = b'"2025-05-01T01:00:00"', b'"01/05/2025 01:00"'
    find = Table.find

    def find_and_garble(table: Table, query: Query) -> tuple[list[bytes], bool]:
        rows, more = find(table, query)
        return [row.replace(odd, usual) for row in rows], more

    rows = [
        assignment("1", number, LONG_AGO, status="ACCEPTED", accepted=accepted)
        for number, accepted in enumerate((BOOKMARK, "2025-05-01T01:00:00"))
    ]
    with serve([open_pool("1")], rows) as emulator, patch.object(Table, "find", find_and_garble):
        run = later_run(emulator, max_concurrency=most)
    assert [(row["id"], row["_misfits"]) for row in run.records] == [
        (rows[1]["id"], {"accepted": "01/05/2025 01:00"})
    ]


def test_a_row_that_is_left_out_does_not_fail_a_run_that_takes_no_misfits() -> None:
    rows = [
        assignment("1", 0, LONG_AGO, reward="much"),
        assignment("1", 1, LONG_AGO, accepted=LATER),
    ]
    with serve([open_pool("1")], rows) as emulator:
        run = later_run(emulator, max_concurrency=WHOLE_FIRST, on_misfit="fail")
        assert run.ids == [rows[1]["id"]]
        emulator.tables["assignments"].change(rows[1]["id"], reward="much")
        with pytest.raises(TolokaError, match="reward"):
            later_run(emulator, max_concurrency=WHOLE_FIRST, on_misfit="fail")
