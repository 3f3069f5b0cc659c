"""What becomes of rows: one step of a life at a time, as fields to change; {} when there is none.

    table.change(row["id"], **next_step(row, datetime.now(timezone.utc), dice))

Dates are printed to the millisecond, so that none is earlier than the moment that was given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_emulator.apps import OUTPUTS as APP_OUTPUTS
from toloka_emulator.data import OWNER, Dice, Json, print_exactly
from toloka_emulator.parts import TRANSLATIONS, USER_IDS, pool_object_id
from toloka_emulator.work import OUTPUTS, make_task

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


def next_step(row: Json, at: datetime, dice: Dice) -> Json:
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


def next_operation_step(row: Json, at: datetime, dice: Dice) -> Json:
    """Take an operation on: it starts, gets on, and ends."""
    if row["status"] == "PENDING":
        return {"status": "RUNNING", "started": print_exactly(at), "progress": 0}
    if row["status"] != "RUNNING":
        return {}
    if row["progress"] < 50 and dice.chance(0.5):  # half way
        return {"progress": dice.randrange(50, 100)}
    status = "FAIL" if dice.chance(0.1) else "SUCCESS"
    return {"status": status, "finished": print_exactly(at), "progress": 100}


def next_item_step(row: Json, at: datetime, dice: Dice) -> Json:
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


def answer_thread(row: Json, at: datetime, dice: Dice) -> Json:
    """Answer a message thread: one more message, the newest first."""
    message = {
        "text": dice.pick(TRANSLATIONS),
        "from": {"id": OWNER["id"], "role": "REQUESTER", "myself": True},
        "created": print_exactly(at),
    }
    return {"messages": [message, *(row.get("messages") or ())], "folders": ["OUTBOX"]}


def modify_skill(_row: Json, at: datetime, dice: Dice) -> Json:
    """Give a Toloker another value of a skill."""
    value = dice.randrange(101)
    return {"value": value, "exact_value": value, "modified": print_exactly(at)}
