"""Filters choose the pools that are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.pool_streams import (
    BOOKMARK,
    LONG_AGO,
    bookmark_of,
    every_stream,
    open_pool,
    pools_requested,
    row_of,
    serve,
    state_of,
)
from tests.runner import config_for, requests_for_rows, run_inside
from toloka_emulator import Emulator, make_pool

if TYPE_CHECKING:
    from tap_toloka.client import TolokaStream

Row = dict[str, Any]


@every_stream
@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"pool_id": [2]}, ["2"]),
        ({"pool_id": ["2", 40, "0003"]}, ["2", "3", "40"]),
        ({"pool_id": [9, 100]}, ["9", "100"]),
        ({"project_id": [7]}, ["2", "40"]),
        ({"project_id": ["7", 8]}, ["2", "3", "40"]),
        ({"project_id": [7, 9], "pool_id": ["2", "3"]}, ["2"]),
        ({"project_id": [6]}, []),
    ],
    ids=str,
)
def test_only_rows_of_chosen_pools_and_projects_are_read(
    stream: type[TolokaStream], chosen: dict[str, Any], expected: list[str]
) -> None:
    projects = {"1": "5", "2": "7", "3": "8", "9": "10", "40": "7", "100": "10"}
    pools = [open_pool(id_, project_id=project) for id_, project in projects.items()]
    rows = [row_of(stream, id_, 1, BOOKMARK) for id_ in projects]
    with serve(pools, rows, stream) as emulator:
        config = config_for(emulator, filters={stream.name: chosen})
        run = run_inside(config, stream=stream.name)
        assert pools_requested(emulator, stream) == {*expected}
        assert {str(int(id_.partition("--")[0], 16)) for id_ in run.ids} == {*expected}
        for request in requests_for_rows(emulator):
            assert "," not in "".join(request.params.values()), "Toloka takes one"


@pytest.mark.parametrize(
    ("chosen", "params"),
    [
        ({"pool_id": [9, 40, 100]}, {"id_gte": "9", "id_lte": "100"}),
        ({"project_id": ["07"]}, {"project_id": "7"}),
        ({"project_id": [7], "pool_id": [3]}, {"project_id": "7", "id_gte": "3", "id_lte": "3"}),
        ({"project_id": [7, 8]}, {}),
    ],
    ids=str,
)
def test_pools_are_listed_with_the_filters_that_toloka_has(
    chosen: dict[str, Any], params: dict[str, str]
) -> None:
    with Emulator() as emulator:
        config = config_for(emulator, filters={"assignments": chosen})
        run_inside(config, stream="assignments")
        requests = requests_for_rows(emulator)
    assert [request.path for request in requests] == ["/api/v1/pools", "/api/v1/trainings"]
    for request in requests:
        assert request.params == {"sort": "id", "limit": "300", **params}


@every_stream
def test_a_chosen_pool_that_does_not_exist_is_one_warning(
    stream: type[TolokaStream], caplog: pytest.LogCaptureFixture
) -> None:
    with serve([open_pool("2")], [row_of(stream, "2", 1, BOOKMARK)], stream) as emulator:
        config = config_for(emulator, filters={stream.name: {"pool_id": [2, 30, 4]}})
        run = run_inside(config, stream=stream.name)
    assert len(run.ids) == 1
    (line,) = [line for line in caplog.messages if "nothing found" in line]
    assert f"`filters.{stream.name}.pool_id`: nothing found" in line
    assert line.endswith(" for 4, 30. Check the IDs")


@every_stream
@pytest.mark.parametrize(
    "now", [{}, {"pool_id": [1]}, {"pool_id": [1, 2, 3]}, {"project_id": [81776]}], ids=str
)
def test_with_other_pools_chosen_the_bookmark_is_not_used(
    stream: type[TolokaStream], now: dict[str, Any]
) -> None:
    state = state_of(stream, pool_id="1,2")
    pools = [open_pool("1"), make_pool("2", LONG_AGO, status="ARCHIVED")]
    rows = [row_of(stream, id_, 1, LONG_AGO) for id_ in ("1", "2")]
    with serve(pools, rows, stream) as emulator:
        same = config_for(emulator, filters={stream.name: {"pool_id": ["2", 1]}})
        assert run_inside(same, state, stream=stream.name).ids == []
        other = config_for(emulator, filters={stream.name: now})
        run = run_inside(other, state, stream=stream.name)
        read = sorted(run.ids)
        assert read == [row["id"] for row in rows][: 1 if now == {"pool_id": [1]} else 2]
    assert run.state
    kept = run.state["bookmarks"][stream.name]
    assert kept.get("filters", {}) == stream.filters.normal(now)
    assert bookmark_of(run, stream.name) == f"{LONG_AGO}.000Z"
