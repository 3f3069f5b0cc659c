"""What pools show of every stream: bookmarks, filters, selection, surprises; see test_streams."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from tap_toloka.errors import TolokaError
from tap_toloka.tap import TapToloka
from tests.runner import (
    catalog_of,
    config_for,
    expected,
    requests_for_rows,
    run_inside,
    run_process,
    without_blocks,
)
from toloka_emulator import Emulator, make_pool, make_pools

IN_ONE_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DATES = ("created", "last_started", "last_stopped", "will_expire")


def ago(**period: float) -> str:
    """Return a date so long ago, as Toloka prints it."""
    moment = datetime.now(timezone.utc) - timedelta(**period)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds")


def test_money_comes_out_with_the_digits_that_toloka_sent() -> None:
    digits = ["0.070", "0.1", "15.25", "1E-7", "3", "0.00500"]
    rows = [
        make_pool(str(id_), ago(days=1), reward_per_assignment=Decimal(text))
        for id_, text in enumerate(digits, 1)
    ]
    with Emulator(pools=rows) as emulator:
        run = run_inside(config_for(emulator))
    for line, text in zip(run.output.splitlines()[1:], digits, strict=False):
        assert f'"reward_per_assignment":{text}'.encode() in line


def test_each_request_asks_for_the_next_page_in_the_order_of_ids() -> None:
    rows = [make_pool(str(id_), "2024-01-01T00:00:00") for id_ in (8, 9, 10, 11, 100)]
    with Emulator(pools=rows) as emulator:
        run_inside(config_for(emulator, batch_size=2, max_concurrency=1))
        asked = [dict(request.params) for request in requests_for_rows(emulator)]
    assert [params.pop("sort") for params in asked] == ["id"] * 3
    assert [params.pop("limit") for params in asked] == ["2"] * 3
    assert asked == [{}, {"id_gt": "9"}, {"id_gt": "11"}]


def test_the_bookmark_stays_a_minute_behind_the_start_of_the_run() -> None:
    with Emulator(pools=[make_pool("1", ago(hours=1)), make_pool("2", ago(seconds=5))]) as emulator:
        before = datetime.now(timezone.utc)
        first = run_inside(config_for(emulator))
        bookmark = datetime.fromisoformat(first.bookmark.replace("Z", "+00:00"))
        assert timedelta(seconds=59) < before - bookmark < timedelta(seconds=62)
        assert run_inside(config_for(emulator), first.state).ids == ["2"], "young: read again"


def test_the_bookmark_never_goes_back() -> None:
    bookmark = ago(seconds=30) + "Z"
    pools = {"replication_key": "created", "replication_key_value": bookmark}
    with Emulator(pools=[make_pool("1", ago(seconds=5))]) as emulator:
        run = run_inside(config_for(emulator), {"bookmarks": {"pools": pools}})
    assert run.ids == ["1"]
    assert run.bookmark == bookmark, "younger than a minute, and yet not taken back"


def test_the_cursor_starts_at_the_filter() -> None:
    with Emulator() as emulator:
        tap = TapToloka(config=config_for(emulator, filters={"pools": {"id_gt": 17}}))
    assert tap.streams["pools"].get_new_paginator().current_value == "17"  # type: ignore[attr-defined]


def test_a_pool_that_toloka_shows_late_is_not_lost() -> None:
    with Emulator(pools=[make_pool("1", ago(hours=1))]) as emulator:
        emulator.pools.add([make_pool("2", ago(seconds=8))], visible_in=1.5)
        emulator.pools.add([make_pool("3", ago(seconds=4))])
        first = run_inside(config_for(emulator))
        assert first.ids == ["1", "3"]
        time.sleep(1.6)
        assert "2" in run_inside(config_for(emulator), first.state).ids


def test_pools_with_one_date_are_never_lost_to_each_other() -> None:
    created = ago(minutes=5)
    rows = [make_pool(str(id_), created) for id_ in range(1, 8)]
    with Emulator(pools=rows) as emulator:
        first = run_inside(config_for(emulator, batch_size=2))
        assert first.ids == [row["id"] for row in emulator.pools.rows()]
        assert first.bookmark == f"{created}Z"


def test_a_stream_without_state_begins_at_the_start_date() -> None:
    rows = [
        make_pool("1", "2023-12-31T23:59:59.999"),
        make_pool("2", "2024-01-01T00:00:00"),
        make_pool("3", "2024-01-01T00:00:00.001"),
    ]
    with Emulator(pools=rows) as emulator:
        run = run_inside(config_for(emulator, start_date="2024-01-01T03:00:00+03:00"))
        assert run.ids == ["2", "3"]
        later = config_for(emulator, start_date="2025-01-01")
        assert run_inside(later).ids == []
        state = {"bookmarks": {"pools": {"replication_key": "created"}}}
        state["bookmarks"]["pools"]["replication_key_value"] = "2023-01-01T00:00:00Z"
        assert run_inside(later, state).ids == ["1", "2", "3"], "with state, the state counts"


def test_looking_back_brings_fresh_statuses_and_leaves_the_bookmark() -> None:
    rows = [
        make_pool("1", "2024-01-01T00:00:00", status="OPEN"),
        make_pool("2", "2024-01-08T00:00:00.001", status="OPEN"),
        make_pool("3", "2024-01-10T00:00:00", status="OPEN"),
    ]
    with Emulator(pools=rows) as emulator:
        config = config_for(emulator, lookback_days=2, detect_changes=False)
        first = run_inside(config)
        for id_ in ("1", "2", "3"):
            emulator.pools.change(id_, status="CLOSED")
        second = run_inside(config, first.state)
        assert [(r["id"], r["status"]) for r in second.records] == [
            ("2", "CLOSED"),
            ("3", "CLOSED"),
        ]
        assert second.state == first.state
        emulator.pools.change("3", created="2024-01-09T00:00:00")
        third = run_inside(config, second.state)
        assert third.ids == ["2", "3"]
        assert third.state == first.state, "older rows do not take the bookmark back"
        far = {**config, "lookback_days": 3650, "start_date": "2024-01-05"}
        assert run_inside(far, first.state).ids == ["2", "3"], "not behind the start date"


def test_filters_narrow_down_and_the_stricter_bound_wins() -> None:
    rows = [make_pool(str(id_), f"2024-01-{id_:02}T00:00:00") for id_ in range(1, 29)]
    state = {"bookmarks": {"pools": {"replication_key": "created"}}}
    with Emulator(pools=rows) as emulator:

        def ids(bookmark: str | None = None, **filters: Any) -> list[int]:
            settings = config_for(
                emulator, batch_size=3, filters={"pools": filters}, detect_changes=False
            )
            if bookmark is None:
                return [int(id_) for id_ in run_inside(settings).ids]
            state["bookmarks"]["pools"]["replication_key_value"] = bookmark
            normal = run_inside(settings).state["bookmarks"]["pools"].get("filters", {})  # type: ignore[index]
            state["bookmarks"]["pools"]["filters"] = normal
            return [int(id_) for id_ in run_inside(settings, state).ids]

        assert ids(id_gt="9", id_lte=20) == [*range(10, 21)]
        assert ids(id_gte="9", id_lt="12") == [9, 10, 11]
        assert ids(created_gt="2024-01-25") == [26, 27, 28]
        assert ids(created_gte="2024-01-25", created_lt="2024-01-27") == [25, 26]
        assert ids("2024-01-20", created_gt="2024-01-25") == [26, 27, 28]
        assert ids("2024-01-26", created_gt="2024-01-25") == [27, 28]
        assert ids("2024-01-26", created_gte="2024-01-25") == [27, 28]
        assert ids("2024-01-20", created_gte="2024-01-25") == [25, 26, 27, 28]
        assert ids("2024-01-20", id_gt=24, id_lt=27) == [25, 26]


def test_other_filters_are_not_bound_by_the_bookmark_of_the_old_ones() -> None:
    rows = [
        make_pool("1", "2024-01-01T00:00:00", project_id="1"),
        make_pool("2", "2024-01-02T00:00:00", project_id="2"),
        make_pool("3", "2024-01-03T00:00:00", project_id="1"),
    ]
    with Emulator(pools=rows) as emulator:
        one, two, both = (
            config_for(emulator, filters={"pools": filters})
            for filters in ({"project_id": "1"}, {"project_id": 2}, {})
        )
        first = run_inside(one)
        assert first.ids == ["1", "3"]
        assert run_inside(one, first.state).ids == []
        second = run_inside(two, first.state)
        assert second.ids == ["2"], "hidden by the old filters, and older than the bookmark"
        assert run_inside(two, second.state).ids == []
        emulator.pools.add([make_pool("4", "2024-01-02T00:00:00.001", project_id="1")])
        third = run_inside(one, second.state)
        assert third.ids == ["1", "3", "4"], "they changed back, and nothing is lost"
        assert run_inside(both, third.state).ids == ["1", "2", "3", "4"]


def test_the_same_filters_written_otherwise_keep_the_bookmark() -> None:
    with Emulator(pools=[make_pool("5", "2024-01-01T00:00:00", project_id="1")]) as emulator:
        written = (
            {"project_id": 1, "created_gt": "2023-01-01", "id_gt": "007"},
            {"id_gt": 7 - 0, "created_gt": "2023-01-01T03:00:00+03:00", "project_id": "1"},
        )
        emulator.pools.add([make_pool("8", "2024-01-01T00:00:00", project_id="1")])
        first = run_inside(config_for(emulator, filters={"pools": written[0]}))
        assert first.ids == ["8"]
        again = run_inside(config_for(emulator, filters={"pools": written[1]}), first.state)
        assert again.ids == []


def test_new_filters_that_let_nothing_through_leave_the_old_bookmark() -> None:
    with Emulator(pools=[make_pool("5", "2024-01-01T00:00:00")]) as emulator:
        first = run_inside(config_for(emulator))
        nothing = config_for(emulator, filters={"pools": {"id_gt": "5"}})
        assert run_inside(nothing, first.state).state == first.state
        assert run_inside(config_for(emulator), first.state).ids == []


def test_a_field_that_toloka_adds_is_kept_aside_and_named_once() -> None:
    rows = [make_pool(str(id_), ago(days=1), colour="red") for id_ in range(1, 5)]
    with Emulator(pools=rows) as emulator:
        run = run_process(config=config_for(emulator, batch_size=2))
    assert run.status == 0
    assert len(run.records) == 4
    assert all(record["_extra"] == {"colour": "red"} for record in run.records)
    assert run.log.count("'colour'") == 1


def test_with_on_misfit_fail_a_value_ends_the_stream_and_can_be_deselected() -> None:
    with Emulator(pools=[make_pool("1", ago(days=1), priority="high")]) as emulator:
        config = config_for(emulator, on_misfit="fail")
        with pytest.raises(TolokaError, match=r"pools: row 1.*`priority` is .*deselect the field"):
            run_inside(config)
        assert len(requests_for_rows(emulator)) == 1, "the next answer would be the same"
        run = run_inside(config, catalog=catalog_of("priority"))
    assert run.ids == ["1"]


def test_a_field_within_a_field_can_be_deselected(caplog: pytest.LogCaptureFixture) -> None:
    with Emulator(pools=make_pools(40, seed=7)) as emulator:
        run = run_inside(config_for(emulator), catalog=catalog_of("owner.id"))
        rows = emulator.pools.rows()
    assert "left out" not in caplog.text, "that is for fields that the schema does not know"
    assert "id" not in run.schema["properties"]["owner"]["properties"]
    assert any(record.get("owner") for record in run.records), "the rest of it stays"
    for row in rows:
        (row.get("owner") or {}).pop("id", None)
    assert run.records == [expected(row) for row in rows]


def test_stream_maps_and_flattening_work_as_in_any_tap() -> None:
    maps = {"pools": {"__alias__": "toloka_pools", "private_name": None, "cost": "priority * 2"}}
    with Emulator(pools=[make_pool("1", ago(days=1), priority=4, owner={"id": "x"})]) as emulator:
        run = run_inside(config_for(emulator, stream_maps=maps))
        flat = run_inside(config_for(emulator, flattening_enabled=True, flattening_max_depth=1))
    (message,) = [m for m in run.messages if m["type"] == "RECORD"]
    assert message["stream"] == "toloka_pools"
    assert "private_name" not in message["record"]
    assert flat.records[0]["owner__id"] == "x"
    assert "owner__id" in flat.schema["properties"]


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        {"type": ["string", "object", "null"]},
        {"type": ["string", "number"]},
    ],
    ids=str,
)
def test_a_catalog_may_declare_any_type_for_any_field(kind: dict[str, Any]) -> None:
    with Emulator(pools=make_pools(40, seed=3)) as emulator:
        plain = run_inside(config_for(emulator))
        for field in ("id", "created", "last_started", "private_name"):
            catalog = catalog_of()
            (pools,) = [entry for entry in catalog["streams"] if entry["stream"] == "pools"]
            pools["schema"]["properties"][field] = kind
            run = run_inside(config_for(emulator), catalog=catalog)
            assert run.records == plain.records
            assert without_blocks(run.state) == without_blocks(plain.state)
            assert run.schema["properties"][field] == kind


def test_requests_for_other_streams_are_counted_as_well() -> None:
    with Emulator(pools=make_pools(5)) as emulator:
        run = run_process(config=config_for(emulator), catalog=catalog_of(stream="tasks"))
        sent = len(requests_for_rows(emulator))
    counts = re.findall(r'"http_request_count","value":(\d+)', run.log)
    assert sum(map(int, counts)) == sent > 5
