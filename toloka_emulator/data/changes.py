"""What rows change into, one change at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_emulator.data.apps import ITEM_ERROR
from toloka_emulator.data.people import REQUESTER
from toloka_emulator.data.pools import CLOSE_REASONS
from toloka_emulator.data.values import OUTPUTS, print_exactly
from toloka_emulator.data.work import make_solutions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from toloka_emulator.data.values import Dice, Json

_POOL = {
    "OPEN": ("OPEN", "CLOSED", "CLOSED", "LOCKED"),
    "LOCKED": ("CLOSED",),
    "CLOSED": ("CLOSED", "CLOSED", "OPEN", "OPEN", "ARCHIVED"),
}

# What may come after a status, by list; most likely the first. The same one: an edit.
_NEXT: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "pools": _POOL,
    "trainings": _POOL,
    "projects": {"ACTIVE": (*["ACTIVE"] * 3, "ARCHIVED")},
    "assignments": {
        "ACTIVE": (*["SUBMITTED"] * 10, "SKIPPED", "EXPIRED"),
        "SUBMITTED": (*["ACCEPTED"] * 9, "REJECTED"),
        "REJECTED": ("REJECTED", "REJECTED", "ACCEPTED"),
    },
    "operations": {
        "PENDING": ("RUNNING",),
        "RUNNING": (*["SUCCESS"] * 5, *["RUNNING"] * 4, "FAIL"),
    },
    "app_projects": {
        "CREATING": ("READY", "READY", "ERROR"),
        "READY": ("ARCHIVED",),
        "ARCHIVED": ("READY",),
    },
    "app_items": {"NEW": ("PROCESSING",), "PROCESSING": (*["COMPLETED"] * 9, "ERROR")},
    "app_batches": {
        "LOADING": ("NEW",),
        "NEW": ("QUEUED", "NEW"),
        "QUEUED": ("PROCESSING",),
        "PROCESSING": ("PROCESSING", "PROCESSING", "COMPLETED", "STOPPING"),
        "STOPPING": ("STOPPED",),
        "STOPPED": ("PROCESSING", "ARCHIVE"),
        "COMPLETED": ("COMPLETED", "ARCHIVE"),
    },
}

# The date that a status stamps, if not one of its own name.
_DATES = {
    "OPEN": "last_started",
    "CLOSED": "last_stopped",
    "LOCKED": "last_stopped",
    "RUNNING": "started",
    "SUCCESS": "finished",
    "FAIL": "finished",
    "PROCESSING": "started_at",
    "COMPLETED": "finished_at",
    "ERROR": "finished_at",
}
_WITHOUT_DATE = {"projects", "app_projects"}
_DATELESS = {"ARCHIVED", "ARCHIVE", "NEW", "QUEUED", "STOPPING", "STOPPED"}


def next_change(name: str, row: Json, dice: Dice, at: datetime, status: str | None = None) -> Json:
    """Make up what becomes of a row next: the fields to set, {} when nothing does.

        table.change(row["id"], **next_change("assignments", row, dice, at))

    Most changes have no date. What is written by hand, as a name, is never the same twice; folders
    of a message thread and an app project come back to what they were.

    Args:
        name: Its list, by the names of `RESOURCES`.
        row: The row as it is.
        dice: Decides.
        at: When it changes, with a zone.
        status: What it becomes, if that is not left to the dice.
    """
    old = row.get("status")
    if name not in _NEXT or old is None:
        return _edit(name, row, dice, at)
    status = status or dice.pick(_NEXT[name].get(old, ("",)))
    if not status:  # it is at its end
        return {}
    if status == old:
        return _edit(name, row, dice, at)
    return {"status": status, **_stamp(name, status, dice, at), **_result(status, name, row, dice)}


def _stamp(name: str, status: str, dice: Dice, at: datetime) -> Json:
    if name in _WITHOUT_DATE or status in _DATELESS:
        return {}
    return {_DATES.get(status, status.lower()): dice.print_date(at)}


def _result(status: str, name: str, row: Json, dice: Dice) -> Json:
    """Make up what comes with a status, beside its date."""
    if status == "SUBMITTED":
        return {"solutions": make_solutions(dice, row["tasks"])}
    if status == "REJECTED":
        return {"public_comment": "Too many mistakes"}
    if status in {"RUNNING", "SUCCESS", "FAIL"}:
        return {"progress": 0 if status == "RUNNING" else 100}
    if status in {"CLOSED", "LOCKED"}:
        return {"last_close_reason": dice.pick(CLOSE_REASONS)}
    if name == "app_items" and status in {"COMPLETED", "ERROR"}:
        done = status == "COMPLETED"
        return {"output_data": dice.pick(OUTPUTS)} if done else {"errors": [ITEM_ERROR]}
    return {}


def _edit(name: str, row: Json, dice: Dice, at: datetime) -> Json:
    """Make up a change that leaves the status as it is; {} of what Toloka does not let change."""
    return _EDITS[name](row, dice, at) if name in _EDITS else {}


def _edit_pool(row: Json, dice: Dice, at: datetime) -> Json:
    """Edit a pool; of one that is open only the priority can be changed (openapi)."""
    if row["status"] == "OPEN" or dice.chance(0.3):
        return {"priority": dice.randrange(101)}
    return _edit_training(row, dice, at)


def _edit_training(row: Json, dice: Dice, at: datetime) -> Json:
    if row["status"] == "OPEN":
        return {}
    return {dice.pick(("private_name", "public_description")): _text(at)}


def _edit_project(_row: Json, dice: Dice, at: datetime) -> Json:
    return {dice.pick(("public_name", "private_comment", "public_instructions")): _text(at)}


def _edit_skill(_row: Json, dice: Dice, at: datetime) -> Json:
    """Edit a skill; no source tells which edits are dated, by a date that rows do not show."""
    change: Json = {dice.pick(("name", "private_comment")): _text(at)}
    return {**change, "modified": dice.print_date(at)} if dice.chance(0.5) else change


def _edit_user_skill(_row: Json, dice: Dice, at: datetime) -> Json:
    value = dice.randrange(101)
    return {"value": value, "exact_value": value, "modified": dice.print_date(at)}


def _edit_user_restriction(_row: Json, dice: Dice, at: datetime) -> Json:
    if dice.chance(0.5):
        return {"private_comment": _text(at)}
    return {"will_expire": dice.print_date(at.replace(year=at.year + dice.randrange(1, 4)))}


def _edit_message_thread(row: Json, dice: Dice, at: datetime) -> Json:
    """Reply, or let a folder have it or not."""
    if dice.chance(0.5):
        reply = {"text": {"EN": _text(at)}, "from": REQUESTER, "created": dice.print_date(at)}
        return {"messages": [reply, *(row.get("messages") or [])]}
    folders = row.get("folders") or []
    folder = dice.pick(("UNREAD", "IMPORTANT"))
    others = [one for one in folders if one != folder]
    return {"folders": others if folder in folders else [*folders, folder]}


def _edit_webhook_subscription(_row: Json, _dice: Dice, at: datetime) -> Json:
    return {"webhook_url": f"https://example.com/toloka-webhook?since={print_exactly(at)}"}


def _edit_task(row: Json, dice: Dice, _at: datetime) -> Json:
    """Let a task, or a suite, be taken, or given to one Toloker more."""
    overlap, remaining = row.get("overlap"), row.get("remaining_overlap")
    if not overlap:
        return {}
    if remaining and dice.chance(0.7):
        return {"remaining_overlap": remaining - 1}
    return {"overlap": overlap + 1, "remaining_overlap": (remaining or 0) + 1}


def _edit_operation(_row: Json, dice: Dice, _at: datetime) -> Json:
    return {"progress": dice.randrange(100)}


def _edit_app_batch(row: Json, dice: Dice, at: datetime) -> Json:
    """Label an item of a batch that is being processed, or change its name."""
    counts = row.get("items_per_state") or {}
    if row["status"] != "PROCESSING" or not counts.get("NEW") or dice.chance(0.3):
        return {"name": _text(at)}
    done = counts["COMPLETED"] + 1
    return {
        "items_per_state": {**counts, "NEW": counts["NEW"] - 1, "COMPLETED": done},
        "items_processed_count": done,
    }


def _text(at: datetime) -> str:
    return f"As of {print_exactly(at)}"


_EDITS: Mapping[str, Callable[[Json, Dice, datetime], Json]] = {
    "pools": _edit_pool,
    "trainings": _edit_training,
    "projects": _edit_project,
    "tasks": _edit_task,
    "task_suites": _edit_task,
    "skills": _edit_skill,
    "user_skills": _edit_user_skill,
    "user_restrictions": _edit_user_restriction,
    "message_threads": _edit_message_thread,
    "webhook_subscriptions": _edit_webhook_subscription,
    "operations": _edit_operation,
    "app_batches": _edit_app_batch,
}
"""How rows are edited."""
