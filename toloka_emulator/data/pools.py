"""Projects, pools and trainings (openapi: ProjectView, PoolViewV1, TrainingViewV1)."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from toloka_emulator.data import samples

if TYPE_CHECKING:
    from datetime import datetime

    from toloka_emulator.data.dice import Dice
    from toloka_emulator.data.samples import Json

METADATA: tuple[Json, ...] = ({}, {"batch": ["17", "срочно"], "client-ref": ["a/b?c=d"]})
TEXTS = ("public_name", "public_description", "public_instructions")
SHOWN = (
    "Timer",
    "Title",
    "Instructions",
    "Fullscreen",
    "Submit",
    "Skip",
    "Finish",
    "Message",
    "Reward",
)
EXPIRES = ("2027-03-09T00:00:00", "2030-01-01T12:00", "2028-02-29T23:59:59.9")
NEVER_STARTED: tuple[Json, ...] = (
    {"status": "CLOSED"},
    {"status": "ARCHIVED"},
    {"status": "CLOSED", "last_close_reason": None, "last_started": None, "last_stopped": None},
)
STARTED_STATUSES = ("OPEN", "OPEN", "CLOSED", "CLOSED", "CLOSED", "ARCHIVED", "ARCHIVED", "LOCKED")
CLOSE_REASONS = (
    "MANUAL",
    "EXPIRED",
    "COMPLETED",
    "NOT_ENOUGH_BALANCE",
    "ASSIGNMENTS_LIMIT_EXCEEDED",
    "BLOCKED",
    "FOR_UPDATE",
)
BALANCES: tuple[Json, ...] = (
    {"type": "TOP_PERCENTAGE_BY_QUALITY", "percent": 90},
    {"type": "BEST_CONCURRENT_USERS_BY_QUALITY", "count": 20},
)

_BAN = ("RESTRICTION_V2", {"scope": "PROJECT", "duration": 10, "duration_unit": "DAYS"})
_BAN_FOR_EVER = ("RESTRICTION_V2", {"scope": "ALL_PROJECTS", "duration_unit": "PERMANENT"})
_TAKE_SKILL = ("SET_SKILL_FROM_OUTPUT_FIELD", {"skill_id": "12648", "from_field": "result"})
_SET_SKILL = ("SET_SKILL", {"skill_id": "12649", "skill_value": 1})
_RAISE_OVERLAP = ("CHANGE_OVERLAP", {"delta": 1, "open_pool": True})
_REJECT = ("REJECT_ALL_ASSIGNMENTS", {"public_comment": "Слишком много ошибок"})
_LAST = {"history_size": 10}
# Collector and its parameters, a condition, and an action and its parameters.
RULES: tuple[tuple[str, Json, tuple[str, str, object], tuple[str, Json]], ...] = (
    ("ASSIGNMENT_SUBMIT_TIME", _LAST, ("fast_submitted_count", "GTE", 2), _BAN),
    ("GOLDEN_SET", _LAST, ("correct_answers_rate", "LT", Decimal("60.0")), _BAN_FOR_EVER),
    ("MAJORITY_VOTE", _LAST, ("total_answers_count", "GT", 9), _TAKE_SKILL),
    ("SKIPPED_IN_ROW_ASSIGNMENTS", {}, ("skipped_in_row_count", "GTE", 10), _BAN),
    ("INCOME", {}, ("income_sum_for_last_24_hours", "GTE", Decimal("20.50")), _BAN),
    ("ANSWER_COUNT", {}, ("assignments_accepted_count", "GTE", 1), _SET_SKILL),
    ("USERS_ASSESSMENT", {}, ("pool_access_revoked_reason", "EQ", "RESTRICTION"), _RAISE_OVERLAP),
    ("ACCEPTANCE_RATE", _LAST, ("rejected_assignments_rate", "GT", Decimal("35.0")), _REJECT),
)


def make_pool(pool_id: str, created: str, /, **fields: object) -> Json:
    """Make a plain pool that was never started; `fields` go beside or in place of its own."""
    return {
        "id": pool_id,
        "project_id": "81776",
        "private_name": f"Pool {pool_id}",
        "may_contain_adult_content": False,
        "reward_per_assignment": Decimal("0.05"),
        "assignment_max_duration_seconds": 600,
        "status": "CLOSED",
        "created": created,
        "type": "REGULAR",
        **fields,
    }


def make_filter(dice: Dice) -> Json:
    """Make a filter of Tolokers: an object, though the openapi says text."""
    conditions = (
        ("profile", "languages", "IN", dice.pick(("EN", "RU", "JA"))),
        ("skill", "12648", "GTE", dice.pick((80, Decimal("80.0"), Decimal("66.667")))),
        ("computed", "client_type", "EQ", dice.pick(("BROWSER", "TOLOKA_APP"))),
        ("profile", "date_of_birth", "LT", 1_088_608_000),
    )
    fields = ("category", "key", "operator", "value")
    return {"and": [{"or": [dict(zip(fields, row, strict=True))]} for row in conditions]}


def _project(dice: Dice, _at: datetime, facts: Json) -> Json:
    on_map = dice.chance(0.3)
    view_config = {
        "title_template": "{{inputParams['title']}}",
        "description_template": "{{inputParams['description']}}",
        "map_provider": dice.pick(("GOOGLE", "YANDEX")),
    }
    translations = {name: _translated(dice.pick(samples.NAMES)) for name in TEXTS}
    return {
        "public_name": f"{dice.pick(samples.NAMES)} {facts['id']}",
        "public_description": dice.pick(samples.NAMES),
        "public_instructions": dice.pick(samples.INSTRUCTIONS),
        "private_comment": dice.pick(samples.COMMENTS),
        "task_spec": {
            "input_spec": {"image": {"type": "url", "required": True, "hidden": False}},
            "output_spec": {"результат": {"type": "string", "allowed_values": ["cat", "猫"]}},
            "view_spec": _view(dice),
        },
        "assignments_issuing_type": "MAP_SELECTOR" if on_map else "AUTOMATED",
        "assignments_issuing_view_config": view_config if on_map else None,
        "quality_control": {"configs": _rules(dice)},
        "assignments_automerge_enabled": dice.chance(0.5),
        "max_active_assignments_count": dice.randrange(1, 16),
        "metadata": dice.pick(METADATA),
        "sensitive": dice.chance(0.2),
        "localization_config": {
            "default_language": "EN",
            "additional_languages": [
                {
                    "language": "RU",
                    **translations,
                    "tb_view_spec": {"keys": [{"key": "button", **_translated("Готово")}]},
                    "message_on_unknown_solution": _translated("Это кот"),
                }
            ],
        },
        "owner": dice.pick(samples.OWNERS),
        "status": dice.pick(("ACTIVE", "ACTIVE", "ARCHIVED")),
    }


def _translated(text: str) -> Json:
    return {"value": text, "source": "REQUESTER"}


def _view(dice: Dice) -> Json:
    settings = {f"show{name}": dice.chance(0.5) for name in SHOWN}
    if dice.chance(0.5):
        return {
            "type": "classic",
            "markup": '<div class="q">{{image}}</div>\n',
            "script": "exports.Task = extend(TolokaHandlebarsTask, () => {});\r\n",
            "styles": ".q { color: #f00 }",
            "assets": {
                "script_urls": ["$TOLOKA_ASSETS/js/toloka-handlebars-templates.js"],
                "style_urls": ["https://example.com/style.css"],
            },
            "settings": settings,
        }
    view = {"type": "view.text", "content": "Кот?"}
    return {
        "type": "tb",
        # The openapi says array; toloka-kit 1.2.3 writes and reads JSON in a text.
        "config": json.dumps({"view": view}, ensure_ascii=False),
        "lock": {"core": "1.15.0", "view.text": "1.2.0"},
        "settings": settings,
        "localizationConfig": {"keys": '"key": "button", "defaultValue": "Done"'},
    }


def _pool(dice: Dice, at: datetime, facts: Json) -> Json:
    kind = facts.get("type") or ("TRAINING" if dice.chance(0.05) else "REGULAR")
    if kind == "TRAINING":
        return {**_training(dice, at, facts), "type": kind}
    settings = _pool_settings(dice)
    return {
        **make_pool(facts["id"], facts["created"], **settings),
        **_name_and_history(dice, at, facts),
    }


def _training(dice: Dice, at: datetime, facts: Json) -> Json:
    """Make a training without its type: the list of pools tells it, that of trainings does not."""
    own_instructions = dice.chance(0.5)
    row = {
        "inherited_instructions": not own_instructions,
        "public_instructions": dice.pick(samples.INSTRUCTIONS) if own_instructions else "",
        "may_contain_adult_content": dice.chance(0.2),
        "assignment_max_duration_seconds": 600,
        "mix_tasks_in_creation_order": dice.chance(0.5),
        "shuffle_tasks_in_task_suite": dice.chance(0.5),
        "training_tasks_in_task_suite_count": dice.randrange(500),
        "task_suites_required_to_pass": dice.randrange(500),
        "metadata": {},
        "owner": samples.OWNER,
        **_name_and_history(dice, at, facts),
    }
    if dice.chance(0.5):
        row["retry_training_after_days"] = dice.randrange(1, 60)
    return row


def _name_and_history(dice: Dice, at: datetime, facts: Json) -> Json:
    """Make up the name, and unless the status is given, that with its dates and its reason."""
    row = {
        "project_id": dice.pick(samples.PROJECT_IDS),
        "private_name": f"{dice.pick(samples.NAMES)} {dice.randrange(100_000)}",
    }
    if "status" in facts:
        return row
    if dice.chance(0.15):
        return row | dice.pick(NEVER_STARTED)
    status = dice.pick(STARTED_STATUSES)
    first = at + timedelta(seconds=dice.uniform(60, 86_400))
    second = first + timedelta(seconds=dice.uniform(60, 259_200))
    if status == "OPEN" and dice.chance(0.7):
        return {**row, "status": status, "last_started": dice.print_date(first)}
    started, stopped = (second, first) if status == "OPEN" else (first, second)
    return {
        **row,
        "status": status,
        "last_close_reason": dice.pick(CLOSE_REASONS),
        "last_started": dice.print_date(started),
        "last_stopped": dice.print_date(stopped),
    }


def _pool_settings(dice: Dice) -> Json:
    quality_control: Json = {"configs": _rules(dice)}
    if dice.chance(0.3):
        quality_control["training_requirement"] = {
            "training_pool_id": "31226418",
            "training_passing_skill_value": dice.randrange(101),
        }
    if dice.chance(0.2):
        quality_control["captcha_frequency"] = dice.pick(("LOW", "MEDIUM", "HIGH"))
    return {
        "may_contain_adult_content": dice.chance(0.2),
        "reward_per_assignment": dice.pick(samples.AMOUNTS),
        "assignment_max_duration_seconds": dice.pick((5, 60, 600, 86_400)),
        "private_comment": dice.pick(samples.COMMENTS),
        "public_description": dice.pick(samples.NAMES),
        "public_instructions": dice.pick(samples.INSTRUCTIONS),
        "will_expire": dice.pick(EXPIRES),
        "auto_close_after_complete_delay_seconds": dice.pick((0, 60, 259_200)),
        "dynamic_pricing_config": {
            "type": "SKILL",
            "skill_id": "12648",
            "intervals": [
                {"from": 1, "to": 49, "reward_per_assignment": dice.pick(samples.AMOUNTS)},
                {"from": 50, "to": 100, "reward_per_assignment": dice.pick(samples.AMOUNTS)},
            ],
        },
        "metadata": dice.pick(METADATA),
        "auto_accept_solutions": dice.chance(0.5),
        "auto_accept_period_day": dice.randrange(1, 22),
        "assignments_issuing_config": {"issue_task_suites_in_creation_order": dice.chance(0.5)},
        "filter": make_filter(dice),
        "quality_control": quality_control,
        "mixer_config": {
            "real_tasks_count": dice.randrange(1, 501),
            "golden_tasks_count": dice.randrange(10),
            "training_tasks_count": 0,
            "min_real_tasks_count": 1,
            "min_golden_tasks_count": 0,
            "min_training_tasks_count": None,
            "force_last_assignment": dice.chance(0.5),
            "force_last_assignment_delay_seconds": dice.randrange(86_401),
            "mix_tasks_in_creation_order": dice.chance(0.5),
            "shuffle_tasks_in_task_suite": dice.chance(0.5),
        },
        "dynamic_overlap_config": {
            "type": "BASIC",
            "max_overlap": dice.randrange(6, 30_001),
            "min_confidence": dice.pick((Decimal("0.85"), Decimal("0.9500"), 1)),
            "answer_weight_skill_id": "12648",
            "fields": [{"name": "result"}],
        },
        "training_config": {"training_skill_ttl_days": dice.randrange(1, 365)},
        "defaults": {
            "default_overlap_for_new_task_suites": dice.randrange(1, 6),
            "default_overlap_for_new_tasks": dice.randrange(1, 6),
        },
        "training": False,
        "priority": dice.randrange(101),
        "owner": dice.pick(samples.OWNERS),
        "speed_quality_balance": dice.pick(BALANCES),
    }


def _rules(dice: Dice) -> list[Json]:
    """Make up some rules of quality control."""
    return [
        {
            "collector_config": {"type": collector, "uuid": dice.uuid(), "parameters": parameters},
            "rules": [
                {
                    "conditions": [{"key": key, "operator": operator, "value": value}],
                    "action": {"type": action, "parameters": action_parameters},
                }
            ],
        }
        for collector, parameters, (key, operator, value), (action, action_parameters) in (
            dice.sample(RULES, dice.randrange(1, 4))
        )
    ]


MAKERS = {"projects": _project, "pools": _pool, "trainings": _training}
