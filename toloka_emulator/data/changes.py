"""What rows change into, one change at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_emulator.data.apps import OUTPUTS as APP_OUTPUTS
from toloka_emulator.data.parts import TRANSLATIONS, USER_IDS, pool_object_id
from toloka_emulator.data.pools import OWNER, Dice, Json, print_exactly
from toloka_emulator.data.work import OUTPUTS, make_task

if TYPE_CHECKING:
    from datetime import datetime


def begin(pool_id: str, at: datetime, dice: Dice, **fields: object) -> Json:
    """Make an assignment that begins now; `fields` go beside or in place of its own."""
    tasks = fields.pop("tasks", None) or [make_task(pool_object_id(pool_id, at, dice), dice)]
    return {
        "id": pool_object_id(pool_id, at, dice),
        "task_suite_id": pool_object_id(pool_id, at, dice),
        "pool_id": pool_id,
        "user_id": dice.pick(USER_IDS),
        "status": "ACTIVE",
        "reward": 0.05,
        "tasks": tasks,
        "mixed": False,
        "automerged": False,
        "created": print_exactly(at),
        "owner": OWNER,
        **fields,
    }


def _next_of_assignment(row: Json, at: datetime, dice: Dice) -> Json:
    """Take an assignment on: most are submitted and accepted, of the rejected some after all."""
    if row["status"] == "ACTIVE":
        status = dice.pick(("SUBMITTED",) * 10 + ("SKIPPED", "EXPIRED"))
    elif row["status"] == "SUBMITTED":
        status = dice.pick(("ACCEPTED",) * 9 + ("REJECTED",))
    elif row["status"] == "REJECTED" and dice.chance(0.3):
        status = "ACCEPTED"
    else:
        return {}
    step: Json = {"status": status, status.lower(): print_exactly(at)}
    if status == "SUBMITTED":
        step["solutions"] = [{"output_values": dice.pick(OUTPUTS)} for _ in row["tasks"]]
    if status == "REJECTED":
        step["public_comment"] = "Too many mistakes"
    return step


def _next_of_operation(row: Json, at: datetime, dice: Dice) -> Json:
    """Take an operation on: it starts, gets on, and ends."""
    if row["status"] == "PENDING":
        return {"status": "RUNNING", "started": print_exactly(at), "progress": 0}
    if row["status"] != "RUNNING":
        return {}
    if row["progress"] < 50 and dice.chance(0.5):  # half way
        return {"progress": dice.randrange(50, 100)}
    status = "FAIL" if dice.chance(0.1) else "SUCCESS"
    return {"status": status, "finished": print_exactly(at), "progress": 100}


def _next_of_item(row: Json, at: datetime, dice: Dice) -> Json:
    """Take an item of an app project on: it is processed, and ends with an output or an error."""
    if row["status"] == "NEW":
        return {"status": "PROCESSING", "started_at": print_exactly(at)}
    if row["status"] != "PROCESSING":
        return {}
    if dice.chance(0.1):
        error = {"code": "INTERNAL_ERROR", "message": "Could not be processed", "payload": None}
        return {"status": "ERROR", "finished_at": print_exactly(at), "errors": [error]}
    output = dice.pick(APP_OUTPUTS)
    return {"status": "COMPLETED", "finished_at": print_exactly(at), "output_data": output}


def _answer_thread(row: Json, at: datetime, dice: Dice) -> Json:
    """Answer a message thread: one more message, the newest first."""
    message = {
        "text": dice.pick(TRANSLATIONS),
        "from": {"id": OWNER["id"], "role": "REQUESTER", "myself": True},
        "created": print_exactly(at),
    }
    return {"messages": [message, *(row.get("messages") or ())], "folders": ["OUTBOX"]}


def _modify_skill(_row: Json, at: datetime, dice: Dice) -> Json:
    """Give a Toloker another value of a skill."""
    value = dice.randrange(101)
    return {"value": value, "exact_value": value, "modified": print_exactly(at)}


_NEXT = {
    "assignments": _next_of_assignment,
    "operations": _next_of_operation,
    "app_items": _next_of_item,
    "message_threads": _answer_thread,
    "user_skills": _modify_skill,
}


def next_change(name: str, row: Json, dice: Dice, at: datetime) -> Json:
    """Make up what becomes of a row next: the fields to set, {} when nothing does.

        table.change(row["id"], **next_change("assignments", row, dice, at))

    Args:
        name: Which list the row is of.
        row: The row as it is.
        dice: Decides.
        at: When it happens. Dates are printed to the millisecond, so none is earlier.
    """
    return _NEXT[name](row, at, dice)
