"""The account whose rows belong together."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest

from tests.emulator.helpers import rows_of
from toloka_emulator import RESOURCES, Account, Emulator, make_account, print_exactly

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def account() -> Account:
    """Make an account of 40 pools and 3,000 assignments."""
    return make_account(pools=40, assignments=3000, now=NOW)


def test_an_account_is_the_same_for_the_same_arguments_only(account: Account) -> None:
    assert make_account(pools=40, assignments=3000, now=NOW) == account
    assert make_account(pools=40, assignments=3000, seed=1, now=NOW) != account
    assert make_account(pools=0, assignments=0, now=NOW)["pools"] == []


def test_an_account_has_rows_of_every_list_as_many_as_asked_for(account: Account) -> None:
    assert account.keys() == RESOURCES.keys()
    assert all(account.values())
    assert (len(account["pools"]), len(account["assignments"])) == (40, 3000)
    with Emulator(rows=account) as emulator:
        found = [
            row
            for pool in account["pools"]
            for row in rows_of(emulator, "assignments", pool_id=pool["id"], limit=1000)
        ]
    assert len(found) == 3000


@pytest.mark.parametrize(
    ("name", "field", "parents"),
    [
        ("pools", "project_id", "projects"),
        ("trainings", "project_id", "projects"),
        ("tasks", "pool_id", "pools"),
        ("task_suites", "pool_id", "pools"),
        ("assignments", "pool_id", "pools"),
        ("assignments", "task_suite_id", "task_suites"),
        ("assignments", "user_id", "user_metadata"),
        ("user_bonuses", "assignment_id", "assignments"),
        ("user_bonuses", "user_id", "user_metadata"),
        ("user_skills", "skill_id", "skills"),
        ("user_skills", "user_id", "user_metadata"),
        ("user_restrictions", "user_id", "user_metadata"),
        ("user_restrictions", "pool_id", "pools"),
        ("user_restrictions", "project_id", "projects"),
        ("webhook_subscriptions", "pool_id", "pools"),
        ("aggregated_solutions", "operation_id", "operations"),
        ("aggregated_solutions", "task_id", "tasks"),
        ("operation_logs", "operation_id", "operations"),
        ("app_projects", "app_id", "apps"),
        ("app_batches", "app_project_id", "app_projects"),
        ("app_items", "app_project_id", "app_projects"),
        ("app_items", "batch_id", "app_batches"),
    ],
)
def test_an_account_is_joined_by_ids(account: Account, name: str, field: str, parents: str) -> None:
    references = {row[field] for row in account[name] if field in row}
    assert references
    assert references <= {row["id"] for row in account[parents]}


def test_an_account_is_joined_by_ids_within_its_rows(account: Account) -> None:
    known = {name: {row.get("id") for row in rows} for name, rows in account.items()}
    pools = {pool["id"]: pool for pool in account["pools"]}
    suites = {suite["id"]: suite for suite in account["task_suites"]}
    for row in account["assignments"]:
        assert row["reward"] == pools[row["pool_id"]]["reward_per_assignment"]
        assert row["tasks"] == suites[row["task_suite_id"]]["tasks"]
        assert suites[row["task_suite_id"]]["pool_id"] == row["pool_id"]
        assert {task["id"] for task in row["tasks"]} <= known["tasks"]
    bonuses = {row["id"]: row["assignment_id"] for row in account["user_bonuses"]}
    given = {bonus: row["id"] for row in account["assignments"] for bonus in row["bonus_ids"]}
    assert bonuses == given
    for row in account["attachments"]:
        assert row["details"]["assignment_id"] in known["assignments"]
    for row in account["message_threads"]:
        assert row["meta"]["pool_id"] in known["pools"]
        assert {other["id"] for other in row["interlocutors"]} & known["user_metadata"]


def test_dates_of_an_account_are_in_order_and_none_is_to_come(account: Account) -> None:
    for name, rows in account.items():
        text = json.dumps(rows, default=str)
        printed = re.findall(r'"([a-z_]+)": "([0-9-]{10}T[0-9:.]+)"', text)
        late = {field for field, date in printed if date >= print_exactly(NOW)}
        assert late <= {"will_expire"}, name
    created = sorted(row["created"] for row in account["assignments"])
    assert created[0] > print_exactly(NOW - timedelta(days=61))
    pools = {pool["id"]: pool for pool in account["pools"]}
    for row in account["assignments"]:
        pool = pools[row["pool_id"]]
        assert pool["created"] < pool["last_started"] < row["created"]
        ends = [row[end] for end in ("submitted", "skipped", "expired") if end in row]
        assert all(row["created"] < end < pool.get("last_stopped", "9") for end in ends)
        assert row.get("submitted", "") <= min(row.get("accepted", "9"), row.get("rejected", "9"))


def test_an_account_has_pools_that_are_stuck_and_assignments_of_all_statuses(
    account: Account,
) -> None:
    last = dict.fromkeys((pool["id"] for pool in account["pools"]), "")
    for row in account["assignments"]:
        last[row["pool_id"]] = max(last[row["pool_id"]], row.get("submitted", ""))
    opened = {pool["id"] for pool in account["pools"] if pool["status"] == "OPEN"}
    days_ago = print_exactly(NOW - timedelta(days=2.9))
    stuck = {pool_id for pool_id in opened if last[pool_id] < days_ago}
    assert 3 < len(stuck) < len(opened) - 10
    assert {pool["status"] for pool in account["pools"]} == {"OPEN", "CLOSED", "ARCHIVED"}
    counts = Counter(row["status"] for row in account["assignments"])
    assert counts.keys() == {*RESOURCES["assignments"].filters["status"].values}
    assert counts["ACCEPTED"] > 1500
