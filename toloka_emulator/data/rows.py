"""Rows of all lists, as Toloka has them: fields and ranges of the views of the openapi."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from toloka_emulator.data import apps, work
from toloka_emulator.data.changes import begin
from toloka_emulator.data.parts import (
    AGGREGATION_IDS,
    AMOUNTS,
    ASSIGNMENT_IDS,
    LOGGED_IDS,
    OWNERS,
    POOL_IDS,
    SKILL_IDS,
    TRANSLATIONS,
    USER_IDS,
    Born,
    object_id,
    random_uuid,
)
from toloka_emulator.data.pools import (
    COMMENTS,
    CREATED_FROM,
    INSTRUCTIONS,
    NAMES,
    OWNER,
    PROJECT_IDS,
    Dice,
    Json,
    make_dates,
    make_filter,
    make_life,
    make_pools,
    make_rules,
    make_training_settings,
    print_date,
    print_exactly,
)
from toloka_emulator.server.resources import RESOURCES, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

METADATA: tuple[Json, ...] = ({}, {"batch": ["17", "срочно"], "client-ref": ["a/b?c=d"]})
SKILL_VALUES = tuple(Decimal(text) for text in ("100", "0", "66.667", "87.50", "33.3333333333333"))
EVENTS = RESOURCES["webhook_subscriptions"].values["event_type"]
FOLDERS: tuple[list[str], ...] = (
    ["OUTBOX"],
    ["INBOX", "UNREAD"],
    ["INBOX"],
    ["AUTOMATIC_NOTIFICATION", "IMPORTANT"],
    [],
)
# What toloka-kit 1.2.3 cannot do without.
VITAL = (
    "assignments_issuing_type",
    "assignments_issuing_view_config",
    "attachment_type",
    "overlap",
    "infinite_overlap",
)
SETTINGS = (
    "showTimer",
    "showTitle",
    "showInstructions",
    "showFullscreen",
    "showSubmit",
    "showSkip",
    "showFinish",
    "showMessage",
    "showReward",
)


def make_rows(name: str, count: int, *, seed: int = 0) -> Iterator[Json]:
    """Make rows of a list, the same ones for the same arguments.

    Numbers as ids rise with gaps, from six digits to seven. Dates rise with them, if not always, in
    all the forms that Toloka prints, and now and then two rows have the same. All fields of the
    reference are there in some rows; what is no key and no date is also null or absent in some.
    Rows that belong to others name some of a few: to pools, Tolokers, operations, app projects of
    `parts`; the first rows of operations, app projects and the like are these.

    Args:
        name: Which list, by the names of `RESOURCES`.
        count: How many.
        seed: Other rows for another seed.
    """
    number = 10**6 - 4 * count  # in the middle the numbers get a digit more
    if name == "pools":
        yield from make_pools(count, seed=seed, first_id=number)
        return
    dice = Dice(f"{name} {seed}")
    make, kept = MAKERS[name], _kept(RESOURCES[name])
    if RESOURCES[name].answers == "one":  # and that one whole
        yield from (make(Born(0, str(number), CREATED_FROM, ""), dice) for _ in range(count)[:1])
        return
    for place, (at, printed) in enumerate(make_dates(count, dice)):
        number += dice.randrange(1, 16)
        row = make(Born(place, str(number), at, printed), dice)
        for field in [*row]:
            if field in kept:
                continue
            if dice.chance(0.15):
                row[field] = None
            elif dice.chance(0.15):
                del row[field]
        yield row


def make_row(name: str, dice: Dice, at: datetime, **fields: object) -> Json:
    """Make a row of a list that came to be at this moment.

    Args:
        name: Which list.
        dice: Decides what it is.
        at: When it came to be, with a zone.
        fields: What is decided already, as `pool_id` and `status`: all else goes with it.
    """
    if name == "assignments":
        return begin(str(fields.pop("pool_id")), at, dice, **fields)
    number = str(dice.randrange(900_000, 10**12))
    row = {**MAKERS[name](Born(len(USER_IDS), number, at, print_exactly(at)), dice), **fields}
    if row.get("status") == "PENDING":
        row = {field: row[field] for field in row.keys() - {"started", "finished"}}
        row |= {"id": random_uuid(dice), "progress": 0}
    if row.get("status") == "NEW":
        row = {field: row[field] for field in row.keys() - {"started_at", "finished_at"}}
    return row


def _kept(resource: Resource) -> set[str]:
    """Name the fields that every row has: ids, those that tell of other fields, and dates."""
    filters = [*resource.several, *resource.dates]
    if resource.apart_by:
        filters.append(resource.apart_by)
    fields = {resource.fields.get(name, name).partition(".")[0] for name in filters}
    return {"scope", "type", resource.id_field, *resource.unanswered, *fields, *VITAL}


def _project(born: Born, dice: Dice) -> Json:
    on_map = dice.chance(0.3)
    return {
        "id": born.id,
        "public_name": f"{dice.pick(NAMES)} {born.id}",
        "public_description": dice.pick(NAMES),
        "public_instructions": dice.pick(INSTRUCTIONS),
        "private_comment": dice.pick(COMMENTS),
        "task_spec": {
            "input_spec": {"image": {"type": "url", "required": True, "hidden": False}},
            "output_spec": {
                "результат": {
                    "type": "string",
                    "required": True,
                    "hidden": False,
                    "allowed_values": ["cat", "dog", "猫"],
                }
            },
            "view_spec": dice.pick((_classic, _template_builder))(dice),
        },
        "assignments_issuing_type": "MAP_SELECTOR" if on_map else "AUTOMATED",
        "assignments_issuing_view_config": {
            "title_template": "{{inputParams['title']}}",
            "description_template": "{{inputParams['description']}}",
            "map_provider": dice.pick(("GOOGLE", "YANDEX")),
        }
        if on_map
        else None,
        "quality_control": {"configs": make_rules(dice)},
        "assignments_automerge_enabled": dice.chance(0.5),
        "max_active_assignments_count": dice.randrange(1, 16),
        "metadata": dice.pick(METADATA),
        "sensitive": dice.chance(0.2),
        "localization_config": {
            "default_language": "EN",
            "additional_languages": [
                {
                    "language": "RU",
                    **{
                        field: {"value": dice.pick(NAMES), "source": "REQUESTER"}
                        for field in ("public_name", "public_description", "public_instructions")
                    },
                    "tb_view_spec": {
                        "keys": [{"key": "button", "value": "Готово", "source": "REQUESTER"}]
                    },
                    "message_on_unknown_solution": {"value": "Это кот", "source": "REQUESTER"},
                }
            ],
        },
        "owner": dice.pick(OWNERS),
        "status": dice.pick(("ACTIVE", "ACTIVE", "ARCHIVED")),
        "created": born.printed,
    }


def _classic(dice: Dice) -> Json:
    return {
        "type": "classic",
        "markup": '<div class="q">{{image}}</div>\n',
        "script": "exports.Task = extend(TolokaHandlebarsTask, () => {});\r\n",
        "styles": ".q { color: #f00 }",
        "assets": {
            "script_urls": ["$TOLOKA_ASSETS/js/toloka-handlebars-templates.js"],
            "style_urls": ["https://example.com/style.css"],
        },
        "settings": {name: dice.chance(0.5) for name in SETTINGS},
    }


def _template_builder(dice: Dice) -> Json:
    # The openapi says array; toloka-kit 1.2.3 writes and reads JSON in a text.
    view = {"type": "view.text", "content": "Кот?"}
    return {
        "type": "tb",
        "config": json.dumps({"view": view}, ensure_ascii=False),
        "lock": {"core": "1.15.0", "view.text": "1.2.0"},
        "settings": {name: dice.chance(0.5) for name in SETTINGS},
        "localizationConfig": {"keys": '"key": "button", "defaultValue": "Done"'},
    }


def _training(born: Born, dice: Dice) -> Json:
    settings = make_training_settings(dice)
    del settings["type"]  # the list of pools tells it, that of trainings does not
    return {
        "id": born.id,
        "project_id": dice.pick(PROJECT_IDS),
        "private_name": f"{dice.pick(NAMES)} {born.id}",
        **settings,
        **make_life(born.at, dice),
        "created": born.printed,
    }


def _skill(born: Born, dice: Dice) -> Json:
    return {
        "id": born.id,
        "name": f"{dice.pick(NAMES)} {born.id}",
        "public_name": dice.pick(TRANSLATIONS),
        "private_comment": dice.pick(COMMENTS),
        "public_requester_description": dice.pick(TRANSLATIONS),
        "hidden": dice.chance(0.7),
        "skill_ttl_hours": dice.randrange(1, 10_000),
        "deprecated": dice.chance(0.1),
        "owner": dice.pick(OWNERS),
        "training": dice.chance(0.3),
        "created": born.printed,
        "global": dice.chance(0.2),
    }


def _user_skill(born: Born, dice: Dice) -> Json:
    value = dice.pick(SKILL_VALUES)
    changed = dice.chance(0.5)
    modified = print_date(born.at + timedelta(days=dice.uniform(0, 20)), dice)
    return {
        "id": born.id,
        "skill_id": dice.pick(SKILL_IDS),
        "user_id": dice.pick(USER_IDS),
        "value": round(value),
        "exact_value": value,
        "created": born.printed,
        "modified": modified if changed else born.printed,
    }


def _user_restriction(born: Born, dice: Dice) -> Json:
    scope = dice.pick(("ALL_PROJECTS", "POOL", "PROJECT", "SYSTEM"))
    row = {
        "id": born.id,
        "scope": scope,
        "user_id": dice.pick(USER_IDS),
        "private_comment": dice.pick(COMMENTS),
        "will_expire": print_date(born.at + timedelta(days=10), dice),
        "created": born.printed,
    }
    if scope == "POOL":
        row["pool_id"] = dice.pick(POOL_IDS)
    if scope == "PROJECT":
        row["project_id"] = dice.pick(PROJECT_IDS)
    return row


def _user_bonus(born: Born, dice: Dice) -> Json:
    silent = dice.chance(0.3)
    return {
        "id": born.id,
        "user_id": dice.pick(USER_IDS),
        "amount": dice.pick(AMOUNTS),
        "private_comment": dice.pick(COMMENTS),
        "public_title": None if silent else dice.pick(TRANSLATIONS),
        "public_message": None if silent else dice.pick(TRANSLATIONS),
        "without_message": silent,
        "assignment_id": dice.pick(ASSIGNMENT_IDS),
        "created": born.printed,
    }


def _message_thread(born: Born, dice: Dice) -> Json:
    requester = {"id": OWNER["id"], "role": "REQUESTER", "myself": True}
    toloker = {"id": dice.pick(USER_IDS), "role": "USER"}
    system = {"id": None, "role": "SYSTEM", "myself": False}
    messages = [
        {
            "text": dice.pick(TRANSLATIONS),
            "from": dice.pick((requester, toloker, system)),
            "created": print_date(born.at + timedelta(hours=hours), dice),
        }
        for hours in range(dice.randrange(3), -1, -1)
    ]
    directly = {"recipients_select_type": "DIRECT", "recipients_ids": [toloker["id"]]}
    by_filter = {"recipients_select_type": "FILTER", "recipients_filter": make_filter(dice)}
    return {
        "id": object_id(born.at, dice),
        "parent_id": object_id(born.at, dice),
        "topic": dice.pick(TRANSLATIONS),
        "interlocutors_inlined": True,
        "interlocutors": [requester, toloker],
        "messages_inlined": True,
        "messages": messages,
        "compose_details": dice.pick((directly, by_filter, {"recipients_select_type": "ALL"})),
        "meta": dice.pick(
            (
                {},
                {"pool_id": dice.pick(POOL_IDS), "project_id": dice.pick(PROJECT_IDS)},
                {"assignment_id": dice.pick(ASSIGNMENT_IDS)},
            )
        ),
        "folders": dice.pick(FOLDERS),
        "answerable": dice.chance(0.5),
        "created": born.printed,
    }


def _webhook_subscription(born: Born, dice: Dice) -> Json:
    return {
        "id": object_id(born.at, dice),
        "event_type": dice.pick(EVENTS),
        "webhook_url": "https://example.com/toloka-webhook?from=Толока&x=%20",
        "pool_id": dice.pick(POOL_IDS),
        # The only list of whose dates the openapi has an example with a zone.
        "created": f"{born.printed}Z" if len(born.printed) == len("…:ss.sss") else born.printed,
    }


# Type, and what such operations have as parameters and as details.
OPERATIONS: tuple[tuple[str, Json, Json | None], ...] = (
    ("POOL.OPEN", {"pool_id": "36502086"}, None),
    ("POOL.CLONE", {"pool_id": "36502086"}, {"pool_id": "36502087"}),
    ("TRAINING.ARCHIVE", {"training_id": "31226418"}, {}),
    ("PROJECT.ARCHIVE", {"project_id": "81776"}, None),
    (
        "TASK.BATCH_CREATE",
        {"skip_invalid_items": True, "allow_defaults": False, "open_pool": True},
        {"total_count": 12, "valid_count": 11, "not_valid_count": 1, "success_count": 11},
    ),
    (
        "ANALYTICS",
        {"value": [{"name": "completion_percentage", "subject": "POOL", "subject_id": "36502086"}]},
        {"value": [{"result": {"type": "NORMAL", "value": Decimal("96.50")}}]},
    ),
)


# Those whose solutions or logs can be read.
_READABLE = [*((known, "SOLUTION.AGGREGATE") for known in AGGREGATION_IDS), *LOGGED_IDS.items()]


def _operation(born: Born, dice: Dice) -> Json:
    kind, parameters, details = dice.pick(OPERATIONS)
    row_id = random_uuid(dice)
    if born.place < len(_READABLE):
        row_id, kind = _READABLE[born.place]
        parameters, details = {"pool_id": "36502086"}, {}
    status = dice.pick(("PENDING", "RUNNING", "SUCCESS", "SUCCESS", "FAIL"))
    row = {
        "id": row_id,
        "type": kind,
        "status": status,
        "submitted": born.printed,
        "progress": 0 if status == "PENDING" else dice.randrange(101),
        "parameters": parameters,
        "details": details,
    }
    if status != "PENDING":
        row["started"] = print_date(born.at + timedelta(milliseconds=131), dice)
    if status in {"SUCCESS", "FAIL"}:
        row["finished"] = print_date(born.at + timedelta(milliseconds=759), dice)
    return row


MAKERS: dict[str, Callable[[Born, Dice], Json]] = {
    "projects": _project,
    "trainings": _training,
    "skills": _skill,
    "user_skills": _user_skill,
    "user_restrictions": _user_restriction,
    "user_bonuses": _user_bonus,
    "message_threads": _message_thread,
    "webhook_subscriptions": _webhook_subscription,
    "operations": _operation,
    **work.MAKERS,
    **apps.MAKERS,
}
