"""The emulator is Toloka enough for Toloka's own client: toloka-kit 1.2.3 reads from it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from toloka_emulator import POOL_IDS, RESOURCES, Emulator, make_pools, make_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Rows = list[dict[str, Any]]

REPOSITORY = Path(__file__).parents[1]
PYTHON = os.environ.get(
    "TOLOKA_KIT_PYTHON", str(REPOSITORY / ".venv-toloka-kit" / "bin" / "python")
)
# Its methods, where they are not named as the lists are.
METHODS = {
    "operation_logs": "get_operation_log",
    "requester": "get_requester",
    "user_metadata": "get_user",
}
# It reads webhook subscriptions by date, and would lose those that share one between two pages.
BATCH_SIZE = {"webhook_subscriptions": 100}
BATCH_SIZES = (7, 50, 299, 300, None)
DATE = re.compile(r"[0-9-]{10}T[0-9]{2}:[0-9]{2}[0-9:.]*Z?")
# What toloka-kit fills in by itself, or writes in another way than it read it.
NOT_COMPARED = {"pools": {"defaults", "quality_control"}, "projects": {"task_spec"}}
# What it has in place of nothing.
FILLED_IN: dict[str, dict[str, Any]] = {"task_suites": {"tasks": []}}
# Fields that hold objects of which it reads these fields only, and drops the rest.
READ_WITHIN = {"assignments": {"solutions": {"output_values"}}}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Give an emulator with 320 pools, more than fit on one page, and 60 rows of other lists."""
    rows = {name: make_rows(name, 60, seed=7) for name in RESOURCES.keys() - {"pools"}}
    with Emulator(make_pools(320, seed=7), rows=rows) as emulator:
        yield emulator


def read(emulator: Emulator, *searches: Mapping[str, object], key: str | None = None) -> list[Rows]:
    """Let toloka-kit search, and give the rows that each search found, as `plain` has them."""
    if not Path(PYTHON).exists():
        pytest.fail(f"There is no {PYTHON}: `make test` builds this environment")
    done = subprocess.run(
        [
            PYTHON,
            REPOSITORY / "tests" / "toloka_kit" / "read_lists.py",
            emulator.url,
            key or emulator.key,
            json.dumps(searches),
        ],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: list[Rows] = json.loads(done.stdout)
    lists = {method: name for name, method in METHODS.items()}
    methods = [str(search["method"]) for search in searches]
    return [
        plain_rows(lists.get(method, method.partition("_")[2]), rows)
        for method, rows in zip(methods, found, strict=True)
    ]


def held(emulator: Emulator, name: str = "pools") -> Rows:
    """Give what the emulator holds, as `plain` has it."""
    return plain_rows(name, emulator.tables[name].rows())


def groups(emulator: Emulator, name: str) -> Iterator[tuple[dict[str, str], Rows]]:
    """Give what to ask for to read a list whole, each with the rows that it should give."""
    resource = RESOURCES[name]
    rows = emulator.tables[name].rows()
    if name == "user_metadata":
        yield from (({"user_id": row["id"]}, plain_rows(name, [row])) for row in rows)
    elif resource.parent:
        field = resource.parent_field
        for parent in sorted({row[field] for row in rows}):
            yield {field: parent}, plain_rows(name, [row for row in rows if row[field] == parent])
    elif "pool_id" in resource.one_of:
        for pool_id in POOL_IDS:
            within = [row for row in rows if row.get("details", row)["pool_id"] == pool_id]
            yield {"pool_id": pool_id}, plain_rows(name, within)
    else:
        yield {}, plain_rows(name, rows)


def plain_rows(name: str, rows: Rows) -> Rows:
    """Give rows in the form in which they are compared, without what is not."""
    left_out = {*NOT_COMPARED.get(name, ()), *RESOURCES[name].unanswered}
    compared = []
    for row in map(plain, rows):
        for field, read_fields in READ_WITHIN.get(name, {}).items():
            row[field] = [
                {inner: value[inner] for inner in value.keys() & read_fields}
                for value in row.get(field, ())
            ]
        kept = {field: row[field] for field in row.keys() - left_out}
        compared.append({**FILLED_IN.get(name, {}), **kept})
    return compared


def plain(value: Any) -> Any:
    """Leave out what is empty, as toloka-kit does, and fill up dates."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if inner not in (None, {})}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, str) and DATE.fullmatch(value):
        date = value.removesuffix("Z")
        return date + "0000-00-00T00:00:00.000000"[len(date) :]
    return float(value) if isinstance(value, Decimal) else value


def test_reads_every_pool_whole_at_any_batch_size(emulator: Emulator) -> None:
    pools = held(emulator)
    assert {pool["type"] for pool in pools} == {"REGULAR", "TRAINING"}
    found = read(emulator, *({"method": "get_pools", "batch_size": size} for size in BATCH_SIZES))
    assert found == [pools] * len(BATCH_SIZES)


def test_reads_every_row_of_every_list(emulator: Emulator) -> None:
    asked = [(name, *group) for name in RESOURCES for group in groups(emulator, name)]
    searches = [
        {
            "method": METHODS.get(name, f"get_{name}"),
            **search,
            **({} if name in METHODS else {"batch_size": BATCH_SIZE.get(name, 7)}),
        }
        for name, search, _ in asked
    ]
    for (name, search, wanted), found in zip(asked, read(emulator, *searches), strict=True):
        by_date = name == "webhook_subscriptions"
        in_order = sorted(found, key=lambda row: str(row["id"])) if by_date else found
        assert in_order == wanted, (name, search)
    for name in RESOURCES:
        rows = sum(len(wanted) for listed, _, wanted in asked if listed == name)
        assert rows == len(emulator.tables[name]) > 0, name


def test_reads_with_an_oauth_token(emulator: Emulator) -> None:
    [found] = read(emulator, {"method": "get_pools"}, key=emulator.oauth_token)
    assert found == held(emulator)


def test_filters_as_the_emulator_does(emulator: Emulator) -> None:
    pools = held(emulator)
    middle = pools[160]
    boundary = {"id_gte": "999990", "id_lt": "1000100"}
    # Of a datetime toloka-kit makes six digits; the reference, and so the emulator, knows three.
    since = {"created_gt": middle["created"][: len("2026-01-02T03:04:05.678")]}
    found = read(
        emulator,
        {"method": "get_pools", "batch_size": 20, "status": "OPEN"},
        {"method": "get_pools", "batch_size": 3, "project_id": "9000", "status": "CLOSED"},
        {"method": "get_pools", "batch_size": 2, **boundary},
        {"method": "get_pools", "batch_size": 20, **since},
    )
    assert all(found)
    assert found == [
        [pool for pool in pools if pool["status"] == "OPEN"],
        [pool for pool in pools if (pool["project_id"], pool["status"]) == ("9000", "CLOSED")],
        [pool for pool in pools if 999_990 <= int(pool["id"]) < 1_000_100],
        [pool for pool in pools if pool["created"] > middle["created"]],
    ]


def test_filters_by_several_values_as_the_emulator_does(emulator: Emulator) -> None:
    threads = held(emulator, "message_threads")
    folders = ["UNREAD", "IMPORTANT"]
    within, without = read(
        emulator,
        {"method": "get_message_threads", "folder": folders},
        {"method": "get_message_threads", "folder_ne": folders},
    )
    assert within
    assert without
    assert within == [row for row in threads if {*row.get("folders", ())} & {*folders}]
    assert without == [row for row in threads if {*row.get("folders", folders)}.isdisjoint(folders)]


def test_filters_what_is_in_pools_as_the_emulator_does(emulator: Emulator) -> None:
    assignments, tasks = held(emulator, "assignments"), held(emulator, "tasks")
    pool_id, statuses = POOL_IDS[0], ["ACTIVE", "REJECTED"]
    by_status, by_overlap = read(
        emulator,
        {"method": "get_assignments", "pool_id": pool_id, "status": statuses},
        {"method": "get_tasks", "pool_id": pool_id, "overlap_gte": 9, "overlap_lt": 30},
    )
    assert by_status
    assert by_overlap
    within = [row for row in assignments if row["pool_id"] == pool_id]
    assert by_status == [row for row in within if row["status"] in statuses]
    within = [row for row in tasks if row["pool_id"] == pool_id]
    assert by_overlap == [row for row in within if 9 <= row.get("overlap", 0) < 30]


def test_sorts_as_the_emulator_does(emulator: Emulator) -> None:
    pools = held(emulator)
    newest, last = read(
        emulator,
        {"method": "find_pools", "sort": ["-created", "id"], "limit": 10},
        {"method": "find_pools", "sort": ["-id"], "limit": 10},
    )
    assert newest == sorted(pools, key=lambda pool: pool["created"], reverse=True)[:10]
    assert last == pools[:-11:-1]
