"""Rows that are made up, and what becomes of them."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.emulator.helpers import held, rows_of
from toloka_emulator import (
    LAST_DATE,
    OPEN_POOLS,
    RESOURCES,
    Dice,
    Table,
    make_account,
    make_large_account,
    make_many_pools,
    make_pool,
    make_pools,
    make_row,
    make_rows,
    next_change,
    print_exactly,
    read_date,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toloka_emulator import Emulator, Json

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
# The dates that go with the status of an assignment.
DATES: dict[str, list[set[str]]] = {
    "ACTIVE": [set()],
    "SUBMITTED": [{"submitted"}],
    "ACCEPTED": [{"submitted", "accepted"}, {"submitted", "accepted", "rejected"}],
    "REJECTED": [{"submitted", "rejected"}],
    "SKIPPED": [{"skipped"}],
    "EXPIRED": [{"expired"}],
}

# What a row never lacks, beside its id, by list; within an object that may be absent, what it has.
QUALITY_CONTROL = {
    f"quality_control.configs[].{field}"
    for field in (
        "collector_config.type",
        "collector_config.uuid",
        "collector_config.parameters",
        "rules[].conditions[].key",
        "rules[].conditions[].operator",
        "rules[].conditions[].value",
        "rules[].action.type",
        "rules[].action.parameters.scope",
    )
}
REQUIRED: dict[str, set[str]] = {
    "projects": {
        "task_spec.input_spec",
        "task_spec.output_spec",
        "task_spec.view_spec.settings",
        *QUALITY_CONTROL,
    },
    "pools": {
        *QUALITY_CONTROL,
        "quality_control.training_requirement.training_pool_id",
        "quality_control.training_requirement.training_passing_skill_value",
        "dynamic_pricing_config.type",
        "dynamic_pricing_config.intervals",
        "mixer_config.real_tasks_count",
        "mixer_config.golden_tasks_count",
        "mixer_config.training_tasks_count",
        "dynamic_overlap_config.type",
        "dynamic_overlap_config.max_overlap",
        "dynamic_overlap_config.min_confidence",
        "dynamic_overlap_config.answer_weight_skill_id",
        "dynamic_overlap_config.fields[].name",
        "defaults.default_overlap_for_new_task_suites",
    },
    "user_skills": {"skill_id", "user_id", "value"},
    "user_bonuses": {"user_id", "amount"},
    "tasks": {"pool_id"},
    "task_suites": {"pool_id", "tasks"},
    "app_projects": {"errors[].code", "errors[].message"},
    "app_items": {"app_project_id", "input_data", "errors[].code", "errors[].message"},
}

every_list = pytest.mark.parametrize("name", sorted(RESOURCES))


@every_list
def test_rows_of_the_same_seed_are_the_same(name: str) -> None:
    rows = list(make_rows(name, 60, seed=1))
    assert rows == list(make_rows(name, 60, seed=1))
    assert rows != list(make_rows(name, 60, seed=2))
    table = Table(RESOURCES[name])
    table.add(rows)
    assert len(table) == (1 if name == "requester" else 60)


@every_list
def test_a_row_is_made_of_what_is_given_and_of_all_else_that_such_a_row_can_have(name: str) -> None:
    resource = RESOURCES[name]
    fields = {field for row in make_rows(name, 400) for field in row}
    given: Json = {resource.id_field: 5 if resource.ids == "positions" else "17"}
    if resource.parent:
        given[resource.parent_field] = "3"
    rows = [make_row(name, Dice(seed), NOW, **given) for seed in range(400)]
    assert {field for row in rows for field in row} >= fields
    assert all(row.items() >= given.items() for row in rows)
    for date in resource.dates[:1]:
        assert all(row[resource.field_of(date)].startswith(print_exactly(NOW)) for row in rows)


@pytest.mark.parametrize("name", REQUIRED)
def test_no_row_lacks_what_toloka_always_answers(name: str) -> None:
    rows = [*make_rows(name, 400, seed=1), make_row(name, Dice(0), NOW, id="7")]
    rows += make_account(pools=9, assignments=90, now=NOW)[name]
    for path in REQUIRED[name]:
        found = [value for row in rows for value in values_at(path.split("."), row)]
        assert found, f"{path} is nowhere"
        assert None not in found, path


def values_at(path: Sequence[str], value: Any) -> Iterator[Any]:
    """Give the values at a path; None where the last object has none."""
    if not path:
        yield value
        return
    name, _, is_array = path[0].partition("[")
    inner = value.get(name)
    if inner is None and len(path) > 1:
        return  # the object may be absent
    for part in inner if is_array and inner is not None else [inner]:
        yield from values_at(path[1:], part)


def test_pools_are_of_every_kind() -> None:
    pools = list(make_pools(1000, seed=1))
    printed = [pool["created"] for pool in pools]
    assert [int(pool["id"]) for pool in pools] == sorted({int(pool["id"]) for pool in pools})
    assert int(pools[0]["id"]) < 1_000_000 < int(pools[-1]["id"])
    assert {len(created) for created in printed} == {16, 19, 21, 22, 23}
    assert len(set(printed)) < len(printed)
    assert any(later < earlier for earlier, later in itertools.pairwise(printed))
    assert printed[0] < printed[500] < printed[-1]
    assert {pool["status"] for pool in pools} == {"OPEN", "CLOSED", "LOCKED", "ARCHIVED"}
    assert 30 < sum(pool["type"] == "TRAINING" for pool in pools) < 70
    assert any("last_started" not in pool for pool in pools)
    assert any(None in pool.values() for pool in pools)
    sizes = [len(msgspec.json.encode(pool)) for pool in pools]
    assert 2200 < sum(sizes) / len(sizes) < 2500


@every_list
def test_rows_are_of_the_past(name: str) -> None:
    for row in make_rows(name, 300, seed=1):
        dates = (row.get(RESOURCES[name].field_of(date)) for date in RESOURCES[name].dates)
        assert all(read_date(date) < datetime.now(timezone.utc) for date in dates if date)


def test_assignments_have_the_dates_of_their_statuses(all_lists: Emulator) -> None:
    rows = held(all_lists, "assignments")
    assert {row["status"] for row in rows} == DATES.keys()
    for row in rows:
        assert row.keys() & {*RESOURCES["assignments"].dates} - {"created"} in DATES[row["status"]]
        pool, _, own = row["id"].partition("--")
        assert (int(pool, 16), len(pool), len(own)) == (int(row["pool_id"]), 10, 24)
        made = datetime.fromtimestamp(int(own[:8], 16), timezone.utc)
        assert made.isoformat()[:16] == row["created"][:16]


# What becomes of rows


def history(name: str, row: Json, seed: int) -> list[str]:
    """Give the statuses that a row goes through, and see that its dates rise."""
    dice, statuses = Dice(seed), [row["status"]]
    for minute in range(1, 10):
        at = NOW + timedelta(minutes=minute)
        change = next_change(name, row, dice, at)
        dates = {value for value in change.values() if str(value).startswith("2026-")}
        assert dates <= {print_exactly(at)}
        row = {**row, **change}
        if "status" in change:
            statuses.append(row["status"])
    return statuses


@pytest.mark.parametrize(
    ("name", "facts", "ends"),
    [
        (
            "assignments",
            {"pool_id": "17", "status": "ACTIVE", "reward": Decimal("0.70")},
            {
                ("ACTIVE", "SKIPPED"),
                ("ACTIVE", "EXPIRED"),
                ("ACTIVE", "SUBMITTED", "ACCEPTED"),
                ("ACTIVE", "SUBMITTED", "REJECTED", "ACCEPTED"),
            },
        ),
        (
            "operations",
            {"status": "PENDING"},
            {("PENDING", "RUNNING", "SUCCESS"), ("PENDING", "RUNNING", "FAIL")},
        ),
        (
            "app_items",
            {"status": "NEW"},
            {("NEW", "PROCESSING", "COMPLETED"), ("NEW", "PROCESSING", "ERROR")},
        ),
    ],
)
def test_a_row_goes_through_its_statuses(
    name: str, facts: Json, ends: set[tuple[str, ...]]
) -> None:
    seen = set()
    for seed in range(300):
        row = make_row(name, Dice(seed), NOW, **facts)
        assert row.items() >= facts.items()
        assert not row.keys() & {"accepted", "started", "finished", "started_at", "finished_at"}
        seen.add(tuple(history(name, row, seed)))
    # A few are not at their end yet.
    assert {statuses for statuses in seen if statuses in ends} == ends
    assert all(any(end[: len(statuses)] == statuses for end in ends) for statuses in seen)


def test_a_skill_gets_another_value() -> None:
    row = next(make_rows("user_skills", 1))
    change = next_change("user_skills", row, Dice(1), NOW)
    assert change["value"] == change["exact_value"] != row["value"]
    assert change["modified"] == print_exactly(NOW)


@pytest.mark.parametrize(
    "name",
    [
        *("projects", "pools", "trainings", "tasks", "task_suites", "assignments", "skills"),
        *("user_skills", "user_restrictions", "message_threads", "webhook_subscriptions"),
        *("operations", "app_projects", "app_batches", "app_items"),
    ],
)
def test_rows_change_within_what_toloka_lets_change(name: str) -> None:
    resource, changes = RESOURCES[name], []
    for seed in range(200):
        row = make_row(name, Dice(seed), NOW - timedelta(days=1))
        change = next_change(name, row, Dice(-seed), NOW)
        assert not change.keys() & {resource.id_field, resource.field_of(resource.dates[0])}
        allowed = resource.filters["status"].values if "status" in resource.filters else ()
        assert change.get("status") in {None, *allowed}
        Table(resource).add([{**row, **change}])
        changes.append({**row, **change} != row)
    assert sum(changes) > 30


def test_what_is_archived_stays_as_it_is_and_what_is_open_gets_a_priority_or_closes() -> None:
    for pool in (make_pool("17", "2026-01-01T00:00:00", status=s) for s in ("ARCHIVED", "OPEN")):
        changes = [next_change("pools", pool, Dice(seed), NOW) for seed in range(50)]
        if pool["status"] == "ARCHIVED":
            assert changes == [{}] * 50
        closed = {"status", "last_stopped", "last_close_reason"}
        assert all(change.keys() in ({"priority"}, closed, set()) for change in changes)


def test_an_edited_skill_is_found_by_a_date_that_it_does_not_show(emulator: Emulator) -> None:
    skill = next(make_rows("skills", 1))
    emulator.tables["skills"].add([skill])
    emulator.tables["skills"].change(skill["id"], modified="2026-01-02T03:04:05")
    (found,) = rows_of(emulator, "skills", modified_gte="2026-01-02T03:04:05")
    assert found.keys() == skill.keys()
    assert rows_of(emulator, "skills", modified_gt="2026-01-02T03:04:05") == []
    assert emulator.tables["skills"].row(skill["id"])["modified"] == "2026-01-02T03:04:05"


# Large accounts


@pytest.fixture(scope="module")
def large() -> dict[str, Any]:
    """Make 60 pools with 100 assignments each."""
    return {name: list(rows) for name, rows in make_large_account(60, 100).items()}


def test_a_large_account_is_the_same_each_time_and_as_large_as_asked_for(
    large: dict[str, list[Json]],
) -> None:
    again = make_large_account(60, 100)
    assert {name: list(rows) for name, rows in again.items()} == large
    assert len({row["id"] for row in large["assignments"]}) == 6_000
    sizes = [len(msgspec.json.encode(row)) for row in large["assignments"]]
    assert 1_000 < sum(sizes) / len(sizes) < 1_300


def test_nothing_can_happen_any_more_in_most_pools_of_a_large_account(
    large: dict[str, list[Json]],
) -> None:
    pools = {pool["id"]: pool for pool in large["pools"]}
    closed = {pool_id for pool_id, pool in pools.items() if pool["status"] == "CLOSED"}
    assert len(pools) - len(closed) == OPEN_POOLS
    long_ago = print_exactly(LAST_DATE - timedelta(days=100))
    many = make_large_account(1_000, 0)["pools"]
    assert all(pool["last_stopped"] <= long_ago for pool in many if pool["status"] == "CLOSED")
    statuses: dict[bool, set[str]] = {True: set(), False: set()}
    for row in large["assignments"]:
        is_closed = row["pool_id"] in closed
        statuses[is_closed].add(row["status"])
        dates = [row[date] for date in RESOURCES["assignments"].dates if date in row]
        assert pools[row["pool_id"]]["last_started"] <= min(dates)
        assert max(dates) < print_exactly(LAST_DATE)
        assert not is_closed or row["created"] < pools[row["pool_id"]]["last_stopped"]
    assert statuses == {True: DATES.keys() - {"ACTIVE", "SUBMITTED"}, False: set(DATES)}


def test_very_many_pools_age_and_nothing_is_later_than_the_last_date() -> None:
    lists = {name: list(rows) for name, rows in make_many_pools(1_000, 2).items()}
    statuses = [pool["status"] for pool in lists["pools"]]
    assert [*dict.fromkeys(statuses)] == ["ARCHIVED", "CLOSED", "OPEN"]
    assert statuses == sorted(statuses)
    owners = [row["pool_id"] for row in lists["assignments"]]
    assert owners == [pool["id"] for pool in lists["pools"] for _ in range(2)]
    second_after = print_exactly(LAST_DATE + timedelta(seconds=1))
    for name, rows in lists.items():
        fields = [RESOURCES[name].field_of(date) for date in RESOURCES[name].dates]
        assert all(row.get(field, "") <= second_after for row in rows for field in fields)
