"""The account that `make run` reads while `.env` holds no token: a world that goes on.

It begins with the first run. What is kept is when runs were, and nothing else: the same moments
give the same rows, so that a later run finds all that was there, and what came since.
"""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from toloka_emulator.data.account import make_account
from toloka_emulator.data.changes import begin, next_change
from toloka_emulator.data.pools import Dice, Json, make_pool, print_exactly

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from toloka_emulator.data.account import Account

POOLS, ASSIGNMENTS = 60, 3_000
NEW_POOLS = 3  # with each run after the first
FIRST_NEW_POOL = 40_000_000

_AGE = timedelta(minutes=2)  # of the youngest rows: such are settled for the tap, and read once


def account_of_next_run(file: Path, now: datetime) -> Account:
    """Return all rows that there are by now, and remember that they were asked for.

    Args:
        file: Where the moments are kept.
        now: This moment, with a zone.
    """
    moments = [datetime.fromisoformat(text) for text in _read(file)]
    moments.append(max([now - _AGE, *(last + timedelta(seconds=1) for last in moments[-1:])]))
    file.write_text(json.dumps([moment.isoformat() for moment in moments]))
    return account_after(moments)


def account_after(moments: Sequence[datetime]) -> Account:
    """Return all rows that there are at the last of some moments; it began at the first."""
    rows = make_account(pools=POOLS, assignments=ASSIGNMENTS, seed=1, now=moments[0])
    for number, (first, last) in enumerate(itertools.pairwise(moments)):
        _go_on(rows, first, last, Dice(f"run {number}"))
    return rows


def _read(file: Path) -> list[str]:
    moments: list[str] = json.loads(file.read_text()) if file.exists() else []
    return moments


def _go_on(rows: Account, first: datetime, last: datetime, dice: Dice) -> None:
    """Let time pass: some work is handed in and reviewed, some begins, and there are new pools."""
    busy = _busy_pools(rows, first)
    for row in rows["assignments"]:
        if row["status"] == "SUBMITTED" or (row["status"] == "ACTIVE" and row["pool_id"] in busy):
            at = first + (last - first) * dice.uniform(0.1, 1)
            row.update(next_change("assignments", row, dice, at))
    for pool_id, done in busy.items():
        rows["assignments"].append(_one_more(pool_id, dice.pick(done), (first, last), dice))
    for part in range(1, NEW_POOLS + 1):
        number = len(rows["pools"]) - POOLS + 1
        created = print_exactly(first + (last - first) * part / NEW_POOLS)
        rows["pools"].append(
            make_pool(
                str(FIRST_NEW_POOL + number),
                created,
                project_id=rows["projects"][0]["id"],
                private_name=f"New pool № {number}",
                status="OPEN",
                last_started=created,
            )
        )


def _busy_pools(rows: Account, now: datetime) -> dict[str, list[Json]]:
    """Return the open pools in which something was handed in within a day, and all that was."""
    open_pools = {pool["id"] for pool in rows["pools"] if pool["status"] == "OPEN"}
    done: dict[str, list[Json]] = {}
    for row in rows["assignments"]:
        if "submitted" in row and row["pool_id"] in open_pools:
            done.setdefault(row["pool_id"], []).append(row)
    day_ago = print_exactly(now - timedelta(days=1))
    return {
        pool_id: submitted
        for pool_id, submitted in done.items()
        if max(row["submitted"] for row in submitted) > day_ago
    }


def _one_more(pool_id: str, like: Json, period: tuple[datetime, datetime], dice: Dice) -> Json:
    """Make an assignment that was handed in at the end of a period, of the suite of another."""
    first, last = period
    began = max(first + (last - first) / 10, last - timedelta(seconds=dice.uniform(60, 600)))
    return begin(
        pool_id,
        began,
        dice,
        task_suite_id=like["task_suite_id"],
        user_id=like["user_id"],
        reward=like["reward"],
        tasks=like["tasks"],
        mixed=True,
        status="SUBMITTED",
        submitted=print_exactly(last),
        solutions=like["solutions"],
    )
