"""What Tolokers answer, and how that is reviewed: each is right as often as is their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_emulator.data.changes import next_change
from toloka_emulator.data.values import Dice

if TYPE_CHECKING:
    from datetime import datetime

    from toloka_emulator.data.values import Json

ANSWERS: tuple[Json, ...] = (
    {"result": "cat"},
    {"result": "dog", "like": False},
    {"result": "neither"},
)
_CARELESS = 0.1  # of Tolokers


def accuracy(user_id: str) -> float:
    """Return which share of a Toloker's answers is right, always the same."""
    dice = Dice(user_id)
    return dice.uniform(0.35, 0.6) if dice.chance(_CARELESS) else dice.uniform(0.85, 0.99)


def truth(task: Json) -> Json:
    """Return the right answer to a task: that of a control task is known, the others have one."""
    if known := task.get("known_solutions"):
        best: Json = known[0]["output_values"]
        return best
    return Dice(task["id"]).pick(ANSWERS)


def answer(task: Json, user_id: str) -> Json:
    """Make the solution that a Toloker has for a task, always the same."""
    right, dice = truth(task), Dice(f"{task['id']} {user_id}")
    wrong = [other for other in ANSWERS if other != right]
    is_right = dice.chance(accuracy(user_id))
    return {"output_values": right if is_right else dice.pick(wrong)}


def next_step(row: Json, dice: Dice, at: datetime) -> Json:
    """Make up what becomes of an assignment next, {} when nothing does.

    It is rejected half as often as its Toloker is wrong.
    """
    status = None
    if row["status"] == "SUBMITTED":
        careless = dice.chance((1 - accuracy(row["user_id"])) / 2)
        status = "REJECTED" if careless else "ACCEPTED"
    change = next_change("assignments", row, dice, at, status)
    if "solutions" in change:
        change["solutions"] = [answer(task, row["user_id"]) for task in row["tasks"]]
    return change
