"""Rows of the streams that are read pool by pool, and what was requested of them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.streams.assignments import Assignments
from tap_toloka.streams.attachments import Attachments
from tap_toloka.streams.tasks import Tasks, TaskSuites
from toloka_emulator import Emulator, make_pool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_toloka.client import TolokaStream
    from tests.runner import Run
    from toloka_emulator import Request

Row = dict[str, Any]


STREAMS: tuple[type[TolokaStream], ...] = (Assignments, Tasks, TaskSuites, Attachments)
every_stream = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
BOOKMARK = "2024-05-06T07:08:09.100"
LONG_AGO = "2015-01-01T00:00:00"


def row_of(stream: type[TolokaStream], pool: str, number: int, created: str, **fields: Any) -> Row:
    """Make a row of a pool."""
    id_ = f"{int(pool):010x}--{number:024x}"
    where = {"details": {"pool_id": pool}} if stream is Attachments else {"pool_id": pool}
    return {"id": id_, "created": created, **where, **fields}


def assignment(pool: str, number: int, created: str, **fields: Any) -> Row:
    """Make an assignment of a pool."""
    return row_of(Assignments, pool, number, created, **fields)


def open_pool(id_: str, created: str = "2019-01-01T00:00:00", **fields: Any) -> Row:
    """Make a pool that is open, so that it is never skipped."""
    return make_pool(id_, created, status="OPEN", last_started=created, **fields)


def serve(pools: Iterable[Row], rows: Iterable[Row], stream: Any = Assignments) -> Emulator:
    """Make an emulator of pools and rows in them."""
    return Emulator(rows={"pools": pools, stream.name: rows})


def state_of(stream: type[TolokaStream], date: str = BOOKMARK, **filters: str) -> dict[str, Any]:
    """Return the state after a run that read all up to a date."""
    bookmark: dict[str, Any] = {
        "replication_key": stream.replication_key,
        "replication_key_value": f"{date}Z",
    }
    if filters:
        bookmark["filters"] = filters
    return {"bookmarks": {stream.name: bookmark}}


def requests_for(emulator: Emulator, stream: type[TolokaStream] = Assignments) -> list[Request]:
    """Return the requests for lists of pools, without those for the pools."""
    return [r for r in emulator.requests if r.path == f"/api{stream.path}"]


def pools_requested(emulator: Emulator, stream: type[TolokaStream] = Assignments) -> set[str]:
    """Return the ids of the pools whose lists were requested."""
    return {request.params["pool_id"] for request in requests_for(emulator, stream)}


def date_params(request: Request) -> dict[str, str]:
    """Return the bounds of dates in a request."""
    return {
        name: value
        for name, value in request.params.items()
        if name.endswith(("_gt", "_gte", "_lt", "_lte")) and not name.startswith("id_")
    }


def shifted(date: str, **period: float) -> str:
    """Go so far ahead of a date, or back."""
    moment = datetime.fromisoformat(date) + timedelta(**period)
    return moment.isoformat(timespec="milliseconds")


def messages_of(run: Run, name: str) -> list[dict[str, Any]]:
    """Return the messages of a stream but for when they were printed, in order of ids."""
    messages = [m for m in run.messages if m.get("stream") == name]
    for message in messages:
        message.pop("time_extracted", None)
    return sorted(messages, key=lambda m: (m["type"] != "SCHEMA", m.get("record", {}).get("id")))


def bookmark_of(run: Run, name: str = "assignments") -> Any:
    """Return the bookmark of a stream in the last state."""
    assert run.state is not None
    return run.state["bookmarks"][name].get("replication_key_value")


def skip_warnings(run: Run) -> list[str]:
    """Return the lines of the log that say what was passed over."""
    return [line for line in run.log.splitlines() if "Skipping assignments of pool" in line]


def also_selecting(first: dict[str, Any], *others: str) -> dict[str, Any]:
    """Return a catalog in which further streams are selected."""
    catalog: dict[str, Any] = json.loads(json.dumps(first))
    for entry in catalog["streams"]:
        if entry["stream"] in others:
            entry["metadata"][-1]["metadata"]["selected"] = True
    return catalog
