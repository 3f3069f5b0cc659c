"""Changes without a date are read by `lookback_days` or by a full table."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

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
from tests.runner import catalog_of, config_for, run_inside
from toloka_emulator import make_rows, print_exactly

if TYPE_CHECKING:
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
    (Operations, {"status": "RUNNING", "started": "2026-01-02T03:04:05", "progress": 50}),
    (AppProjects, {"status": "ARCHIVED"}),
    (AppBatches, {"status": "COMPLETED", "finished_at": "2026-01-02T03:04:05"}),
    (AppItems, {"status": "PROCESSING", "started_at": "2026-01-02T03:04:05"}),
)


@pytest.mark.parametrize(
    ("stream", "change"),
    [
        pytest.param(stream, change, id=f"{stream.name}-{min(change)}")
        for stream, change in UNDATED_CHANGES
    ],
)
def test_a_change_without_a_date_is_read_by_a_lookback_or_a_full_table(
    stream: type[TolokaStream], change: Json
) -> None:
    rows = [row for row in make_rows(stream.name, 30) if not change.items() <= row.items()][:3]
    for row, days in zip(rows, (100, 5, 1), strict=True):
        make_unchanged_since(stream, row, days)
    old, young, newest = (row["id"] for row in rows)
    with emulator_with(stream, rows) as emulator:
        config = config_for(emulator)
        first = run_inside(config, stream=stream.name)
        assert {*first.ids} == {old, young, newest}
        for row_id in (old, young):
            emulator.tables[stream.name].change(row_id, **change)
        held = {row["id"]: row for row in printed(stream, emulator)}
        assert sum(row not in first.records for row in held.values()) == 2

        usual = run_inside(config, first.state, stream=stream.name)
        looked_back = run_inside({**config, "lookback_days": 10}, first.state, stream=stream.name)
        full_table = catalog_of(stream=stream.name, replication_method="FULL_TABLE")
        full = run_inside(config, first.state, full_table)
    assert usual.records == []
    assert in_order(stream, looked_back.records) == in_order(
        stream, [held[row_id] for row_id in (young, newest)]
    )
    assert in_order(stream, full.records) == in_order(stream, held.values())


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
        looked_back = run_inside(
            {**config, "lookback_days": 9_999}, first.state, stream=stream.name
        )
        full_table = catalog_of(stream=stream.name, replication_method="FULL_TABLE")
        config["emit_activate_version_messages"] = True
        full = run_inside(config, first.state, full_table)
    assert sorted(looked_back.ids) == kept
    assert {m["type"] for m in looked_back.messages} == {"SCHEMA", "RECORD", "STATE"}
    assert sorted(full.ids) == kept
    (activated,) = {m["version"] for m in full.messages if m["type"] == "ACTIVATE_VERSION"}
    assert {m["version"] for m in full.messages if m["type"] == "RECORD"} == {activated}
