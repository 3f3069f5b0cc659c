"""Several runs share an account: one of them reads each row, and a state counts for its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_toloka.shards import MOST_SHARDS, Shard
from tap_toloka.streams import STREAMS
from tests.expected_rows import emulator_of, whole_account
from tests.runner import (
    REQUESTER_PATH,
    Run,
    catalog_of,
    catalog_of_all,
    config_for,
    run_inside,
    run_process,
    stopped_after,
)
from toloka_emulator import REQUESTER, Dice, Emulator, make_pool, make_row, print_exactly

if TYPE_CHECKING:
    from tap_toloka.client import TolokaStream

Json = dict[str, Any]

SHARED = [stream for stream in STREAMS if stream.sharded]
BEGINNING = datetime(2024, 1, 1, tzinfo=timezone.utc)
INCREMENTAL = [stream for stream in SHARED if stream.replication_key]
LISTED_FOR_ALL = ("/api/v1/pools", "/api/v1/trainings", "/api/v1/operations")
"""Lists that each shard reads, to find what it has to read."""


EARLY, MIDDLE, LATE = (f"2024-05-0{day}T08:00:00.000Z" for day in (1, 2, 3))
UNFINISHED = {
    "bookmark": EARLY,
    "since": f"gt {EARLY}",
    "began": LATE,
    "greatest": "",
    "shard": "1/2",
    "begun": ["1", 0],
    "left": [],
    "skipped": [],
    "filters": [],
    "blocks": [],
}


def name_of(stream: type[TolokaStream]) -> str:
    return stream.name


def rows_of(run: Run) -> Counter[str]:
    """Return the records of a run, by what they hold, but for when the balance was read."""
    return Counter(
        json.dumps({**message["record"], "read_at": None}, sort_keys=True, default=str)
        for message in run.messages
        if message["type"] == "RECORD"
    )


def shards_of(count: int) -> list[str]:
    return [str(Shard(number, count)) for number in range(1, count + 1)]


@given(owner=st.text(), count=st.integers(1, MOST_SHARDS))
def test_each_owner_belongs_to_one_shard(owner: str, count: int) -> None:
    shards = [Shard(number, count) for number in range(1, count + 1)]
    assert sum(shard.has(owner) for shard in shards) == 1


@given(st.integers(1, MOST_SHARDS), st.integers(1, MOST_SHARDS))
def test_a_shard_is_written_as_it_is_read(one: int, other: int) -> None:
    shard = Shard(min(one, other), max(one, other))
    assert Shard.of(str(shard)) == shard


def test_pools_are_split_evenly() -> None:
    dealt = Counter(
        next(k for k in range(1, 9) if Shard(k, 8).has(str(id_))) for id_ in range(8_000)
    )
    assert min(dealt.values()) > 900


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shards_together_read_each_row_once(count: int) -> None:
    with Emulator(rows=whole_account(60, seed=3)) as emulator:
        whole = run_inside(config_for(emulator), catalog=catalog_of_all())
        found = [
            rows_of(run_inside(config_for(emulator, shard=shard), catalog=catalog_of_all()))
            for shard in shards_of(count)
        ]
    assert sum(found, Counter()) == rows_of(whole)
    assert sum(map(bool, found)) > 1


def test_only_the_first_shard_reads_lists_of_the_account() -> None:
    with Emulator(rows=whole_account(60, seed=3)) as emulator:
        run_inside(config_for(emulator, shard="1/2"), catalog=catalog_of_all())
        emulator.clear_requests()
        run = run_inside(config_for(emulator, shard="2/2"), catalog=catalog_of_all())
        account_lists = {f"/api{stream.path}" for stream in STREAMS if not stream.sharded}
        asked = {request.path for request in emulator.requests}
    printed = {message["stream"] for message in run.messages if message["type"] == "SCHEMA"}
    assert printed == {stream.name for stream in SHARED}
    for_all = {*LISTED_FOR_ALL, "/api/app/v0/app-projects", REQUESTER_PATH}
    assert asked & account_lists == for_all


def test_state_says_of_which_shard_it_is_where_that_matters() -> None:
    found = set()
    with Emulator(rows=whole_account(60, seed=3)) as emulator:
        for shard in shards_of(2):
            state = run_inside(config_for(emulator, shard=shard), catalog=catalog_of_all()).state
            assert state
            for name, entry in state["bookmarks"].items():
                is_shared = name in map(name_of, INCREMENTAL)
                if "replication_key_value" in entry:
                    assert entry.get("shard") == (shard if is_shared else None)
                    found.add(name)
    assert found == {stream.name for stream in STREAMS if stream.replication_key}


@pytest.mark.parametrize("shard", ["1/1", None])
def test_a_run_that_reads_all_is_no_shard(shard: str | None) -> None:
    with emulator_of(INCREMENTAL[0], 20, seed=1) as emulator:
        run = run_inside(config_for(emulator, shard=shard), stream=INCREMENTAL[0].name)
    assert len(run.records) == 20
    assert "shard" not in json.dumps(run.state).replace('"shard": ""', "")


@pytest.mark.parametrize("stream", INCREMENTAL, ids=name_of)
def test_a_bookmark_counts_for_its_shard_and_one_of_all_for_each(
    stream: type[TolokaStream], caplog: pytest.LogCaptureFixture
) -> None:
    with emulator_of(stream, 90, seed=2) as emulator:

        def run(shard: str | None, state: Any = None) -> Run:
            caplog.clear()
            # Else batches that have not ended are printed again.
            config = config_for(emulator, shard=shard, detect_changes=False)
            return run_inside(config, state, stream=stream.name)

        first = {shard: run(shard) for shard in ("1/2", "2/2", None)}
        pairs = (("1/2", "2/2"), ("2/2", "1/2"))
        ours, other = max(pairs, key=lambda pair: len(first[pair[0]].records))
        rows = len(first[ours].records)
        assert rows > 5
        # What changed after the newest row was created comes again.
        assert len(run(ours, first[ours].state).records) < rows / 2
        assert len(run(ours, first[None].state).records) < rows / 2
        with_bookmark = first[other] if first[other].records else first[ours]
        another = "3/3" if with_bookmark is first[ours] else ours
        assert rows_of(run(another, with_bookmark.state)) == rows_of(run(another))
        assert run(another, with_bookmark.state).state
        assert "is of shard" in caplog.text
        assert rows_of(run(None, first[ours].state)) == rows_of(first[None])
        assert "not of the whole account: starting over" in caplog.text


@pytest.mark.parametrize("stream", INCREMENTAL, ids=name_of)
def test_what_a_run_left_is_resumed_by_its_shard_and_of_all_by_each(
    stream: type[TolokaStream], caplog: pytest.LogCaptureFixture
) -> None:
    with emulator_of(stream, 90, seed=2) as emulator:

        def run(shard: str | None, state: Any = None) -> Run:
            config = config_for(emulator, shard=shard, batch_size=3, max_concurrency=1)
            caplog.clear()
            caplog.set_level("INFO")
            return run_inside(config, state, stream=stream.name)

        shards = {shard: run(shard) for shard in ("1/2", "2/2")}
        ours = max(shards, key=lambda shard: len(shards[shard].records))
        for stopped, resumed, resumes in (
            (ours, ours, True),
            (None, ours, True),
            (ours, None, False),
            (ours, "3/3", False),
        ):
            whole = run(resumed)
            with stopped_after(6):
                begun = run(stopped)
            assert begun.status == 143
            assert begun.state["bookmarks"][stream.name]["unfinished"]  # type: ignore[index]
            rest = run(resumed, begun.state)
            assert ("Resuming" in caplog.text) is resumes
            assert rows_of(whole) <= rows_of(begun) + rows_of(rest)
            if not resumes:
                assert rows_of(rest) == rows_of(whole)


def test_a_shard_that_resumes_a_run_of_all_keeps_only_its_own_lists() -> None:
    """Else it would seem to have more left than it has, to the end."""
    with Emulator() as emulator:
        for number in range(1, 31):
            emulator.pools.add([make_pool(str(number), "2024-01-01T00:00:00", status="OPEN")])
            tasks = [make_row("tasks", Dice(n), BEGINNING, pool_id=str(number)) for n in range(9)]
            emulator.tables["tasks"].add(tasks)

        def run(shard: str | None, state: Any = None) -> Any:
            config = config_for(emulator, shard=shard, batch_size=1, max_concurrency=8)
            with stopped_after(6):
                stopped = run_inside(config, state, stream="tasks")
            assert stopped.status == 143
            return stopped.state

        def owners_left(state: Any) -> set[str]:
            return {owner for owner, *_ in state["bookmarks"]["tasks"]["unfinished"]["left"]}

        whole = run(None)
        ours = Shard(2, 3)
        assert not all(map(ours.has, owners_left(whole)))
        assert all(map(ours.has, owners_left(run(str(ours), whole))))


def test_a_pool_that_one_shard_has_not_listed_is_read_whole_by_its_own() -> None:
    """Meanwhile another shard, with a later bookmark, has."""
    dice, shards = Dice(1), shards_of(3)
    with Emulator() as emulator:

        def create_pool(number: int) -> None:
            at = BEGINNING + timedelta(days=number)
            emulator.pools.add([make_pool(str(number), print_exactly(at), status="OPEN")])
            for hours in range(3):
                task = make_row("tasks", dice, at + timedelta(hours=hours), pool_id=str(number))
                emulator.tables["tasks"].add([task])

        for number in range(20):
            create_pool(number + 1)
        states, read = {}, 0
        for number, shard in enumerate(shards):
            run = run_inside(config_for(emulator, shard=shard), stream="tasks")
            states[shard], read = run.state, read + len(run.records)
            for another in range(3):
                create_pool(100 + 3 * number + another)
        for shard in shards:
            run = run_inside(config_for(emulator, shard=shard), states[shard], stream="tasks")
            read += len(run.records)
        assert read == len([*emulator.tables["tasks"].rows()]) == 87


def test_shards_that_would_remove_each_others_rows_are_refused() -> None:
    settings = {"shard": "2/3", "emit_activate_version_messages": True}
    with Emulator(rows=whole_account(5, seed=3)) as emulator:
        for stream in SHARED:
            catalog = catalog_of(stream=stream.name, replication_method="FULL_TABLE")
            config = config_for(emulator, **settings)
            if not stream.keeps_rows:  # of these it is never sent
                assert run_inside(config, catalog=catalog)
                continue
            emulator.clear_requests()
            run = run_process(config=config, catalog=catalog)
            assert (run.status, run.output, emulator.requests) == (1, b"", [])
            (line,) = [line for line in run.log.splitlines() if "would let each run remove" in line]
            assert stream.name in line
        full = catalog_of(stream="pools", replication_method="FULL_TABLE")
        first = run_inside(config_for(emulator, **{**settings, "shard": "1/3"}), catalog=full)
    assert first.messages[-2]["type"] == "ACTIVATE_VERSION"


def test_a_shard_with_nothing_to_read_warns() -> None:
    with Emulator(pools=[make_pool("1", "2024-01-01T00:00:00")]) as emulator:
        run = run_process(config=config_for(emulator, shard="2/2"))
    assert run.status == 0
    assert not run.records
    assert "Shard 2/2 leaves pools to shard 1" in run.log
    (warning,) = [line for line in run.log.splitlines() if "WARNING" in line]
    assert "Nothing to read for shard 2/2" in warning


@pytest.mark.parametrize(
    "shard", ["0/2", "3/2", "2", "2/", "/2", "a/b", "01/2", "1/0", "-1/2", "1/301", "1 / 2", "¹/2"]
)
def test_what_is_no_shard_is_refused_in_one_line(shard: str) -> None:
    run = run_process(config={"token": "secret-token", "shard": shard})
    assert run.status == 1
    assert f"shard: {shard!r} is not a shard; write K/N, the Kth of N shards, as 2/8" in run.log
    assert "Traceback" not in run.log


@pytest.mark.parametrize(
    "entry",
    [
        {"shard": []},
        {"shard": None},
        {"shard": 2},
        {"shard": "3/2"},
        {"shard": "1/2 "},
        {"unfinished": {**UNFINISHED, "shard": []}},
        {"unfinished": {**UNFINISHED, "greatest": []}},
    ],
)
def test_a_state_that_this_tap_does_not_write_is_refused_in_one_line(entry: Json) -> None:
    """And nobody is told to remove a shard: the bookmark would count for all of them."""
    bookmark = {"replication_key": "updated", "replication_key_value": EARLY, **entry}
    state = {"bookmarks": {"assignments": bookmark}}
    run = run_process(config={"token": "a", "shard": "1/2"}, state=state)
    (name,) = entry
    assert (run.status, run.output) == (1, b"")
    assert f"`{name}` of assignments is not what this tap writes" in run.log
    assert ("Remove the stream from the state" in run.log) is (name == "shard")
    assert "Traceback" not in run.log


def test_a_test_of_the_connection_tests_all_streams_whatever_the_shard() -> None:
    with Emulator(rows=whole_account(5, seed=3)) as emulator:
        run = run_process("--test", config=config_for(emulator, shard="2/300"))
    assert run.status == 0, run.log
    assert run.log.count(" can be read") == len(STREAMS)


# Merging states

MERGE = str(Path(sys.executable).with_name("tap-toloka-merge-states"))


def merge(folder: Path, *states: Any) -> subprocess.CompletedProcess[str]:
    """Run the command that merges states."""
    files = []
    for number, state in enumerate(states):
        file = folder / f"{number}.json"
        file.write_text(state if isinstance(state, str) else json.dumps(state))
        files.append(str(file))
    return subprocess.run([MERGE, *files], capture_output=True, text=True, check=False, timeout=60)


def state_of(shard: str | None, value: str | None, **more: Any) -> Json:
    """Return a state with a bookmark of assignments, and what shard 1 has of pools."""
    entry = {"replication_key": "updated", "replication_key_value": value, **more}
    entry |= {"shard": shard} if shard else {}
    entry.setdefault("account", {"environment": "PRODUCTION", "requester_id": REQUESTER["id"]})
    return {"bookmarks": {"assignments": entry}}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    command = [MERGE, str(tmp_path / "shard-1"), str(tmp_path / "shard-2")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "shard-1' does not exist" in done.stderr


def test_the_earliest_bookmark_of_all_shards_counts(tmp_path: Path) -> None:
    one = state_of("1/2", LATE, skipped={"7": MIDDLE, "8": ""}, unfinished=UNFINISHED)
    other = state_of("2/2", MIDDLE, skipped={"7": EARLY, "9": EARLY})
    done = merge(tmp_path, one, other)
    skipped = {"7": EARLY, "8": "", "9": EARLY}
    expected = state_of(None, MIDDLE, skipped=skipped)
    assert json.loads(done.stdout) == expected
    assert done.stderr == f"assignments: bookmark {MIDDLE}\n"
    assert done.returncode == 0


def test_lists_of_the_account_are_as_the_first_shard_has_them(tmp_path: Path) -> None:
    with Emulator(rows=whole_account(40, seed=3)) as emulator:
        whole = run_inside(config_for(emulator), catalog=catalog_of_all()).state
        states = [
            run_inside(config_for(emulator, shard=shard), whole, catalog_of_all()).state
            for shard in shards_of(3)
        ]
    merged = json.loads(merge(tmp_path, *states).stdout)["bookmarks"]
    first = states[0]["bookmarks"]  # type: ignore[index]
    account_wide = {
        name: entry for name, entry in first.items() if name not in map(name_of, SHARED)
    }
    assert "blocks" in account_wide["pools"]
    assert {name: entry for name, entry in merged.items() if name in account_wide} == account_wide
    assert merged["assignments"]["replication_key_value"]


@pytest.mark.parametrize(
    ("states", "why"),
    [
        ([state_of("1/2", LATE), state_of("2/2", None)], "shard 2/2 has none"),
        ([state_of("1/2", LATE), {"bookmarks": {}}], "shard 2/2 has none"),
        ([state_of("1/2", LATE), {}], "shard 2/2 has none"),
        ([state_of("1/2", LATE), {}], "State 2 is empty: check its state ID"),
        ([state_of("1/2", None, unfinished=UNFINISHED), {}], "shard 1/2 has none"),
        (
            [state_of("1/2", LATE), state_of("2/2", LATE, filters={"pool_id": "1"})],
            "their filters differ",
        ),
    ],
)
def test_without_a_bookmark_of_each_shard_there_is_none(
    tmp_path: Path, states: list[Json], why: str
) -> None:
    done = merge(tmp_path, *states)
    (entry,) = json.loads(done.stdout)["bookmarks"].values()
    assert [*entry] == ["account"]
    assert why in done.stderr
    assert "from the beginning" in done.stderr


def test_a_state_of_meltano_is_merged_into_one_for_meltano(tmp_path: Path) -> None:
    one, other = ({"singer_state": state_of(shard, LATE)} for shard in shards_of(2))
    merged = json.loads(merge(tmp_path, one, other).stdout)
    assert merged == {"singer_state": state_of(None, LATE)}
    assert "singer_state" in json.loads(merge(tmp_path, {}, other).stdout)


def test_numbers_that_a_state_should_not_have_are_kept(tmp_path: Path) -> None:
    states = [state_of(shard, LATE, filters={"id_gt": 1.5}) for shard in shards_of(2)]
    done = merge(tmp_path, *states)
    assert json.loads(done.stdout) == state_of(None, LATE, filters={"id_gt": 1.5}), done.stderr


THEIRS = {"environment": "PRODUCTION", "requester_id": "6c6e20dc86cca2ae787afcb2629de163"}


@pytest.mark.parametrize(
    ("states", "why"),
    [
        (
            [state_of("2/2", LATE), state_of("1/2", LATE)],
            "has assignments of shard 2/2",
        ),
        (
            [state_of("1/3", LATE), state_of("2/3", LATE)],
            "shard 1/3. Give the states of all shards, that of shard 1 first. If another number",
        ),
        (
            [state_of(None, None), state_of(None, None, unfinished=UNFINISHED)],
            "state 2 of 2 has assignments of shard 1/2",
        ),
        ([state_of("1/2", LATE)], "there is only one state"),
        ([{}, {}], "the states are empty"),
        ([state_of("1/2", LATE), state_of("2/2", LATE, account=THEIRS)], "one is of requester"),
        ([state_of("1/2", LATE), "{"], "invalid JSON"),
        ([state_of("1/2", LATE), state_of("2/2", "soon")], "1.json: the bookmark of assignments"),
        ([state_of("1/2", LATE), state_of("2/x", LATE)], "write K/N"),
        ([state_of("1/2", LATE), {"bookmarks": []}], "expected an object"),
        ([{"singer_state": 3}, {"singer_state": 4}], "expected an object"),
    ],
)
def test_what_cannot_be_merged_is_one_line_and_no_state(
    tmp_path: Path, states: list[Any], why: str
) -> None:
    done = merge(tmp_path, *states)
    assert (done.returncode, done.stdout) == (1, "")
    assert why in done.stderr
    assert done.stderr.startswith("Nothing merged: ")
    assert done.stderr.count("\n") == 1
