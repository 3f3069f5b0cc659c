"""Changes without a date: found in lists of the account, read again where the user says so."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.streams import STREAMS
from tap_toloka.streams.apps import AppBatches, AppItems, AppProjects
from tap_toloka.streams.assignments import Assignments
from tap_toloka.streams.messages import MessageThreads
from tap_toloka.streams.operations import Operations
from tap_toloka.streams.pools import Pools
from tap_toloka.streams.projects import Projects
from tap_toloka.streams.tasks import Tasks, TaskSuites
from tap_toloka.streams.trainings import Trainings
from tap_toloka.streams.users import Skills, UserRestrictions, UserSkills
from tap_toloka.streams.webhooks import WebhookSubscriptions
from tests.expected_rows import emulator_with, in_order, printed
from tests.runner import (
    Run,
    catalog_of,
    config_for,
    expected,
    requests_for_rows,
    run_inside,
    run_process,
    stopped_after,
)
from toloka_emulator import Emulator, make_pool, make_pools, make_rows, print_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_toloka.client import TolokaStream

Json = dict[str, Any]

UNDATED_CHANGES: tuple[tuple[type[TolokaStream], Json], ...] = (
    (Pools, {"status": "OPEN", "last_started": "2026-01-02T03:04:05"}),
    (Pools, {"status": "CLOSED", "last_stopped": "2026-01-02T03:04:05"}),
    (Pools, {"priority": 90}),
    (Projects, {"public_name": "Another name"}),
    (Projects, {"status": "ARCHIVED"}),
    (Trainings, {"status": "OPEN", "last_started": "2026-01-02T03:04:05"}),
    (Trainings, {"private_name": "Another name"}),
    (Skills, {"name": "Another name"}),
    (WebhookSubscriptions, {"webhook_url": "https://example.com/elsewhere"}),
    (UserRestrictions, {"will_expire": "2030-01-02T03:04:05"}),
    (MessageThreads, {"messages": [{"text": {"EN": "An answer"}}], "folders": ["OUTBOX"]}),
    (Tasks, {"overlap": 17, "remaining_overlap": 16}),
    (TaskSuites, {"overlap": 17, "remaining_overlap": 16}),
    (Assignments, {"bonus_ids": ["3139"]}),
    (Assignments, {"public_comment": "On second thoughts, well done"}),
    (AppProjects, {"status": "ARCHIVED"}),
    (AppItems, {"status": "PROCESSING", "started_at": "2026-01-02T03:04:05"}),
)


DETECTED = [stream for stream in STREAMS if stream.changes_without_date]


def changes_of(*, detected: bool) -> pytest.MarkDecorator:
    """Return the changes of streams that are compared, or of those that are not, as parameters."""
    return pytest.mark.parametrize(
        ("stream", "change"),
        [
            pytest.param(stream, change, id=f"{stream.name}-{min(change)}")
            for stream, change in UNDATED_CHANGES
            if stream.changes_without_date == detected
        ],
    )


def rows_of(stream: type[TolokaStream], change: Json, *days: int) -> list[Json]:
    """Make rows that a change changes, as if they were created so many days ago."""
    rows = [row for row in make_rows(stream.name, 30) if not change.items() <= row.items()]
    rows = rows[: len(days)]
    for row, number in zip(rows, days, strict=True):
        make_unchanged_since(stream, row, number)
    return rows


@changes_of(detected=True)
def test_a_change_without_a_date_is_found(stream: type[TolokaStream], change: Json) -> None:
    rows = rows_of(stream, change, 100, 5, 1)
    old, young, newest = (row["id"] for row in rows)
    with emulator_with(stream, rows) as emulator:
        config = config_for(emulator)
        if stream is not AppProjects:  # it is compared whole
            config["batch_size"] = 1
        first = run_inside(config, stream=stream.name)
        nothing = run_inside(config, first.state, stream=stream.name)
        for row_id in (old, young):
            emulator.tables[stream.name].change(row_id, **change)
        second = run_inside(config, nothing.state, stream=stream.name)
        emulator.clear_requests()
        third = run_inside(config, second.state, stream=stream.name)
        held = printed(stream, emulator)
        asked = len(requests_for_rows(emulator))
    assert {*first.ids} == {old, young, newest}
    assert nothing.records == third.records == []
    assert in_order(stream, second.records) == (
        held if stream is AppProjects else [row for row in held if row["id"] != newest]
    )
    assert asked == (2 if stream is AppProjects else 4), "one for what is new, and one per page"


@changes_of(detected=False)
def test_other_changes_without_a_date_are_read_by_a_lookback_or_a_full_table(
    stream: type[TolokaStream], change: Json
) -> None:
    check_lookback_and_full_table(stream, change)


@changes_of(detected=True)
def test_without_detect_changes_they_are_read_by_a_lookback_or_a_full_table(
    stream: type[TolokaStream], change: Json
) -> None:
    check_lookback_and_full_table(stream, change, detect_changes=False)


def check_lookback_and_full_table(
    stream: type[TolokaStream], change: Json, **settings: Any
) -> None:
    """Change two rows, and look at what three kinds of runs print."""
    rows = rows_of(stream, change, 100, 5, 1)
    old, young, newest = (row["id"] for row in rows)
    with emulator_with(stream, rows) as emulator:
        config = config_for(emulator, **settings)
        first = run_inside(config, stream=stream.name)
        for row_id in (old, young):
            emulator.tables[stream.name].change(row_id, **change)
        held = {row["id"]: row for row in printed(stream, emulator)}

        usual = run_inside(config, first.state, stream=stream.name)
        looked_back = run_inside({**config, "lookback_days": 10}, first.state, stream=stream.name)
        full_table = catalog_of(stream=stream.name, replication_method="FULL_TABLE")
        full = run_inside(config, first.state, full_table)
    assert {*first.ids} == {old, young, newest}
    assert sum(row not in first.records for row in held.values()) == 2
    assert usual.records == []
    assert in_order(stream, looked_back.records) == in_order(
        stream, [held[row_id] for row_id in (young, newest)]
    )
    assert in_order(stream, full.records) == in_order(stream, held.values())


def test_operations_are_read_in_each_run_until_they_have_finished() -> None:
    at = "2026-01-02T03:04:05"
    rows = [
        {"id": id_, "type": "POOL.OPEN", "status": status, "submitted": at, "parameters": {}}
        for id_, status in (("a", "PENDING"), ("b", "PENDING"), ("c", "FAIL"))
    ]
    with Emulator(rows={"operations": rows}) as emulator:
        config = config_for(emulator)
        first = run_inside(config, stream="operations")
        emulator.tables["operations"].change("b", status="RUNNING", started=at, progress=50)
        second = run_inside(config, first.state, stream="operations")
        off = {**config, "detect_changes": False}
        without = run_inside(off, first.state, stream="operations")
        only = {**config, "filters": {"operations": {"status": "RUNNING"}}}
        filtered = run_inside(
            only, run_inside(only, stream="operations").state, stream="operations"
        )
        late = {**config, "start_date": "2026-02-01"}
        started = run_inside(late, stream="operations")
    assert [(row["id"], row["status"]) for row in in_order(Operations, second.records)] == [
        ("a", "PENDING"),
        ("b", "RUNNING"),
    ]
    assert without.ids == filtered.ids == started.ids == []
    assert second.state == first.state


@pytest.mark.parametrize("deselected", [(), ("finished_at",)])
def test_batches_are_read_in_each_run_until_they_have_ended(deselected: tuple[str, ...]) -> None:
    catalog = catalog_of(*deselected, stream="app_batches")
    rows = list(make_rows("app_batches", 4))
    for row in rows:
        row |= {"created_at": "2026-01-02T03:04:05", "status": "PROCESSING"}
        row.pop("finished_at", None)
    going_on, ends, had_ended, newest = (row["id"] for row in rows)
    rows[2] |= {"status": "COMPLETED", "finished_at": "2026-01-03T00:00:00"}
    rows[3] |= {"created_at": "2026-02-01T00:00:00", "finished_at": "2026-02-01T00:00:00"}
    with emulator_with(AppBatches, rows) as emulator:
        config = config_for(emulator)
        first = run_inside(config, catalog=catalog)
        table = emulator.tables["app_batches"]
        table.change(ends, status="COMPLETED", finished_at="2026-02-03T00:00:00")
        emulator.clear_requests()
        second = run_inside(config, first.state, catalog)
        asked = len(emulator.requests)
        off = run_inside({**config, "detect_changes": False}, first.state, catalog)
        late = {**config, "start_date": "2026-01-15"}
        started = run_inside(late, catalog=catalog)
        again = run_inside(late, started.state, catalog)
    assert {*first.ids} == {going_on, ends, had_ended, newest}
    assert {row["id"]: row["status"] for row in second.records} == {
        going_on: "PROCESSING",
        ends: "COMPLETED",
    }
    assert asked == 5, "for the account, the app projects, and each of three of them"
    assert off.ids == again.ids == []
    assert started.ids == [newest]


def pools(count: int) -> list[Json]:
    """Make pools that are created day after day."""
    return [make_pool(str(n), f"2024-01-{n:02}T00:00:00", priority=0) for n in range(1, count + 1)]


@pytest.fixture
def loaded() -> Iterator[tuple[Emulator, Json, Run]]:
    """Give an account of 20 pools, a config with pages of 5, and the run that has read them."""
    with Emulator(pools=pools(20)) as emulator:
        config = config_for(emulator, batch_size=5)
        yield emulator, config, run_inside(config)


Loaded = tuple[Emulator, Json, Run]


def test_what_has_not_changed_takes_a_request_per_page_and_prints_nothing(loaded: Loaded) -> None:
    emulator, config, first = loaded
    emulator.clear_requests()
    second = run_inside(config, first.state)
    assert second.records == []
    assert second.state == first.state
    new, *older = sorted(requests_for_rows(emulator), key=lambda r: "created_lte" in r.params)
    assert "created_gt" in new.params
    assert {(r.params.get("id_gt"), r.params.get("id_lte")) for r in older} == {
        (None, "5"),
        ("5", "10"),
        ("10", "15"),
        ("15", None),
    }
    assert len(older) == 4


def test_new_rows_are_printed_once_and_what_is_older_is_compared(loaded: Loaded) -> None:
    emulator, config, run = loaded
    ids = []
    for n in range(21, 29):
        emulator.pools.add([make_pool(str(n), f"2024-01-{n:02}T00:00:00")])
        run = run_inside(config, run.state)
        ids.append(run.ids)
    assert ids == [[str(n)] for n in range(21, 29)]


@pytest.mark.parametrize("lookback_days", [0, 5, 9_999])
def test_a_lookback_reads_nothing_again_of_what_is_compared(
    loaded: Loaded, lookback_days: int
) -> None:
    emulator, config, first = loaded
    emulator.pools.change("3", priority=9)
    second = run_inside({**config, "lookback_days": lookback_days}, first.state)
    assert sorted(second.ids, key=int) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("path", ["priority", "owner.myself"])
def test_a_field_that_is_deselected_prints_nothing_when_it_changes(path: str) -> None:
    name, _, inner = path.partition(".")
    catalog = catalog_of(path)
    owner = {"id": "ac1e", "myself": True}
    with Emulator(pools=[{**row, "owner": owner} for row in pools(20)]) as emulator:
        config = config_for(emulator)
        first = run_inside(config, catalog=catalog)
        change: Json = {name: {**owner, inner: False} if inner else 7}
        emulator.pools.change("3", **change)
        assert run_inside(config, first.state, catalog).records == []
        emulator.pools.change("3", status="ARCHIVED")
        assert len(run_inside(config, first.state, catalog).records) == 20


MAPS = {"stream_maps": {"pools": {"private_name": None}}}


@pytest.mark.parametrize(
    ("settings", "catalog"),
    [
        ({}, catalog_of("priority")),
        ({}, catalog_of("owner.id")),
        (MAPS, catalog_of()),
        ({"flattening_enabled": True, "flattening_max_depth": 1}, catalog_of()),
        ({"filters": {"pools": {"id_gt": "0"}}}, catalog_of()),
    ],
    ids=["selection", "selection within a field", "stream maps", "flattening", "filters"],
)
def test_all_rows_are_printed_if_they_are_printed_in_another_way(
    loaded: Loaded, settings: Json, catalog: Json
) -> None:
    _, config, first = loaded
    other = run_inside({**config, **settings}, first.state, catalog)
    again = run_inside({**config, **settings}, other.state, catalog)
    assert len(other.ids) == 20
    assert again.ids == []


def test_a_start_date_leaves_older_rows_alone_unless_a_date_says_that_they_changed() -> None:
    with Emulator(pools=pools(20)) as emulator:
        config = config_for(emulator, batch_size=1, start_date="2024-01-11")
        first = run_inside(config)
        assert sorted(map(int, first.ids)) == [*range(11, 21)]
        for id_ in ("9", "12"):
            emulator.pools.change(id_, priority=9)
        emulator.pools.change("8", last_started="2024-01-20T10:00:00", priority=9)
        second = run_inside(config, first.state)
        late = run_inside({**config, "start_date": "2024-02-01"}, first.state)
    assert sorted(second.ids) == ["12", "8"]
    assert late.ids == ["8"]


@pytest.mark.parametrize("how", ["FULL_TABLE", "detect_changes"])
def test_nothing_counts_as_printed_before_another_kind_of_run_printed_it(
    loaded: Loaded, how: str
) -> None:
    """A row that changes, is printed by such a run, and changes back is printed again."""
    emulator, config, first = loaded
    emulator.pools.change("3", priority=9)
    if how == "FULL_TABLE":
        between = run_inside(config, first.state, catalog_of(replication_method=how))
        assert len(between.ids) == 20
    else:
        between = run_inside({**config, how: False}, first.state)
    emulator.pools.change("3", priority=0)
    last = run_inside(config, between.state)
    assert "3" in last.ids
    assert run_inside(config, last.state).ids == []


def test_rows_that_are_gone_are_counted_once(loaded: Loaded) -> None:
    emulator, config, first = loaded
    for id_ in ("2", "20", "16", "17", "18", "19"):
        emulator.pools.remove(id_)
    runs = [first]
    for _ in range(2):
        runs.append(run_process(config=config, state=runs[-1].state))
    assert "pools: 6 rows of earlier runs no longer listed" in runs[1].log
    assert "6 rows no longer listed" in runs[1].log
    assert "no longer listed" not in runs[2].log
    assert runs[2].ids == []


def test_rows_that_come_to_match_a_filter_are_printed() -> None:
    with Emulator(pools=[{**row, "status": "OPEN"} for row in pools(20)]) as emulator:
        config = config_for(emulator, filters={"pools": {"status": "CLOSED"}})
        emulator.pools.change("20", status="CLOSED")
        first = run_process(config=config)
        emulator.pools.change("3", status="CLOSED")
        second = run_inside(config, first.state)
    assert first.ids == ["20"]
    assert "can change" not in first.log
    assert sorted(second.ids) == ["20", "3"]


def test_a_row_whose_line_was_not_written_is_not_taken_for_printed(loaded: Loaded) -> None:
    """A stop comes within a page: some of its lines are written, and the others have to be."""
    emulator, _, _ = loaded
    config = config_for(emulator, max_concurrency=1)
    first = run_inside(config)
    emulator.pools.add([make_pool(str(n), "2023-01-01T00:00:00") for n in range(100, 130)])
    runs = [first, run_inside(config, first.state)]  # a page of 50, which takes 3 writes
    for id_ in ("1", "129"):
        emulator.pools.change(id_, priority=9)
    with stopped_after(3):  # STATE, SCHEMA, and the first of the lines
        runs.append(run_inside(config, runs[-1].state))
    assert runs[-1].status == 143
    assert 0 < len(runs[-1].ids) < 50
    runs.append(run_inside(config, runs[-1].state or runs[-2].state))
    loaded_rows = {row["id"]: row for run in runs for row in run.records}
    assert [*loaded_rows.values()] == [expected(row) for row in emulator.pools.rows()]


@pytest.mark.parametrize("replication_method", ["INCREMENTAL", "FULL_TABLE"])
def test_a_row_that_an_interrupted_run_printed_and_that_changes_back_is_printed_again(
    replication_method: str,
) -> None:
    with Emulator(pools=make_pools(60)) as emulator:
        config = config_for(emulator, max_concurrency=1)
        first = run_inside(config)
        row = emulator.pools.rows()[0]
        emulator.pools.change(row["id"], private_name="Another name")
        with stopped_after(3):  # STATE, SCHEMA, and the first lines of the page
            stopped = run_inside(
                config, first.state, catalog_of(replication_method=replication_method)
            )
        assert stopped.records[0] == expected(emulator.pools.rows()[0])
        emulator.pools.change(row["id"], private_name=row["private_name"])
        last = run_inside(config, stopped.state)
    assert expected(row) in last.records


def test_what_the_tap_collects_in_a_row_is_the_same_in_each_process(loaded: Loaded) -> None:
    """Unknown fields come from a set, whose order is another one in each process."""
    emulator, config, _ = loaded
    for row in emulator.pools.rows():
        odd: Json = {"by": "a", "b": 1, "c": 2, "d": 3, "priority": [], "last_stopped": "soon"}
        emulator.pools.change(row["id"], **odd)
    runs = [run_process(config=config, env={"PYTHONHASHSEED": "1"})]
    for seed in ("2", "3", "4"):
        state = runs[-1].state
        runs.append(run_process(config=config, state=state, env={"PYTHONHASHSEED": seed}))
    assert [len(run.ids) for run in runs] == [20, 0, 0, 0]


def test_an_interrupted_run_does_not_print_again_what_it_has_compared(loaded: Loaded) -> None:
    emulator, config, first = loaded
    config = {**config, "max_concurrency": 1}
    for id_ in ("1", "6", "11", "16"):
        emulator.pools.change(id_, priority=9)
    with stopped_after(5):  # STATE, SCHEMA, and three pages, the last of which is read twice
        stopped = run_inside(config, first.state)
    resumed = run_inside(config, stopped.state)
    last = run_inside(config, resumed.state)
    assert (len(stopped.ids), len(resumed.ids)) == (15, 10)
    assert {*stopped.ids, *resumed.ids} == {*map(str, range(1, 21))}
    assert last.ids == []
    assert last.state == resumed.state


def test_what_a_first_run_printed_before_it_was_interrupted_counts(loaded: Loaded) -> None:
    _, config, _ = loaded
    config = {**config, "max_concurrency": 1}
    with stopped_after(3):
        stopped = run_inside(config)
    resumed = run_inside(config, stopped.state)
    assert len(stopped.ids) + len(resumed.ids) == 25, "a page is read twice"
    assert run_inside(config, resumed.state).ids == []


@pytest.mark.parametrize(
    "blocks", ["text", {"a": 1}, ["b4e1", 7], ["b4e1", "no block"], ["b4e1", "x 1 AAAAAAAA"]]
)
def test_blocks_that_this_tap_did_not_write_are_an_error_in_words(
    loaded: Loaded, blocks: Any
) -> None:
    _, config, first = loaded
    assert first.state
    entry = first.state["bookmarks"]["pools"]
    if isinstance(blocks, list):
        blocks[0] = entry["blocks"][0]
    run = run_process(config=config, state={"bookmarks": {"pools": {**entry, "blocks": blocks}}})
    assert run.status == 1
    assert "Traceback" not in run.log
    assert "`blocks`" in run.failure
    assert "Remove" in run.failure


def make_unchanged_since(stream: type[TolokaStream], row: Json, days: int) -> None:
    """Make a row as if it was created so many days ago, and has not changed since."""
    suffix = "_at" if str(stream.replication_key).endswith("_at") else ""
    first, *others = (f"{name}{suffix}" for name in stream.change_dates)
    for name in others:
        row.pop(name, None)
    row[first] = print_exactly(datetime.now(timezone.utc) - timedelta(days=days))


@pytest.mark.parametrize(
    "stream",
    [UserSkills, UserRestrictions, WebhookSubscriptions],
    ids=lambda stream: stream.name,
)
def test_a_deleted_row_is_missing_from_a_full_table_with_a_version(
    stream: type[TolokaStream],
) -> None:
    with emulator_with(stream, make_rows(stream.name, 3, seed=1)) as emulator:
        config = config_for(emulator)
        first = run_inside(config, stream=stream.name)
        gone, *kept = sorted(first.ids)
        emulator.tables[stream.name].remove(gone)
        changes = {"lookback_days": 9_999, "detect_changes": False}
        looked_back = run_inside({**config, **changes}, first.state, stream=stream.name)
        full_table = catalog_of(stream=stream.name, replication_method="FULL_TABLE")
        config["emit_activate_version_messages"] = True
        full = run_inside(config, first.state, full_table)
    assert sorted(looked_back.ids) == kept
    assert {m["type"] for m in looked_back.messages} == {"SCHEMA", "RECORD", "STATE"}
    assert sorted(full.ids) == kept
    (activated,) = {m["version"] for m in full.messages if m["type"] == "ACTIVATE_VERSION"}
    assert {m["version"] for m in full.messages if m["type"] == "RECORD"} == {activated}
