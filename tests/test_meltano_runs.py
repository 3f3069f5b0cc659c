"""Meltano loads what Toloka has into real databases, and later runs only what is new."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from tap_toloka.streams import STREAMS
from tap_toloka.streams.assignments import Assignments
from tests.expected_rows import in_order, printed
from tests.loads import Loads, without_nulls, without_own_columns
from tests.pool_streams import date_params
from tests.projects import REPOSITORY
from tests.runner import catalog_of
from tests.simulation import BEGINNING, CHANGING, Account
from toloka_emulator import Emulator, Fault, make_pool, make_pools, read_date

if TYPE_CHECKING:
    from tap_toloka.client import TolokaStream
    from tests.databases import Database
    from tests.loaded_account import LoadedAccount
    from tests.projects import Project

Json = dict[str, Any]

HALFWAY = BEGINNING + timedelta(days=250)
END = BEGINNING + timedelta(days=500)
POOL_DATES = {"created", "last_started", "last_stopped", "will_expire"}


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: str(stream.name))
def test_each_stream_is_in_postgres_row_for_row(
    stream: type[TolokaStream], loaded: LoadedAccount
) -> None:
    (entry,) = [entry for entry in catalog_of()["streams"] if entry["stream"] == stream.name]
    properties = entry["schema"]["properties"]
    dates = {name for name, field in properties.items() if field.get("format") == "date-time"}
    columns: Json = dict.fromkeys(properties.keys() - {"read_at"})
    expected: list[Json] = [
        columns | {k: _date(v) if v and k in dates else v for k, v in row.items()}
        for row in printed(stream, loaded.emulator)
    ]
    if stream.name == "operation_logs":  # Toloka keeps them for a month
        month = timedelta(days=31)
        expected = [row for row in expected if row["operation_finished"] > loaded.loaded_at - month]
    if stream.name == "user_metadata":  # of those who were given assignments
        users = {row.get("user_id") for row in loaded.rows("assignments")}
        expected = [row for row in expected if row["id"] in users]
    with loaded.database.connect(row_factory=dict_row) as connection:
        query = SQL("SELECT * FROM tap_toloka.{}").format(Identifier(stream.name))
        rows: list[Json] = connection.execute(query).fetchall()
    read = [without_own_columns(row) for row in rows]
    if stream.name == "requester":
        (read_at,) = [row.pop("read_at") for row in read]
        assert loaded.loaded_at < read_at < loaded.loaded_at + timedelta(minutes=5)
    assert expected
    assert in_order(stream, read) == in_order(stream, expected)


def _date(printed: str) -> datetime:
    return datetime.fromisoformat(printed.removesuffix("Z"))


def _in_table(pool: Json) -> Json:
    """Return a pool as its columns have it; NUL is what PostgreSQL cannot hold."""
    values = {n: v.replace("\0", "\ufffd") if isinstance(v, str) else v for n, v in pool.items()}
    for name in POOL_DATES & without_nulls(pool).keys():
        values[name] = read_date(pool[name]).replace(tzinfo=None)
    return values


def ago(**duration: float) -> str:
    """Print a moment before now as Toloka does."""
    moment = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(**duration)
    return moment.isoformat(timespec="milliseconds")


def test_later_runs_load_only_what_is_new_or_has_changed(
    project: Project, database: Database
) -> None:
    old = [pool for pool in make_pools(100, seed=4) if pool["created"] < "2024"]
    assert len(old[0]["id"]) < len(old[-1]["id"])  # their order is not that of texts
    young = make_pool("3000100", ago(seconds=5), private_name="a NUL: \0")
    with Emulator([*old, young]) as emulator:
        loads = Loads(project, emulator, database, "pools")

        def loaded() -> dict[str, Json]:
            return {row["id"]: without_own_columns(row) for row in loads.rows("pools")}

        def expected() -> dict[str, Json]:
            columns = dict.fromkeys(next(iter(loaded().values())))
            return {row["id"]: {**columns, **_in_table(row)} for row in emulator.pools.rows()}

        assert loads.run(), loads.log
        assert loaded() == expected()
        bookmark = loads.bookmarks["pools"]
        # Pools that are later than this may not have been listed yet.
        assert ago(minutes=3) < bookmark < young["created"]

        # One new pool is as old, to the millisecond, as one that is there.
        twin = make_pool("3000101", young["created"])
        new = [make_pool(str(3_000_200 + number), ago(seconds=1)) for number in range(12)]
        emulator.pools.add([twin, *new])
        assert loads.run(), loads.log
        assert loaded() == expected()
        fresh = [row["id"] for row in loads.rows("pools") if row["_sdc_extracted_at"] > loads.began]
        assert sorted(fresh) == [pool["id"] for pool in (young, twin, *new)]
        since = {date for request in emulator.requests for date in date_params(request).values()}
        assert since == {bookmark.removesuffix("Z")}

        emulator.pools.change(old[30]["id"], status="ARCHIVED", last_stopped=ago(seconds=1))
        assert loads.run(), loads.log
        assert loaded() == expected(), "also what has changed without a date"
    meltano_yml = (REPOSITORY / "meltano.yml").read_text()
    assert (project.root / "meltano.yml").read_text() == meltano_yml


def test_metrics_name_their_stream(project: Project, database: Database) -> None:
    with Emulator(make_pools(20, seed=5)) as emulator:
        loads = Loads(project, emulator, database, "pools", "projects")
        assert loads.run(), loads.log
    lines = [" ".join(line.split()) for line in loads.log.splitlines()]
    of_tap = [line for line in lines if " tap-toloka METRIC" in line]
    for metric in ("record_count", "http_request_count", "sync_duration"):
        named = {
            line.partition(" tap-toloka ")[2].partition(" metric_name=")[0]
            for line in of_tap
            if f" metric_name={metric} metric_value=" in line
        }
        assert named == {"METRIC pools", "METRIC projects"}


def test_all_changes_are_loaded_though_one_run_fails_and_some_happen_during_another(
    project: Project, database: Database
) -> None:
    with Account("Meltano", run_times=(HALFWAY,), late_from=END) as account:
        names = [stream.name for stream in CHANGING]
        loads = Loads(project, account, database, *names)
        account.schedule_assignments(1_000, 14, END)
        for name in names[1:]:
            for _ in range(100):
                account.schedule(account.moment(BEGINNING, END), partial(account.create, name))

        # One of four streams fails in the first run; the bookmarks of the others are kept.
        account.wait_until(HALFWAY)
        fault = Fault(status=400, path="*/assignments", times=None, after=9)
        assert not loads.run(Fault(cut=True, after=5), fault)
        assert "Toloka answered 400" in loads.log
        assert loads.bookmarks.keys() == {*names} - {"assignments"}

        # Months later, changes are made during the second run, and listed late and not in order.
        account.finish()
        now = datetime.now(timezone.utc)
        assert account.now < now
        pool_ids = [pool["id"] for pool in account.pools.rows()]
        for pool_id in pool_ids:
            account.change_pool(pool_id, "OPEN")
        for seconds in range(-30, 30):
            for name in names:
                pool_id = account.dice.pick(pool_ids) if name == Assignments.name else ""
                at = now + timedelta(seconds=seconds)
                account.schedule(at, partial(account.create, name, pool_id))
        account.follows_clock = True
        assert loads.run(), loads.log
        account.follows_clock = False
        records = {stream.name: loads.records(stream) for stream in CHANGING}
        account.finish()  # later than the tap's clock, so that all is listed
        assert loads.run(), loads.log
        for stream in CHANGING:
            expected = [without_nulls(row) for row in printed(stream, account)]
            assert loads.records(stream) == expected != records[stream.name]
