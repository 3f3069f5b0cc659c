"""What the emulator promises, seen by a plain HTTP client: the tap has no part in it."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import requests

from toloka_emulator import (
    AGGREGATION_IDS,
    APP_PROJECT_IDS,
    KEY,
    LOGGED_IDS,
    POOL_IDS,
    RESOURCES,
    USER_IDS,
    Account,
    Dice,
    Emulator,
    Fault,
    Table,
    make_account,
    make_pool,
    make_pools,
    make_row,
    make_rows,
    next_change,
    print_exactly,
)
from toloka_emulator.server.query import read_query

if TYPE_CHECKING:
    from collections.abc import Iterator

# Ids and dates as rows have them; ids lie on both sides of a digit boundary.
DATES = {
    "999998": ("2026-01-01T00:00", "2026-02-01T00:00:00"),
    "999999": ("2026-01-01T00:00:07.6", "2026-02-01T00:00:00.001"),
    "1000000": ("2026-01-01T00:00:07.601", None),
    "1000001": ("2026-01-01T00:00:07.6", "2026-01-31T23:59:59.999"),
    "1000005": ("2025-12-31T23:59:59.9", None),
    "10000000": ("2026-01-01T00:00:08", "2026-02-01T00:00:00"),
}


def few_pools() -> list[dict[str, Any]]:
    """Make a pool for each of DATES; the first never started has no `last_started`."""
    pools = [
        make_pool(pool_id, created, last_started=last_started)
        for pool_id, (created, last_started) in DATES.items()
    ]
    del pools[2]["last_started"]
    return pools


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Give an emulator with the pools of DATES."""
    with Emulator(few_pools()) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def full() -> Iterator[Emulator]:
    """Give an emulator with 700 rich pools, which no test changes."""
    with Emulator(make_pools(700, seed=1)) as emulator:
        yield emulator


def get(emulator: Emulator, path: str = "/api/v1/pools", /, **params: object) -> requests.Response:
    """Ask the emulator with its key."""
    headers = {"Authorization": f"ApiKey {emulator.key}"}
    return requests.get(
        emulator.url + path,
        params={name: str(value) for name, value in params.items()},
        headers=headers,
        timeout=10,
        allow_redirects=False,
    )


def ids(response: requests.Response) -> list[str]:
    """Give the ids of the rows answered."""
    assert response.status_code == 200, response.text
    return [row["id"] for row in response.json()["items"]]


def held_ids(emulator: Emulator) -> list[str]:
    """Give the ids of the pools that the emulator holds, in order."""
    return [row["id"] for row in emulator.pools.rows()]


def refusal(response: requests.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is Toloka's form of an error, and give its payload."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    error = response.json()
    assert error["code"] == code
    assert uuid.UUID(error["request_id"])
    assert error["message"]
    payload: dict[str, Any] = error.get("payload", {})
    return payload


# Order and paging


def test_without_sort_the_order_is_not_that_of_ids_but_the_same_each_time(full: Emulator) -> None:
    first = ids(get(full, limit=300))
    assert first == ids(get(full, limit=300))
    assert first != sorted(first, key=int)
    assert first != sorted(first, key=int, reverse=True)


def read_on(emulator: Emulator, **params: object) -> list[str]:
    """Give the ids on page after page, each asked for with the last id of the one before."""
    seen: list[str] = []
    for _ in range(200):  # more than there are pages
        page = get(emulator, id_gt=seen[-1] if seen else 0, **params)
        seen += ids(page)
        if not page.json()["has_more"]:
            return seen
    pytest.fail("the pages have no end")


def test_a_client_that_forgets_sort_loses_rows(full: Emulator) -> None:
    assert set(read_on(full, limit=100)) < set(held_ids(full))


@pytest.mark.parametrize("limit", [7, 299, 300])
def test_a_cursor_by_id_reads_every_row_once_across_a_digit_boundary(
    full: Emulator, limit: int
) -> None:
    held = held_ids(full)
    assert len(held[0]) < len(held[-1])
    assert read_on(full, sort="id", limit=limit) == held


def test_ids_descend_with_a_hyphen(full: Emulator) -> None:
    held = held_ids(full)
    assert ids(get(full, sort="-id", limit=300)) == held[: -300 - 1 : -1]
    assert ids(get(full, sort="-id", limit=5, id_lt=held[10])) == held[9:4:-1]


def test_has_more_is_true_only_when_a_further_row_matches(emulator: Emulator) -> None:
    for limit, more in ((5, True), (6, False), (7, False)):
        assert get(emulator, sort="id", limit=limit).json()["has_more"] is more
    assert get(emulator, sort="id", limit=2, id_lt="1000000").json()["has_more"] is False
    assert get(emulator, sort="id", limit=1, id_lt="1000000").json()["has_more"] is True


def test_dates_sort_as_points_in_time(emulator: Emulator) -> None:
    by_created = ["1000005", "999998", "999999", "1000001", "1000000", "10000000"]
    assert ids(get(emulator, sort="created,id")) == by_created
    by_created[2:4] = reversed(by_created[2:4])
    assert ids(get(emulator, sort="created,-id")) == by_created
    assert ids(get(emulator, sort="-created,id"))[:3] == ["10000000", "1000000", "999999"]
    assert ids(get(emulator, sort="last_started,id"))[:3] == ["1000001", "999998", "10000000"]


def test_a_page_is_50_rows_unless_limit_says_otherwise(full: Emulator) -> None:
    assert len(ids(get(full))) == 50
    assert len(ids(get(full, limit=300))) == 300


def test_archived_and_training_pools_are_listed(full: Emulator) -> None:
    rows = get(full, limit=300).json()["items"]
    assert {row["status"] for row in rows} == {"OPEN", "CLOSED", "LOCKED", "ARCHIVED"}
    assert {row["type"] for row in rows} == {"REGULAR", "TRAINING"}


# Filters


@pytest.mark.parametrize(
    ("param", "value", "expected"),
    [
        ("id_gt", "999999", ["1000000", "1000001", "1000005", "10000000"]),
        ("id_gte", "999999", ["999999", "1000000", "1000001", "1000005", "10000000"]),
        ("id_lt", "1000000", ["999998", "999999"]),
        ("id_lte", "1000000", ["999998", "999999", "1000000"]),
        ("created_gt", "2026-01-01T00:00:07.600", ["1000000", "10000000"]),
        ("created_gte", "2026-01-01T00:00:08", ["10000000"]),
        ("created_lt", "2026-01-01", ["1000005"]),
        ("created_lte", "2026-01-01", ["999998", "1000005"]),
        ("last_started_gt", "2026-02-01", ["999999"]),
        ("last_started_gte", "2026-02-01", ["999998", "999999", "10000000"]),
        ("last_started_lt", "2026-02-01T00:00:00.000", ["1000001"]),
        ("last_started_lte", "2026-02-01T00:00:00", ["999998", "1000001", "10000000"]),
    ],
)
def test_a_filter_compares_ids_as_numbers_and_dates_as_points_in_time(
    emulator: Emulator, param: str, value: str, expected: list[str]
) -> None:
    assert ids(get(emulator, sort="id", **{param: value})) == expected


def test_filters_by_one_value(emulator: Emulator) -> None:
    emulator.pools.change("1000000", status="OPEN", project_id="7")
    emulator.pools.change("1000001", status="OPEN")
    assert ids(get(emulator, sort="id", status="OPEN")) == ["1000000", "1000001"]
    assert ids(get(emulator, sort="id", project_id="7")) == ["1000000"]
    assert ids(get(emulator, sort="id", project_id="8")) == []


def test_all_filters_have_to_hold(emulator: Emulator) -> None:
    several = "sort=id&id_gt=999998&id_lte=1000005&created_gte=2026-01-01&limit=2"
    page = get(emulator, f"/api/v1/pools?{several}&status=CLOSED")
    assert ids(page) == ["999999", "1000000"]
    assert page.json()["has_more"] is True
    assert ids(get(emulator, f"/api/v1/pools?{several}&status=OPEN")) == []


# Refusals


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("limit=0", "limit"),
        ("limit=301", "limit"),
        ("limit=-1", "limit"),
        ("limit=+5", "limit"),
        ("limit=5.0", "limit"),
        ("limit=many", "limit"),
        ("limit=", "limit"),
        ("sort=", "sort"),
        ("sort=status", "sort"),
        ("sort=id,", "sort"),
        ("sort=--id", "sort"),
        ("sort=%2Bid", "sort"),
        ("sort=ID", "sort"),
        ("sort=id%20", "sort"),
        ("id_gt=abc", "id_gt"),
        ("id_gt=-1", "id_gt"),
        ("id_gt=1.5", "id_gt"),
        ("id_gt=1e3", "id_gt"),
        ("id_gt=", "id_gt"),
        ("created_gt=2026-01-02T03:04:05Z", "created_gt"),
        ("created_gt=2026-01-02T03:04:05.678Z", "created_gt"),
        ("created_gt=2026-01-02T03:04:05%2B03:00", "created_gt"),
        ("created_gt=2026-01-02%2003:04:05", "created_gt"),
        ("created_gt=2026-01-02T03:04", "created_gt"),
        ("created_gt=2026-01-02T03:04:05.6", "created_gt"),
        ("created_gt=2026-01-02T03:04:05.678000", "created_gt"),
        ("created_gt=2026-1-2", "created_gt"),
        ("created_gt=2026-02-30", "created_gt"),
        ("created_gt=2026-01-02T24:00:00", "created_gt"),
        ("created_gt=1767322800", "created_gt"),
        ("last_started_lte=yesterday", "last_started_lte"),
        ("status=open", "status"),
        ("status=OPEN,CLOSED", "status"),
        ("status=OPEN&status=CLOSED", "status"),
        ("id_gt=1&id_gt=1", "id_gt"),
        ("project_id=", "project_id"),
        ("id=17", "id"),
        ("created=2026-01-02", "created"),
        ("last_stopped_gt=2026-01-02", "last_stopped_gt"),
        ("created_ge=2026-01-02", "created_ge"),
        ("offset=0", "offset"),
    ],
)
def test_refuses_what_the_reference_does_not_know(full: Emulator, query: str, wrong: str) -> None:
    payload = refusal(get(full, f"/api/v1/pools?{query}"), 400, "VALIDATION_ERROR")
    assert payload.keys() == {wrong}
    assert payload[wrong].keys() == {"code", "message"}


def test_names_every_wrong_parameter(full: Emulator) -> None:
    payload = refusal(get(full, limit=0, sort="name", id_gt="x"), 400, "VALIDATION_ERROR")
    assert payload.keys() == {"limit", "sort", "id_gt"}


@pytest.mark.parametrize("path", ["/api/v1/pool", "/api/v1/pools/", "/api/v1/pools/17/x", "/api/"])
def test_knows_no_other_paths(full: Emulator, path: str) -> None:
    refusal(get(full, path), 404, "DOES_NOT_EXIST")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_only_reads(full: Emulator, method: str) -> None:
    headers = {"Authorization": f"ApiKey {full.key}"}
    url = full.url + "/api/v1/pools"
    response = requests.request(method, url, headers=headers, timeout=10)
    refusal(response, 405, "METHOD_NOT_ALLOWED")


def path_of(name: str, parent: str = "") -> str:
    """Give the path of a list, of this parent."""
    return re.sub(r"\{.*\}", parent, RESOURCES[name].path)


def rows_of(
    emulator: Emulator, name: str, parent: str = "", /, **params: object
) -> list[dict[str, Any]]:
    """Ask for a page of a list, of this parent, and give its rows."""
    resource = RESOURCES[name]
    params = {"sort": resource.id_field, **params}
    answer = get(emulator, path_of(name, parent), **params)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()[resource.answers]
    return rows


def test_filters_by_an_owner_a_flag_and_several_values() -> None:
    names = ("projects", "skills", "message_threads")
    with Emulator(rows={name: make_rows(name, 40, seed=2) for name in names}) as emulator:
        projects, skills, threads = (rows_of(emulator, name) for name in names)
        owned = [row for row in projects if row.get("owner")]
        assert rows_of(emulator, "projects", owner=owned[0]["owner"]["id"]) == owned
        for flag in (True, False):
            found = rows_of(emulator, "skills", **{"global": str(flag).lower()})
            assert found
            assert found == [row for row in skills if row.get("global") is flag]
        for folders in (["INBOX"], ["OUTBOX", "UNREAD"]):
            within = [row for row in threads if {*(row.get("folders") or ())} & {*folders}]
            without = [row for row in threads if row not in within and row.get("folders")]
            wanted = ",".join(folders)
            assert rows_of(emulator, "message_threads", folder=wanted) == within
            found = rows_of(emulator, "message_threads", folder_ne=wanted)
            assert [row for row in found if row["folders"]] == without
            assert all(row["folders"] == [] for row in found if row not in without)


@pytest.mark.parametrize(
    ("name", "params", "named"),
    [
        ("user_restrictions", {"scope": "POOL"}, "pool_id"),
        ("user_restrictions", {"scope": "PROJECT", "pool_id": "1"}, "project_id"),
        ("user_restrictions", {"scope": "COUNTRY"}, "scope"),
        ("skills", {"global": "True"}, "global"),
        ("skills", {"limit": 101}, "limit"),
        ("skills", {"sort": "modified"}, "sort"),
        ("message_threads", {"folder": "INBOX,SENT"}, "folder"),
        ("message_threads", {"folder_ne": "SENT"}, "folder_ne"),
        ("operations", {"created_gt": "2026-01-01"}, "created_gt"),
        ("operations", {"type": "POOL"}, "type"),
        ("trainings", {"status_ne": "OPEN"}, "status_ne"),
        ("assignments", {"pool_id": "1", "status": "ACCEPTED,DONE"}, "status"),
        ("assignments", {"pool_id": "1", "sort": "status"}, "sort"),
        ("assignments", {"pool_id": "1", "finished_gt": "2026-01-01"}, "finished_gt"),
        ("assignments", {"pool_id": "1", "limit": 100_001}, "limit"),
        ("tasks", {}, "pool_id"),
        ("tasks", {"pool_id": "1", "overlap": "many"}, "overlap"),
        ("tasks", {"pool_id": "1", "overlap_gte": "1.5"}, "overlap_gte"),
        ("task_suites", {"pool_id": "1", "task_suite_id": "1"}, "task_suite_id"),
        ("attachments", {"pool_id": "1", "type": "PHOTO"}, "type"),
        ("attachments", {"pool_id": "1", "limit": 101}, "limit"),
        ("attachments", {"pool_id": "1", "after_id": "1"}, "after_id"),
        ("requester", {"limit": 1}, "limit"),
        ("apps", {"sort": "name"}, "sort"),
        ("apps", {"created_gt": "2026-01-01"}, "created_gt"),
        ("app_projects", {"scope": "ALL"}, "scope"),
        ("app_projects", {"limit": 5_001}, "limit"),
        ("app_projects", {"status": "ARCHIVE"}, "status"),
    ],
)
def test_refuses_what_a_list_does_not_take(name: str, params: dict[str, Any], named: str) -> None:
    with Emulator() as emulator:
        answer = get(emulator, emulator.tables[name].resource.path, **params)
    assert refusal(answer, 400, "VALIDATION_ERROR").keys() == {named}


def test_a_date_may_be_printed_with_its_zone() -> None:
    rows = [
        {"id": "a1", "created": "2026-01-01T00:00:00.001Z"},
        {"id": "a2", "created": "2026-01-01T00:00:00.00"},
    ]
    with Emulator(rows={"webhook_subscriptions": rows}) as emulator:
        since = "2026-01-01T00:00:00"
        assert rows_of(emulator, "webhook_subscriptions", created_gt=since) == rows[:1]


@pytest.mark.parametrize("name", sorted(RESOURCES))
def test_rows_of_the_same_seed_are_the_same(name: str) -> None:
    rows = list(make_rows(name, 60, seed=1))
    assert rows == list(make_rows(name, 60, seed=1))
    assert rows != list(make_rows(name, 60, seed=2))
    table = Table(RESOURCES[name])
    table.add(rows)
    assert len(table) == (1 if name == "requester" else 60)


@pytest.mark.parametrize(
    ("name", "filters"),
    [
        ("assignments", {"pool_id", "task_suite_id", "task_id"}),
        ("tasks", {"pool_id"}),
        ("task_suites", {"pool_id", "task_id"}),
        ("attachments", {"pool_id", "assignment_id"}),
    ],
)
def test_a_list_that_needs_a_filter_refuses_to_answer_without(name: str, filters: set[str]) -> None:
    with Emulator() as emulator:
        refused = get(emulator, RESOURCES[name].path, sort="id")
        assert refusal(refused, 400, "VALIDATION_ERROR").keys() == filters
        for needed in filters:
            assert rows_of(emulator, name, **{needed: "17"}) == []


# Lists within pools, operations and app projects


@pytest.fixture(scope="module")
def work() -> Iterator[Emulator]:
    """Give an emulator with 300 rows of every list, which no test changes."""
    with Emulator(rows={name: make_rows(name, 300, seed=3) for name in RESOURCES}) as emulator:
        yield emulator


def held(emulator: Emulator, name: str) -> list[dict[str, Any]]:
    """Give what a list holds, as JSON has it, without what is not answered."""
    unanswered = RESOURCES[name].unanswered
    return [
        {field: value for field, value in json.loads(row).items() if field not in unanswered}
        for row in emulator.tables[name].raw_rows()
    ]


def test_assignments_are_found_by_pool_suite_task_user_and_statuses(work: Emulator) -> None:
    everything = held(work, "assignments")
    pool_id = POOL_IDS[3]
    within = [row for row in everything if row["pool_id"] == pool_id]
    assert rows_of(work, "assignments", pool_id=pool_id, limit=1000) == within
    row = next(row for row in within if row.get("tasks") and row.get("task_suite_id"))
    assert rows_of(work, "assignments", task_suite_id=row["task_suite_id"]) == [row]
    for task in row["tasks"]:
        assert rows_of(work, "assignments", task_id=task["id"]) == [row]
    assert rows_of(work, "assignments", task_id=row["tasks"][0]["id"], pool_id=POOL_IDS[0]) == []
    statuses = {"SKIPPED", "REJECTED"}
    found = rows_of(work, "assignments", pool_id=pool_id, status=",".join(statuses))
    assert {row["status"] for row in found} == statuses
    assert found == [row for row in within if row["status"] in statuses]
    found = rows_of(work, "assignments", pool_id=pool_id, user_id=USER_IDS[0])
    assert found == [row for row in within if row.get("user_id") == USER_IDS[0]]
    since = "2023-01-01T00:00:00"
    for date in ("created", "submitted", "accepted", "rejected", "skipped", "expired"):
        found = rows_of(work, "assignments", pool_id=pool_id, **{f"{date}_gte": since}, limit=1000)
        assert found == [row for row in within if row.get(date, "") >= since]
        assert found


@pytest.mark.parametrize("name", ["tasks", "task_suites"])
def test_overlaps_compare_as_numbers(name: str) -> None:
    rows = [
        {"id": f"a--{overlap}", "pool_id": "1", "overlap": overlap}
        for overlap in (2, 9, 10, 11, 30_000, None)
    ]
    with Emulator(rows={name: rows}) as emulator:
        for param, wanted, expected in (
            ("overlap", 10, {10}),
            ("overlap_gt", 9, {10, 11, 30_000}),
            ("overlap_gte", 10, {10, 11, 30_000}),
            ("overlap_lt", 10, {2, 9}),
            ("overlap_lte", 10, {2, 9, 10}),
        ):
            found = rows_of(emulator, name, pool_id="1", **{param: wanted})
            assert {row["overlap"] for row in found} == expected


def test_attachments_are_found_by_what_their_details_say(work: Emulator) -> None:
    everything = held(work, "attachments")
    row = next(row for row in everything if row.get("name"))
    details = row["details"]
    assert rows_of(work, "attachments", assignment_id=details["assignment_id"]) == [row]
    assert row in rows_of(work, "attachments", pool_id=details["pool_id"], limit=100)
    found = rows_of(
        work,
        "attachments",
        pool_id=details["pool_id"],
        name=row["name"],
        type="ASSIGNMENT_ATTACHMENT",
        user_id=details["user_id"],
    )
    assert found == [row]


def test_aggregated_solutions_are_read_by_task_within_an_operation(work: Emulator) -> None:
    rows = [json.loads(row) for row in work.tables["aggregated_solutions"].raw_rows()]
    for operation_id in AGGREGATION_IDS:
        wanted = sorted(row["task_id"] for row in rows if row["operation_id"] == operation_id)
        assert len(wanted) > 50
        seen: list[str] = []
        while len(seen) < len(wanted):
            page = rows_of(
                work, "aggregated_solutions", operation_id, limit=20, task_id_gt=(seen or ["0"])[-1]
            )
            assert all("operation_id" not in row for row in page)
            seen += [row["task_id"] for row in page]
        assert seen == wanted
        backwards = rows_of(work, "aggregated_solutions", operation_id, sort="-task_id", limit=2)
        assert [row["task_id"] for row in backwards] == wanted[:-3:-1]
    path = path_of("aggregated_solutions", AGGREGATION_IDS[0])
    for wrong in ({"id_gt": "a"}, {"sort": "id"}, {"created_gt": "2026-01-01"}):
        assert refusal(get(work, path, **wrong), 400, "VALIDATION_ERROR").keys() == wrong.keys()
    refusal(get(work, path_of("aggregated_solutions", "unknown")), 404, "DOES_NOT_EXIST")


def test_the_same_task_may_be_aggregated_by_several_operations() -> None:
    solution = {"task_id": "1--a", "pool_id": "1", "confidence": 1, "output_values": {}}
    with Emulator(rows={"operations": make_rows("operations", 5)}) as emulator:
        table = emulator.tables["aggregated_solutions"]
        table.add({"operation_id": known, **solution} for known in AGGREGATION_IDS[:2])
        table.change(f"{AGGREGATION_IDS[1]}/1--a", confidence=Decimal("0.50"))
        bodies = [
            get(emulator, path_of("aggregated_solutions", known)).text for known in AGGREGATION_IDS
        ]
        assert [body.count("task_id") for body in bodies] == [1, 1, 0]
        assert '"confidence":1,' in bodies[0]
        assert '"confidence":0.50,' in bodies[1]


def test_a_log_is_a_bare_array_in_the_order_of_its_numbers() -> None:
    log = [
        {"type": "TASK_CREATE", "success": True, "input": {"n": n}, "output": {}} for n in range(12)
    ]
    logged, silent, _ = LOGGED_IDS
    rows = [{"operation_id": logged, "number": n, **entry} for n, entry in enumerate(log)]
    with Emulator(rows={"operations": make_rows("operations", 6)}) as emulator:
        emulator.tables["operation_logs"].add(reversed(rows))
        assert get(emulator, path_of("operation_logs", logged)).json() == log
        assert get(emulator, path_of("operation_logs", silent)).json() == []
        assert emulator.tables["operation_logs"].rows() == rows
        refusal(get(emulator, path_of("operation_logs", "unknown")), 404, "DOES_NOT_EXIST")
        refused = get(emulator, path_of("operation_logs", logged), limit=5)
        assert refusal(refused, 400, "VALIDATION_ERROR").keys() == {"limit"}
        emulator.archived_logs.add(logged)
        refusal(get(emulator, path_of("operation_logs", logged)), 404, "OPERATION_LOGS_ARCHIVED")


def test_there_is_one_requester_and_a_row_for_each_toloker() -> None:
    with Emulator(rows={"user_metadata": make_rows("user_metadata", 3)}) as emulator:
        assert get(emulator, "/api/v1/requester").json()["balance"] == 121.3
        emulator.tables["requester"].add([{"id": "me", "balance": Decimal("0.50")}])
        assert get(emulator, "/api/v1/requester").text == '{"id":"me","balance":0.50}'
        with pytest.raises(ValueError, match="only one"):
            emulator.tables["requester"].add([{"id": "you"}])
        for user_id in USER_IDS:
            assert get(emulator, f"/api/v1/user-metadata/{user_id}").json()["id"] == user_id
        for path in ("/api/v1/user-metadata", "/api/v1/user-metadata/nobody"):
            refusal(get(emulator, path), 404, "DOES_NOT_EXIST")


def test_assignments_have_the_dates_of_their_statuses(work: Emulator) -> None:
    dates: dict[str, list[set[str]]] = {
        "ACTIVE": [set()],
        "SUBMITTED": [{"submitted"}],
        "ACCEPTED": [{"submitted", "accepted"}, {"submitted", "accepted", "rejected"}],
        "REJECTED": [{"submitted", "rejected"}],
        "SKIPPED": [{"skipped"}],
        "EXPIRED": [{"expired"}],
    }
    rows = held(work, "assignments")
    assert {row["status"] for row in rows} == dates.keys()
    for row in rows:
        assert row.keys() & {*RESOURCES["assignments"].dates} - {"created"} in dates[row["status"]]
        pool, _, own = row["id"].partition("--")
        assert (int(pool, 16), len(pool), len(own)) == (int(row["pool_id"]), 10, 24)
        made = datetime.fromtimestamp(int(own[:8], 16), timezone.utc)
        assert made.isoformat()[:16] == row["created"][:16]


def test_one_row_takes_no_parameters(work: Emulator) -> None:
    refused = get(work, f"/api/v1/user-metadata/{USER_IDS[0]}", sort="id")
    assert refusal(refused, 400, "VALIDATION_ERROR").keys() == {"sort"}
    [app, *_] = held(work, "apps")
    assert get(work, f"/api/app/v0/apps/{app['id']}", lang="RU").json() == app


@pytest.mark.parametrize("name", ["apps", "app_projects", "app_items", "app_batches"])
@pytest.mark.parametrize("cursor", ["after_id", "id_gt"])
def test_the_apps_api_pages_its_content(work: Emulator, name: str, cursor: str) -> None:
    parents = APP_PROJECT_IDS if RESOURCES[name].parent else ("",)
    for parent in parents:
        wanted = [row for row in held(work, name) if row.get("app_project_id", "") == parent]
        seen: list[dict[str, Any]] = []
        while len(seen) < len(wanted):
            after = {cursor: seen[-1]["id"]} if seen else {}
            seen += rows_of(work, name, parent, limit=33, **after)
        assert seen == wanted
        page = get(work, path_of(name, parent)).json()
        assert page.keys() == {"content", "has_more"}
        assert len(page["content"]) == min(100, len(wanted))


def test_items_and_batches_are_filtered_by_dates_of_other_names(work: Emulator) -> None:
    parent, since = APP_PROJECT_IDS[0], "2023-01-01T00:00:00"
    items, batches = held(work, "app_items"), held(work, "app_batches")
    found = rows_of(work, "app_items", parent, created_gt=since, finished_lt="2025-01-01")
    assert found
    assert found == [
        row
        for row in items
        if row["app_project_id"] == parent
        and row["created_at"] > since
        and row.get("finished_at", "9") < "2025-01-01"
    ]
    found = rows_of(
        work, "app_batches", parent, created_gt=since, name_gte="Batch <", name_lt="Batch I"
    )
    assert found
    assert found == [
        row
        for row in batches
        if row["app_project_id"] == parent
        and row["created_at"] > since
        and "Batch <" <= (row.get("name") or "") < "Batch I"
    ]
    path = path_of("app_items", parent)
    refused = get(work, path, created_at_gt=since)
    assert refusal(refused, 400, "VALIDATION_ERROR").keys() == {"created_at_gt"}


def test_what_is_in_an_app_project_is_found_in_that_one_only(work: Emulator) -> None:
    item = held(work, "app_items")[0]
    for parent in APP_PROJECT_IDS:
        answer = get(work, f"{path_of('app_items', parent)}/{item['id']}")
        assert answer.status_code == (200 if parent == item["app_project_id"] else 404)
    for name in ("app_items", "app_batches"):
        refusal(get(work, path_of(name, "unknown")), 404, "DOES_NOT_EXIST")


def test_a_pool_that_was_removed_is_gone_with_its_lists(emulator: Emulator) -> None:
    assert rows_of(emulator, "assignments", pool_id="999999") == []
    emulator.remove_pool("999999")
    assert "999999" not in ids(get(emulator))
    refusal(get(emulator, "/api/v1/pools/999999"), 404, "DOES_NOT_EXIST")
    for name in ("assignments", "tasks", "task_suites", "attachments"):
        refusal(get(emulator, path_of(name), pool_id="999999"), 404, "DOES_NOT_EXIST")
        assert rows_of(emulator, name, pool_id="999998") == []
    assert rows_of(emulator, "webhook_subscriptions", pool_id="999999") == []
    assert ids(get(emulator, sort="id", id_lte="1000000")) == ["999998", "1000000"]


def test_a_row_that_changes_its_pool_changes_the_list_that_it_is_in() -> None:
    rows = [{"id": row_id, "pool_id": "1", "created": "2026-01-01T00:00"} for row_id in "abc"]
    with Emulator(rows={"tasks": rows}) as emulator:
        emulator.tables["tasks"].change("b", pool_id="2", visible_in=0.2)
        assert [row["id"] for row in rows_of(emulator, "tasks", pool_id="1")] == ["a", "b", "c"]
        time.sleep(0.2)
        assert [row["id"] for row in rows_of(emulator, "tasks", pool_id="1")] == ["a", "c"]
        assert [row["id"] for row in rows_of(emulator, "tasks", pool_id="2")] == ["b"]
        emulator.tables["tasks"].change("b", pool_id="1")
        assert [row["id"] for row in rows_of(emulator, "tasks", pool_id="1")] == ["a", "b", "c"]


def test_a_page_of_a_pool_costs_no_more_among_many_pools() -> None:
    table = Table(RESOURCES["assignments"])
    for first in range(0, 100_000, 20_000):
        table.add(
            b'{"id":"%06d","pool_id":"%d","created":"2026-01-01T00:00:00"}' % (number, number % 200)
            for number in range(first, first + 20_000)
        )
    query = read_query(table.resource, [("pool_id", "17"), ("sort", "id"), ("limit", "500")])

    def seconds() -> float:
        started = time.perf_counter()
        rows, more = table.find(query)
        assert (len(rows), more) == (500, False)
        return time.perf_counter() - started

    assert min(seconds() for _ in range(5)) < 0.02  # to look at all takes five times as long


# Who may ask


def test_takes_a_key_and_a_token_each_in_its_own_form(full: Emulator) -> None:
    answers = {
        None: 401,
        "": 401,
        "ApiKey": 401,
        f"ApiKey {full.key}": 200,
        f"OAuth {full.oauth_token}": 200,
        f"ApiKey {full.oauth_token}": 401,
        f"OAuth {full.key}": 401,
        f"Bearer {full.key}": 401,
        f"ApiKey {full.key}x": 401,
        f"ApiKey  {full.key}": 401,
        full.key: 401,
    }
    for header, status in answers.items():
        headers = {} if header is None else {"Authorization": header}
        response = requests.get(full.url + "/api/v1/pools", headers=headers, timeout=10)
        assert response.status_code == status, header
        if status == 401:
            refusal(response, 401, "AUTHENTICATION_ERROR")


def test_the_key_and_the_token_have_the_shapes_that_toloka_kit_tells_apart(full: Emulator) -> None:
    assert full.key.count(".") == 2
    assert 22 <= full.key.index(".") <= 24
    assert "." not in full.oauth_token


def test_acts_under_known_accounts_only() -> None:
    with Emulator(few_pools(), accounts=["account-1"]) as emulator:
        for account, status in (("account-1", 200), ("account-2", 403), ("", 403)):
            headers = {
                "Authorization": f"ApiKey {emulator.key}",
                "X-Act-Under-Account-ID": account,
            }
            url = emulator.url + "/api/v1/pools"
            response = requests.get(url, headers=headers, timeout=10)
            assert response.status_code == status
        refusal(response, 403, "ACCESS_DENIED")


def test_past_the_limit_of_a_second_it_is_429() -> None:
    with Emulator(few_pools(), requests_per_second=5) as emulator:
        answers = [get(emulator) for _ in range(8)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
        refusal(answers[-1], 429, "TOO_MANY_REQUESTS")
        time.sleep(1)
        assert get(emulator).status_code == 200


# Rows


def test_dates_and_numbers_come_out_as_they_were_given(emulator: Emulator) -> None:
    dates = ("2016-03-24T12:38:07.654", "2016-03-24T12:38:07.6", "2016-03-24T12:38:07")
    for number, created in enumerate((*dates, "2020-09-01T13:00")):
        emulator.pools.add([make_pool(str(number), created)])
        assert get(emulator, f"/api/v1/pools/{number}").json()["created"] == created
    emulator.pools.add(
        [
            make_pool("17", dates[0], reward_per_assignment=Decimal("0.070"), private_name="Имя"),
            b'{"id":"18","created":"2016-03-24T12:38:07", "reward_per_assignment": 1E-7}',
        ]
    )
    body = get(emulator, sort="id", id_gte="17", limit=2).content
    assert b'"reward_per_assignment":0.070,' in body
    assert '"private_name":"Имя"'.encode() in body
    assert b'"reward_per_assignment": 1E-7}' in body
    assert [str(row["reward_per_assignment"]) for row in emulator.pools.rows()[4:6]] == [
        "0.070",
        "1E-7",
    ]


def test_one_row_is_read_by_its_id(emulator: Emulator) -> None:
    assert get(emulator, "/api/v1/pools/999999").json()["id"] == "999999"
    refusal(get(emulator, "/api/v1/pools/5"), 404, "DOES_NOT_EXIST")
    refusal(get(emulator, "/api/v1/pools/abc"), 404, "DOES_NOT_EXIST")


def test_a_change_keeps_all_else_of_the_row(emulator: Emulator) -> None:
    emulator.pools.add([b'{"id":"17","reward_per_assignment":0.0700,"status":"OPEN","tier":[ 1 ]}'])
    emulator.pools.change("17", status="CLOSED", last_started="2026-03-01T00:00")
    row = get(emulator, "/api/v1/pools/17").content
    assert row == (
        b'{"id":"17","reward_per_assignment":0.0700,"status":"CLOSED","tier":[ 1 ],'
        b'"last_started":"2026-03-01T00:00"}'
    )
    assert ids(get(emulator, status="OPEN")) == []
    assert ids(get(emulator, last_started_gte="2026-03-01")) == ["17"]


def test_a_late_row_is_listed_only_when_it_becomes_visible(emulator: Emulator) -> None:
    emulator.pools.add([make_pool("17", "2026-01-01T00:00:00")], visible_in=0.3)
    assert ids(get(emulator, id_lte=17)) == []
    assert held_ids(emulator)[0] == "17"
    assert get(emulator, "/api/v1/pools/17").status_code == 200
    time.sleep(0.3)
    assert ids(get(emulator, id_lte=17)) == ["17"]


def test_a_late_change_shows_late_and_never_undoes_a_later_one(emulator: Emulator) -> None:
    emulator.pools.change("999999", visible_in=0.3, status="OPEN")
    assert ids(get(emulator, status="OPEN")) == []
    time.sleep(0.3)
    assert ids(get(emulator, status="OPEN")) == ["999999"]
    emulator.pools.change("999999", visible_in=0.2, status="LOCKED")
    emulator.pools.change("999999", status="ARCHIVED")
    time.sleep(0.2)
    assert ids(get(emulator, status="ARCHIVED")) == ["999999"]


@pytest.mark.parametrize(
    "row",
    [
        make_pool("999999", "2026-01-01T00:00:00"),
        make_pool("seventeen", "2026-01-01T00:00:00"),
        make_pool("17", "2026-01-01T00:00:00+00:00"),
        make_pool("17", "2026-01-01T00:00:00", last_started="2026-02-30T00:00:00"),
        b'{"created":"2026-01-01T00:00:00"}',
    ],
)
def test_takes_no_row_that_toloka_could_not_have(emulator: Emulator, row: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        emulator.pools.add([row])


# Faults


def test_a_fault_hits_so_many_requests_after_so_many(emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=503, times=2, after=1, headers={"Retry-After": "1"}))
    answers = [get(emulator) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 503, 503, 200]
    refusal(answers[1], 503, "REMOTE_SERVICE_UNAVAILABLE")
    assert answers[1].headers["Retry-After"] == "1"


def test_a_fault_may_last_until_it_is_cleared(emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=500, times=None))
    for _ in range(5):
        refusal(get(emulator), 500, "INTERNAL_ERROR")
    emulator.faults.clear()
    assert get(emulator).status_code == 200


def test_faults_come_one_after_another(emulator: Emulator) -> None:
    for status in (500, 502, 504, 408):
        emulator.faults.add(Fault(status=status))
    answered = [get(emulator).status_code for _ in range(5)]
    assert answered == [500, 502, 504, 408, 200]


def test_a_fault_may_pick_requests_by_path_and_parameters(emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=500, times=None, path="/api/v1/pools/*"))
    emulator.faults.add(Fault(status=502, times=None, params={"sort": "id", "id_gt": "*5"}))
    assert get(emulator).status_code == 200
    assert get(emulator, "/api/v1/pools/999999").status_code == 500
    assert get(emulator, sort="id", id_gt="17").status_code == 200
    assert get(emulator, sort="-id", id_gt="15").status_code == 200
    assert get(emulator, sort="id").status_code == 200
    assert get(emulator, sort="id", id_gt="15").status_code == 502


def test_a_quota_that_ran_out_names_its_interval(emulator: Emulator) -> None:
    emulator.faults.add(Fault(quota="HOUR"))
    assert refusal(get(emulator), 429, "TOO_MANY_REQUESTS") == {"interval": "HOUR"}


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({}, b"{}"),
        ([], b"[]"),
        (None, b"null"),
        ('{"items":', b'{"items":'),
        ("<html>нет</html>", "<html>нет</html>".encode()),
        (b"\xff\xfe", b"\xff\xfe"),
    ],
)
def test_a_body_may_be_anything(emulator: Emulator, body: object, sent: bytes) -> None:
    emulator.faults.add(Fault(body=body, headers={"content-type": "text/html"}))
    emulator.faults.add(Fault(body=body, status=502))
    answer = get(emulator)
    assert (answer.status_code, answer.content) == (200, sent)
    assert answer.headers["Content-Type"] == "text/html"
    answer = get(emulator)
    assert (answer.status_code, answer.content) == (502, sent)


def test_redirects(emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=302, headers={"Location": "/elsewhere"}))
    answer = get(emulator)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/elsewhere")


def test_has_more_may_be_anything_or_absent(emulator: Emulator) -> None:
    for has_more in (True, None, "yes", 1):
        emulator.faults.add(Fault(has_more=has_more))
        answer = get(emulator, sort="id", limit=6)
        assert len(ids(answer)) == 6
        assert answer.text.endswith(f',"has_more":{json.dumps(has_more)}}}')
    emulator.faults.add(Fault(without_has_more=True))
    assert get(emulator, sort="id", limit=6).json().keys() == {"items"}


def test_a_list_may_come_empty_though_there_is_more(emulator: Emulator) -> None:
    emulator.faults.add(Fault(without_items=True))
    assert get(emulator, sort="id", limit=2).json() == {"items": [], "has_more": True}


def test_a_delay_makes_an_answer_late(emulator: Emulator) -> None:
    emulator.faults.add(Fault(delay=0.3))
    assert get(emulator).elapsed > timedelta(seconds=0.3)
    assert get(emulator).elapsed < timedelta(seconds=0.3)


def test_a_reset_breaks_the_connection_before_any_answer(emulator: Emulator) -> None:
    emulator.faults.add(Fault(reset=True))
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        get(emulator)
    assert emulator.requests[0].status is None
    assert get(emulator).status_code == 200


def test_a_cut_breaks_the_connection_within_the_body(emulator: Emulator) -> None:
    whole = len(get(emulator).content)
    emulator.faults.add(Fault(cut=True))
    with pytest.raises(requests.exceptions.ChunkedEncodingError) as broken:
        get(emulator)
    half = whole // 2
    assert f"{half} bytes read, {whole - half} more expected" in str(broken.value)
    assert get(emulator).status_code == 200


# The log


def test_logs_every_request_to_the_api(emulator: Emulator) -> None:
    before = time.monotonic()
    get(emulator, sort="id", created_gt="2026-01-01T00:00:00")
    get(emulator, "/api/v1/nothing?a=1&a=2&b=")
    requests.get(emulator.url + "/_emulator/stats", timeout=10)
    first, second = emulator.requests
    assert (first.method, first.path, first.status) == ("GET", "/api/v1/pools", 200)
    assert dict(first.params) == {"sort": "id", "created_gt": "2026-01-01T00:00:00"}
    assert first.headers["authorization"] == f"ApiKey {emulator.key}"
    assert first.ended is not None
    assert before <= first.started <= first.ended <= second.started <= time.monotonic()
    assert second.status == 404
    assert list(second.params.items()) == [("a", "1"), ("a", "2"), ("b", "")]
    emulator.clear_requests()
    assert emulator.requests == []


def test_counts_what_waits_at_once_and_what_comes_within_a_second() -> None:
    with Emulator(few_pools(), latency=0.5) as emulator, ThreadPoolExecutor(8) as threads:
        started = time.monotonic()
        assert [len(ids(answer)) for answer in threads.map(get, [emulator] * 8)] == [6] * 8
        assert 0.5 <= time.monotonic() - started < 8 * 0.5
        assert emulator.most_in_flight == 8
        assert emulator.log.most_in_a_second == 8
        emulator.clear_requests()
        time.sleep(1)
        get(emulator)
        assert emulator.most_in_flight == 1
        assert emulator.log.most_in_a_second == 1


# Made-up pools


def test_pools_are_the_same_for_the_same_seed_only() -> None:
    assert list(make_pools(100, seed=1)) == list(make_pools(100, seed=1))
    assert list(make_pools(100, seed=1)) != list(make_pools(100, seed=2))


def test_pools_are_of_every_kind() -> None:
    pools = list(make_pools(1000, seed=1))
    printed = [pool["created"] for pool in pools]
    assert [int(pool["id"]) for pool in pools] == sorted({int(pool["id"]) for pool in pools})
    assert int(pools[0]["id"]) < 1_000_000 < int(pools[-1]["id"])
    assert {len(created) for created in printed} == {16, 19, 21, 22, 23}
    assert len(set(printed)) < len(printed)
    assert any(later < earlier for earlier, later in itertools.pairwise(printed))
    assert printed[0] < printed[500] < printed[-1]
    assert {pool["status"] for pool in pools} == {"OPEN", "CLOSED", "LOCKED", "ARCHIVED"}
    assert 30 < sum(pool["type"] == "TRAINING" for pool in pools) < 70
    assert any("last_started" not in pool for pool in pools)
    assert any(None in pool.values() for pool in pools)
    sizes = [len(msgspec.json.encode(pool)) for pool in pools]
    assert 2200 < sum(sizes) / len(sizes) < 2500


NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def world() -> Account:
    """Give a world of 40 pools and 3,000 assignments."""
    return make_account(pools=40, assignments=3000, now=NOW)


def test_a_world_is_the_same_for_the_same_arguments_only(world: Account) -> None:
    assert make_account(pools=40, assignments=3000, now=NOW) == world
    assert make_account(pools=40, assignments=3000, seed=1, now=NOW) != world
    assert make_account(pools=0, assignments=0, now=NOW)["pools"] == []


def test_a_world_has_rows_of_every_list_as_many_as_asked_for(world: Account) -> None:
    assert world.keys() == RESOURCES.keys()
    assert all(world.values())
    assert (len(world["pools"]), len(world["assignments"])) == (40, 3000)
    with Emulator(rows=world) as emulator:
        found = [
            row
            for pool in world["pools"]
            for row in rows_of(emulator, "assignments", pool_id=pool["id"], limit=1000)
        ]
    assert len(found) == 3000


def test_a_world_is_joined_by_ids(world: Account) -> None:
    known = {name: {row.get("id") for row in rows} for name, rows in world.items()}
    users = known["user_metadata"]
    for name, field, parents in (
        ("pools", "project_id", "projects"),
        ("trainings", "project_id", "projects"),
        ("tasks", "pool_id", "pools"),
        ("task_suites", "pool_id", "pools"),
        ("assignments", "pool_id", "pools"),
        ("assignments", "task_suite_id", "task_suites"),
        ("assignments", "user_id", "user_metadata"),
        ("user_bonuses", "assignment_id", "assignments"),
        ("user_bonuses", "user_id", "user_metadata"),
        ("user_skills", "skill_id", "skills"),
        ("user_skills", "user_id", "user_metadata"),
        ("user_restrictions", "user_id", "user_metadata"),
        ("webhook_subscriptions", "pool_id", "pools"),
        ("aggregated_solutions", "operation_id", "operations"),
        ("aggregated_solutions", "task_id", "tasks"),
        ("operation_logs", "operation_id", "operations"),
        ("app_projects", "app_id", "apps"),
        ("app_batches", "app_project_id", "app_projects"),
        ("app_items", "app_project_id", "app_projects"),
        ("app_items", "batch_id", "app_batches"),
    ):
        assert {row[field] for row in world[name]} <= known[parents], (name, field)
    pools = {pool["id"]: pool for pool in world["pools"]}
    suites = {suite["id"]: suite for suite in world["task_suites"]}
    for row in world["assignments"]:
        assert row["reward"] == pools[row["pool_id"]]["reward_per_assignment"]
        assert row["tasks"] == suites[row["task_suite_id"]]["tasks"]
        assert suites[row["task_suite_id"]]["pool_id"] == row["pool_id"]
        assert {task["id"] for task in row["tasks"]} <= known["tasks"]
    bonuses = {row["id"]: row["assignment_id"] for row in world["user_bonuses"]}
    given = {bonus: row["id"] for row in world["assignments"] for bonus in row.get("bonus_ids", ())}
    assert bonuses == given
    for row in world["attachments"]:
        assert row["details"]["assignment_id"] in known["assignments"]
    for row in world["message_threads"]:
        assert {row["meta"]["pool_id"]} <= known["pools"]
        assert {other["id"] for other in row["interlocutors"]} & users


def test_dates_of_a_world_are_in_order_and_none_is_to_come(world: Account) -> None:
    written = {name: json.dumps(rows, default=str) for name, rows in world.items()}
    for name, text in written.items():
        printed = re.findall(r'"([a-z_]+)": "([0-9-]{10}T[0-9:.]+)"', text)
        late = {field for field, date in printed if date >= print_exactly(NOW)}
        assert late <= {"will_expire"}, name
    created = sorted(row["created"] for row in world["assignments"])
    assert created[0] > print_exactly(NOW - timedelta(days=61))
    pools = {pool["id"]: pool for pool in world["pools"]}
    for row in world["assignments"]:
        pool = pools[row["pool_id"]]
        assert pool["created"] < pool["last_started"] < row["created"]
        ends = [row[end] for end in ("submitted", "skipped", "expired") if end in row]
        assert all(row["created"] < end < pool.get("last_stopped", "9") for end in ends)
        assert row.get("submitted", "") <= min(row.get("accepted", "9"), row.get("rejected", "9"))


def test_a_world_has_pools_that_are_stuck_and_assignments_of_all_statuses(world: Account) -> None:
    last = {row["pool_id"]: "" for row in world["assignments"]}
    for row in world["assignments"]:
        last[row["pool_id"]] = max(last[row["pool_id"]], row.get("submitted", ""))
    opened = {pool["id"] for pool in world["pools"] if pool["status"] == "OPEN"}
    days_ago = print_exactly(NOW - timedelta(days=2.9))
    stuck = {pool_id for pool_id in opened if last[pool_id] < days_ago}
    assert 3 < len(stuck) < len(opened) - 10
    assert {pool["status"] for pool in world["pools"]} == {"OPEN", "CLOSED", "ARCHIVED"}
    counts = Counter(row["status"] for row in world["assignments"])
    assert counts.keys() == {*RESOURCES["assignments"].filters["status"].values}
    assert counts["ACCEPTED"] > 1500


def live(name: str, row: dict[str, Any], seed: int) -> list[str]:
    """Give the statuses that a row goes through, and see that its dates rise."""
    dice, statuses = Dice(seed), [row["status"]]
    for minute in range(1, 10):
        at = NOW + timedelta(minutes=minute)
        change = next_change(name, row, dice, at)
        dates = {value for value in change.values() if str(value).startswith("2026-")}
        assert dates <= {print_exactly(at)}
        row = {**row, **change}
        if change:
            statuses.append(row["status"])
    return statuses


def test_an_assignment_lives_as_the_reference_says() -> None:
    lived = set()
    for seed in range(200):
        row = make_row(
            "assignments", Dice(seed), NOW, pool_id="17", status="ACTIVE", reward=Decimal("0.70")
        )
        assert (row["pool_id"], row["status"], row["reward"]) == ("17", "ACTIVE", Decimal("0.70"))
        assert row["created"] == print_exactly(NOW)
        lived.add(tuple(live("assignments", row, seed)))
    assert lived - {("ACTIVE", "SUBMITTED", "REJECTED")} == {
        ("ACTIVE", "SKIPPED"),
        ("ACTIVE", "EXPIRED"),
        ("ACTIVE", "SUBMITTED", "ACCEPTED"),
        ("ACTIVE", "SUBMITTED", "REJECTED", "ACCEPTED"),
    }


def test_operations_items_threads_and_skills_live_too() -> None:
    ends = set()
    for seed in range(50):
        operation = {"status": "PENDING", "progress": 0}
        statuses = live("operations", operation, seed)
        assert statuses[:2] == ["PENDING", "RUNNING"]
        item = {"status": "NEW"}
        assert live("app_items", item, seed)[:2] == ["NEW", "PROCESSING"]
        ends |= {statuses[-1], live("app_items", item, seed)[-1]}
    assert ends == {"SUCCESS", "FAIL", "COMPLETED", "ERROR"}
    rows = {name: make_rows(name, 5) for name in ("user_skills",)}
    with Emulator(rows=rows) as emulator:
        for name in rows:
            table = emulator.tables[name]
            row = table.rows()[0]
            table.change(row["id"], **next_change(name, row, Dice(1), NOW))
            assert print_exactly(NOW) in json.dumps(rows_of(emulator, name)[0])


# As a process


@contextlib.contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the emulator as a process, and give it and its address once it is ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "toloka_emulator", *options],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            ready = re.match(r"Emulator of Toloka at (http://127\.0\.0\.1:[0-9]+) ", line)
            assert ready, line
            yield process, ready[1]
        finally:
            process.kill()


def test_a_process_is_driven_over_http() -> None:
    options = ("--pools", "20", "--rows", "5", "--act-under", "a")
    with running(*options) as (_, url):
        own = url + "/_emulator"
        with requests.Session() as session:
            for name in RESOURCES.keys() - {"pools"}:
                count = 1 if name == "requester" else 5
                assert len(session.get(f"{own}/{name}").json()) == count

            def pools(**params: object) -> requests.Response:
                headers = {"Authorization": "ApiKey " + KEY + "", "X-Act-Under-Account-ID": "a"}
                query = {name: str(value) for name, value in params.items()}
                return session.get(f"{url}/api/v1/pools", params=query, headers=headers)

            assert [row["id"] for row in session.get(f"{own}/pools").json()] == ids(
                pools(sort="id")
            )

            row = make_pool("17", "2026-01-01T00:00:00", reward_per_assignment=0.5)
            assert session.post(f"{own}/pools?visible_in=0.2", json=[row]).status_code == 201
            assert ids(pools(id_lte=17)) == []
            time.sleep(0.2)
            assert ids(pools(id_lte=17)) == ["17"]
            assert session.patch(f"{own}/pools/17", json={"status": "LOCKED"}).status_code == 204
            assert "17" in ids(pools(status="LOCKED"))
            twice = session.post(f"{own}/pools", json=[row])
            assert (twice.status_code, "17" in twice.text) == (400, True)

            fault = {"status": 503, "times": None, "headers": {"Retry-After": "7"}}
            assert session.post(f"{own}/faults", json=fault).status_code == 201
            assert pools().headers["Retry-After"] == "7"
            assert session.post(f"{own}/faults", json={"statos": 503}).status_code == 400
            session.delete(f"{own}/faults")
            session.post(f"{own}/faults", json={"has_more": None})
            assert pools().json()["has_more"] is None

            logged = session.get(f"{own}/requests").json()
            assert logged[0]["params"] == [["sort", "id"]]
            assert ["X-Act-Under-Account-ID", "a"] in logged[0]["headers"]
            stats = session.get(f"{own}/stats").json()
            assert 1 <= stats.pop("most_in_a_second") <= len(logged)
            assert stats == {"requests": len(logged), "most_in_flight": 1}
            session.delete(f"{own}/requests")
            assert session.get(f"{own}/stats").json()["requests"] == 0


def test_a_process_starts_with_a_world_and_reaches_rows_within_parents() -> None:
    with (
        running("--account", "10", "200") as (_, url),
        requests.Session() as session,
    ):
        own = url + "/_emulator"
        session.headers["Authorization"] = "ApiKey " + KEY + ""
        pool = session.get(f"{own}/pools").json()[0]
        path = f"{url}/api/v1/assignments?pool_id={pool['id']}"
        assert session.get(path).json()["items"]
        assert session.delete(f"{own}/pools/{pool['id']}").status_code == 204
        assert session.get(path).status_code == 404
        assert session.delete(f"{own}/pools/{pool['id']}").status_code == 400

        solution = session.get(f"{own}/aggregated_solutions").json()[0]
        operation_id, task_id = solution["operation_id"], solution["task_id"]
        path = f"{own}/aggregated_solutions/{operation_id}/{task_id}"
        assert session.patch(path, json={"confidence": 0.125}).status_code == 204
        answer = session.get(
            f"{url}/api/v1/aggregated-solutions/{operation_id}?task_id_lte={task_id}"
        )
        assert '"confidence":0.125' in answer.text
        another = {**solution, "task_id": "another"}
        assert session.post(f"{own}/aggregated_solutions", json=[another]).status_code == 201
        assert session.post(f"{own}/aggregated_solutions", json=[another]).status_code == 400

        logged = session.get(f"{own}/operation_logs").json()[0]["operation_id"]
        path = f"{url}/api/v1/operations/{logged}/log"
        assert session.get(path).json()[0]["success"] is True
        assert session.delete(f"{own}/operation_logs/{logged}").status_code == 204
        assert session.get(path).json()["code"] == "OPERATION_LOGS_ARCHIVED"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_ends_at_once_though_a_request_waits(number: signal.Signals) -> None:
    with (
        running("--latency", "60") as (process, url),
        ThreadPoolExecutor(1) as thread,
    ):
        waiting = thread.submit(
            requests.get, f"{url}/api/v1/pools", headers={"Authorization": "ApiKey " + KEY + ""}
        )
        deadline = time.monotonic() + 10
        while not requests.get(f"{url}/_emulator/requests", timeout=10).json():
            assert time.monotonic() < deadline
        started = time.monotonic()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
        assert time.monotonic() - started < 2
        assert (process.returncode, rest, errors) == (0, "", "")
        assert isinstance(waiting.exception(), requests.ConnectionError)
