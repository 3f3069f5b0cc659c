"""The account that `make run` reads while `.env` holds no token: it goes on from run to run."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from toloka_emulator.data.account import make_account
from toloka_emulator.data.changes import next_change
from toloka_emulator.data.pools import make_pool
from toloka_emulator.data.rows import make_row
from toloka_emulator.data.values import Dice, print_exactly

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from toloka_emulator.data.account import Account

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
            opened = print_exactly(first + (last - first) * part / NEW_POOLS)
            facts = {"project_id": account["projects"][0]["id"], "last_started": opened}
            account["pools"].append(make_pool(str(pool_id), opened, status="OPEN", **facts))
    return account


def _work_on(account: Account, first: datetime, last: datetime, dice: Dice) -> None:
    """Let work be handed in and reviewed between two runs, and some begin where others did."""
    open_pools = {pool["id"] for pool in account["pools"] if pool["status"] == "OPEN"}
    day_ago = print_exactly(first - timedelta(days=1))
    busy = {}  # open pools in which something was handed in within a day, and what that was
    for row in account["assignments"]:
        if row["pool_id"] in open_pools and row.get("submitted", "") > day_ago:
            busy[row["pool_id"]] = row
    for row in account["assignments"]:
        if row["status"] == "SUBMITTED" or (row["status"] == "ACTIVE" and row["pool_id"] in busy):
            at = first + (last - first) * dice.uniform(0.1, 1)
            row.update(next_change("assignments", row, dice, at))
    for like in busy.values():
        began = max(first + (last - first) / 10, last - timedelta(seconds=dice.uniform(60, 600)))
        fields = ("pool_id", "task_suite_id", "user_id", "reward", "tasks", "solutions")
        facts = {"status": "SUBMITTED", "submitted": print_exactly(last), "bonus_ids": []}
        facts |= {field: like[field] for field in fields}
        account["assignments"].append(make_row("assignments", dice, began, **facts))
