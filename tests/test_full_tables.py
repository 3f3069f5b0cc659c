"""ACTIVATE_VERSION takes rows out of the warehouse, so it comes only when all rows were read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.errors import TolokaError
from tap_toloka.streams import STREAMS
from tests.expected_rows import whole_account
from tests.loads import Loads
from tests.pool_streams import LONG_AGO, assignment, open_pool, serve
from tests.runner import catalog_of, catalog_of_all, config_for, run_inside
from toloka_emulator import Emulator, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database
    from tests.projects import Project
    from tests.runner import Run

Json = dict[str, Any]
NEVER = {"requester", "operation_logs", "aggregated_solutions"}
"""Streams with rows that Toloka does not list any more, though they are worth keeping."""


@pytest.fixture(scope="module")
def account() -> Iterator[Emulator]:
    """Serve rows of all streams."""
    with Emulator(rows=whole_account(20, seed=5)) as emulator:
        yield emulator


@pytest.fixture
def five() -> Iterator[Emulator]:
    """Serve five pools with 40 assignments each."""
    rows = [assignment(str(pool), n, LONG_AGO) for pool in range(1, 6) for n in range(40)]
    with serve([open_pool(str(pool)) for pool in range(1, 6)], rows) as emulator:
        yield emulator


def full_table(stream: str) -> Json:
    """Return a catalog in which a stream is read whole."""
    return catalog_of(stream=stream, replication_method="FULL_TABLE")


def config_of(emulator: Emulator, **settings: Any) -> Json:
    """Return a config with versions."""
    return config_for(emulator, emit_activate_version_messages=True, max_retries=0, **settings)


def activated(run: Run) -> list[str]:
    """Return the streams of which a version was activated."""
    return [m["stream"] for m in run.messages if m["type"] == "ACTIVATE_VERSION"]


def test_a_version_is_activated_after_the_last_row_of_each_full_table(account: Emulator) -> None:
    catalog = catalog_of_all()
    for entry in catalog["streams"]:
        entry["replication_method"] = "FULL_TABLE"
    run = run_inside(config_of(account), catalog=catalog)
    assert sorted(activated(run)) == sorted({stream.name for stream in STREAMS} - NEVER)
    ended: dict[str, int] = {}
    for message in run.messages:
        if message["type"] == "ACTIVATE_VERSION":
            ended[message["stream"]] = message["version"]
        elif message["type"] == "RECORD":
            assert message["stream"] not in ended, "a record after its version was activated"
            assert ("version" in message) == (message["stream"] not in NEVER)
    records = [m for m in run.messages if m["type"] == "RECORD" and m["stream"] in ended]
    assert {(m["stream"], m["version"]) for m in records} == set(ended.items())


def test_incremental_streams_have_no_version(account: Emulator) -> None:
    run = run_inside(config_of(account), stream="pools")
    assert run.records
    assert activated(run) == []
    assert not any("version" in message for message in run.messages)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path="/api/v1/pools", status=500, times=None),
        Fault(path="/api/v1/assignments", status=500, after=6, times=None),
        Fault(path="/api/v1/assignments", status=400, params={"pool_id": "3"}, times=None),
    ],
    ids=["pools", "midway", "one pool"],
)
def test_no_version_is_activated_by_a_run_that_fails(five: Emulator, fault: Fault) -> None:
    five.faults.add(fault)
    config = config_of(five, batch_size=10)
    run = run_inside(config, catalog=full_table("assignments"), may_fail=True)
    assert run.status == 1
    assert activated(run) == []


@pytest.mark.parametrize("status", [403, 409, 404])
def test_no_version_is_activated_if_a_pool_was_skipped(
    five: Emulator, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    refused = {"pool_id": "3"}
    five.faults.add(Fault(path="/api/v1/assignments", params=refused, status=status, times=None))
    run = run_inside(config_of(five), catalog=full_table("assignments"))
    assert len(run.records) == 160
    assert activated(run) == []
    assert (
        "ACTIVATE_VERSION not sent, so deleted rows stay in the target: some lists" in caplog.text
    )


def test_no_version_is_activated_if_a_list_of_lists_was_not_read_whole(account: Emulator) -> None:
    config, catalog = config_of(account), catalog_of(stream="user_metadata")
    assert activated(run_inside(config, catalog=catalog)) == ["user_metadata"]
    pool_id = account.tables["assignments"].rows()[0]["pool_id"]
    refused = {"pool_id": pool_id}
    account.faults.add(Fault(path="/api/v1/assignments", params=refused, status=403, times=None))
    assert activated(run_inside(config, catalog=catalog)) == []
    account.faults.clear()


def test_no_version_of_a_filtered_table_is_activated(
    five: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    filters = {"assignments": {"pool_id": ["1"]}}
    run = run_inside(config_of(five, filters=filters), catalog=full_table("assignments"))
    assert len(run.records) == 40
    assert all(m["version"] for m in run.messages if m["type"] == "RECORD")
    assert activated(run) == []
    assert (
        "ACTIVATE_VERSION not sent, so deleted rows stay in the target: the stream has"
        in caplog.text
    )


def test_versions_are_activated_under_the_names_that_stream_maps_give(five: Emulator) -> None:
    maps = {
        "pools": {"__alias__": "renamed"},
        "copy": {"__source__": "pools", "id": "id", "__else__": None},
    }
    run = run_inside(config_of(five, stream_maps=maps), catalog=full_table("pools"))
    assert activated(run) == ["renamed", "copy"]
    versions = {(m["stream"], m["version"]) for m in run.messages if "version" in m}
    assert len(versions) == 2 < len(run.messages)
    run = run_inside(config_of(five, stream_maps={"pools": None}), catalog=full_table("pools"))
    assert {m["type"] for m in run.messages} <= {"STATE"}


def test_a_version_is_later_than_the_one_before_though_the_clock_was_set_back(
    five: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = full_table("pools")
    before = run_inside(config_of(five), catalog=catalog)
    monkeypatch.setattr("tap_toloka.clock.time.time", lambda: 1_700_000_000.0)
    after = run_inside(config_of(five), catalog=catalog)
    first, second = (
        [m["version"] for m in run.messages if m["type"] == "ACTIVATE_VERSION"]
        for run in (before, after)
    )
    assert first <= second


def test_no_row_is_deleted_in_postgres_by_a_run_that_did_not_read_it(
    five: Emulator, project: Project, database: Database
) -> None:
    loads = Loads(project, five, database, "assignments")

    def live() -> int:
        return sum(row["_sdc_deleted_at"] is None for row in loads.rows("assignments"))

    whole = {
        "TAP_TOLOKA__METADATA": json.dumps({"assignments": {"replication-method": "FULL_TABLE"}}),
        "TAP_TOLOKA_EMIT_ACTIVATE_VERSION_MESSAGES": "true",
        "TAP_TOLOKA_MAX_RETRIES": "0",
    }
    assert loads.run(**whole), loads.log
    assert live() == 200
    path = "/api/v1/assignments"
    failing = Fault(path="/api/v1/pools", status=500, times=None)
    midway = Fault(path=path, status=500, after=3, times=None)
    refused = Fault(path=path, params={"pool_id": "3"}, status=403, times=None)
    for fault in (failing, midway, refused):
        assert loads.run(fault, **whole) == (fault is refused), loads.log
        assert live() == 200
    gone = five.tables["assignments"].rows()[0]["id"]
    five.tables["assignments"].remove(gone)
    assert loads.run(**whole), loads.log
    deleted = [row["id"] for row in loads.rows("assignments") if row["_sdc_deleted_at"]]
    assert deleted == [gone]


def test_all_lists_refused_are_an_error_also_for_a_full_table(five: Emulator) -> None:
    five.faults.add(Fault(path="/api/v1/assignments", status=403, times=None))
    with pytest.raises(TolokaError, match="403"):
        run_inside(config_of(five), catalog=full_table("assignments"))
