"""What rows change into, one change at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_emulator.data.apps import ITEM_ERROR
from toloka_emulator.data.values import OUTPUTS
from toloka_emulator.data.work import make_solutions

if TYPE_CHECKING:
    from datetime import datetime

    from toloka_emulator.data.values import Dice, Json

# What may come after a status, of assignments, operations and app items; most likely the first.
_NEXT = {
    "ACTIVE": (*["SUBMITTED"] * 10, "SKIPPED", "EXPIRED"),
    "SUBMITTED": (*["ACCEPTED"] * 9, "REJECTED"),
    "REJECTED": ("REJECTED", "REJECTED", "ACCEPTED"),
    "PENDING": ("RUNNING",),
    "RUNNING": (*["SUCCESS"] * 5, *["RUNNING"] * 4, "FAIL"),
    "NEW": ("PROCESSING",),
    "PROCESSING": (*["COMPLETED"] * 9, "ERROR"),
}
# The date that a status stamps, if not one of its own name.
_DATES = {
    "RUNNING": "started",
    "SUCCESS": "finished",
    "FAIL": "finished",
    "PROCESSING": "started_at",
    "COMPLETED": "finished_at",
    "ERROR": "finished_at",
}


def next_change(name: str, row: Json, dice: Dice, at: datetime) -> Json:
    """Make up what becomes of a row next: the fields to set, {} when nothing does.

        table.change(row["id"], **next_change("assignments", row, dice, at))

    Args:
        name: Its list: assignments, operations, app_items or user_skills.
        row: The row as it is.
        dice: Decides.
        at: When it changes, with a zone.
    """
    if name == "user_skills":
        value = dice.randrange(101)
        return {"value": value, "exact_value": value, "modified": dice.print_date(at)}
    old = row["status"]
    status = dice.pick(_NEXT.get(old, (old,)))
    if status == old:
        return {"progress": dice.randrange(100)} if status == "RUNNING" else {}
    change: Json = {"status": status, _DATES.get(status, status.lower()): dice.print_date(at)}
    if status == "SUBMITTED":
        change["solutions"] = make_solutions(dice, row["tasks"])
    elif status == "REJECTED":
        change["public_comment"] = "Too many mistakes"
    elif status in {"RUNNING", "SUCCESS", "FAIL"}:
        change["progress"] = 0 if status == "RUNNING" else 100
    elif status == "COMPLETED":
        change["output_data"] = dice.pick(OUTPUTS)
    elif status == "ERROR":
        change["errors"] = [ITEM_ERROR]
    return change
