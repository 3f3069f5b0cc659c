"""The project as Meltano runs it: `meltano.yml`, and real runs into real databases."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError, validators
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from tap_toloka.streams import STREAMS
from tests.expected_rows import in_order, printed
from tests.projects import LOAD_INTO_POSTGRES, REPOSITORY
from tests.runner import catalog_of, run_process
from toloka_emulator import Emulator, Fault, make_pool, make_pools, read_date

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_toloka.client import TolokaStream
    from tests.databases import Database
    from tests.loaded_account import LoadedAccount
    from tests.projects import Project

Json = dict[str, Any]

MELTANO_YML = REPOSITORY / "meltano.yml"
DATES = {"created", "last_started", "last_stopped", "will_expire"}
STATE_ID = "dev:tap-toloka-to-target-postgres"
POOLS_ALONE = '["pools.*"]'


@pytest.fixture(scope="module")
def meltano_yml() -> Json:
    """Read the project file."""
    read: Json = yaml.safe_load(MELTANO_YML.read_text())
    return read


@pytest.fixture(scope="module")
def extractor(meltano_yml: Json) -> Json:
    """Return the tap's definition."""
    (definition,) = meltano_yml["plugins"]["extractors"]
    assert definition["name"] == "tap-toloka"
    return dict(definition)


@pytest.fixture(scope="module")
def about() -> Json:
    """Return what the tap tells about itself."""
    told: Json = json.loads(run_process("--about", "--format=json").output)
    return told


# The project file


def test_meltano_yml_is_what_meltano_wants_and_has_nothing_deprecated(meltano_yml: Json) -> None:
    def deprecated(_: object, value: bool, found: object, __: Json) -> Iterator[ValidationError]:  # noqa: FBT001
        if value:
            yield ValidationError(f"{found!r} is deprecated")

    schema = json.loads(files("meltano.schemas").joinpath("meltano.schema.json").read_text())
    strict = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {"deprecated": deprecated}
    )
    errors = [
        f"{error.json_path}: {error.message}" for error in strict(schema).iter_errors(meltano_yml)
    ]
    assert errors == []


def test_each_plugin_is_defined_in_full_so_that_hub_is_not_asked(meltano_yml: Json) -> None:
    for plugin in chain(*meltano_yml["plugins"].values()):
        assert {"namespace", "pip_url", "executable", "label", "settings"} <= plugin.keys()


def test_meltano_selects_what_the_tap_would_by_itself(extractor: Json) -> None:
    usual = [f"{stream.name}.*" for stream in STREAMS if stream.selected_by_default]
    assert extractor["select"] == usual


def test_meltano_offers_the_settings_that_the_tap_has(extractor: Json, about: Json) -> None:
    kinds = {"string": "string", "integer": "integer", "boolean": "boolean", "object": "object"}
    kinds["array"] = "array"
    expected = []
    for name, told in about["settings"]["properties"].items():
        (kind,) = {*told["type"]} - {"null"}
        setting = {
            "name": name,
            "label": told["title"],
            "kind": kinds[kind],
            "description": told["description"],
        }
        if told.get("format") == "date-time":
            setting["kind"] = "date_iso8601"
        if "enum" in told:
            setting["kind"] = "options"
            setting["options"] = [{"label": value, "value": value} for value in told["enum"]]
        if "default" in told:
            setting["value"] = told["default"]
        if told.get("secret"):
            setting["sensitive"] = True
        if name == "user_agent":  # the tap's own default names the version that is installed
            del setting["value"]
            setting["placeholder"] = "tap-toloka/VERSION"
        expected.append(setting)
    assert extractor["settings"] == expected


def test_meltano_asks_for_what_the_tap_requires(extractor: Json, about: Json) -> None:
    assert extractor["settings_group_validation"] == [about["settings"]["required"]]


def test_meltano_knows_what_the_tap_can(extractor: Json, about: Json) -> None:
    assert extractor["capabilities"] == about["capabilities"]
    assert extractor["description"] == about["description"]


def test_the_schedule_runs_into_postgres_each_day(meltano_yml: Json) -> None:
    (schedule,) = meltano_yml["schedules"]
    (job,) = meltano_yml["jobs"]
    assert schedule == {"name": "daily", "interval": "@daily", "job": job["name"]}
    assert job["tasks"] == ["tap-toloka target-postgres"]


def test_the_example_of_an_env_file_names_settings_that_there_are(meltano_yml: Json) -> None:
    known = {"TAP_TOLOKA__SELECT"}  # Meltano's own, of each extractor
    known |= {
        f"{plugin['namespace']}_{setting['name']}".upper()
        for plugin in chain(*meltano_yml["plugins"].values())
        for setting in plugin["settings"]
    }
    example = (REPOSITORY / ".env.example").read_text()
    assert set(re.findall(r"^(?:# )?([A-Z_]+)=", example, flags=re.MULTILINE)) <= known


# Real runs


class Warehouse:
    """What the runs of one test leave in PostgreSQL, beside what the emulator holds."""

    def __init__(self, project: Project, emulator: Emulator, database: Database) -> None:
        self._project = project
        self._emulator = emulator
        self._database = database

    def run(self, **settings: str) -> str:
        """Run Meltano well, and return its log."""
        log, status = self.try_to_run(**settings)
        assert status == 0, log
        return log

    def try_to_run(self, **settings: str) -> tuple[str, int]:
        """Run Meltano, and return its log and its exit status."""
        self._began = datetime.now(timezone.utc).replace(tzinfo=None)
        self._emulator.clear_requests()
        done = self._project.meltano(
            *LOAD_INTO_POSTGRES,
            TAP_TOLOKA_TOKEN=self._emulator.key,
            TAP_TOLOKA_API_URL=self._emulator.url,
            TAP_TOLOKA_BATCH_SIZE="10",
            TAP_TOLOKA__SELECT=POOLS_ALONE,
            TARGET_POSTGRES_SQLALCHEMY_URL=self._database.url,
            **settings,
        )
        assert "deprecat" not in done.stderr.lower()
        return done.stderr, done.returncode

    @property
    def rows(self) -> dict[str, Json]:
        """The pools that are in PostgreSQL, by id, without the target's own columns."""
        return {
            row["id"]: {k: v for k, v in row.items() if not k.startswith("_sdc_")}
            for row in self._rows()
        }

    @property
    def just_read(self) -> set[str]:
        """The ids of the pools that the last run brought."""
        return {row["id"] for row in self._rows() if row["_sdc_extracted_at"] >= self._began}

    def _rows(self) -> list[Json]:
        with self._database.connect(row_factory=dict_row) as connection:
            rows: list[Json] = connection.execute("SELECT * FROM tap_toloka.pools").fetchall()
        return rows

    @property
    def asked_since(self) -> set[str | None]:
        """The `created_gt` of all requests of the last run."""
        return {request.params.get("created_gt") for request in self._emulator.requests}

    @property
    def bookmark(self) -> str:
        """The bookmark of pools, as Meltano keeps it."""
        state = json.loads(self._project.meltano("state", "get", STATE_ID).stdout)
        pools: dict[str, str] = state["singer_state"]["bookmarks"]["pools"]
        assert pools.keys() == {"replication_key", "replication_key_value"}
        return pools["replication_key_value"]

    def held(self) -> dict[str, Json]:
        """Return what the emulator holds now, as it should be in PostgreSQL."""
        columns = dict.fromkeys(next(iter(self.rows.values())))
        return {row["id"]: {**columns, **_in_postgres(row)} for row in self._emulator.pools.rows()}


def _in_postgres(pool: Json) -> Json:
    values = {name: _without_nul(value) for name, value in pool.items()}
    for name in DATES & {name for name, value in pool.items() if value is not None}:
        values[name] = read_date(pool[name]).replace(tzinfo=None)
    return values


def _without_nul(value: object) -> object:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: str(stream.name))
def test_what_toloka_holds_of_each_stream_is_in_postgres_row_for_row(
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
    read = [{k: v for k, v in row.items() if not k.startswith("_sdc_")} for row in rows]
    if stream.name == "requester":
        (read_at,) = [row.pop("read_at") for row in read]
        assert loaded.loaded_at < read_at < loaded.loaded_at + timedelta(minutes=5)
    assert expected
    assert in_order(stream, read) == in_order(stream, expected)


def _date(printed: str) -> datetime:
    return datetime.fromisoformat(printed.removesuffix("Z"))


def ago(**duration: float) -> str:
    """Print a moment before now as Toloka does."""
    moment = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(**duration)
    return moment.isoformat(timespec="milliseconds")


def test_what_toloka_holds_is_in_postgres_and_later_runs_bring_only_what_is_new(
    project: Project, database: Database
) -> None:
    old = [pool for pool in make_pools(100, seed=4) if pool["created"] < "2024"]
    assert len(old[0]["id"]) < len(old[-1]["id"])  # their order is not that of texts
    week = [make_pool(str(3_000_000 + days), ago(days=days), status="OPEN") for days in (5, 4, 3)]
    young = make_pool("3000100", ago(seconds=5), private_name="a NUL: \0")
    with Emulator([*old, *week, young]) as emulator:
        warehouse = Warehouse(project, emulator, database)

        # The first run brings all.
        warehouse.run()
        first = warehouse.bookmark
        assert warehouse.rows == warehouse.held()
        assert warehouse.asked_since == {None}
        # Later pools than this may not have been listed yet.
        assert ago(minutes=3) < first < young["created"]

        # The second brings new pools; among them one as old, to the millisecond, as one that is
        # there. Two older ones have changed since, which only a look back will tell.
        twin = make_pool("3000101", young["created"])
        new = [make_pool(str(3_000_200 + number), ago(seconds=1)) for number in range(12)]
        emulator.pools.add([twin, *new])
        changed = (old[30]["id"], week[1]["id"])
        for pool_id in changed:
            emulator.pools.change(pool_id, status="ARCHIVED", last_stopped=ago(seconds=1))
        before = {pool_id: warehouse.rows[pool_id] for pool_id in changed}
        warehouse.run()
        second = warehouse.bookmark
        assert warehouse.rows == {**warehouse.held(), **before}
        assert warehouse.just_read == {pool["id"] for pool in (young, twin, *new)}
        assert warehouse.asked_since == {first.removesuffix("Z")}
        assert first < second

        # A run that fails in its middle is told of, and leaves the bookmark where it was.
        emulator.pools.add([make_pool("3000300", ago(seconds=1))])
        emulator.faults.add(Fault(status=400, after=1))
        log, status = warehouse.try_to_run()
        assert status != 0
        assert "Toloka answered 400" in log
        assert warehouse.bookmark == second

        # The third brings what that one did not, and by a look back of four days what changed.
        warehouse.run(TAP_TOLOKA_LOOKBACK_DAYS="4")
        del before[week[1]["id"]]
        assert warehouse.rows == {**warehouse.held(), **before}
        recent = {pool["id"] for pool in (*week[1:], young, twin, *new)}
        assert warehouse.just_read == {*recent, "3000300"}
        assert second < warehouse.bookmark

    assert (project.root / "meltano.yml").read_text() == MELTANO_YML.read_text()


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the loader is not for this Python")
def test_duckdb_takes_the_same_pools(project: Project) -> None:
    project.install("target-duckdb")
    with Emulator(make_pools(30, seed=5)) as emulator:
        done = project.meltano(
            "run",
            "tap-toloka",
            "target-duckdb",
            TAP_TOLOKA_TOKEN=emulator.key,
            TAP_TOLOKA_API_URL=emulator.url,
            TAP_TOLOKA__SELECT=POOLS_ALONE,
        )
        held = emulator.pools.rows()
    assert done.returncode == 0, done.stderr
    assert "deprecat" not in done.stderr.lower()
    columns = ("id", "private_name", "status", "created", "filter")
    assert _in_duckdb(project) == [
        {**dict.fromkeys(columns), **_in_postgres({k: v for k, v in pool.items() if k in columns})}
        for pool in held
    ]


def _in_duckdb(project: Project) -> list[Json]:
    """Read some columns of the pools, in order of id, with the DuckDB that the loader has."""
    script = """
import duckdb, json
with duckdb.connect("toloka.duckdb", read_only=True) as file:
    pools = file.sql("FROM tap_toloka.pools ORDER BY id::INT")
    rows = pools.select("id", "private_name", "status", "created", "filter").fetchall()
    print(json.dumps(rows, default=str))
"""
    python = project.root / ".meltano/loaders/target-duckdb/venv/bin/python"
    done = subprocess.run(
        [python, "-c", script], cwd=project.root, stdout=subprocess.PIPE, check=True
    )
    return [
        {
            "id": pool_id,
            "private_name": name,
            "status": status,
            "created": datetime.fromisoformat(created),
            "filter": json.loads(found or "null", parse_float=Decimal),
        }
        for pool_id, name, status, created, found in json.loads(done.stdout)
    ]
