"""Rows of what is done in pools: tasks, assignments and all that hangs on them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from toloka_emulator.data.parts import (
    AGGREGATION_IDS,
    AMOUNTS,
    LOGGED_IDS,
    OWNERS,
    POOL_IDS,
    TRANSLATIONS,
    USER_IDS,
    Born,
    pool_object_id,
    random_uuid,
    user_id,
)
from toloka_emulator.data.pools import COMMENTS, OWNER, REWARDS, Dice, Json, print_date

INPUTS: tuple[Json, ...] = (
    {"image": "https://example.com/image1.jpg"},
    {"image": "https://example.com/Кот №1.jpg?x=%20", "caption": "Кот? 🐈"},
    {"audio": "https://example.com/1.mp3", "seconds": Decimal("12.50"), "speakers": [1, 2]},
    {"text": 'two\nlines and a "quote"', "meta": {"source": None, "page": 3}},
    {"coordinates": "55.733969,37.587093", "urgent": True},
)
OUTPUTS: tuple[Json, ...] = (
    {"result": "cat"},
    {"result": "dog", "like": False},
    {"transcript": "слово за словом", "confidence": Decimal("0.90"), "words": ["a", "b"]},
    {"result": None, "path": [{"x": Decimal("0.5"), "y": 1}]},
    {},
)
_ENDS = ("ACTIVE", "SUBMITTED", "ACCEPTED", "REJECTED", "SKIPPED", "EXPIRED")
OUTCOMES = (*_ENDS, "ACCEPTED", "ACCEPTED")
LOCALIZATION: Json = {
    "default_language": "EN",
    "additional_languages": [
        {
            "language": "RU",
            "message_on_unknown_solution": {"value": "Это кот", "source": "REQUESTER"},
        }
    ],
}
MEDIA = (("image/jpeg", "jpg"), ("audio/mpeg", "mp3"), ("application/pdf", "pdf"))
COUNTRIES = ("IN", "RU", "BR", "KE", "PH", "TR", "DE", "US")
LANGUAGES: tuple[list[str], ...] = (["EN"], ["EN", "FR"], ["RU", "EN"], ["PT-BR"], [])


def make_task(task_id: str, dice: Dice) -> Json:
    """Make a task as suites and assignments hold it."""
    task: Json = {"id": task_id, "input_values": dice.pick(INPUTS)}
    if dice.chance(0.3):
        task["known_solutions"] = [
            {"output_values": dice.pick(OUTPUTS), "correctness_weight": dice.pick((1, 0.8))}
        ]
        task["message_on_unknown_solution"] = "Это кот"
    if dice.chance(0.1):
        task["baseline_solutions"] = [
            {"output_values": dice.pick(OUTPUTS), "confidence_weight": dice.pick((1, 0.8))}
        ]
    if dice.chance(0.1):
        task["localization_config"] = LOCALIZATION
    return task


def make_overlap(dice: Dice) -> Json:
    """Make up by how many Tolokers a task is done."""
    overlap = dice.randrange(1, 40)
    endless = dice.chance(0.2)
    return {
        "overlap": None if endless else overlap,
        "infinite_overlap": endless,
        "remaining_overlap": None if endless else dice.randrange(overlap + 1),
        "reserved_for": [dice.pick(USER_IDS)] if dice.chance(0.1) else [],
        "unavailable_for": [dice.pick(USER_IDS)] if dice.chance(0.1) else [],
    }


def make_dates_of(status: str, at: datetime, dice: Dice) -> Json:
    """Make up the dates that an assignment of this status has beside `created`."""
    done = at + timedelta(seconds=dice.uniform(5, 3_600))
    checked = done + timedelta(seconds=dice.uniform(0, 864_000))
    if status == "ACTIVE":
        return {}
    if status in {"SKIPPED", "EXPIRED"}:
        return {status.lower(): print_date(done, dice)}
    dates = {"submitted": print_date(done, dice)}
    if status in {"ACCEPTED", "REJECTED"}:
        dates[status.lower()] = print_date(checked, dice)
    if status == "ACCEPTED" and dice.chance(0.1):  # as it was rejected first
        dates["rejected"] = print_date(done + (checked - done) / 2, dice)
    return dates


def _assignment(born: Born, dice: Dice) -> Json:
    pool_id = dice.pick(POOL_IDS)
    status = dice.pick(OUTCOMES)
    assignment_id = pool_object_id(pool_id, born.at, dice)
    tasks = [
        make_task(pool_object_id(pool_id, born.at, dice), dice) for _ in range(dice.randrange(1, 4))
    ]
    if dice.chance(0.3):  # the example of the openapi tells more of a task than its schema
        tasks[0] |= {"pool_id": pool_id, **make_overlap(dice), "created": born.printed}
    row: Json = {
        "id": assignment_id,
        "task_suite_id": pool_object_id(pool_id, born.at, dice),
        "pool_id": pool_id,
        "user_id": dice.pick(USER_IDS),
        "status": status,
        "reward": dice.pick(REWARDS),
        "bonus_ids": [born.id] if dice.chance(0.2) else [],
        "tasks": tasks,
        "mixed": dice.chance(0.5),
        "automerged": dice.chance(0.1),
        "created": born.printed,
        **make_dates_of(status, born.at, dice),
        "owner": dice.pick(OWNERS),
    }
    if "submitted" in row:
        row["solutions"] = [{"output_values": dice.pick(OUTPUTS)} for _ in tasks]
        if dice.chance(0.2):
            row["solutions"][0] |= {
                "id": random_uuid(dice),
                "assignment_id": assignment_id,
                "task_id": tasks[0]["id"],
            }
    if dice.chance(0.1):
        row["first_declined_solution_attempt"] = [{"output_values": dice.pick(OUTPUTS)}]
    if status in {"ACCEPTED", "REJECTED"}:
        row["public_comment"] = dice.pick(COMMENTS)
    return row


def _task(born: Born, dice: Dice) -> Json:
    pool_id = dice.pick(POOL_IDS)
    return {
        **make_task(pool_object_id(pool_id, born.at, dice), dice),
        "created": born.printed,
        "pool_id": pool_id,
        **make_overlap(dice),
        "origin_task_id": pool_object_id(dice.pick(POOL_IDS), born.at, dice),
    }


def _task_suite(born: Born, dice: Dice) -> Json:
    pool_id = dice.pick(POOL_IDS)
    return {
        "id": pool_object_id(pool_id, born.at, dice),
        "pool_id": pool_id,
        "tasks": [
            make_task(pool_object_id(pool_id, born.at, dice), dice)
            for _ in range(dice.randrange(1, 4))
        ],
        **make_overlap(dice),
        "issuing_order_override": dice.pick((0, Decimal("-99999.99999"), Decimal("1.50"))),
        "mixed": dice.chance(0.5),
        "automerged": dice.chance(0.1),
        "created": born.printed,
    }


def _attachment(born: Born, dice: Dice) -> Json:
    pool_id = dice.pick(POOL_IDS)
    media_type, suffix = dice.pick(MEDIA)
    return {
        "id": random_uuid(dice),
        "attachment_type": "ASSIGNMENT_ATTACHMENT",
        "name": f"{dice.pick(('Фото №', 'photo '))}{born.place}.{suffix}",
        "details": {
            "user_id": dice.pick(USER_IDS),
            "assignment_id": pool_object_id(pool_id, born.at, dice),
            "pool_id": pool_id,
        },
        "owner": dice.pick(OWNERS),
        "created": born.printed,
        "media_type": media_type,
    }


def _aggregated_solution(born: Born, dice: Dice) -> Json:
    pool_id = dice.pick(POOL_IDS)
    return {
        "operation_id": dice.pick(AGGREGATION_IDS),
        "confidence": dice.pick((1, Decimal("0.950"), Decimal("0.4213562373095"), 0)),
        "pool_id": pool_id,
        "task_id": pool_object_id(pool_id, born.at, dice),
        "output_values": dice.pick(OUTPUTS),
    }


def _log_entry(born: Born, dice: Dice) -> Json:
    operation_id, kind = [*LOGGED_IDS.items()][born.place % len(LOGGED_IDS)]
    return {
        "operation_id": operation_id,
        "number": born.place // len(LOGGED_IDS),
        **make_log_entry(kind, born, success=dice.chance(0.8), dice=dice),
    }


def make_log_entry(kind: str, born: Born, *, success: bool, dice: Dice) -> Json:
    """Make what the log of an operation of this type says of one of its objects."""
    what = kind.removesuffix(".BATCH_CREATE")
    pool_id = dice.pick(POOL_IDS)
    made = born.id if what == "USER_BONUS" else pool_object_id(pool_id, born.at, dice)
    inputs: dict[str, Json] = {
        "TASK": {"pool_id": pool_id, "input_values": dice.pick(INPUTS), "overlap": 3},
        "TASK_SUITE": {"pool_id": pool_id, "tasks": [{"input_values": dice.pick(INPUTS)}]},
        "USER_BONUS": {
            "user_id": dice.pick(USER_IDS),
            "amount": dice.pick(AMOUNTS),
            "created": born.printed,
            "public_title": dice.pick(TRANSLATIONS),
            "without_message": False,
        },
    }
    names = {"TASK": "task_id", "TASK_SUITE": "task_suite_id", "USER_BONUS": "user_bonus_id"}
    done = {"USER_BONUS": "PERSIST"}.get(what, "CREATE")
    error = {"code": "ENTITY_DOES_NOT_EXIST", "message": "Entity does not exist"}
    return {
        "type": f"{what}_{done if success else 'VALIDATE'}",
        "success": success,
        "input": {"__item_idx": str(born.place), **inputs[what]},
        "output": {names[what]: made} if success else {"pool_id": error},
    }


def make_user_metadata(toloker: str, dice: Dice) -> Json:
    """Make what is known of a Toloker."""
    country = dice.pick(COUNTRIES)
    phone = dice.chance(0.6)
    major, minor = dice.randrange(5, 15), dice.randrange(10)
    return {
        "id": toloker,
        "country": country,
        "languages": dice.pick(LANGUAGES),
        "attributes": {
            "country_by_phone": country,
            "country_by_ip": dice.pick(COUNTRIES),
            "client_type": "TOLOKA_APP" if phone else "BROWSER",
            "user_agent_type": "OTHER" if phone else "BROWSER",
            "device_category": "SMARTPHONE" if phone else "PERSONAL_COMPUTER",
            "os_family": dice.pick(("ANDROID", "IOS") if phone else ("WINDOWS", "LINUX", "MAC_OS")),
            "os_version": Decimal(f"{major}.{minor}"),
            "os_version_major": major,
            "os_version_minor": minor,
            "os_version_bugfix": 0,
        },
        "adult_allowed": dice.chance(0.5),
    }


def _user_metadata(born: Born, dice: Dice) -> Json:
    known = born.place < len(USER_IDS)
    return make_user_metadata(USER_IDS[born.place] if known else user_id(dice), dice)


def make_requester(dice: Dice) -> Json:
    """Make the requester whose key it is."""
    return {
        "id": OWNER["id"],
        "balance": dice.pick((Decimal("121.30"), Decimal("0.005"), 100_000)),
        "public_name": dice.pick(TRANSLATIONS),
        "company": {"id": "1", "superintendent_id": OWNER["id"]},
    }


def _requester(_born: Born, dice: Dice) -> Json:
    return make_requester(dice)


MAKERS = {
    "assignments": _assignment,
    "tasks": _task,
    "task_suites": _task_suite,
    "attachments": _attachment,
    "aggregated_solutions": _aggregated_solution,
    "operation_logs": _log_entry,
    "user_metadata": _user_metadata,
    "requester": _requester,
}
