"""Many pools with many assignments each, and very many pools, for benchmarks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from toloka_emulator.data.rows import LAST_DATE, make_row, make_rows
from toloka_emulator.data.values import INSTRUCTIONS, Dice, print_exactly, read_date

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from toloka_emulator.data.values import Json

OPEN_POOLS = 20
"""As many are open unless it is said; in all others nothing can happen any more."""

_FIRST_POOL, _STEP = 993_000, 7  # ids of pools: as they rise they get a digit more
_FIRST_TRAINING = 100_000_000
_OPEN_STATUSES = (*["ACCEPTED"] * 5, "REJECTED", "SUBMITTED", "ACTIVE", "SKIPPED", "EXPIRED")
_CLOSED_STATUSES = (*["ACCEPTED"] * 7, "REJECTED", "SKIPPED", "EXPIRED")

_YEARS = timedelta(days=1_000)  # in which very many pools came to be
_OPEN, _CLOSED = timedelta(days=12), timedelta(days=200)  # how old pools of a status are at most
_SHARES = {
    "projects": 0.01,
    "trainings": 0.01,
    "skills": 0.002,
    "user_skills": 0.2,
    "user_restrictions": 0.05,
    "user_bonuses": 0.2,
    "message_threads": 0.05,
    "webhook_subscriptions": 0.01,
    "apps": 0.0002,
    "app_projects": 0.0002,
}
"""How many rows other lists have, for each pool."""


def make_large_account(
    pools: int, assignments: int, open_pools: int = OPEN_POOLS
) -> dict[str, Iterable[Json]]:
    """Make pools, and assignments as they are iterated over; always the same ones.

    The last pools are open and hold assignments of every status; all others were closed 100 days
    or more before `LAST_DATE`, later than which nothing is. An assignment has some 1.2 KB of JSON:
    one task, and one solution.

    Args:
        pools: How many pools.
        assignments: How many assignments each has.
        open_pools: How many of the pools are open.
    """
    rows = [_pool(number, pools, open_pools) for number in range(pools)]
    return {"pools": rows, "assignments": _assignments(rows, assignments)}


def make_many_pools(pools: int, assignments: int) -> dict[str, Iterable[Json]]:
    """Make the lists of an account with very many pools, as they are iterated over.

    Pools came to be one by one over 1,000 days, up to `LAST_DATE`, later than which nothing is.
    Those of the last 12 days are open, with assignments that are not reviewed yet; others were
    closed after five days, and those older than 200 days are archived. Each was opened by an
    operation. Assignments are small, some 0.5 KB of JSON.

    Args:
        pools: How many pools.
        assignments: How many assignments each has.
    """
    lists: dict[str, Iterable[Json]] = {
        name: make_rows(name, round(share * pools)) for name, share in _SHARES.items()
    }
    skills = lists["user_skills"]
    lists["user_skills"] = ({**row, "modified": row["created"]} for row in skills)
    trainings = round(_SHARES["trainings"] * pools)
    lists["trainings"] = (
        _row_of_age("trainings", number, trainings) for number in range(trainings)
    )
    lists["pools"] = (_row_of_age("pools", number, pools) for number in range(pools))
    lists["operations"] = (_opening(number, pools) for number in range(pools))
    return {**lists, "assignments": _few_assignments(pools, assignments)}


def make_small_assignment(pool_id: str, status: str, dice: Dice, at: datetime) -> Json:
    """Make an assignment of one task, begun at a moment."""
    tasks = [{"id": dice.pool_object_id(pool_id, at), "input_values": {}}]
    facts = {"pool_id": pool_id, "status": status, "tasks": tasks}
    return make_row("assignments", dice, at, **facts)


def _row_of_age(name: str, number: int, count: int) -> Json:
    """Make one of so many pools, or of trainings, as `make_many_pools` has them."""
    began = _began(number, count)
    facts = {"status": "OPEN", "last_started": print_exactly(began)}
    if (age := LAST_DATE - began) > _OPEN:
        facts["status"] = "CLOSED" if age < _CLOSED else "ARCHIVED"
        facts["last_stopped"] = print_exactly(began + timedelta(days=5))
        facts["last_close_reason"] = "COMPLETED"
    row_id = str((_FIRST_POOL if name == "pools" else _FIRST_TRAINING) + number * _STEP)
    if name == "pools":
        facts["type"] = "REGULAR"
    return make_row(name, Dice(number), began - timedelta(hours=3), id=row_id, **facts)


def _opening(number: int, pools: int) -> Json:
    """Make the operation that opened a pool."""
    facts = {"type": "POOL.OPEN", "status": "SUCCESS"}
    parameters = {"pool_id": str(_FIRST_POOL + number * _STEP)}
    at = _began(number, pools) - timedelta(seconds=2)
    return make_row("operations", Dice(number), at, parameters=parameters, **facts)


def _few_assignments(pools: int, count: int) -> Iterator[Json]:
    for number in range(pools):
        dice, began = Dice(number), _began(number, pools)
        is_open = LAST_DATE - began <= _OPEN
        for place in range(count):
            status = dice.pick(("ACTIVE", "SUBMITTED") if is_open else _CLOSED_STATUSES)
            # Within 11 days the last of its dates has come, of one not reviewed within an hour.
            latest = LAST_DATE - timedelta(hours=1)
            at = min(began + timedelta(days=1) * place / count, latest)
            yield make_small_assignment(str(_FIRST_POOL + number * _STEP), status, dice, at)


def _began(number: int, count: int) -> datetime:
    return LAST_DATE - _YEARS * (1 - number / count)


def _pool(number: int, pools: int, open_pools: int) -> Json:
    is_open = number >= pools - open_pools
    began = LAST_DATE - timedelta(days=25 if is_open else 1_000 - 895 * number / pools)
    facts = {"status": "OPEN"}
    if not is_open:
        ended = print_exactly(began + timedelta(days=5))
        facts = {"status": "CLOSED", "last_stopped": ended, "last_close_reason": "COMPLETED"}
    return make_row(
        "pools",
        Dice(number),
        began - timedelta(hours=3),
        id=str(_FIRST_POOL + number * _STEP),
        type="REGULAR",
        last_started=print_exactly(began),
        **facts,
    )


def _assignments(pools: list[Json], count: int) -> Iterator[Json]:
    for pool in pools:
        dice, began = Dice(int(pool["id"])), read_date(pool["last_started"])
        statuses = _OPEN_STATUSES if pool["status"] == "OPEN" else _CLOSED_STATUSES
        shown = {"image": "https://example.com/photo.jpg?size=1024", "text": INSTRUCTIONS[1]}
        facts = {"pool_id": pool["id"], "input_values": shown}
        tasks = [make_row("tasks", dice, began, **facts) for _ in range(20)]
        for number in range(count):
            # Many are begun at first, few at last; the rest of their dates comes within ten days.
            at = began + timedelta(days=5) * (number / count) ** 2
            facts = {"pool_id": pool["id"], "status": statuses[number % len(statuses)]}
            yield make_row("assignments", dice, at, tasks=[dice.pick(tasks)], **facts)
