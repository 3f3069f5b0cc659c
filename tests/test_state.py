"""State is checked before it is used, and is as it was after a run that fails."""

from __future__ import annotations

import re
from typing import Any

import pytest
from singer_sdk.exceptions import ConfigurationError

from tap_toloka.tap import TapToloka
from tests.pool_streams import date_params
from tests.runner import POOLS_PATH, config_for, run_inside, run_process, without_blocks
from toloka_emulator import REQUESTER, Emulator, Fault, make_pool


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ([], "bookmarks"),
        ([1], "bookmarks"),
        (5, "bookmarks"),
        ({"bookmarks": []}, "bookmarks"),
        ({"pools": "2024-01-01"}, "bookmarks"),
        ({"bookmarks": {"pools": None}}, "pools"),
        ({"bookmarks": {"pools": "2024-01-01T00:00:00Z"}}, "pools"),
        ({"bookmarks": {"pools": {"created": "2024-01-01T00:00:00Z"}}}, "created"),
        ({"bookmarks": {"pools": {"partitions": []}}}, "partitions"),
        ({"bookmarks": {"pools": {"replication_key": "id"}}}, "'id'"),
        ({"bookmarks": {"pools": {"filters": "x"}}}, "filters"),
        ({"bookmarks": {"pools": {"replication_key_value": "soon"}}}, "'soon'"),
        ({"bookmarks": {"pools": {"replication_key_value": 1704067200}}}, "1704067200"),
        ({"bookmarks": {"pools": {"replication_key_value": ""}}}, "''"),
    ],
    ids=str,
)
def test_an_invalid_state_is_refused_with_what_is_wrong(state: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(named)) as error:
        TapToloka(config={"token": "x"}, state=state)
    assert str(error.value).startswith("Invalid state: ")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("state", [[], {"bookmarks": {"pools": None}}, "{'bookmarks': "], ids=str)
def test_an_invalid_state_is_an_error_in_one_line_and_no_request(state: Any) -> None:
    with Emulator() as emulator:
        run = run_process(config=config_for(emulator), state=state)
        assert not emulator.requests
    assert run.status == 1
    assert run.output == b""
    (_,) = [line for line in run.log.splitlines() if "ERROR" in line]
    assert "Traceback" not in run.log


@pytest.mark.parametrize(
    ("value", "created_gt"),
    [
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000"),
        ("2024-01-01T00:00:00.5", "2024-01-01T00:00:00.500"),
        ("2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00.000"),
        ("2024-01-01T03:00:00.123456+03:00", "2024-01-01T00:00:00.123"),
        (None, None),
    ],
)
def test_the_date_of_a_bookmark_may_be_written_in_any_way(
    value: str | None, created_gt: str | None
) -> None:
    bookmark = {"replication_key": "created", "replication_key_value": value}
    with Emulator(pools=[make_pool("1", "2024-01-01T00:00:00.6")]) as emulator:
        state = {"bookmarks": {"pools": bookmark, "other": {"a": 1}}}
        run = run_inside(config_for(emulator, detect_changes=False), state)
        bounds = [date_params(request) for request in emulator.requests]
    assert {date for dates in bounds for date in dates.values()} == {created_gt} - {None}
    assert run.bookmark == "2024-01-01T00:00:00.600Z", "compared as points in time"
    assert run.state is not None
    assert run.state["bookmarks"]["other"] == {"a": 1}


GONE: list[Any] = [None, True, 5, "2026-01-01", [], [{}], {"partitions": 5}, {"partitions": [5]}]
GONE += [{"progress_markers": 5}, {"partitions": [{"progress_markers": []}]}]


@pytest.mark.parametrize("entry", GONE, ids=str)
def test_what_is_not_a_bookmark_of_a_stream_that_is_gone_is_left_out(
    entry: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Emulator(pools=[make_pool("1", "2024-01-01T00:00:00")]) as emulator:
        run = run_inside(config_for(emulator), {"bookmarks": {"gone": entry}})
    assert run.state is not None
    assert run.state["bookmarks"].keys() == {"pools"}
    (line,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "'gone'" in line


@pytest.mark.parametrize(
    "entry", [{}, {"a": [1]}, {"partitions": [{"context": {}, "b": 1}], "progress_markers": {}}]
)
def test_a_bookmark_of_a_stream_that_is_gone_is_kept(
    entry: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Emulator(pools=[make_pool("1", "2024-01-01T00:00:00")]) as emulator:
        run = run_inside(config_for(emulator), {"bookmarks": {"gone": entry}})
    assert run.state is not None
    assert run.state["bookmarks"].get("gone", {}) == entry
    assert not [r for r in caplog.records if r.levelname == "WARNING"]


def test_an_invalid_state_is_named_in_a_line_that_is_not_too_long() -> None:
    for entry in ("x" * 5_000, {"replication_key": "x" * 5_000}, {"x" * 5_000: 1}):
        with pytest.raises(ConfigurationError) as error:
            TapToloka(config={"token": "x"}, state={"bookmarks": {"pools": entry}})
        assert len(str(error.value)) < 300


def test_progress_markers_of_an_interrupted_run_are_removed() -> None:
    bookmark = {
        "replication_key": "created",
        "replication_key_value": "2024-01-01T00:00:00Z",
        "starting_replication_value": None,
        "replication_key_signpost": "2024-02-01T00:00:00Z",
        "progress_markers": "of any form",
    }
    with Emulator(pools=[make_pool("1", "2024-02-15T00:00:00")]) as emulator:
        run = run_inside(config_for(emulator), {"bookmarks": {"pools": bookmark}})
    assert run.ids == ["1"]
    assert without_blocks(run.state) == {
        "bookmarks": {
            "pools": {
                "replication_key": "created",
                "replication_key_value": "2024-02-15T00:00:00.000Z",
                "account": {"environment": "PRODUCTION", "requester_id": REQUESTER["id"]},
            }
        }
    }


def test_a_run_that_fails_leaves_the_bookmark_where_it_was() -> None:
    with Emulator(
        pools=[make_pool(str(n), "2024-01-01T00:00:00") for n in range(1, 6)]
    ) as emulator:
        config = config_for(emulator, batch_size=2, max_retries=0, max_concurrency=1)
        first = run_inside(config)
        emulator.pools.add([make_pool(str(n), "2024-02-01T00:00:00") for n in range(6, 11)])
        emulator.faults.add(Fault(path=POOLS_PATH, status=500, after=1))
        failed = run_process(config=config, state=first.state)
        assert failed.status == 1
        assert failed.ids == ["6", "7"]
        assert failed.bookmark == first.bookmark
        emulator.faults.add(Fault(path=POOLS_PATH, status=500, after=1))
        assert run_process(config=config).bookmark is None
        assert run_inside(config, first.state).ids == ["6", "7", "8", "9", "10"]
        assert run_inside(config, failed.state).ids == ["8", "9", "10"]
