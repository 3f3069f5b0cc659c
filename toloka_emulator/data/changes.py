"""What rows change into, one change at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_emulator.data.apps import ITEM_ERROR
from toloka_emulator.data.samples import OUTPUTS, Json
from toloka_emulator.data.work import make_solutions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from toloka_emulator.data.dice import Dice


def next_change(name: str, row: Json, dice: Dice, at: datetime) -> Json:
    """Make up what becomes of a row next: the fields to set, {} when nothing does.

        table.change(row["id"], **next_change("assignments", row, dice, at))

    Args:
        name: Which list the row is of; not all lists have rows that change.
        row: The row as it is.
        dice: Decides.
        at: When it changes, with a zone.
    """
    return _CHANGES[name](row, dice, at)


def _change_assignment(row: Json, dice: Dice, at: datetime) -> Json:
    """Most are submitted and accepted, of the rejected some after all."""
    if row["status"] == "ACTIVE":
        status = dice.pick(("SUBMITTED",) * 10 + ("SKIPPED", "EXPIRED"))
    elif row["status"] == "SUBMITTED":
        status = dice.pick(("ACCEPTED",) * 9 + ("REJECTED",))
    elif row["status"] == "REJECTED" and dice.chance(0.3):
        status = "ACCEPTED"
    else:
        return {}
    change: Json = {"status": status, status.lower(): dice.print_date(at)}
    if status == "SUBMITTED":
        change["solutions"] = make_solutions(dice, row["tasks"])
    if status == "REJECTED":
        change["public_comment"] = "Too many mistakes"
    return change


def _change_operation(row: Json, dice: Dice, at: datetime) -> Json:
    if row["status"] == "PENDING":
        return {"status": "RUNNING", "started": dice.print_date(at), "progress": 0}
    if row["status"] != "RUNNING":
        return {}
    if row["progress"] < 50 and dice.chance(0.5):
        return {"progress": dice.randrange(50, 100)}
    status = "FAIL" if dice.chance(0.1) else "SUCCESS"
    return {"status": status, "finished": dice.print_date(at), "progress": 100}


def _change_item(row: Json, dice: Dice, at: datetime) -> Json:
    if row["status"] == "NEW":
        return {"status": "PROCESSING", "started_at": dice.print_date(at)}
    if row["status"] != "PROCESSING":
        return {}
    finished_at = dice.print_date(at)
    if dice.chance(0.1):
        return {"status": "ERROR", "finished_at": finished_at, "errors": [ITEM_ERROR]}
    return {
        "status": "COMPLETED",
        "finished_at": finished_at,
        "output_data": dice.pick(OUTPUTS),
    }


def _change_value(_row: Json, dice: Dice, at: datetime) -> Json:
    value = dice.randrange(101)
    return {"value": value, "exact_value": value, "modified": dice.print_date(at)}


_CHANGES: dict[str, Callable[[Json, Dice, datetime], Json]] = {
    "assignments": _change_assignment,
    "operations": _change_operation,
    "app_items": _change_item,
    "user_skills": _change_value,
}
