"""What is done in pools: tasks, suites, assignments and all that hangs on them; operations."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from toloka_emulator.data import values
from toloka_emulator.data.values import LOGGED_IDS, Dice, Json
from toloka_emulator.server.resources import RESOURCES

STATUSES = RESOURCES["assignments"].filters["status"].values
LOCALIZATION: Json = {"default_language": "EN", "additional_languages": [{"language": "RU"}]}
MEDIA = (("image/jpeg", "jpg"), ("audio/mpeg", "mp3"), ("application/pdf", "pdf"))
# What operations of a type have as parameters and as details.
OPERATIONS: dict[str, tuple[Json, object]] = {
    "POOL.OPEN": ({"pool_id": "36502086"}, None),
    "POOL.CLONE": ({"pool_id": "36502086"}, {"pool_id": "36502087"}),
    "TRAINING.ARCHIVE": ({"training_id": "31226418"}, {}),
    "PROJECT.ARCHIVE": ({"project_id": "81776"}, None),
    "TASK.BATCH_CREATE": (
        {"skip_invalid_items": True, "allow_defaults": False, "open_pool": True},
        {"total_count": 12, "valid_count": 11, "not_valid_count": 1, "success_count": 11},
    ),
    "ANALYTICS": (
        {"value": [{"name": "completion_percentage", "subject": "POOL", "subject_id": "36502086"}]},
        {"value": [{"result": {"type": "NORMAL", "value": Decimal("96.50")}}]},
    ),
    "KNOWN_SOLUTIONS.GENERATE": (
        {"pool_id": "36502086", "poolName": "Cats", "project_id": "81776", "projectName": "Cats"},
        {},
    ),
}
# The openapi has objects only; to toloka-kit 1.2.3 and the Java SDK details are any JSON.
ANY_DETAILS: tuple[object, ...] = (
    {"tasks_count": 3},
    ["36502087", {"pool_id": "36502088", "count": Decimal("2.50")}],
    3,
)


def _task(dice: Dice, at: datetime, facts: Json) -> Json:
    pool_id = facts.get("pool_id") or dice.pick(values.POOL_IDS)
    return {
        **make_task(dice, pool_id, at),
        "pool_id": pool_id,
        **_overlap(dice),
        "origin_task_id": dice.pool_object_id(dice.pick(values.POOL_IDS), at),
    }


def make_task(dice: Dice, pool_id: str, at: datetime) -> Json:
    """Make a task as suites and assignments hold it."""
    row: Json = {"id": dice.pool_object_id(pool_id, at), "input_values": dice.pick(values.INPUTS)}
    if dice.chance(0.3):
        row["known_solutions"] = [
            {"output_values": dice.pick(values.OUTPUTS), "correctness_weight": dice.pick((1, 0.8))}
        ]
        row["message_on_unknown_solution"] = "Это кот"
    if dice.chance(0.1):
        row["baseline_solutions"] = [
            {"output_values": dice.pick(values.OUTPUTS), "confidence_weight": dice.pick((1, 0.8))}
        ]
    if dice.chance(0.1):
        row["localization_config"] = LOCALIZATION
    return row


def _tasks(dice: Dice, pool_id: str, at: datetime) -> list[Json]:
    return [make_task(dice, pool_id, at) for _ in range(dice.randrange(1, 4))]


def _overlap(dice: Dice) -> Json:
    """Make up by how many Tolokers a task is done."""
    overlap = dice.randrange(1, 40)
    endless = dice.chance(0.2)
    return {
        "overlap": None if endless else overlap,
        "infinite_overlap": endless,
        "remaining_overlap": None if endless else dice.randrange(overlap + 1),
        "reserved_for": [dice.pick(values.USER_IDS)] if dice.chance(0.1) else [],
        "unavailable_for": [dice.pick(values.USER_IDS)] if dice.chance(0.1) else [],
    }


def _task_suite(dice: Dice, at: datetime, facts: Json) -> Json:
    pool_id = facts.get("pool_id") or dice.pick(values.POOL_IDS)
    return {
        "id": dice.pool_object_id(pool_id, at),
        "pool_id": pool_id,
        "tasks": facts.get("tasks") or _tasks(dice, pool_id, at),
        **_overlap(dice),
        "issuing_order_override": dice.pick((0, Decimal("-99999.99999"), Decimal("1.50"))),
        "mixed": dice.chance(0.5),
        "automerged": dice.chance(0.1),
    }


def _assignment(dice: Dice, at: datetime, facts: Json) -> Json:
    pool_id = facts.get("pool_id") or dice.pick(values.POOL_IDS)
    status = facts.get("status") or dice.pick(STATUSES)
    tasks = facts.get("tasks") or _tasks(dice, pool_id, at)
    row: Json = {
        "id": dice.pool_object_id(pool_id, at),
        "task_suite_id": dice.pool_object_id(pool_id, at),
        "pool_id": pool_id,
        "user_id": dice.pick(values.USER_IDS),
        "status": status,
        "reward": dice.pick(values.AMOUNTS),
        "bonus_ids": [str(dice.randrange(10**6))] if dice.chance(0.2) else [],
        "tasks": tasks,
        "mixed": dice.chance(0.5),
        "automerged": dice.chance(0.1),
        **_dates(dice, at, status),
        "owner": dice.pick(values.OWNERS),
    }
    if "tasks" not in facts and dice.chance(0.3):
        # The example of the openapi tells more of a task than its schema.
        tasks[0] |= {"pool_id": pool_id, **_overlap(dice), "created": facts["created"]}
    if "submitted" in row:
        row["solutions"] = make_solutions(dice, tasks)
        if dice.chance(0.2):
            row["solutions"][0] |= {
                "id": dice.uuid(),
                "assignment_id": row["id"],
                "task_id": tasks[0]["id"],
            }
    if dice.chance(0.1):
        row["first_declined_solution_attempt"] = [{"output_values": dice.pick(values.OUTPUTS)}]
    if status in {"ACCEPTED", "REJECTED"}:
        row["public_comment"] = dice.pick(values.COMMENTS)
    return row


def make_solutions(dice: Dice, tasks: list[Json]) -> list[Json]:
    """Make what a Toloker answers."""
    return [{"output_values": dice.pick(values.OUTPUTS)} for _ in tasks]


def _dates(dice: Dice, at: datetime, status: str) -> Json:
    """Make up the dates that an assignment of this status has beside `created`."""
    done = at + timedelta(seconds=dice.uniform(5, 3_600))
    checked = done + timedelta(seconds=dice.uniform(0, 864_000))
    if status == "ACTIVE":
        return {}
    if status in {"SKIPPED", "EXPIRED"}:
        return {status.lower(): dice.print_date(done)}
    dates = {"submitted": dice.print_date(done)}
    if status == "ACCEPTED" and dice.chance(0.1):  # after all
        dates["rejected"] = dice.print_date(done + (checked - done) / 2)
    if status != "SUBMITTED":
        dates[status.lower()] = dice.print_date(checked)
    return dates


def _attachment(dice: Dice, at: datetime, _facts: Json) -> Json:
    pool_id = dice.pick(values.POOL_IDS)
    media_type, suffix = dice.pick(MEDIA)
    return {
        "id": dice.uuid(),
        "attachment_type": "ASSIGNMENT_ATTACHMENT",
        "name": f"{dice.pick(('Фото №', 'photo '))}{dice.randrange(10**6)}.{suffix}",
        "details": {
            "user_id": dice.pick(values.USER_IDS),
            "assignment_id": dice.pool_object_id(pool_id, at),
            "pool_id": pool_id,
        },
        "owner": dice.pick(values.OWNERS),
        "media_type": media_type,
    }


def _aggregated_solution(dice: Dice, at: datetime, facts: Json) -> Json:
    pool_id = facts.get("pool_id") or dice.pick(values.POOL_IDS)
    return {
        "operation_id": dice.pick(values.AGGREGATION_IDS),
        "confidence": dice.pick((1, Decimal("0.950"), Decimal("0.4213562373095"), 0)),
        "pool_id": pool_id,
        "task_id": dice.pool_object_id(pool_id, at),
        "output_values": dice.pick(values.OUTPUTS),
    }


def _operation(dice: Dice, at: datetime, facts: Json) -> Json:
    kind = facts.get("type") or dice.pick([*OPERATIONS])
    status = facts.get("status") or dice.pick(("PENDING", "RUNNING", "SUCCESS", "SUCCESS", "FAIL"))
    parameters, details = OPERATIONS.get(kind, ({"pool_id": "36502086"}, {}))
    if kind == "KNOWN_SOLUTIONS.GENERATE":
        details = dice.pick(ANY_DETAILS)
    row = {
        "id": dice.uuid(),
        "type": kind,
        "status": status,
        "progress": {"PENDING": 0, "RUNNING": dice.randrange(100)}.get(status, 100),
        "parameters": parameters,
        "details": details,
    }
    if status != "PENDING":
        row["started"] = dice.print_date(at + timedelta(milliseconds=131))
    if status in {"SUCCESS", "FAIL"}:
        row["finished"] = dice.print_date(at + timedelta(milliseconds=759))
    return row


def _log_entry(dice: Dice, at: datetime, facts: Json) -> Json:
    """Make an entry, by the type of the operation, of a task, a suite or a bonus."""
    operation = LOGGED_IDS.get(facts["operation_id"], "TASK.BATCH_CREATE")
    what, success = operation.removesuffix(".BATCH_CREATE"), dice.chance(0.8)
    pool_id, input_values = dice.pick(values.POOL_IDS), dice.pick(values.INPUTS)
    inputs: dict[str, Json] = {
        "TASK": {"pool_id": pool_id, "input_values": input_values, "overlap": 3},
        "TASK_SUITE": {"pool_id": pool_id, "tasks": [{"input_values": input_values}]},
        "USER_BONUS": {"user_id": dice.pick(values.USER_IDS), "amount": dice.pick(values.AMOUNTS)},
    }
    done = "PERSIST" if what == "USER_BONUS" else "CREATE"
    error = {"code": "ENTITY_DOES_NOT_EXIST", "message": "Entity does not exist"}
    made = {f"{what.lower()}_id": dice.pool_object_id(pool_id, at)}
    return {
        "type": f"{what}_{done if success else 'VALIDATE'}",
        "success": success,
        "input": {"__item_idx": str(facts["number"]), **inputs[what]},
        "output": made if success else {"pool_id": error},
    }


MAKERS = {
    "tasks": _task,
    "task_suites": _task_suite,
    "assignments": _assignment,
    "attachments": _attachment,
    "aggregated_solutions": _aggregated_solution,
    "operations": _operation,
    "operation_logs": _log_entry,
}
