"""A run that was stopped goes on in the next one: no row is lost, and few come twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.fetch import Listing
from tap_toloka.remaining import Remaining
from tap_toloka.signals import STOPPING
from tap_toloka.streams import STREAMS
from tap_toloka.streams.operations import OperationLogs
from tap_toloka.streams.pools import Pools
from tests.expected_rows import emulator_of, in_order, open_pool, printed
from tests.runner import (
    TAP,
    Run,
    catalog_of,
    config_for,
    no_waiting,
    run_inside,
    run_process,
    stopped_after,
)
from toloka_emulator import Dice, Emulator, Fault, make_pool

if TYPE_CHECKING:
    from pathlib import Path

    from tap_toloka.client import TolokaStream

INCREMENTAL = [stream for stream in STREAMS if stream.replication_key]
OLD = "2024-01-01T00:00:00"


def name_of(stream: type[TolokaStream]) -> str:
    return stream.name


def pools(count: int) -> list[dict[str, Any]]:
    """Make pools that were never started: only their creation has a date."""
    return [make_pool(str(n), OLD) for n in range(1, count + 1)]


def unfinished_in(run: Run, stream: str = "pools") -> Any:
    """Return what a run has left of a stream."""
    assert run.state
    return run.state["bookmarks"][stream].get("unfinished")


def stop_after(writes: int, config: dict[str, Any], state: Any = None, **which: Any) -> Run:
    """Run inside, stopped by a signal after so many writes: STATE if there is one, SCHEMA, rows."""
    with stopped_after(writes):
        run = run_inside(config, state, **which)
    assert run.status == 143
    return run


@pytest.mark.parametrize("stream", INCREMENTAL, ids=name_of)
def test_runs_that_are_stopped_again_and_again_read_every_row_and_few_twice(
    stream: type[TolokaStream],
) -> None:
    threads = 1 + INCREMENTAL.index(stream) % 2 * 7
    dice, runs, state = Dice(stream.name), [Run(b"", status=1)], None
    with emulator_of(stream, 150, seed=4) as emulator:
        config = config_for(emulator, batch_size=3, max_concurrency=threads)
        while runs[-1].status and (state is None or "unfinished" in json.dumps(state)):
            with stopped_after(dice.randrange(8, 25)):
                runs.append(run_inside(config, state, stream=stream.name))
            state = runs[-1].state or state
            assert len(json.dumps(state)) < 2_000 or stream.changes_without_date
            assert len(runs) < 100, "it does not go on"
        records = [record for run in runs for record in run.records]
        keys = [tuple(record[key] for key in stream.primary_keys) for record in records]
        rows = dict(zip(keys, records, strict=True))
        assert in_order(stream, rows.values()) == printed(stream, emulator)
    assert "unfinished" not in json.dumps(state)
    assert len(runs) > 4 or stream is OperationLogs, "it has a list for each of few operations"
    assert len(records) <= 1.2 * len(rows)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_an_error_leaves_what_is_left(threads: int) -> None:
    with Emulator(pools=pools(50)) as emulator:
        emulator.faults.add(Fault(status=400, after=6, times=None, path="*/pools"))
        config = config_for(emulator, batch_size=3, max_concurrency=threads)
        failed = run_process(config=config)
        assert failed.status == 1
        emulator.faults.clear()
        again = run_inside(config, failed.state)
    assert failed.bookmark is None
    assert len(failed.ids) > 5
    assert sorted([*failed.ids, *again.ids]) == sorted(row["id"] for row in emulator.pools.rows())


@pytest.mark.parametrize("status", [401, 403])
def test_an_error_that_ends_the_run_leaves_what_is_left(status: int) -> None:
    with Emulator(pools=pools(50)) as emulator:
        emulator.faults.add(Fault(status=status, after=6, times=None, path="*/pools"))
        failed = run_process(config=config_for(emulator, batch_size=3))
    assert failed.status == 1
    assert unfinished_in(failed)["left"]


def test_a_bookmark_does_not_move_before_all_is_read_and_then_to_where_the_first_run_began() -> (
    None
):
    with Emulator(pools=[make_pool(str(n), f"2024-01-{n:02}T00:00:00") for n in range(1, 21)]) as (
        emulator
    ):
        config = config_for(emulator, batch_size=2, max_concurrency=1)
        stopped = stop_after(6, config)
        assert stopped.bookmark is None
        emulator.seconds_ahead = 100_000
        young = unfinished_in(stopped)["began"]
        emulator.pools.add([make_pool("99", young.removesuffix("Z"))])
        again = run_inside(config, stopped.state)
        states = [m["value"] for m in again.messages if m["type"] == "STATE"]
    bookmarks = [state["bookmarks"]["pools"].get("replication_key_value") for state in states]
    began_less_a_minute = bookmarks[1]
    assert bookmarks[0] is None
    assert "2024-01-20T00:00:00.000Z" < began_less_a_minute < young
    assert bookmarks[-1] == young
    assert again.ids.count("99") == 2, "it is new since then"


def test_rows_that_change_while_nothing_reads_are_read_by_the_run_that_resumes() -> None:
    owners = [open_pool(str(n)) for n in range(1, 9)]
    rows = [
        {
            "id": f"{n:010x}--{n:024x}",
            "pool_id": str(n),
            "user_id": "u",
            "status": "SUBMITTED",
            "created": OLD,
            "submitted": "2024-01-02T00:00:00",
        }
        for n in range(1, 9)
    ]
    with Emulator(rows={"pools": owners, "assignments": rows}) as emulator:
        config = config_for(emulator, max_concurrency=1)
        stopped = stop_after(5, config, stream="assignments")
        first = stopped.records[0]
        accepted = unfinished_in(stopped, "assignments")["began"]
        date = accepted.removesuffix("Z")
        emulator.tables["assignments"].change(first["id"], status="ACCEPTED", accepted=date)
        emulator.seconds_ahead = 16 * 60
        again = run_inside(config, stopped.state, stream="assignments")
    assert {r["id"]: r["status"] for r in again.records}[first["id"]] == "ACCEPTED"
    assert {r["id"] for r in [*stopped.records, *again.records]} == {row["id"] for row in rows}


@pytest.mark.parametrize(("minutes", "reads"), [(14, 1), (16, 2)])
def test_what_is_new_is_read_as_well_if_the_interrupted_run_began_long_ago(
    minutes: int, reads: int
) -> None:
    with Emulator(pools=pools(20)) as emulator:
        config = config_for(emulator, batch_size=2, max_concurrency=1)
        stopped = stop_after(6, config)
        emulator.seconds_ahead = minutes * 60
        emulator.clear_requests()
        again = run_inside(config, stopped.state)
        dated = [r for r in emulator.requests if "created_gt" in r.params]
    assert len(dated) == reads - 1
    assert "unfinished" not in json.dumps(again.state)
    assert again.bookmark


def test_a_list_that_was_refused_before_the_stop_is_not_passed_over() -> None:
    owners = [open_pool(str(n)) for n in range(1, 9)]
    rows = [
        {"id": f"{n:010x}--{n:024x}", "pool_id": str(n), "user_id": "u", "created": OLD}
        for n in range(1, 9)
    ]
    refused = Fault(path="*/assignments", params={"pool_id": "2"}, status=403, times=None)
    with Emulator(rows={"pools": owners, "assignments": rows}) as emulator:
        config = config_for(emulator, max_concurrency=1)
        emulator.faults.add(refused)
        stopped = stop_after(5, config, stream="assignments")
        assert unfinished_in(stopped, "assignments")["skipped"] == ["2"]
        resumed = run_inside(config, stopped.state, stream="assignments")
        assert resumed.state
        assert resumed.state["bookmarks"]["assignments"]["skipped"] == {"2": ""}
        emulator.faults.clear()
        last = run_inside(config, resumed.state, stream="assignments")
    assert last.ids == [rows[1]["id"]]


def changed(state: Any, **values: Any) -> Any:
    """Return a state with other values in the entry of pools."""
    return {"bookmarks": {"pools": {**state["bookmarks"]["pools"], **values}}}


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, 20),
        ({"filters": {"pools": {"status": "OPEN"}}}, 10),
        ({"start_date": "2000-01-01"}, 20),
    ],
    ids=str,
)
def test_a_full_refresh_that_is_stopped_is_not_taken_for_what_was_read_before(
    settings: dict[str, Any], found: int
) -> None:
    """Meltano merges the state of a full refresh, key by key, into the one that there was."""
    rows = [make_pool(str(n), OLD, status="OPEN" if n % 2 else "CLOSED") for n in range(1, 21)]
    with Emulator(pools=rows) as emulator:
        config = config_for(emulator, batch_size=2, max_concurrency=1)
        before = run_inside({**config, "filters": {"pools": {"id_gt": "4"}}}).state
        refreshed = stop_after(5, {**config, **settings})
        assert refreshed.state
        again = run_inside({**config, **settings}, merge(refreshed.state, before))
    assert len({*refreshed.ids, *again.ids}) == found


def test_the_account_is_kept_of_a_run_that_was_stopped_with_an_old_state() -> None:
    with Emulator(pools=pools(20)) as emulator:
        config = config_for(emulator, batch_size=2, max_concurrency=1)
        old = {"bookmarks": {"pools": {"replication_key_value": "2015-01-01T00:00:00.000Z"}}}
        state = stop_after(6, config, old).state
    assert state
    assert state["bookmarks"]["pools"]["account"]["requester_id"]


def test_what_is_left_of_a_pool_is_read_although_nothing_can_change_in_it_any_more() -> None:
    owners = [open_pool(str(n)) for n in (1, 2)]
    task = {"input_values": {}, "overlap": 1, "created": "2024-06-01T00:00:00"}
    rows = [{"id": f"{p:010x}--{n}", "pool_id": str(p), **task} for p in (1, 2) for n in range(8)]
    state = {"bookmarks": {"tasks": {"replication_key_value": "2024-05-01T00:00:00.000Z"}}}
    with Emulator(rows={"pools": owners, "tasks": rows}) as emulator:
        config = config_for(emulator, batch_size=2, max_concurrency=1)
        stopped = stop_after(8, config, state, stream="tasks")
        ((pool_id, *_),) = unfinished_in(stopped, "tasks")["left"]
        assert pool_id == "2"
        emulator.pools.change("2", status="ARCHIVED")
        again = run_inside(config, stopped.state, stream="tasks")
    assert {*stopped.ids, *again.ids} == {row["id"] for row in rows}


def test_a_resumed_run_that_is_refused_everything_fails() -> None:
    owners = [open_pool(str(n)) for n in range(1, 9)]
    rows = [
        {"id": f"{n:010x}--{n:024x}", "pool_id": str(n), "user_id": "u", "created": OLD}
        for n in range(1, 9)
    ]
    with Emulator(rows={"pools": owners, "assignments": rows}) as emulator:
        config = config_for(emulator, max_concurrency=1)
        stopped = stop_after(4, config, stream="assignments")
        emulator.faults.add(Fault(path="*/assignments", status=403, times=None))
        resumed = run_inside(config, stopped.state, stream="assignments", may_fail=True)
        emulator.faults.clear()
        last = run_inside(config, resumed.state, stream="assignments")
    assert resumed.status == 1
    assert {*stopped.ids, *last.ids} == {row["id"] for row in rows}


def merge(partial: Any, state: Any) -> Any:
    """Merge two states as Meltano 4.4 does: objects key by key, all else is replaced."""
    merged = dict(state)
    for key, value in partial.items():
        old = state.get(key)
        merged[key] = merge(value, old) if isinstance(value, dict) and old is not None else value
    return merged


@pytest.mark.parametrize("owner", ["abc", ""])
@pytest.mark.parametrize("where", ["begun", "left"])
def test_an_owner_that_cannot_be_one_is_an_error_in_words(owner: str, where: str) -> None:
    values = {"begun": [owner, 0], "left": [[owner, 0, "", ""]]}
    left: dict[str, Any] = {
        "bookmark": None,
        "since": "",
        "began": OLD,
        "greatest": "",
        "skipped": [],
    }
    left |= {"filters": [], "begun": ["1", 0], "left": [], where: values[where]}
    with Emulator(pools=[open_pool("1")]) as emulator:
        state = {"bookmarks": {"assignments": {"unfinished": left}}}
        catalog = catalog_of(stream="assignments")
        run = run_process(config=config_for(emulator), state=state, catalog=catalog)
    assert "Traceback" not in run.log
    assert ("Invalid state" in run.failure) == (owner == "abc")


@pytest.fixture
def stopped() -> Any:
    """Give an emulator, a config for it, and the state of a later run that was stopped."""
    with Emulator(pools=pools(20)) as emulator:
        config = config_for(emulator, batch_size=2, max_concurrency=1)
        state = {"bookmarks": {"pools": {"replication_key_value": "2015-01-01T00:00:00.000Z"}}}
        run = stop_after(6, config, state)
        assert len(unfinished_in(run)["left"]) == 1
        yield emulator, config, run.state


def test_a_bookmark_that_someone_set_is_what_counts(stopped: Any) -> None:
    _, config, state = stopped
    state = changed(state, replication_key_value="2014-01-01T00:00:00.000Z")
    assert len(run_inside(config, state).ids) == 20


def test_other_filters_start_over_and_the_old_ones_go_on(stopped: Any) -> None:
    emulator, config, state = stopped
    status = {"filters": {"pools": {"status": "OPEN"}}}
    fewer = run_inside({**config, **status}, state)
    assert set(fewer.ids) == {p["id"] for p in emulator.pools.rows() if p["status"] == "OPEN"}
    assert len(run_inside(config, state).ids) < 20


def test_a_start_date_that_someone_set_is_what_counts() -> None:
    with Emulator(pools=pools(20)) as emulator:
        config = config_for(emulator, batch_size=2, max_concurrency=1)
        late = stop_after(4, {**config, "start_date": "2010-01-01"})
        assert len(run_inside(config, late.state).ids) == 20


def test_a_full_table_begins_anew_and_says_so(stopped: Any) -> None:
    _, config, state = stopped
    catalog = catalog_of(replication_method="FULL_TABLE")
    run = run_process(config=config, state=state, catalog=catalog)
    assert len(run.ids) == 20
    assert "Reading pools from the beginning, as each run of a FULL_TABLE stream" in run.log
    with stopped_after(6):
        partial = run_inside(config, {}, catalog)
    assert "unfinished" not in json.dumps(partial.state)


@pytest.mark.parametrize(
    "value",
    [
        *(5, [], {}, {"left": []}, None),
        *({"left": [["", 0, ""]]}, {"since": "le 2024-01-01"}, {"began": "yesterday"}),
        *({"begun": ["a", "b"]}, {"begun": 7}, {"filters": 5}, {"greatest": 5}),
    ],
    ids=str,
)
def test_what_is_not_what_a_run_left_is_an_error_in_one_line(stopped: Any, value: Any) -> None:
    _, config, state = stopped
    if isinstance(value, dict) and value:
        value = {**state["bookmarks"]["pools"]["unfinished"], **value}
        if value["left"] == []:
            del value["began"]
    run = run_process(config=config, state=changed(state, unfinished=value))
    assert run.status == 1
    assert run.output == b""
    (line,) = [line for line in run.log.splitlines() if "Invalid state" in line]
    assert "`unfinished` of pools" in line
    assert "Traceback" not in run.log


def test_what_is_left_does_not_grow_with_the_number_of_pools() -> None:
    many = (make_pool(str(10**9 + n), OLD, status="OPEN") for n in range(20_000))
    with no_waiting(rate_limit=False), Emulator(pools=many) as emulator:
        emulator.faults.add(Fault(path="*/assignments", status=400, after=400, times=None))
        failed = run_inside(config_for(emulator), stream="assignments", may_fail=True)
    assert failed.state
    assert len(json.dumps(failed.state)) < 2_000
    begun, _ = unfinished_in(failed, "assignments")["begun"]
    assert int(begun) > 10**9 + 300


@pytest.mark.skipif(sys.platform == "win32", reason="there a signal from outside ends it at once")
@pytest.mark.parametrize("signum", STOPPING)
def test_a_signal_leaves_what_is_left_as_the_last_line(
    signum: signal.Signals, tmp_path: Path
) -> None:
    with Emulator(pools=pools(900)) as emulator:
        emulator.faults.add(Fault(delay=120, after=2, path="*/pools"))
        config = config_for(emulator, max_concurrency=1)
        (tmp_path / "config").write_text(json.dumps(config))
        (tmp_path / "catalog").write_text(json.dumps(catalog_of()))
        command = [*TAP, "--config", str(tmp_path / "config"), "--catalog"]
        with subprocess.Popen([*command, str(tmp_path / "catalog")], stdout=-1, stderr=-1) as tap:
            assert tap.stdout
            for _ in range(1 + 600):
                tap.stdout.readline()
            time.sleep(0.5)  # until it waits for the third page
            tap.send_signal(signum)
            tap.send_signal(signal.SIGTERM)  # a shell and a supervisor may both send one
            rest = tap.stdout.read()
        emulator.faults.clear()
        last = Run(rest)
        # Sent at once, they may come to different threads, in any order.
        assert tap.returncode in {128 + signum, 128 + signal.SIGTERM}
        assert [message["type"] for message in last.messages] == ["STATE"]
        again = run_inside(config, last.state)
    assert len(again.ids) == 300


def test_a_checkpoint_is_written_every_30_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(0, 100_000, 7))
    monkeypatch.setattr("tap_toloka.passes.monotonic", lambda: next(seconds))
    with Emulator(pools=pools(40)) as emulator:
        run = run_inside(config_for(emulator, batch_size=2, max_concurrency=1))
    kinds = [m["type"] for m in run.messages]
    places = [place for place, kind in enumerate(kinds) if kind == "STATE"]
    assert len(places) > 3
    for place in places[:-1]:
        state = run.messages[place]["value"]["bookmarks"]["pools"]
        written = {m["record"]["id"] for m in run.messages[:place] if m["type"] == "RECORD"}
        for _, _, after, _ in state["unfinished"]["left"]:
            assert after == max(written, key=int), "it says what was written before it, no more"
    assert "unfinished" not in json.dumps(run.state)


def test_an_error_after_the_stop_of_another_stream_keeps_what_that_has_left() -> None:
    catalog = catalog_of()
    for entry in catalog["streams"]:
        chosen = entry["stream"] in {"pools", "trainings"}
        entry["metadata"][-1]["metadata"]["selected"] = chosen
    with Emulator(pools=pools(40)) as emulator:
        emulator.faults.add(Fault(status=400, after=6, times=None, path="*/pools"))
        config = config_for(emulator, batch_size=2, max_concurrency=1)
        failed = run_process(config=config, catalog=catalog)
        emulator.faults.clear()
        again = run_inside(config, failed.state, catalog)
    assert failed.status == 1
    assert unfinished_in(failed)
    assert len(again.ids) == 40 - len(failed.ids)


def test_lists_in_another_order_than_that_of_their_owners_are_refused() -> None:
    lists = Remaining(int).listings([Listing(owner="10"), Listing(owner="9")])
    with pytest.raises(ValueError, match=r"'9', 0\) comes after \('10', 0\)"):
        list(lists)


def test_all_that_a_run_can_leave_is_read_again_as_it_was_written() -> None:
    with Emulator(pools=pools(40)) as emulator:
        filters = {Pools.name: {"status": "CLOSED"}}
        config = config_for(emulator, batch_size=2, filters=filters)
        state = stop_after(4, config).state
        again = run_inside(config, state)
    assert again.messages[0]["value"] == state
