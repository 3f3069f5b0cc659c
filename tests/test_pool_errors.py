"""A pool that cannot be read is skipped, and the bookmark stays until it can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.errors import TolokaError
from tap_toloka.streams.assignments import Assignments
from tests.pool_streams import (
    BOOKMARK,
    LONG_AGO,
    assignment,
    bookmark_of,
    open_pool,
    requests_for,
    serve,
    shifted,
    skip_warnings,
    state_of,
)
from tests.runner import (
    catalog_of,
    config_for,
    run_inside,
    run_process,
    threads_of_tap,
    wait_until,
)
from toloka_emulator import Emulator, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator


Row = dict[str, Any]


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
def test_a_deleted_pool_is_one_warning_and_the_bookmark_moves(
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
    (line,) = skip_warnings(run)
    assert "pool 3" in line
    assert f"Toloka answered {fault.status if fault else 404}" in line
    assert bookmark_of(run) == GREATEST


@pytest.mark.parametrize(
    ("state", "status"),
    [(None, 403), (state_of(Assignments), 403), (state_of(Assignments), 409)],
    ids=["first", "later", "conflict"],
)
def test_a_refused_pool_is_one_warning_and_is_read_once_it_is_allowed(
    five: Emulator, state: Any, status: int
) -> None:
    fault = Fault(path="/api/v1/assignments", params={"pool_id": "3"}, status=status, times=None)
    five.faults.add(fault)
    config, catalog = config_for(five, batch_size=2), catalog_of(stream="assignments")
    run = run_process(config=config, state=state, catalog=catalog)
    assert run.status == 0, run.log
    assert sorted(run.ids) == ids_in(five, "3")
    (line,) = skip_warnings(run)
    assert "pool 3" in line
    assert str(status) in line
    assert run.state
    before = None if state is None else f"{BOOKMARK}Z"
    assert bookmark_of(run) == before
    not_moved = "Bookmark of assignments not advanced"
    (line,) = [line for line in run.log.splitlines() if not_moved in line]
    assert "could not read pool_id 3." in line
    five.faults.clear()
    again = run_inside(config, run.state, stream="assignments")
    assert sorted(again.ids) == ids_in(five), "what was missing among it"
    assert bookmark_of(again) == GREATEST


@pytest.mark.parametrize(
    "params", [{"skipped_gt": "*"}, {"accepted_gt": "*", "id_gt": "*"}], ids=str
)
def test_a_pool_that_is_refused_in_part_does_not_move_the_bookmark(
    five: Emulator, params: dict[str, str]
) -> None:
    refused = {"pool_id": "3", **params}
    five.faults.add(Fault(path="/api/v1/assignments", params=refused, status=403, times=None))
    config = config_for(five, batch_size=2, max_concurrency=1)
    run = run_inside(config, state_of(Assignments), stream="assignments")
    assert set(ids_in(five, "3")) < set(run.ids)
    assert bookmark_of(run) == f"{BOOKMARK}Z"


def test_a_deleted_pool_beside_a_refused_one_does_not_move_the_bookmark(five: Emulator) -> None:
    for pool, status in (("1", 404), ("3", 403)):
        fault = Fault(
            path="/api/v1/assignments", params={"pool_id": pool}, status=status, times=None
        )
        five.faults.add(fault)
    run = run_inside(config_for(five), state_of(Assignments), stream="assignments")
    assert sorted(run.ids) == ids_in(five, "1", "3")
    assert bookmark_of(run) == f"{BOOKMARK}Z"


def test_a_pool_with_one_list_deleted_and_one_refused_counts_as_refused(five: Emulator) -> None:
    for status, params in ((404, {"created_gt": "*"}), (403, {"accepted_gt": "*"})):
        refused = {"pool_id": "3", **params}
        five.faults.add(Fault(path="/api/v1/assignments", params=refused, status=status))
    config = config_for(five, max_concurrency=1)
    run = run_inside(config, state_of(Assignments), stream="assignments")
    assert sorted(run.ids) == ids_in(five, "3")
    assert bookmark_of(run) == f"{BOOKMARK}Z"


def test_a_404_that_is_not_of_toloka_moves_no_bookmark(five: Emulator) -> None:
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
    assert len(skip_warnings(run)) == 5


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
    assert len(requests_for(five)) <= 12 + 2


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_list_of_pools_that_cannot_be_read_ends_the_run(five: Emulator, status: int) -> None:
    five.faults.add(Fault(path="/api/v1/pools", after=1, status=status, times=None))
    with pytest.raises(TolokaError, match=f"pools: Toloka answered {status}"):
        run_inside(config_for(five, batch_size=2), stream="assignments")
    wait_until(lambda: not threads_of_tap())
    assert requests_for(five) == []
