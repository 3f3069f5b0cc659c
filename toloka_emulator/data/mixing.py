"""Pools with smart mixing: tasks, control tasks among them, and suites made as they are issued."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from toloka_emulator.data.answers import ANSWERS
from toloka_emulator.data.rows import make_row

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from toloka_emulator.data.values import Dice, Json

REAL_TASKS = 4
"""As many are in a suite, beside one control task."""
MIXER_CONFIG: Json = {
    "real_tasks_count": REAL_TASKS,
    "golden_tasks_count": 1,
    "training_tasks_count": 0,
    "min_real_tasks_count": 1,
    "min_golden_tasks_count": 1,
    "min_training_tasks_count": 0,
    "force_last_assignment": True,
    "force_last_assignment_delay_seconds": 60,
    "mix_tasks_in_creation_order": True,
    "shuffle_tasks_in_task_suite": False,
}
TAKEN = {"ACTIVE", "SUBMITTED", "ACCEPTED"}
"""Assignments of these statuses count towards the overlap of their tasks."""

_REAL_PER_GOLDEN = 5  # of the tasks of a pool
_SHOWN = ("id", "input_values", "known_solutions")  # of a task in a suite


def make_tasks(dice: Dice, pool_id: str, suites: int, overlap: int, at: datetime) -> list[Json]:
    """Make the tasks of a pool, the control tasks last.

    Args:
        dice: Decides what is not given.
        pool_id: The pool.
        suites: For how many different suites.
        overlap: How many Tolokers are to do each task; a control task as many as there are.
        at: When they came to be.
    """
    real = suites * REAL_TASKS
    endless = {"infinite_overlap": True, "overlap": None, "remaining_overlap": None}
    finite = {"infinite_overlap": False, "overlap": overlap, "remaining_overlap": overlap}
    tasks = [make_row("tasks", dice, at, pool_id=pool_id, **finite) for _ in range(real)]
    for task in tasks:
        for field in ("known_solutions", "message_on_unknown_solution"):
            task.pop(field, None)
    for _ in range(-(-real // _REAL_PER_GOLDEN)):
        known = _known_solutions(dice)
        tasks.append(make_row("tasks", dice, at, pool_id=pool_id, known_solutions=known, **endless))
    return tasks


def _known_solutions(dice: Dice) -> list[Json]:
    """Make one solution, or another one beside it that is half right."""
    best, second = dice.sample(ANSWERS, 2)
    known = [{"output_values": best, "correctness_weight": 1}]
    if dice.chance(0.2):
        known.append({"output_values": second, "correctness_weight": 0.5})
    return known


def issue_suite(dice: Dice, real: list[Json], golden: list[Json], at: datetime) -> Json:
    """Make a suite for one Toloker: tasks, and one of the control tasks of their pool."""
    mixed = [*real, dice.pick(golden)]
    inner = [{field: task[field] for field in _SHOWN if field in task} for task in mixed]
    taken = {"overlap": 1, "infinite_overlap": False, "remaining_overlap": 0}
    facts = {"pool_id": real[0]["pool_id"], "mixed": True, "automerged": False}
    return make_row("task_suites", dice, at, tasks=inner, **facts, **taken)


def count_remaining(rows: Iterable[Json], assignments: Iterable[Json]) -> None:
    """Set the remaining overlap of tasks and suites by the assignments that have them."""
    taken: Counter[str] = Counter()
    for row in assignments:
        if row["status"] in TAKEN:
            taken.update([row["task_suite_id"], *(task["id"] for task in row["tasks"])])
    for row in rows:
        if not row["infinite_overlap"]:
            row["remaining_overlap"] = row["overlap"] - taken[row["id"]]
