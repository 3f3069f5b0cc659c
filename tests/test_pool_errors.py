"""A pool that cannot be read is skipped, and read by a later run from where it was left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.errors import TolokaError
from tap_toloka.streams.apps import AppItems
from tap_toloka.streams.assignments import Assignments
from tap_toloka.streams.operations import AggregatedSolutions, OperationLogs
from tests.expected_rows import emulator_of
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
    skip_warnings,
    state_of,
)
from tests.runner import (
    catalog_of,
    config_for,
    no_waiting,
    run_inside,
    run_process,
    threads_of_tap,
    wait_until,
)
from toloka_emulator import Emulator, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_toloka.client import TolokaStream
    from tests.runner import Run

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


def refuse(emulator: Emulator, pool: str, status: int = 403, params: Row | None = None) -> None:
    """Let the lists of a pool be refused."""
    wanted = {"pool_id": pool, **(params or {})}
    emulator.faults.add(Fault(path="/api/v1/assignments", params=wanted, status=status, times=None))


def skipped_of(run: Run) -> dict[str, str]:
    """Return the skipped lists in the bookmark of assignments."""
    assert run.state
    skipped: dict[str, str] = run.state["bookmarks"]["assignments"].get("skipped", {})
    return skipped


@pytest.mark.parametrize(
    ("state", "status"),
    [(None, 403), (state_of(Assignments), 403), (state_of(Assignments), 409), (None, 404)],
    ids=["first", "later", "conflict", "missing"],
)
def test_a_refused_pool_is_kept_in_state_and_read_from_there_once_it_is_allowed(
    five: Emulator, state: Any, status: int
) -> None:
    refuse(five, "3", status)
    config, catalog = config_for(five, batch_size=2), catalog_of(stream="assignments")
    run = run_process(config=config, state=state, catalog=catalog)
    assert run.status == 0, run.log
    assert sorted(run.ids) == ids_in(five, "3")
    (line,) = skip_warnings(run)
    assert "pool 3" in line
    assert str(status) in line
    assert bookmark_of(run) == GREATEST
    before = "" if state is None else f"{BOOKMARK}Z"
    assert skipped_of(run) == {"3": before}
    (line,) = [line for line in run.log.splitlines() if "1 lists could not be read" in line]
    assert "(pool 3)" in line
    still = run_inside(config, run.state, stream="assignments")
    assert still.records == [], "nothing else is read again"
    assert skipped_of(still) == {"3": before}
    five.faults.clear()
    again = run_inside(config, still.state, stream="assignments")
    assert sorted(again.ids) == ids_in(five, *"1245"), "what was missing, and nothing else"
    assert bookmark_of(again) == GREATEST
    assert skipped_of(again) == {}


def test_a_refused_pool_is_forgotten_once_toloka_does_not_list_it(five: Emulator) -> None:
    refuse(five, "3", 404)
    run = run_inside(config_for(five), stream="assignments")
    assert skipped_of(run) == {"3": ""}
    five.removed_pools.add("3")
    five.pools.remove("3")
    assert skipped_of(run_inside(config_for(five), run.state, stream="assignments")) == {}


def test_other_filters_begin_anew_for_refused_pools_as_well(five: Emulator) -> None:
    refuse(five, "3")
    run = run_inside(config_for(five), stream="assignments")
    filters = {"assignments": {"id_gt": "0"}}
    five.faults.clear()
    again = run_inside(config_for(five, filters=filters), run.state, stream="assignments")
    assert skipped_of(again) == {}
    assert len(again.records) == 25


def test_refused_pools_that_no_other_pool_hides_do_not_fail_the_run_again(five: Emulator) -> None:
    refuse(five, "2")
    refuse(five, "3")
    run = run_inside(config_for(five), stream="assignments")
    for pool in "145":
        five.pools.remove(pool)
    again = run_inside(config_for(five), run.state, stream="assignments")
    assert skipped_of(again) == skipped_of(run) == {"2": "", "3": ""}


def test_a_bookmark_does_not_move_past_more_pools_than_state_can_hold(
    five: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tap_toloka.progress.MOST_SKIPPED", 1)
    refuse(five, "2")
    run = run_inside(config_for(five), state_of(Assignments), stream="assignments")
    assert (bookmark_of(run), [*skipped_of(run)]) == (GREATEST, ["2"])
    refuse(five, "3")
    run = run_inside(config_for(five), state_of(Assignments), stream="assignments")
    assert (bookmark_of(run), skipped_of(run)) == (f"{BOOKMARK}Z", {})
    assert (
        "Bookmark of assignments not advanced: 2 lists were skipped, more than the 1" in caplog.text
    )


@pytest.mark.parametrize(
    "params", [{"skipped_gt": "*"}, {"accepted_gt": "*", "id_gt": "*"}], ids=str
)
def test_a_pool_that_is_refused_in_part_is_kept_in_state(
    five: Emulator, params: dict[str, str]
) -> None:
    refuse(five, "3", params=params)
    config = config_for(five, batch_size=2, max_concurrency=1)
    run = run_inside(config, state_of(Assignments), stream="assignments")
    assert set(ids_in(five, "3")) < set(run.ids)
    assert skipped_of(run) == {"3": f"{BOOKMARK}Z"}


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
    assert run.state
    assert bookmark_of(run) == (state and f"{BOOKMARK}Z")
    assert "Traceback" not in run.log
    assert "403" in run.failure
    assert len(skip_warnings(run)) == 5


@pytest.mark.parametrize("status", [400, 401])
def test_another_error_in_the_middle_ends_the_run(five: Emulator, status: int) -> None:
    five.faults.add(Fault(path="/api/v1/assignments", after=12, status=status, times=None))
    config = config_for(five, max_concurrency=2, batch_size=2)
    run = run_process(
        config=config, state=state_of(Assignments), catalog=catalog_of(stream="assignments")
    )
    assert run.status == 1
    assert bookmark_of(run) == f"{BOOKMARK}Z"
    assert "Traceback" not in run.log
    assert f"failed because Toloka answered {status}" in run.failure
    assert len(requests_for(five)) <= 12 + 2


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_list_of_pools_that_cannot_be_read_ends_the_run(five: Emulator, status: int) -> None:
    five.faults.add(Fault(path="/api/v1/pools", after=1, status=status, times=None))
    with pytest.raises(TolokaError, match=f"pools: Toloka answered {status}"):
        run_inside(config_for(five, batch_size=2), stream="assignments")
    wait_until(lambda: not threads_of_tap())
    assert requests_for(five) == []


@pytest.mark.parametrize(
    ("stream", "path"),
    [
        (AggregatedSolutions, "/api/v1/aggregated-solutions/{}"),
        (OperationLogs, "/api/v1/operations/{}/log"),
        (AppItems, "/api/app/v0/app-projects/{}/items"),
    ],
    ids=["aggregated_solutions", "operation_logs", "app_items"],
)
def test_what_is_refused_of_one_owner_does_not_have_the_others_read_again(
    stream: type[TolokaStream], path: str
) -> None:
    with emulator_of(stream, 40, seed=3) as emulator:
        config = config_for(emulator)
        whole = run_inside(config, stream=stream.name).records
        owner = min(whole, key=lambda row: row[stream.replication_key or ""])[
            stream.listed_by or ""
        ]
        of_first = [row for row in whole if row[stream.listed_by or ""] == owner]
        assert len(of_first) < len(whole)
        emulator.faults.add(Fault(path=path.format(owner), status=409, times=None))
        run = run_inside(config, stream=stream.name)
        assert len(run.records) == len(whole) - len(of_first)
        emulator.clear_requests()
        again = run_inside(config, run.state, stream=stream.name)
        assert len(again.records) <= len(whole) / 4, "young rows, at most"
        asked = {request.path for request in emulator.requests}
        assert path.format(owner) in asked
        emulator.faults.clear()
        third = run_inside(config, again.state, stream=stream.name)
    assert {tuple(row.items()) for row in map(_flat, of_first)} <= {
        tuple(row.items()) for row in map(_flat, third.records)
    }
    assert third.state
    assert "skipped" not in third.state["bookmarks"][stream.name]


def _flat(row: Row) -> Row:
    return {name: str(value) for name, value in row.items()}


def test_pools_that_all_refuse_fail_the_run_once(five: Emulator) -> None:
    five.faults.add(Fault(path="/api/v1/assignments", status=403, times=None))
    config = config_for(five)
    first = run_inside(config, state_of(Assignments), stream="assignments", may_fail=True)
    assert first.status == 1
    assert skipped_of(first) == dict.fromkeys("12345", f"{BOOKMARK}Z")
    assert bookmark_of(first) == f"{BOOKMARK}Z"
    second = run_inside(config, first.state, stream="assignments")
    assert skipped_of(second) == skipped_of(first)
    five.faults.clear()
    assert len(run_inside(config, second.state, stream="assignments").records) == 25


def test_a_look_back_reaches_skipped_pools_as_well(five: Emulator) -> None:
    refuse(five, "3")
    run = run_inside(config_for(five), state_of(Assignments), stream="assignments")
    five.faults.clear()
    five.clear_requests()
    config = config_for(five, lookback_days=100, max_concurrency=30)
    run_inside(config, run.state, stream="assignments")
    since = {date for r in requests_for(five) for date in date_params(r).values()}
    assert max(since) < BOOKMARK


@pytest.mark.parametrize(
    "body", [{"message": "Under maintenance"}, {}, [{}], {"items": [], "has_more": False}], ids=str
)
def test_an_answer_that_is_no_log_is_not_taken_for_one(body: Any) -> None:
    with emulator_of(OperationLogs, 20, seed=3) as emulator, no_waiting():
        config = config_for(emulator, max_retries=1)
        emulator.faults.add(Fault(path="/api/v1/operations/*/log", body=body, times=None))
        failed = run_inside(config, stream="operation_logs", may_fail=True)
        assert failed.status == 1
        assert failed.records == []
        emulator.faults.clear()
        again = run_inside(config, failed.state, stream="operation_logs")
    assert again.records
    catalog = catalog_of("type", stream="operation_logs")
    with emulator_of(OperationLogs, 20, seed=3) as emulator:
        run = run_inside(config_for(emulator), catalog=catalog)
    assert len(run.records) == len(again.records)
    assert not any("type" in record for record in run.records)


def test_logs_that_toloka_still_keeps_are_read_by_its_clock_not_this_machines() -> None:
    with emulator_of(OperationLogs, 60, seed=3, seconds_ahead=-25 * 86_400) as emulator:
        for operation in emulator.tables["operations"].rows():
            finished = shifted(operation["finished"], days=-25)
            emulator.tables["operations"].change(operation["id"], finished=finished)
        wanted = len(emulator.tables["operation_logs"].rows())
        run = run_inside(config_for(emulator), stream="operation_logs")
    assert len(run.records) == wanted > 0


def test_a_skipped_log_that_toloka_keeps_no_longer_is_given_up_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with emulator_of(OperationLogs, 40, seed=3) as emulator:
        run = run_inside(config_for(emulator), stream="operation_logs")
        (operation, *_) = {record["operation_id"] for record in run.records}
        emulator.tables["operations"].change(operation, finished="2024-01-01T00:00:00")
        state = run.state
        assert state
        state["bookmarks"]["operation_logs"]["skipped"] = {operation: ""}
        again = run_inside(config_for(emulator), state, stream="operation_logs")
    assert f"Giving up on operation_logs of operation {operation}" in caplog.text
    assert again.state
    assert "skipped" not in again.state["bookmarks"]["operation_logs"]


@pytest.mark.parametrize("full_table", [False, True])
def test_what_expires_is_no_reason_to_claim_rows_that_do_not_expire(
    five: Emulator, *, full_table: bool
) -> None:
    body = {"code": "RESULTS_EXPIRED"}
    refused = {"pool_id": "3"}
    five.faults.add(
        Fault(path="/api/v1/assignments", params=refused, status=409, body=body, times=None)
    )
    method = "FULL_TABLE" if full_table else "INCREMENTAL"
    catalog = catalog_of(stream="assignments", replication_method=method)
    config = config_for(five, emit_activate_version_messages=True)
    run = run_inside(config, catalog=catalog)
    assert sorted(run.ids) == ids_in(five, "3")
    assert all(message["type"] != "ACTIVATE_VERSION" for message in run.messages)
    assert full_table or skipped_of(run) == {"3": ""}
