"""A plain client of the emulator, and few pools to ask for."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

import requests

from toloka_emulator import RESOURCES, make_pool

if TYPE_CHECKING:
    from toloka_emulator import Emulator, Json

# Ids and dates as rows have them; ids lie on both sides of a digit boundary.
DATES = {
    "999998": ("2026-01-01T00:00", "2026-02-01T00:00:00"),
    "999999": ("2026-01-01T00:00:07.6", "2026-02-01T00:00:00.001"),
    "1000000": ("2026-01-01T00:00:07.601", None),
    "1000001": ("2026-01-01T00:00:07.6", "2026-01-31T23:59:59.999"),
    "1000005": ("2025-12-31T23:59:59.9", None),
    "10000000": ("2026-01-01T00:00:08", "2026-02-01T00:00:00"),
}


def few_pools() -> list[Json]:
    """Make a pool for each of DATES; the first never started has no `last_started`."""
    pools = [
        make_pool(pool_id, created, last_started=last_started)
        for pool_id, (created, last_started) in DATES.items()
    ]
    del pools[2]["last_started"]
    return pools


def get(emulator: Emulator, path: str = "/api/v1/pools", /, **params: object) -> requests.Response:
    """Ask the emulator with its key."""
    return requests.get(
        emulator.url + path,
        params={name: str(value) for name, value in params.items()},
        headers={"Authorization": f"ApiKey {emulator.key}"},
        timeout=10,
        allow_redirects=False,
    )


def path_of(name: str, parent: str = "") -> str:
    """Give the path of a list, of this parent."""
    return re.sub(r"\{.*\}", parent, RESOURCES[name].path)


def rows_of(emulator: Emulator, name: str, parent: str = "", /, **params: object) -> list[Json]:
    """Ask for a page of a list, of this parent, in order of id, and give its rows."""
    resource = RESOURCES[name]
    answer = get(emulator, path_of(name, parent), **{"sort": resource.id_field, **params})
    assert answer.status_code == 200, answer.text
    rows: list[Json] = answer.json()[resource.answers]
    return rows


def ids(answer: requests.Response) -> list[str]:
    """Give the ids of the rows answered."""
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["items"]]


def held(emulator: Emulator, name: str = "pools") -> list[Json]:
    """Give what a list holds, as JSON has it, without what is not answered."""
    unanswered = RESOURCES[name].unanswered
    return [
        {field: value for field, value in json.loads(row).items() if field not in unanswered}
        for row in emulator.tables[name].raw_rows()
    ]


def held_ids(emulator: Emulator) -> list[str]:
    """Give the ids of the pools that the emulator holds, in order."""
    return [row["id"] for row in held(emulator)]


def refusal(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is Toloka's form of an error, and give its payload."""
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    error = answer.json()
    assert error["code"] == code
    assert uuid.UUID(error["request_id"])
    assert error["message"]
    payload: dict[str, Any] = error.get("payload", {})
    return payload


def refused_params(answer: requests.Response) -> set[str]:
    """Check that an answer is a refusal of parameters, and name these."""
    payload = refusal(answer, 400, "VALIDATION_ERROR")
    assert all(problem.keys() == {"code", "message"} for problem in payload.values())
    return set(payload)
