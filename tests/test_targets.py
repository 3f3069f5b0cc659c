"""What targets make of all 22 streams, loaded twice: rows, keys, amounts, dates, nested values."""

from __future__ import annotations

import ast
import json
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.sql import SQL, Identifier

from scripts.plugin_definitions import settings_of
from tap_toloka.streams import STREAMS
from tap_toloka.streams.pools import Pools
from tests.docs_helpers import Block, runs
from tests.expected_rows import in_order, printed, whole_account
from tests.loads import records_in, rows_in, without_nulls
from tests.projects import REPOSITORY, Project, copy_sources
from tests.runner import Run, catalog_of_all, config_for, run_inside
from toloka_emulator import APP_PROJECT_IDS, POOL_IDS, Emulator, make_pool, make_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tap_toloka.client import TolokaStream
    from tests.databases import Database

Json = dict[str, Any]
Rows = dict[str, list[Json]]
"""Rows by stream, in the order of their keys."""

VENV = REPOSITORY / ".venv-targets/bin"
DEPTHS = (1, 2, 3, 5, 10)
LONGEST_NAME = 63
"""Bytes of a name in PostgreSQL; what is longer is cut off."""

# target-sqlite 0.2.0 was written for Python 3.9 and earlier.
TARGET_SQLITE = """
import collections.abc
collections.MutableMapping = collections.abc.MutableMapping
from target_sqlite import main
main()
"""
VALUES = """
SELECT (to_jsonb(row) - ARRAY[
    '_sdc_received_at', '_sdc_batched_at', '_sdc_sequence', '_sdc_sync_started_at'
])::text FROM {} row ORDER BY 1
"""
"""All values of a table as text, but for when it was loaded."""
TYPES = """
SELECT attname::text, atttypid::regtype::text FROM pg_attribute WHERE attrelid = '{}'::regclass
AND attnum > 0 ORDER BY attnum
"""
INSTEAD = {
    "pip_url: meltanolabs-target-postgres~=0.8.1\n": "pip_url: -e ./fast_target_postgres\n",
    "executable: target-postgres\n": "executable: fast-target-postgres\n",
}
"""What docs/targets.md tells to change in `meltano.yml` for the fast target."""
READ_DUCKDB = """
import duckdb, json, sys
with duckdb.connect(sys.argv[1], read_only=True) as file:
    rows = {}
    for (table,) in file.sql("SELECT table_name FROM duckdb_tables()").fetchall():
        found = file.sql(f"FROM tap_toloka.{table}")
        rows[table] = [dict(zip(found.columns, row)) for row in found.fetchall()]
    print(json.dumps(rows, default=lambda date: date.isoformat(timespec="milliseconds") + "Z"))
"""


@dataclass(frozen=True)
class Loads:
    """Runs that read everything.

    Attributes:
        runs: The runs; after the first one a pool got another price.
        rows: The rows that there are in the end, without what is null.
    """

    runs: list[Run]
    rows: Rows

    def into(self, *target: str | Path, config: Json, folder: Path) -> None:
        """Load the runs, each by a process of its own."""
        file = folder / "config.json"
        file.write_text(json.dumps(config))
        for run in self.runs:
            command = [*map(str, target), "--config", str(file)]
            done = subprocess.run(command, input=run.output, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr.decode()


def read_all(times: int, **settings: Any) -> Loads:
    """Read all streams so many times."""
    with Emulator(rows=whole_account(20, seed=1)) as emulator:
        config = config_for(emulator, **settings)
        done = []
        for number in range(times):
            done.append(run_inside(config, catalog=catalog_of_all()))
            if number == 0 and times > 1:
                emulator.pools.change(POOL_IDS[0], reward_per_assignment=Decimal("15.250"))
        rows = {stream.name: [*map(without_nulls, printed(stream, emulator))] for stream in STREAMS}
    users = {row.get("user_id") for row in rows["assignments"]}
    rows["user_metadata"] = [row for row in rows["user_metadata"] if row["id"] in users]
    rows["requester"] *= times  # a row of each run
    return Loads(done, rows)


@pytest.fixture(scope="module")
def loads() -> Loads:
    """Read all streams twice, with the default settings."""
    return read_all(2)


def target_in(project: Project, name: str) -> Path:
    """Return the program of a loader that Meltano has installed."""
    return project.root / ".meltano/loaders" / name / "venv/bin" / name


# target-jsonl, target-sqlite, target-duckdb, target-postgres


def test_jsonl_files_hold_the_records_of_both_runs(loads: Loads, tmp_path: Path) -> None:
    config = {"destination_path": str(tmp_path), "do_timestamp_file": False}
    loads.into(VENV / "target-jsonl", config=config, folder=tmp_path)
    for stream in STREAMS:
        lines = (tmp_path / f"{stream.name}.jsonl").read_text().splitlines()
        messages = [message for run in loads.runs for message in run.messages]
        assert [json.loads(line, parse_float=Decimal) for line in lines] == [
            message["record"]
            for message in messages
            if message["type"] == "RECORD" and message["stream"] == stream.name
        ]


def test_sqlite_holds_each_row_once(loads: Loads, tmp_path: Path) -> None:
    config = {"database": str(tmp_path / "toloka")}
    loads.into(VENV / "python", "-c", TARGET_SQLITE, config=config, folder=tmp_path)
    with closing(sqlite3.connect(tmp_path / "toloka.db")) as database:
        database.row_factory = sqlite3.Row
        for stream in STREAMS:
            found = [dict(row) for row in database.execute(f"SELECT * FROM {stream.name}")]  # noqa: S608
            rows = in_order(stream, map(without_nulls, found))
            expected = loads.rows[stream.name]
            assert amounts(rows, stream, "string") == amounts(expected, stream, "string")
            for kind in ("array", "object"):  # those with properties are columns of their own
                columns = [*of_type(stream, kind) & found[0].keys()]
                for row, held in zip(rows, expected, strict=True):
                    texts = {name: ast.literal_eval(row[name]) for name in columns if name in row}
                    assert texts == inexact({n: held[n] for n in columns if n in held})
            owners = [row["owner"].get("id") for row in expected if "owner" in row]
            assert [row["owner__id"] for row in rows if "owner__id" in row] == [
                *filter(None, owners)
            ]


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="DuckDB 1.2, which the loader needs, has no wheel for it"
)
def test_duckdb_holds_each_row_once(loads: Loads, project: Project, tmp_path: Path) -> None:
    project.install("target-duckdb")
    target, path = target_in(project, "target-duckdb"), tmp_path / "toloka.duckdb"
    config = {"path": str(path), "default_target_schema": "tap_toloka"}
    loads.into(target, config={**settings_of("target-duckdb"), **config}, folder=tmp_path)
    command = [str(target.with_name("python")), "-c", READ_DUCKDB, str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    tables = json.loads(done.stdout)
    for stream in STREAMS:
        rows = in_order(stream, map(without_nulls, tables[stream.name]))
        # Empty texts have become NULL.
        expected = [{n: v for n, v in row.items() if v != ""} for row in loads.rows[stream.name]]
        assert amounts(rows, stream, "string") == amounts(expected, stream, "string")
        nested = of_type(stream, "array") | of_type(stream, "object")
        for row, held in zip(rows, expected, strict=True):
            texts = {name: json.loads(row[name]) for name in nested & row.keys()}
            # What is an array or an object is the text `null` if it is null.
            assert without_nulls(texts) == inexact({n: held[n] for n in nested & held.keys()})


@pytest.mark.parametrize("flattening", [False, True])
def test_postgres_holds_values_of_any_type(
    installed: Project, database: Database, tmp_path: Path, *, flattening: bool
) -> None:
    values = ["text", '{"and": []}', "7", "", True, False, 0, Decimal("-2.50"), 10**18, [], {}]
    pools = [
        make_pool(str(number), "2024-05-06T07:08:09", filter=value)
        for number, value in enumerate(values, 10)
    ]
    with Emulator(pools) as emulator:
        settings = {"flattening_enabled": flattening, "flattening_max_depth": 1}
        run = run_inside(config_for(emulator, **settings))
    config = {"sqlalchemy_url": database.url, "default_target_schema": "tap_toloka"}
    config = {**settings_of("target-postgres"), **config}
    target = target_in(installed, "target-postgres")
    Loads([run], {}).into(target, config=config, folder=tmp_path)
    found = [row["filter"] for row in records_in(database, "tap_toloka", Pools)]
    texts = ["text", '{"and": []}', "7", "", "true", "false", "0", "-2.50", "1" + 18 * "0", "[]"]
    assert [*map(repr, found)] == [*map(repr, [*texts, "{}"] if flattening else values)]


def test_postgres_holds_each_row_once_with_all_its_digits(
    loads: Loads, installed: Project, database: Database, tmp_path: Path
) -> None:
    config = {"sqlalchemy_url": database.url, "default_target_schema": "tap_toloka"}
    config = {**settings_of("target-postgres"), **config}
    loads.into(target_in(installed, "target-postgres"), config=config, folder=tmp_path)
    for stream in STREAMS:
        rows = records_in(database, "tap_toloka", stream)
        if stream.name == "requester":
            assert len({row.pop("read_at") for row in rows}) == len(loads.runs)
        assert rows == loads.rows[stream.name]


def test_the_fast_target_makes_the_tables_that_the_one_of_meltanolabs_makes(
    loads: Loads, installed: Project, database: Database, tmp_path: Path
) -> None:
    numbers = ["1" + 30 * "0", str(2**63), str(2**64), "-1E+300", "0.10", "-0.0", "1e-7"]
    values = [*map(Decimal, numbers), "\u2028 é 😀 \\ \x7f", nested_in(50), [None, [], {"": None}]]
    odd = [
        make_pool(str(number), "2024-05-06T07:08:09", filter={"value": value})
        for number, value in enumerate(values, 10**9)
    ]
    with Emulator(odd) as emulator:
        runs = [*loads.runs, run_inside(config_for(emulator))]
    usual = target_in(installed, "target-postgres")
    fast = Project(tmp_path / "fast", installed.installing)
    copy_sources(REPOSITORY, fast.root)
    meltano_yml = fast.root / "meltano.yml"
    text = meltano_yml.read_text()
    for old, new in INSTEAD.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    meltano_yml.write_text(text)
    fast.install("target-postgres")
    target = target_in(fast, "target-postgres").with_name("fast-target-postgres")
    for program in (target, usual):
        config = {"sqlalchemy_url": database.url, "default_target_schema": program.name}
        config = {**settings_of("target-postgres"), **config}
        Loads(runs, {}).into(program, config=config, folder=tmp_path)
    for stream in STREAMS:
        tables = [Identifier(program.name, stream.name) for program in (target, usual)]
        with database.connect() as connection:
            for query in (VALUES, TYPES):
                ours, others = (connection.execute(SQL(query).format(t)).fetchall() for t in tables)
                assert ours == others


def nested_in(levels: int) -> Json:
    """Return an object within an object, and so on."""
    return {"inner": nested_in(levels - 1)} if levels else {}


def of_type(stream: type[TolokaStream], kind: str) -> set[str]:
    """Return the fields of a stream that are of a type."""
    schema = json.loads((REPOSITORY / f"tap_toloka/schemas/{stream.name}.json").read_text())
    return {name for name, field in schema["properties"].items() if kind in field["type"]}


def amounts(rows: list[Json], stream: type[TolokaStream], *kinds: str) -> list[Json]:
    """Return the values of rows that are no arrays and no objects; numbers as floats."""
    nested = of_type(stream, "array") | of_type(stream, "object")
    fields = set[str]().union(*(of_type(stream, kind) for kind in (*kinds, "integer", "boolean")))
    fields, numbers = fields - nested, of_type(stream, "number") - nested
    return [
        {name: row[name] for name in fields & row.keys() - {"read_at"}}
        | {name: float(row[name]) for name in numbers & row.keys()}
        for row in rows
    ]


def inexact(value: Json) -> Json:
    """Return a value with its decimals as floats."""
    found: Json = json.loads(json.dumps(value, default=float))
    return found


# Flattening


@pytest.mark.parametrize("depth", DEPTHS)
def test_flattened_names_are_still_different_when_postgres_has_cut_them(depth: int) -> None:
    settings = {"flattening_enabled": True, "flattening_max_depth": depth}
    with Emulator() as emulator:
        run = run_inside(config_for(emulator, **settings), catalog=catalog_of_all())
    schemas = {m["stream"]: m["schema"] for m in run.messages if m["type"] == "SCHEMA"}
    assert len(schemas) == len(STREAMS)
    for stream, schema in schemas.items():
        names = Counter(name.encode()[:LONGEST_NAME].lower() for name in schema["properties"])
        assert {name: count for name, count in names.items() if count > 1} == {}, stream
        assert max(map(len, schema["properties"])) <= LONGEST_NAME


def test_postgres_holds_each_row_once_when_it_is_flattened(
    installed: Project, database: Database, tmp_path: Path
) -> None:
    loads = read_all(1, flattening_enabled=True, flattening_max_depth=5)
    config = {"sqlalchemy_url": database.url, "default_target_schema": "flat"}
    config = {**settings_of("target-postgres"), **config}
    loads.into(target_in(installed, "target-postgres"), config=config, folder=tmp_path)
    (messages,) = (run.messages for run in loads.runs)
    columns = {m["stream"]: m["schema"]["properties"] for m in messages if m["type"] == "SCHEMA"}
    for stream in STREAMS:
        rows = records_in(database, "flat", stream)
        records = [
            without_nulls(message["record"])
            for message in messages
            if message["type"] == "RECORD" and message["stream"] == stream.name
        ]
        assert rows == in_order(stream, records)
        assert len(rows) == len(loads.rows[stream.name])
        assert {*columns[stream.name]} <= rows_in(database, "flat", stream.name)[0].keys()


# Stream maps


@runs("docs/targets.md#Reserved names and nullable keys")
def test_stream_maps_rename_a_column_and_make_a_text_of_a_key(blocks: list[Block]) -> None:
    (block,) = blocks
    (batch,) = make_rows("app_batches", 1, seed=1)
    batch |= {"app_project_id": APP_PROJECT_IDS[0], "current_time": "2026-10-01T12:00:00"}
    owners = {"app_projects": list(make_rows("app_projects", 1))}
    requester = make_rows("requester", 1)
    rows = {"app_batches": [batch], "requester": requester, **owners}
    with Emulator(rows=rows) as emulator:
        config = config_for(emulator, stream_maps=json.loads(block.text))
        messages = run_inside(config, catalog=catalog_of_all()).messages
    schemas = {m["stream"]: m for m in messages if m["type"] == "SCHEMA"}
    records = {m["stream"]: m["record"] for m in messages if m["type"] == "RECORD"}
    assert "current_time" not in schemas["app_batches"]["schema"]["properties"]
    assert records["app_batches"]["toloka_time"] == "2026-10-01T12:00:00.000Z"
    assert schemas["requester"]["key_properties"] == ["id", "read_at"]
    assert schemas["requester"]["schema"]["properties"]["read_at"].keys() == {"type"}
    assert records["requester"]["read_at"].endswith("Z")


def test_a_stream_map_leaves_all_else_as_it_is() -> None:
    """Nothing is lost of what is free in form, which the SDK would look into."""
    maps = {stream.name: {"one": "1"} for stream in STREAMS}
    with Emulator(rows=whole_account(20, seed=1)) as emulator:
        plain = run_inside(config_for(emulator), catalog=catalog_of_all()).records
        mapped = run_inside(
            config_for(emulator, stream_maps=maps), catalog=catalog_of_all()
        ).records
    for record in (*plain, *mapped):
        record.pop("read_at", None)
    assert all(record.pop("one") == 1 for record in mapped)
    assert sorted(map(repr, map(sorted_items, mapped))) == sorted(
        map(repr, map(sorted_items, plain))
    )


def sorted_items(record: Json) -> list[tuple[str, Any]]:
    """Return the fields of a record in an order that is always the same."""
    return sorted(record.items())
