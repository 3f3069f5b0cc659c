"""Order, paging and filters."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from tests.emulator.helpers import get, held, held_ids, ids, path_of, rows_of
from toloka_emulator import (
    AGGREGATION_IDS,
    APP_PROJECT_IDS,
    POOL_IDS,
    RESOURCES,
    USER_IDS,
    Emulator,
    Table,
    make_rows,
)
from toloka_emulator.server.query import read_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from toloka_emulator import Json


# Order and paging


def test_without_sort_the_order_is_not_that_of_ids_but_the_same_each_time(
    many_pools: Emulator,
) -> None:
    first = ids(get(many_pools, limit=300))
    assert first == ids(get(many_pools, limit=300))
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


def test_a_client_that_forgets_sort_loses_rows(many_pools: Emulator) -> None:
    assert set(read_on(many_pools, limit=100)) < set(held_ids(many_pools))


@pytest.mark.parametrize("limit", [7, 299, 300])
def test_a_cursor_by_id_reads_every_row_once_across_a_digit_boundary(
    many_pools: Emulator, limit: int
) -> None:
    expected = held_ids(many_pools)
    assert len(expected[0]) < len(expected[-1])
    assert read_on(many_pools, sort="id", limit=limit) == expected


def test_ids_descend_with_a_hyphen(many_pools: Emulator) -> None:
    expected = held_ids(many_pools)
    assert ids(get(many_pools, sort="-id", limit=300)) == expected[: -300 - 1 : -1]
    assert ids(get(many_pools, sort="-id", limit=5, id_lt=expected[10])) == expected[9:4:-1]


def test_has_more_is_true_only_when_a_further_row_matches(emulator: Emulator) -> None:
    for limit, more in ((5, True), (6, False), (7, False)):
        assert get(emulator, sort="id", limit=limit).json()["has_more"] is more
    for limit, more in ((1, True), (2, False)):
        assert get(emulator, limit=limit, id_lt="1000000").json()["has_more"] is more


def test_dates_sort_as_points_in_time(emulator: Emulator) -> None:
    by_created = ["1000005", "999998", "999999", "1000001", "1000000", "10000000"]
    assert ids(get(emulator, sort="created,id")) == by_created
    by_created[2:4] = reversed(by_created[2:4])
    assert ids(get(emulator, sort="created,-id")) == by_created
    assert ids(get(emulator, sort="-created,id"))[:3] == ["10000000", "1000000", "999999"]
    assert ids(get(emulator, sort="last_started,id"))[:3] == ["1000001", "999998", "10000000"]


def test_a_page_is_50_rows_unless_limit_says_otherwise(many_pools: Emulator) -> None:
    assert len(ids(get(many_pools))) == 50
    assert len(ids(get(many_pools, limit=300))) == 300


def test_archived_and_training_pools_are_listed(many_pools: Emulator) -> None:
    rows = get(many_pools, limit=300).json()["items"]
    assert {row["status"] for row in rows} == {"OPEN", "CLOSED", "LOCKED", "ARCHIVED"}
    assert {row["type"] for row in rows} == {"REGULAR", "TRAINING"}


def test_aggregated_solutions_are_read_by_task_within_an_operation(all_lists: Emulator) -> None:
    name = "aggregated_solutions"
    rows = all_lists.tables[name].rows()
    for operation_id in AGGREGATION_IDS:
        wanted = sorted(row["task_id"] for row in rows if row["operation_id"] == operation_id)
        assert len(wanted) > 50
        seen: list[str] = []
        while len(seen) < len(wanted):
            page = rows_of(all_lists, name, operation_id, limit=20, task_id_gt=(seen or ["0"])[-1])
            assert all("operation_id" not in row for row in page)
            seen += [row["task_id"] for row in page]
        assert seen == wanted
        backwards = rows_of(all_lists, name, operation_id, sort="-task_id", limit=2)
        assert [row["task_id"] for row in backwards] == wanted[:-3:-1]


@pytest.mark.parametrize("name", ["apps", "app_projects", "app_items", "app_batches"])
@pytest.mark.parametrize("cursor", ["after_id", "id_gt"])
def test_the_apps_api_pages_its_content(all_lists: Emulator, name: str, cursor: str) -> None:
    parents = APP_PROJECT_IDS if RESOURCES[name].parent else ("",)
    for parent in parents:
        wanted = [row for row in held(all_lists, name) if row.get("app_project_id", "") == parent]
        seen: list[Json] = []
        while len(seen) < len(wanted):
            after = {cursor: seen[-1]["id"]} if seen else {}
            seen += rows_of(all_lists, name, parent, limit=33, **after)
        assert seen == wanted
        page = get(all_lists, path_of(name, parent)).json()
        assert page.keys() == {"content", "has_more"}
        assert len(page["content"]) == min(100, len(wanted))


def test_ids_of_the_apps_api_sort_by_letter_before_case(all_lists: Emulator) -> None:
    listed = [row["id"] for row in rows_of(all_lists, "apps", limit=1_000)]
    assert listed == sorted(listed, key=str.casefold) != sorted(listed)


def test_a_page_of_a_pool_costs_no_more_among_many_pools() -> None:
    table = Table(RESOURCES["assignments"])
    row = b'{"id":"%05d","pool_id":"%d","user_id":"u","created":"2026-01-01T00:00:00"}'
    table.add(row % (number, number % 200) for number in range(20_000))
    query = read_query(table.resource, [("pool_id", "17"), ("sort", "id"), ("limit", "50")])
    looked_at = Mock(return_value=True)
    query.filters.insert(0, ("user_id", looked_at, "u"))
    rows, more = table.find(query)
    assert (len(rows), more) == (50, True)
    assert looked_at.call_count == 51


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


def test_filters_by_an_owner_a_flag_and_several_values() -> None:
    names = ("projects", "skills", "message_threads")
    with Emulator(rows={name: make_rows(name, 40, seed=2) for name in names}) as emulator:
        projects, skills, threads = (rows_of(emulator, name) for name in names)
        owner = next(row["owner"]["id"] for row in projects if row.get("owner"))
        owned = [row for row in projects if row.get("owner")]
        assert rows_of(emulator, "projects", owner=owner) == owned
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


def test_a_date_may_be_printed_with_its_zone() -> None:
    rows = [
        {"id": "a1", "created": "2026-01-01T00:00:00.001Z"},
        {"id": "a2", "created": "2026-01-01T00:00:00.00"},
    ]
    with Emulator(rows={"webhook_subscriptions": rows}) as emulator:
        since = "2026-01-01T00:00:00"
        assert rows_of(emulator, "webhook_subscriptions", created_gt=since) == rows[:1]


def test_assignments_are_found_by_pool_suite_task_user_and_statuses(all_lists: Emulator) -> None:
    pool_id = POOL_IDS[3]
    within = [row for row in held(all_lists, "assignments") if row["pool_id"] == pool_id]

    def found(**params: object) -> list[Json]:
        return rows_of(all_lists, "assignments", limit=1000, **params)

    assert found(pool_id=pool_id) == within
    row = next(row for row in within if row.get("tasks") and row.get("task_suite_id"))
    assert found(task_suite_id=row["task_suite_id"]) == [row]
    for task in row["tasks"]:
        assert found(task_id=task["id"]) == [row]
    assert found(task_id=row["tasks"][0]["id"], pool_id=POOL_IDS[0]) == []
    statuses = {"SKIPPED", "REJECTED"}
    assert {row["status"] for row in within} > statuses
    assert found(pool_id=pool_id, status=",".join(statuses)) == [
        row for row in within if row["status"] in statuses
    ]
    assert found(pool_id=pool_id, user_id=USER_IDS[0]) == [
        row for row in within if row.get("user_id") == USER_IDS[0]
    ]
    since = "2023-01-01T00:00:00"
    for date in RESOURCES["assignments"].dates:
        late = found(pool_id=pool_id, **{f"{date}_gte": since})
        assert late
        assert late == [row for row in within if row.get(date, "") >= since]


@pytest.mark.parametrize("name", ["tasks", "task_suites"])
@pytest.mark.parametrize(
    ("param", "wanted", "expected"),
    [
        ("overlap", 10, {10}),
        ("overlap_gt", 9, {10, 11, 30_000}),
        ("overlap_gte", 10, {10, 11, 30_000}),
        ("overlap_lt", 10, {2, 9}),
        ("overlap_lte", 10, {2, 9, 10}),
    ],
)
def test_overlaps_compare_as_numbers(
    name: str, param: str, wanted: int, expected: set[int]
) -> None:
    rows = [
        {"id": f"a--{overlap}", "pool_id": "1", "overlap": overlap}
        for overlap in (2, 9, 10, 11, 30_000, None)
    ]
    with Emulator(rows={name: rows}) as emulator:
        found = rows_of(emulator, name, pool_id="1", **{param: wanted})
    assert {row["overlap"] for row in found} == expected


def test_attachments_are_found_by_what_their_details_say(all_lists: Emulator) -> None:
    row = next(row for row in held(all_lists, "attachments") if row.get("name"))
    details = row["details"]
    assert rows_of(all_lists, "attachments", assignment_id=details["assignment_id"]) == [row]
    assert row in rows_of(all_lists, "attachments", pool_id=details["pool_id"], limit=100)
    wanted = {"name": row["name"], "type": "ASSIGNMENT_ATTACHMENT", **details}
    assert rows_of(all_lists, "attachments", **wanted) == [row]
    wanted["user_id"] = "nobody"
    assert rows_of(all_lists, "attachments", **wanted) == []


@pytest.mark.parametrize(
    ("name", "params", "passes"),
    [
        (
            "app_items",
            {"created_gt": "2023-01-01", "finished_lt": "2025-01-01"},
            lambda row: row["created_at"] > "2023" and row.get("finished_at", "9") < "2025",
        ),
        (
            "app_batches",
            {"created_gt": "2023-01-01", "name_gte": "Batch <", "name_lt": "Batch I"},
            lambda row: (
                row["created_at"] > "2023" and "Batch <" <= (row.get("name") or "") < "Batch I"
            ),
        ),
    ],
)
def test_items_and_batches_are_filtered_by_dates_of_other_names(
    all_lists: Emulator, name: str, params: dict[str, str], passes: Callable[[Json], bool]
) -> None:
    parent = APP_PROJECT_IDS[0]
    within = [row for row in held(all_lists, name) if row["app_project_id"] == parent]
    found = rows_of(all_lists, name, parent, limit=1000, **params)
    assert found
    assert found == [row for row in within if passes(row)]
