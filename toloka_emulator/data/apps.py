"""Rows of the apps API."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from toloka_emulator.data.parts import APP_IDS, APP_PROJECT_IDS, BATCH_IDS, Born, app_id
from toloka_emulator.data.pools import NAMES, Dice, Json, print_date
from toloka_emulator.server.resources import RESOURCES

PRICES = tuple(Decimal(text) for text in ("0.07", "0.070", "1", "0.005", "0.2"))
INPUTS: tuple[Json, ...] = (
    {"id": "2", "text": "Cat", "image_url": "https://example.com/image1.jpg"},
    {"id": "17", "text": "Кот? 🐈", "weight": Decimal("0.50")},
    {"query": "red shoes", "results": [{"url": "https://example.com/1", "rank": 1}]},
)
OUTPUTS: tuple[Json, ...] = (
    {"result": ["cat"], "confidence": Decimal("0.9300")},
    {"result": "relevant"},
    {"result": None, "comment": "не видно"},
)
ITEM_STATUSES = RESOURCES["app_items"].values["status"]
BATCH_STATUSES = RESOURCES["app_batches"].values["status"]
ERRORS: tuple[list[Json], ...] = (
    [],
    [],
    [
        {
            "code": "DOES_NOT_EXIST",
            "message": "The project doesn't exist",
            "payload": {"instruction_class": "dog", "instruction_field": "example"},
        }
    ],
    [{"code": "VALIDATION_ERROR", "message": "Validation failed", "payload": None}],
)


def _app(born: Born, dice: Dice) -> Json:
    known = born.place < len(APP_IDS)
    return make_app(APP_IDS[born.place] if known else app_id(dice), dice.pick(NAMES), dice)


def make_app(row_id: str, name: str, dice: Dice) -> Json:
    """Make a template of projects."""
    return {
        "id": row_id,
        "name": name,
        "image": "https://example.com/product_relevance_large.png",
        "description": dice.pick(NAMES),
        "examples": [] if dice.chance(0.5) else [{"description": "Cats", "items": [1, 2]}],
        "default_item_price": dice.pick(PRICES),
    }


def _app_project(born: Born, dice: Dice) -> Json:
    known = born.place < len(APP_PROJECT_IDS)
    name = f"{dice.pick(NAMES)} {born.place}"
    template = dice.pick(APP_IDS)
    return {
        "id": APP_PROJECT_IDS[born.place] if known else app_id(dice),
        "app_id": template,
        "parent_app_project_id": dice.pick(("", "", APP_PROJECT_IDS[0])),
        "status": dice.pick(RESOURCES["app_projects"].values["status"]),
        "created": born.printed,
        "name": name,
        "parameters": make_parameters(name),
        "errors": dice.pick(ERRORS),
        "item_price": dice.pick(PRICES),
        "read_only": dice.chance(0.2),
        "app": {"id": template, "name": dice.pick(NAMES)},
    }


def make_parameters(name: str) -> Json:
    """Make what a project sets of its template."""
    return {
        "name": name,
        "default_language": "en",
        "option_other": True,
        "instruction_classes": [
            {"label": "Cat", "value": "cat", "description": "Feline"},
            {"label": "Собака", "value": "dog", "description": None},
        ],
        "option_base_rate": Decimal("0.50"),
    }


def _app_item(born: Born, dice: Dice) -> Json:
    status = dice.pick(ITEM_STATUSES)
    started = born.at + timedelta(seconds=dice.uniform(1, 3_600))
    row: Json = {
        "id": app_id(dice),
        "app_project_id": dice.pick(APP_PROJECT_IDS),
        "batch_id": dice.pick(BATCH_IDS),
        "status": status,
        "input_data": dice.pick(INPUTS),
        "output_data": dice.pick(OUTPUTS) if status == "COMPLETED" else {},
        "errors": dice.pick(ERRORS[2:]) if status == "ERROR" else [],
        "created_at": born.printed,
    }
    if status != "NEW":
        row["started_at"] = print_date(started, dice)
    if status in {"COMPLETED", "ERROR"}:
        row["finished_at"] = print_date(started + timedelta(hours=dice.uniform(0, 9)), dice)
    return row


def _app_batch(born: Born, dice: Dice) -> Json:
    known = born.place < len(BATCH_IDS)
    status = dice.pick(BATCH_STATUSES)
    later = [print_date(born.at + timedelta(hours=hours), dice) for hours in (1, 2, 3, 4)]
    counts = {state: dice.randrange(5) for state in ITEM_STATUSES}
    row: Json = {
        "id": BATCH_IDS[born.place] if known else app_id(dice),
        "app_project_id": dice.pick(APP_PROJECT_IDS),
        "status": status,
        "name": f"Batch {dice.pick(NAMES)} {born.place}",
        "items_count": sum(counts.values()),
        "item_price": dice.pick(PRICES),
        "cost": dice.pick(PRICES),
        "cost_of_processed": dice.pick(PRICES),
        "created_at": born.printed,
        "read_only": dice.chance(0.2),
        "validation_errors": {},
        "last_items_import": {
            "id": app_id(dice),
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
