"""Many pools with many assignments each, for benchmarks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from toloka_emulator.data.rows import LAST_DATE, make_row
from toloka_emulator.data.values import INSTRUCTIONS, Dice, print_exactly, read_date

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from toloka_emulator.data.values import Json

OPEN_POOLS = 20
"""As many are open unless it is said; in all others nothing can happen any more."""

_FIRST_POOL, _STEP = 993_000, 7  # ids of pools: as they rise they get a digit more
_OPEN_STATUSES = (*["ACCEPTED"] * 5, "REJECTED", "SUBMITTED", "ACTIVE", "SKIPPED", "EXPIRED")
_CLOSED_STATUSES = (*["ACCEPTED"] * 7, "REJECTED", "SKIPPED", "EXPIRED")


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
