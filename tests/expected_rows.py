"""An account that has rows of one stream and what they belong to; and how the tap prints them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from tap_toloka.streams import STREAMS
from tests.runner import expected, in_one_form
from toloka_emulator import (
    AGGREGATION_IDS,
    LOGGED_IDS,
    POOL_IDS,
    RESOURCES,
    Emulator,
    make_pool,
    make_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_toloka.client import TolokaStream

Row = dict[str, Any]

FILTERS_OF_POOLS: tuple[Any, ...] = (
    {"and": [{"or": [{"category": "skill", "key": "12648", "operator": "GTE", "value": 80}]}]},
    {},
    [{"or": []}, "skill"],
    7,
)
"""Filters of pools may be any JSON. Text and booleans are missing: target-duckdb fails on them."""


def emulator_of(stream: type[TolokaStream], count: int, seed: int, **settings: Any) -> Emulator:
    """Make an emulator with rows of one stream, and what these belong to."""
    return emulator_with(stream, make_rows(stream.name, count, seed=seed), **settings)


def emulator_with(stream: type[TolokaStream], rows: Iterable[Row], **settings: Any) -> Emulator:
    """Make an emulator with these rows of one stream, and what such rows belong to."""
    rows = list(rows)
    return Emulator(rows={stream.name: rows, **_owners(stream, rows)}, **settings)


def whole_account(count: int, seed: int) -> dict[str, list[Row]]:
    """Make so many rows of each list, and what they belong to."""
    rows = {stream.name: list(make_rows(stream.name, count, seed=seed)) for stream in STREAMS}
    pools = [
        {**open_pool(id_), "filter": filter_}
        for id_, filter_ in zip(POOL_IDS, FILTERS_OF_POOLS, strict=True)
    ]
    owners = {"pools": pools, "operations": finished_operations()}
    for name, fixed in owners.items():
        ids = {row["id"] for row in fixed}
        rows[name] = fixed + [row for row in rows[name] if row["id"] not in ids]
    return rows


def _owners(stream: type[TolokaStream], rows: list[Row]) -> dict[str, list[Row]]:
    if stream.listed_by == "pool_id":
        return {"pools": [open_pool(id_) for id_ in POOL_IDS]}
    if stream.listed_by == "operation_id":
        return {"operations": finished_operations()}
    if stream.listed_by == "app_project_id":
        return {"app_projects": list(make_rows("app_projects", 3))}
    if stream.listed_by == "user_id":
        assignments = [assignment_of(row["id"], place) for place, row in enumerate(rows)]
        return {"pools": [open_pool(POOL_IDS[0])], "assignments": assignments}
    return {}


def open_pool(id_: str) -> Row:
    """Make a pool that no run skips."""
    return make_pool(id_, "2019-01-01T00:00:00", status="OPEN")


def assignment_of(user_id: str, place: int) -> Row:
    """Make an assignment of a Toloker, in the first of the pools."""
    id_ = f"{int(POOL_IDS[0]):010x}--{place:024x}"
    created = "2024-05-06T07:08:09.123"
    return {"id": id_, "pool_id": POOL_IDS[0], "user_id": user_id, "created": created}


def finished_operations(now: datetime | None = None) -> list[Row]:
    """Make operations that rows are kept of, not so long ago that their logs would be archived."""
    types = {**dict.fromkeys(AGGREGATION_IDS, "SOLUTION.AGGREGATE"), **LOGGED_IDS}
    return [
        finished_operation(id_, type_, days, now) for days, (id_, type_) in enumerate(types.items())
    ]


def finished_operation(id_: str, type_: str, days: float, now: datetime | None = None) -> Row:
    """Make an operation that finished so many days before `now`."""
    finished = (now or datetime.now(timezone.utc)) - timedelta(days=days, minutes=5)
    submitted, finished_text = (
        moment.strftime("%Y-%m-%dT%H:%M:%S") for moment in (finished - timedelta(hours=1), finished)
    )
    return {
        "id": id_,
        "type": type_,
        "status": "SUCCESS",
        "submitted": submitted,
        "finished": finished_text,
    }


def printed(stream: type[TolokaStream], emulator: Emulator, *without: str) -> list[Row]:
    """Return all rows of a stream as the tap is to print them, in order of their keys.

    Args:
        stream: Which stream.
        emulator: What has the rows.
        *without: Fields that are left out.
    """
    rows = []
    for held in emulator.tables[stream.name].rows():
        row = printed_row(stream, held, emulator)
        rows.append({name: value for name, value in row.items() if name not in without})
    return in_order(stream, rows)


def printed_row(stream: type[TolokaStream], held: Row, emulator: Emulator) -> Row:
    """Return a row as the tap is to print it, from the row as the emulator holds it."""
    hidden = {*RESOURCES[stream.name].unanswered} - stream.added_fields
    row = {name: value for name, value in expected(held).items() if name not in hidden}
    if "updated" in stream.added_fields:
        row["updated"] = max(in_one_form(row[d]) for d in stream.added_from if row.get(d))
    if "operation_finished" in stream.added_fields:
        finished = emulator.tables["operations"].row(row["operation_id"])["finished"]
        row["operation_finished"] = in_one_form(finished)
    return row


def stored(value: Any) -> Any:
    """Replace what no target can store in decoded JSON, where Python keeps half a pair as it is."""
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff\0]", "\ufffd", value)
    if isinstance(value, list):
        return [stored(item) for item in value]
    if isinstance(value, dict):
        return {stored(key): stored(item) for key, item in value.items()}
    return value


def in_order(stream: type[TolokaStream], records: Iterable[Row]) -> list[Row]:
    """Sort records by their keys, but for what differs from run to run."""
    keys = [key for key in stream.primary_keys if key != "read_at"]
    return sorted(records, key=lambda record: [str(record[key]) for key in keys])


def key_of(stream: type[TolokaStream], record: Row) -> str:
    """Return the keys of a record in one text, as the emulator's tables go by it."""
    return "/".join(str(record[key]) for key in stream.primary_keys)


def changes(stream: type[TolokaStream], row: Row) -> list[str]:
    """Return the dates of a printed row at which it was created or changed."""
    if "operation_finished" in stream.added_fields:
        return [row["operation_finished"]]
    at = "_at" if str(stream.replication_key).endswith("_at") else ""
    dates = (row.get(f"{name}{at}") for name in stream.change_dates)
    return [date for date in dates if date]
