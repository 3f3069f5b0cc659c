"""The account that `make run` reads while `.env` holds no token: it goes on from run to run."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from toloka_emulator.data.account import make_account
from toloka_emulator.data.answers import answer, next_step
from toloka_emulator.data.mixing import (
    MIXER_CONFIG,
    REAL_TASKS,
    count_remaining,
    issue_suite,
    make_tasks,
)
from toloka_emulator.data.pools import make_pool
from toloka_emulator.data.rows import make_row
from toloka_emulator.data.values import Dice, print_exactly

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from toloka_emulator.data.account import Account
    from toloka_emulator.data.values import Json

POOLS, ASSIGNMENTS = 60, 3_000
NEW_POOLS = 3
"""As many come with each run after the first."""
FIRST_NEW_POOL = 40_000_000

_AGE = timedelta(minutes=2)  # of the youngest rows; younger ones the tap would read twice


def account_of_next_run(file: Path, now: datetime) -> Account:
    """Make all rows that there are by now; a later run finds the same, and what came since.

    Args:
        file: Where the moments of the runs are kept: the same ones make the same rows.
        now: This moment, with a zone.
    """
    kept: list[str] = json.loads(file.read_text()) if file.exists() else []
    moments = [datetime.fromisoformat(text) for text in kept]
    moments.append(max([now - _AGE, *(last + timedelta(seconds=1) for last in moments[-1:])]))
    file.write_text(json.dumps([moment.isoformat() for moment in moments]))
    return account_after(moments)


def account_after(moments: Sequence[datetime]) -> Account:
    """Make all rows that there are at the last of the moments of runs."""
    account = make_account(pools=POOLS, assignments=ASSIGNMENTS, seed=1, now=moments[0])
    for number, (first, last) in enumerate(itertools.pairwise(moments)):
        dice = Dice(f"run {number}")
        _work_on(account, first, last, dice)
        for part in range(1, NEW_POOLS + 1):
            pool_id = FIRST_NEW_POOL + number * NEW_POOLS + part
            _add_pool(account, str(pool_id), first + (last - first) * part / NEW_POOLS, dice)
    return account


def _add_pool(account: Account, pool_id: str, at: datetime, dice: Dice) -> None:
    opened = print_exactly(at)
    facts = {"project_id": account["projects"][0]["id"], "mixer_config": MIXER_CONFIG}
    pool = make_pool(pool_id, opened, status="OPEN", last_started=opened, **facts)
    account["pools"].append(pool)
    account["tasks"] += make_tasks(dice, pool_id, suites=3, overlap=3, at=at)


def _work_on(account: Account, first: datetime, last: datetime, dice: Dice) -> None:
    """Let work be submitted and reviewed between two runs, and some begin where others did."""
    busy = _busy_pools(account, print_exactly(first - timedelta(days=1)))
    for row in account["assignments"]:
        if row["status"] == "SUBMITTED" or (row["status"] == "ACTIVE" and row["pool_id"] in busy):
            at = first + (last - first) * dice.uniform(0.1, 1)
            row.update(next_step(row, dice, at))
    _count_remaining(account)
    tasks: dict[str, list[Json]] = {pool_id: [] for pool_id in busy}
    for task in account["tasks"]:
        if task["pool_id"] in busy:
            tasks[task["pool_id"]].append(task)
    for pool in busy.values():
        began = max(first + (last - first) / 10, last - timedelta(seconds=dice.uniform(60, 600)))
        _submit(account, pool, tasks[pool["id"]], (began, last), dice)
    _count_remaining(account)


def _busy_pools(account: Account, since: str) -> dict[str, Json]:
    """Find open pools that were opened, or in which something was submitted, since a moment."""
    busy = {row["pool_id"] for row in account["assignments"] if row.get("submitted", "") > since}
    return {
        pool["id"]: pool
        for pool in account["pools"]
        if pool["status"] == "OPEN" and (pool["id"] in busy or pool["last_started"] > since)
    }


def _submit(
    account: Account, pool: Json, tasks: list[Json], dates: tuple[datetime, datetime], dice: Dice
) -> None:
    """Let a Toloker do a suite of a pool; a pool without tasks that are left is complete."""
    began, submitted = dates
    left = [task for task in tasks if task["remaining_overlap"]][:REAL_TASKS]
    if not left:
        closed = {"last_stopped": print_exactly(submitted), "last_close_reason": "COMPLETED"}
        pool |= {"status": "CLOSED", **closed}
        return
    golden = [task for task in tasks if task["infinite_overlap"]]
    suite = issue_suite(dice, left, golden, began)
    account["task_suites"].append(suite)
    served = {
        row["user_id"]
        for row in account["assignments"]
        if row["pool_id"] == pool["id"] and left[0]["id"] in (task["id"] for task in row["tasks"])
    }
    users = [user["id"] for user in account["user_metadata"] if user["id"] not in served]
    facts = {"pool_id": pool["id"], "task_suite_id": suite["id"], "user_id": dice.pick(users)}
    facts |= {"status": "SUBMITTED", "submitted": print_exactly(submitted), "bonus_ids": []}
    facts |= {"reward": pool["reward_per_assignment"], "tasks": suite["tasks"]}
    facts["solutions"] = [answer(task, facts["user_id"]) for task in suite["tasks"]]
    account["assignments"].append(make_row("assignments", dice, began, **facts))


def _count_remaining(account: Account) -> None:
    count_remaining([*account["tasks"], *account["task_suites"]], account["assignments"])
