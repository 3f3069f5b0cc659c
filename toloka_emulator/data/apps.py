"""What the apps API has: apps, their projects, and the items and batches in these."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from toloka_emulator.data import values
from toloka_emulator.data.values import APP_IDS, Dice, Json
from toloka_emulator.server.resources import RESOURCES

PROJECT_STATUSES = RESOURCES["app_projects"].filters["status"].values
ITEM_STATUSES = RESOURCES["app_items"].filters["status"].values
BATCH_STATUSES = RESOURCES["app_batches"].filters["status"].values
ITEM_ERROR = {"code": "INTERNAL_ERROR", "message": "Could not be processed", "payload": None}
PROJECT_ERROR = {
    "code": "DOES_NOT_EXIST",
    "message": "The project doesn't exist",
    "payload": {"instruction_class": "dog", "instruction_field": "example"},
}


STRING = {"type": "string"}
EXAMPLES: tuple[object, ...] = (
    [],  # openapi
    [{"description": "Cats", "items": [1, 2]}],
    {},  # toloka-kit's tests
    {"text": "Кот?", "label": "cat"},
)


def _app(dice: Dice, _at: datetime, _facts: Json) -> Json:
    return {
        "id": dice.app_id(),
        "name": dice.pick(values.NAMES),
        "image": "https://example.com/product_relevance_large.png",
        "description": dice.pick(values.NAMES),
        "examples": dice.pick(EXAMPLES),
        "default_item_price": dice.pick(values.AMOUNTS),
        # toloka-kit 1.2.3 and its tests
        "constraints_description": dice.pick(values.NAMES),
        "param_spec": {"fields": {"required": ["name"], "properties": {"name": STRING}}},
        "input_spec": {"id": {**STRING, "required": False, "hidden": False}},
        "output_spec": {"результат": {"type": "array_string", "required": True, "hidden": False}},
        "input_format_info": {
            "examples": {"id": "1", "text": dice.pick(values.NAMES)},
            "input_fields": [{"name": "text", "description": "Text"}],
            "format_description": "A TSV or JSON file for all items",
        },
    }


def _app_project(dice: Dice, _at: datetime, facts: Json) -> Json:
    app_id = facts.get("app_id") or dice.pick(APP_IDS)
    name = facts.get("name") or f"{dice.pick(values.NAMES)} {dice.randrange(1000)}"
    return {
        "id": dice.app_id(),
        "app_id": app_id,
        "parent_app_project_id": dice.pick(("", "", values.APP_PROJECT_IDS[0])),
        "status": dice.pick(PROJECT_STATUSES),
        "name": name,
        "parameters": {
            "name": name,
            "default_language": "en",
            "option_other": True,
            "instruction_classes": [
                {"label": "Cat", "value": "cat", "description": "Feline"},
                {"label": "Собака", "value": "dog", "description": None},
            ],
            "option_base_rate": Decimal("0.50"),
        },
        "errors": dice.pick(([], [], [PROJECT_ERROR])),
        "item_price": dice.pick(values.AMOUNTS),
        "read_only": dice.chance(0.2),
        "app": {"id": app_id, "name": dice.pick(values.NAMES)},
    }


def _app_item(dice: Dice, at: datetime, facts: Json) -> Json:
    status = facts.get("status") or dice.pick(ITEM_STATUSES)
    started = at + timedelta(seconds=dice.uniform(1, 3_600))
    row: Json = {
        "id": dice.app_id(),
        "app_project_id": dice.pick(values.APP_PROJECT_IDS),
        "batch_id": dice.pick(values.BATCH_IDS),
        "status": status,
        "input_data": dice.pick(values.INPUTS),
        "output_data": dice.pick(values.OUTPUTS) if status == "COMPLETED" else {},
        "errors": [ITEM_ERROR] if status == "ERROR" else [],
    }
    if status != "NEW":
        row["started_at"] = dice.print_date(started)
    if status in {"COMPLETED", "ERROR"}:
        row["finished_at"] = dice.print_date(started + timedelta(hours=dice.uniform(0, 9)))
    return row


def _app_batch(dice: Dice, at: datetime, facts: Json) -> Json:
    status = facts.get("status") or dice.pick(BATCH_STATUSES)
    later = [dice.print_date(at + timedelta(hours=hours)) for hours in (1, 9, 10, 11)]
    counts = facts.get("items_per_state") or {state: dice.randrange(5) for state in ITEM_STATUSES}
    row: Json = {
        "id": dice.app_id(),
        "app_project_id": dice.pick(values.APP_PROJECT_IDS),
        "status": status,
        "name": f"Batch {dice.pick(values.NAMES)} {dice.randrange(1000)}",
        "items_count": sum(counts.values()),
        "item_price": dice.pick(values.AMOUNTS),
        "cost": dice.pick(values.AMOUNTS),
        "cost_of_processed": dice.pick(values.AMOUNTS),
        "read_only": dice.chance(0.2),
        "validation_errors": {},
        "last_items_import": {
            "id": dice.app_id(),
            "records_count": 5,
            "records_processed": 4,
            "records_skipped": 1,
            "errors": {},
        },
        "confidence_avg": dice.pick((Decimal("0.9300"), 1)),
        "items_processed_count": counts["COMPLETED"],
        "items_per_state": counts,
        "current_time": later[3],
        "priority_order": dice.pick(("ONE", "TWO", "THREE", "FOUR", "FIVE")),
    }
    if dice.chance(0.5):  # the openapi's schema has this one, its examples and toloka-kit the other
        row["item_count"] = row["items_count"]
    if status in {"QUEUED", "PROCESSING"}:
        row |= {"etd": later[1], "eta": later[2], "app_project_eta": later[3]}
    if status not in {"NEW", "QUEUED", "LOADING"}:
        row["started_at"] = later[0]
    if status == "COMPLETED":
        row["finished_at"] = later[1]
    return row


MAKERS = {
    "apps": _app,
    "app_projects": _app_project,
    "app_items": _app_item,
    "app_batches": _app_batch,
}
