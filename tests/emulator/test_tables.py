"""Rows that are added, changed, listed late and taken away; answers that are no pages."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from tests.emulator.helpers import get, held, held_ids, ids, path_of, refusal, rows_of
from toloka_emulator import (
    AGGREGATION_IDS,
    APP_PROJECT_IDS,
    LOGGED_IDS,
    USER_IDS,
    Emulator,
    make_pool,
    make_rows,
)


@pytest.mark.parametrize(
    "created",
    [
        "2016-03-24T12:38:07.654",
        "2016-03-24T12:38:07.6",
        "2016-03-24T12:38:07",
        "2020-09-01T13:00",
    ],
)
def test_dates_come_out_as_they_were_given(emulator: Emulator, created: str) -> None:
    emulator.pools.add([make_pool("17", created)])
    assert get(emulator, "/api/v1/pools/17").json()["created"] == created


def test_numbers_and_texts_come_out_as_they_were_given(emulator: Emulator) -> None:
    emulator.pools.add(
        [
            make_pool("17", "2026-01-01T00:00", reward_per_assignment=Decimal("0.070")),
            b'{"id":"18","created":"2016-03-24T12:38:07", "reward_per_assignment": 1E-7}',
        ]
    )
    emulator.pools.change("17", private_name="Имя")
    body = get(emulator, sort="id", limit=2).content
    assert b'"reward_per_assignment":0.070,' in body
    assert '"private_name":"Имя"'.encode() in body
    assert b'"reward_per_assignment": 1E-7}' in body
    rewards = [str(row["reward_per_assignment"]) for row in emulator.pools.rows()[:2]]
    assert rewards == ["0.070", "1E-7"]


def test_one_row_is_read_by_its_id(emulator: Emulator) -> None:
    assert get(emulator, "/api/v1/pools/999999").json()["id"] == "999999"


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
        b'{"id":17,"created":"2026-01-01T00:00:00"}',
        b'{"created":"2026-01-01T00:00:00"}',
    ],
)
def test_takes_no_row_that_toloka_could_not_have(emulator: Emulator, row: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        emulator.pools.add([row])


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

        def listed(pool_id: str) -> str:
            return "".join(row["id"] for row in rows_of(emulator, "tasks", pool_id=pool_id))

        emulator.tables["tasks"].change("b", pool_id="2", visible_in=0.2)
        assert listed("1") == "abc"
        time.sleep(0.2)
        assert (listed("1"), listed("2")) == ("ac", "b")
        emulator.tables["tasks"].change("b", pool_id="1")
        assert listed("1") == "abc"


def test_what_is_in_an_app_project_is_found_in_that_one_only(all_lists: Emulator) -> None:
    item = held(all_lists, "app_items")[0]
    for parent in APP_PROJECT_IDS:
        answer = get(all_lists, f"{path_of('app_items', parent)}/{item['id']}")
        assert answer.status_code == (200 if parent == item["app_project_id"] else 404)


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
