"""Projects, pools and trainings (openapi: ProjectView, PoolViewV1, TrainingViewV1)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal

from toloka_emulator.data import values
from toloka_emulator.data.values import OWNER, Dice, Json

METADATA: tuple[Json, ...] = ({}, {"batch": ["17", "срочно"], "client-ref": ["a/b?c=d"]})
TEXTS = ("public_name", "public_description", "public_instructions")
VIEW_SETTINGS = (
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
CLOSE_REASONS = ("MANUAL", "EXPIRED", "COMPLETED", "NOT_ENOUGH_BALANCE", "BLOCKED", "FOR_UPDATE")
TOP_PERCENT = {"type": "TOP_PERCENTAGE_BY_QUALITY", "percent": 90}
BEST_USERS = {"type": "BEST_CONCURRENT_USERS_BY_QUALITY", "count": 20}

# What an action of quality control has as parameters. The openapi requires `scope` for all.
ACTIONS: dict[str, Json] = {
    "RESTRICTION_V2": {"scope": "PROJECT", "duration": 10, "duration_unit": "DAYS"},
    "SET_SKILL_FROM_OUTPUT_FIELD": {"scope": "POOL", "skill_id": "12648", "from_field": "result"},
    "SET_SKILL": {"scope": "POOL", "skill_id": "12649", "skill_value": 1},
    "CHANGE_OVERLAP": {"scope": "POOL", "delta": 1, "open_pool": True},
    "REJECT_ALL_ASSIGNMENTS": {"scope": "POOL", "public_comment": "Слишком много ошибок"},
}
# Collectors, each with a condition and an action.
RULES: tuple[tuple[str, str, str, object, str], ...] = (
    ("ASSIGNMENT_SUBMIT_TIME", "fast_submitted_count", "GTE", 2, "RESTRICTION_V2"),
    ("GOLDEN_SET", "correct_answers_rate", "LT", Decimal("60.0"), "RESTRICTION_V2"),
    ("MAJORITY_VOTE", "total_answers_count", "GT", 9, "SET_SKILL_FROM_OUTPUT_FIELD"),
    ("ANSWER_COUNT", "assignments_accepted_count", "GTE", 1, "SET_SKILL"),
    ("USERS_ASSESSMENT", "pool_access_revoked_reason", "EQ", "RESTRICTION", "CHANGE_OVERLAP"),
    ("ACCEPTANCE_RATE", "rejected_assignments_rate", "GT", 35, "REJECT_ALL_ASSIGNMENTS"),
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
    translations = {name: _translated(dice.pick(values.NAMES)) for name in TEXTS}
    return {
        "public_name": f"{dice.pick(values.NAMES)} {facts['id']}",
        "public_description": dice.pick(values.NAMES),
        "public_instructions": dice.pick(values.INSTRUCTIONS),
        "private_comment": dice.pick(values.COMMENTS),
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
        "owner": dice.pick(values.OWNERS),
        "status": dice.pick(("ACTIVE", "ACTIVE", "ARCHIVED")),
    }


def _translated(text: str) -> Json:
    return {"value": text, "source": "REQUESTER"}


def _view(dice: Dice) -> Json:
    settings = {f"show{name}": dice.chance(0.5) for name in VIEW_SETTINGS}
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
        "inferDataSpec": dice.chance(0.5),  # as the next one, toloka-kit 1.2.3 and its tests
        "inputExample": dice.pick(([], [{"image": "https://example.com/1.png"}], {"text": "Кот?"})),
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
        "private_comment": dice.pick(values.COMMENTS),  # as the next one, Toloka's guides
        "public_description": dice.pick(values.NAMES),
        "inherited_instructions": not own_instructions,
        "public_instructions": dice.pick(values.INSTRUCTIONS) if own_instructions else "",
        "may_contain_adult_content": dice.chance(0.2),
        "assignment_max_duration_seconds": 600,
        "mix_tasks_in_creation_order": dice.chance(0.5),
        "shuffle_tasks_in_task_suite": dice.chance(0.5),
        "training_tasks_in_task_suite_count": dice.randrange(500),
        "task_suites_required_to_pass": dice.randrange(500),
        "metadata": {},
        "owner": OWNER,
        **_name_and_history(dice, at, facts),
    }
    if dice.chance(0.5):
        row["retry_training_after_days"] = dice.randrange(1, 60)
    return row


def _name_and_history(dice: Dice, at: datetime, facts: Json) -> Json:
    """Make up the name, and unless the status is given, that with its dates and its reason."""
    row = {
        "project_id": dice.pick(values.PROJECT_IDS),
        "private_name": f"{dice.pick(values.NAMES)} {dice.randrange(100_000)}",
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
            "training_passing_skill_value": dice.pick((80, 100, Decimal("66.50"))),
        }
    if dice.chance(0.2):
        quality_control["captcha_frequency"] = dice.pick(("LOW", "MEDIUM", "HIGH"))
    return {
        "may_contain_adult_content": dice.chance(0.2),
        "reward_per_assignment": dice.pick(values.AMOUNTS),
        "assignment_max_duration_seconds": dice.pick((5, 60, 600, 86_400)),
        "private_comment": dice.pick(values.COMMENTS),
        "public_description": dice.pick(values.NAMES),
        "public_instructions": dice.pick(values.INSTRUCTIONS),
        "will_expire": dice.pick(EXPIRES),
        "auto_close_after_complete_delay_seconds": dice.pick((0, 60, 259_200)),
        "dynamic_pricing_config": {
            "type": "SKILL",
            "skill_id": "12648",
            "intervals": [
                {"from": 1, "to": 49, "reward_per_assignment": dice.pick(values.AMOUNTS)},
                {"from": 50, "to": 100, "reward_per_assignment": dice.pick(values.AMOUNTS)},
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
        "owner": dice.pick(values.OWNERS),
        "speed_quality_balance": dice.pick((TOP_PERCENT, BEST_USERS)),
    }


def _rules(dice: Dice) -> list[Json]:
    """Make up the `configs` of quality control."""
    configs = []
    for collector, key, operator, value, action in dice.sample(RULES, dice.randrange(1, 4)):
        rule = {
            "conditions": [{"key": key, "operator": operator, "value": value}],
            "action": {"type": action, "parameters": ACTIONS[action]},
        }
        parameters = {"history_size": dice.randrange(5, 50)}
        about = {"type": collector, "uuid": dice.uuid(), "parameters": parameters}
        configs.append({"collector_config": about, "rules": [rule]})
    return configs


MAKERS = {"projects": _project, "pools": _pool, "trainings": _training}
