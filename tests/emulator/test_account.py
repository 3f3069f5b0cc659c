"""The account whose rows belong together."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone

import pytest

from tests.emulator.helpers import rows_of
from toloka_emulator import (
    RESOURCES,
    Account,
    Emulator,
    Json,
    account_after,
    make_account,
    print_exactly,
)

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


def shares_done(account: Account) -> dict[str, float]:
    """Return by pool which share of the overlap of its tasks is taken, each counted anew."""
    taken: Counter[str] = Counter()
    for row in account["assignments"]:
        if row["status"] in {"ACTIVE", "SUBMITTED", "ACCEPTED"}:
            taken.update(task["id"] for task in row["tasks"])
    done: Counter[str] = Counter()
    overlaps: Counter[str] = Counter()
    for task in account["tasks"]:
        if not task["infinite_overlap"]:
            assert 0 <= task["remaining_overlap"] == task["overlap"] - taken[task["id"]]
            done[task["pool_id"]] += taken[task["id"]]
            overlaps[task["pool_id"]] += task["overlap"]
    return {pool_id: done[pool_id] / overlap for pool_id, overlap in overlaps.items()}


def test_pools_that_are_closed_are_done_and_others_partly(account: Account) -> None:
    done = shares_done(account)
    statuses = {pool["id"]: pool["status"] for pool in account["pools"]}
    assert done.keys() == statuses.keys()
    for pool_id, status in statuses.items():
        assert (0.3 < done[pool_id] < 0.97) if status == "OPEN" else done[pool_id] > 0.85


def test_suites_are_mixed_of_tasks_and_a_control_task(account: Account) -> None:
    tasks = {task["id"]: task for task in account["tasks"]}
    mixers = {pool["id"]: pool["mixer_config"] for pool in account["pools"]}
    for suite in account["task_suites"]:
        *real, golden = (tasks[task["id"]] for task in suite["tasks"])
        mixer = mixers[suite["pool_id"]]
        assert (len(real), 1) == (mixer["real_tasks_count"], mixer["golden_tasks_count"])
        assert (golden["infinite_overlap"], golden["overlap"]) == (True, None)
        assert golden["remaining_overlap"] is None
        assert not any("known_solutions" in task or task["infinite_overlap"] for task in real)
        shown = [task.get("known_solutions") for task in suite["tasks"]]
        assert shown == [None] * len(real) + [golden["known_solutions"]]


def test_tolokers_are_good_or_bad_at_control_tasks_and_the_bad_are_rejected_more_often(
    account: Account,
) -> None:
    right: defaultdict[str, list[bool]] = defaultdict(list)
    reviews: defaultdict[str, list[str]] = defaultdict(list)
    for row in account["assignments"]:
        if row["status"] in {"ACCEPTED", "REJECTED"}:
            reviews[row["user_id"]].append(row["status"])
            known = row["tasks"][-1]["known_solutions"][0]["output_values"]
            right[row["user_id"]].append(row["solutions"][-1]["output_values"] == known)
    accuracy = {user: sum(answers) / len(answers) for user, answers in right.items()}
    bad = {user for user, share in accuracy.items() if share < 0.7}
    assert 1 < len(bad) < len(accuracy) / 4
    assert all(share > 0.75 for user, share in accuracy.items() if user not in bad)

    def rejected(users: set[str]) -> float:
        statuses = [status for user in users for status in reviews[user]]
        return statuses.count("REJECTED") / len(statuses)

    assert rejected(bad) > 2 * rejected({*accuracy} - bad)


def test_most_answers_to_a_task_are_the_same_and_nobody_answers_it_twice(account: Account) -> None:
    answers: defaultdict[str, list[str]] = defaultdict(list)
    users: defaultdict[str, list[str]] = defaultdict(list)
    for row in account["assignments"]:
        for task, solution in zip(row["tasks"][:-1], row.get("solutions", []), strict=False):
            answers[task["id"]].append(json.dumps(solution["output_values"]))
            users[task["id"]].append(row["user_id"])
    assert all(len(those) == len(set(those)) for those in users.values())
    enough = [those for those in answers.values() if len(those) >= 3]
    assert len(enough) > 0.7 * len(answers)
    clear = [those for those in enough if 2 * Counter(those).most_common(1)[0][1] > len(those)]
    assert len(clear) / len(enough) > 0.9
    assert len(clear) < len(enough)


def test_pools_of_later_runs_are_worked_on_until_they_are_done_and_close() -> None:
    account = account_after([NOW + timedelta(days=day) for day in range(14)])
    done = shares_done(account)
    added: list[Json] = [pool for pool in account["pools"] if int(pool["id"]) > 40_000_000]
    shares = [done[pool["id"]] for pool in added]
    assert shares[0] > 0.8 > shares[18] > 0.3 > shares[-4] > shares[-1] == 0
    statuses = {pool["status"] for pool in added}
    assert statuses == {"OPEN", "CLOSED"}
    assert all(done[pool["id"]] > 0.8 for pool in added if pool["status"] == "CLOSED")
