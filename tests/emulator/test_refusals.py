"""What is refused: parameters, paths, methods, keys, too many requests."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from tests.emulator.helpers import (
    few_pools,
    get,
    held,
    path_of,
    refusal,
    refused_params,
    rows_of,
)
from toloka_emulator import AGGREGATION_IDS, APP_PROJECT_IDS, KEY, RESOURCES, USER_IDS, Emulator

TOKEN = Emulator().oauth_token


WRONG = {
    "limit": ("0", "301", "-1", "+5", "5.0", "many", ""),
    "sort": ("", "status", "id,", "--id", "%2Bid", "ID", "id%20"),
    "id_gt": ("abc", "-1", "1.5", "1e3", "", "1&id_gt=1"),
    "created_gt": (
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.678Z",
        "2026-01-02T03:04:05%2B03:00",
        "2026-01-02%2003:04:05",
        "2026-01-02T03:04",
        "2026-01-02T03:04:05.6",
        "2026-01-02T03:04:05.678000",
        "2026-1-2",
        "2026-02-30",
        "2026-01-02T24:00:00",
        "1767322800",
    ),
    "last_started_lte": ("yesterday",),
    "status": ("open", "OPEN,CLOSED", "OPEN&status=CLOSED"),
    "project_id": ("",),
    # Parameters that there are not.
    **dict.fromkeys(("created", "last_stopped_gt", "created_ge"), ("2026-01-02",)),
    **dict.fromkeys(("id", "offset"), ("17",)),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_refuses_what_the_reference_does_not_know(
    many_pools: Emulator, name: str, value: str
) -> None:
    assert refused_params(get(many_pools, f"/api/v1/pools?{name}={value}")) == {name}


def test_names_every_wrong_parameter(many_pools: Emulator) -> None:
    wrong = {"limit": 0, "sort": "name", "id_gt": "x"}
    assert refused_params(get(many_pools, **wrong)) == wrong.keys()


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
        ("app_items", {"created_at_gt": "2026-01-01"}, "created_at_gt"),
        ("aggregated_solutions", {"id_gt": "a"}, "id_gt"),
        ("aggregated_solutions", {"sort": "id"}, "sort"),
        ("aggregated_solutions", {"created_gt": "2026-01-01"}, "created_gt"),
        ("operation_logs", {"limit": 5}, "limit"),
    ],
)
def test_refuses_what_a_list_does_not_take(
    all_lists: Emulator, name: str, params: dict[str, Any], named: str
) -> None:
    parents = {"app_projects": APP_PROJECT_IDS[0], "operations": AGGREGATION_IDS[0]}
    path = path_of(name, parents.get(RESOURCES[name].parent, ""))
    assert refused_params(get(all_lists, path, **params)) == {named}


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
        assert refused_params(get(emulator, RESOURCES[name].path, sort="id")) == filters
        for needed in filters:
            assert rows_of(emulator, name, **{needed: "17"}) == []


def test_one_row_takes_no_parameters_but_those_without_effect(all_lists: Emulator) -> None:
    assert refused_params(get(all_lists, f"/api/v1/user-metadata/{USER_IDS[0]}", sort="id")) == {
        "sort"
    }
    [app, *_] = held(all_lists, "apps")
    assert get(all_lists, f"/api/app/v0/apps/{app['id']}", lang="RU").json() == app


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/pool",
        "/api/v1/pools/",
        "/api/v1/pools/17/x",
        "/api/v1/pools/5",
        "/api/v1/pools/abc",
        "/api/v1/user-metadata",
        "/api/v1/user-metadata/nobody",
        "/api/",
        *(path_of(name, "unknown") for name, resource in RESOURCES.items() if resource.parent),
    ],
)
def test_what_is_not_there_is_404(emulator: Emulator, path: str) -> None:
    refusal(get(emulator, path), 404, "DOES_NOT_EXIST")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_only_reads(many_pools: Emulator, method: str) -> None:
    headers = {"Authorization": f"ApiKey {many_pools.key}"}
    url = many_pools.url + "/api/v1/pools"
    answer = requests.request(method, url, headers=headers, timeout=10)
    refusal(answer, 405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("", 401),
        ("ApiKey", 401),
        (f"ApiKey {KEY}", 200),
        (f"OAuth {TOKEN}", 200),
        (f"ApiKey {TOKEN}", 401),
        (f"OAuth {KEY}", 401),
        (f"Bearer {KEY}", 401),
        (f"ApiKey {KEY}x", 401),
        (f"ApiKey  {KEY}", 401),
        (KEY, 401),
    ],
)
def test_takes_a_key_and_a_token_each_in_its_own_form(
    many_pools: Emulator, header: str | None, status: int
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = requests.get(many_pools.url + "/api/v1/pools", headers=headers, timeout=10)
    assert answer.status_code == status
    if status == 401:
        refusal(answer, 401, "AUTHENTICATION_ERROR")


def test_the_key_and_the_token_have_the_shapes_that_toloka_kit_tells_apart() -> None:
    assert KEY.count(".") == 2
    assert 22 <= KEY.index(".") <= 24
    assert "." not in TOKEN


@pytest.mark.parametrize(("account", "status"), [("one", 200), ("two", 403), ("", 403)])
def test_acts_under_known_accounts_only(account: str, status: int) -> None:
    headers = {"Authorization": f"ApiKey {KEY}", "X-Act-Under-Account-ID": account}
    with Emulator(few_pools(), accounts=["one"]) as emulator:
        answer = requests.get(emulator.url + "/api/v1/pools", headers=headers, timeout=10)
    assert answer.status_code == status
    if status == 403:
        refusal(answer, 403, "ACCESS_DENIED")


def test_past_the_limit_of_a_second_it_is_429() -> None:
    with Emulator(few_pools(), requests_per_second=5) as emulator:
        answers = [get(emulator) for _ in range(8)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
        refusal(answers[-1], 429, "TOO_MANY_REQUESTS")
        time.sleep(1)
        assert get(emulator).status_code == 200
