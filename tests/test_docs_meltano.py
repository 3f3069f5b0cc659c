"""What README.md and docs/ say about Meltano works word for word, in a project of one's own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from scripts.plugin_definitions import FOLDER, definitions
from tap_toloka.streams import STREAMS
from tests import isolation
from tests.databases import Database
from tests.docs_helpers import (
    REPOSITORY,
    Block,
    Shell,
    blocks_of,
    copy_of_repository,
    row_counts,
    runs,
)
from tests.expected_rows import printed
from tests.loads import records_in, without_nulls
from tests.runner import POOLS_PATH, requests_for_rows
from toloka_emulator import (
    Dice,
    Emulator,
    Fault,
    make_account,
    make_pool,
    make_pools,
    make_row,
    next_change,
    print_exactly,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFINITION = yaml.safe_load((FOLDER / "tap-toloka.yml").read_text())
SETTINGS = {setting["name"] for setting in DEFINITION["settings"]}
DEFAULT = {stream.name for stream in STREAMS if stream.selected_by_default}
STATE_ID = "dev:tap-toloka-to-target-postgres"
KEPT = ("meltano.yml", ".env", ".meltano/meltano.db")


@dataclass(frozen=True)
class Quickstart:
    """A project made by the quickstart of README.md, beside a clone.

    Attributes:
        shell: A shell in the folder of the project.
        emulator: The account that the project reads.
        url: The address of the database that it loads, for libpq.
        upstream: The repository that the clone was made from.
        bookmarks: The bookmarks that the quickstart has left.
    """

    shell: Shell
    emulator: Emulator
    url: str
    upstream: Path
    bookmarks: Mapping[str, Mapping[str, str]]

    @property
    def extractor(self) -> dict[str, Any]:
        """The extractor in the project file."""
        (extractor,) = self.plugins["extractors"]
        return dict(extractor)

    @property
    def plugins(self) -> dict[str, Any]:
        """The plugins in the project file."""
        text = (self.shell.folder / "meltano.yml").read_text()
        return dict(yaml.safe_load(text).get("plugins") or {})

    @property
    def env_file(self) -> Path:
        """The file that holds secrets."""
        return self.shell.folder / ".env"

    def config(self, plugin: str = "tap-toloka", **variables: str) -> dict[str, Any]:
        """Return the config that a plugin gets, without values of sensitive settings."""
        printed = self.shell.run(f"meltano config print {plugin}", **variables)
        config: dict[str, Any] = json.loads(printed)
        return config

    def load(self, **variables: str) -> None:
        """Run the pipeline; the requests before it are forgotten."""
        self.emulator.clear_requests()
        self.shell.run("meltano run tap-toloka target-postgres", **variables)

    def requests_for(self, path: str) -> list[Mapping[str, str]]:
        """Return the parameters of the requests for a list."""
        return [r.params for r in self.emulator.requests if r.path == f"/api/{path}"]

    def query(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database, with the schema of the tap as search path."""
        with psycopg.connect(self.url, options="-csearch_path=tap_toloka") as connection:
            return connection.execute(SQL(query)).fetchall()

    def row_counts(self, schema: str = "tap_toloka") -> dict[str, int]:
        """Return how many rows each table of a schema has."""
        return row_counts(self.url, schema)


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)  # noqa: S607


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> dict[str, str]:
    """Return variables with which uv installs tools into a folder of the tests, and finds them."""
    folder = tmp_path_factory.mktemp("tools")
    (folder / "bin").mkdir()
    (folder / "bin/uv").symlink_to(Path(sys.executable).with_name("uv"))
    return {
        **pytestconfig.stash[isolation.installing],
        "PATH": f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "UV_TOOL_DIR": str(folder / "tools"),
        "UV_TOOL_BIN_DIR": str(folder / "bin"),
        "UV_PYTHON": sys.executable,
    }


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, server: psycopg.Connection, tools: dict[str, str]
) -> Iterator[Quickstart]:
    """Run the blocks of the quickstart; in the environment are an emulator and a database."""
    install, load = (b for b in blocks_of("README.md") if b.heading == "Meltano quickstart")
    folder = tmp_path_factory.mktemp("quickstart")
    upstream = copy_of_repository(folder / "upstream/tap-toloka")
    git(upstream, "init", "--initial-branch=main")
    git(upstream, "add", "--all")
    git(upstream, "commit", "--message=All")
    git(folder, "clone", str(upstream), "tap-toloka")
    name = f"quickstart_{uuid.uuid4().hex}"
    server.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    url = f"postgresql://postgres:@/{name}?host={server.info.host}"
    rows = make_account(pools=20, assignments=300, seed=1, now=datetime.now(timezone.utc))
    with Emulator(rows=rows) as emulator:
        variables = {
            **tools,
            "MELTANO_CLI_LOG_LEVEL": "warning",
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "TAP_TOLOKA_TOKEN": emulator.key,
            "TAP_TOLOKA_API_URL": emulator.url,
            "TARGET_POSTGRES_SQLALCHEMY_URL": url.replace("postgresql:", "postgresql+psycopg:"),
        }
        # One after the other, as they end in another folder than they begin in.
        Shell(folder, variables).run(f"{install.text}\n{load.text}")
        shell = Shell(folder / "warehouse", variables)
        yield Quickstart(shell, emulator, url, upstream, bookmarks_of(shell))


def bookmarks_of(shell: Shell) -> dict[str, dict[str, str]]:
    """Return the bookmarks that Meltano keeps."""
    state = json.loads(shell.run(f"meltano state get {STATE_ID}"))
    bookmarks: dict[str, dict[str, str]] = state["singer_state"]["bookmarks"]
    return bookmarks


@pytest.fixture
def quickstart(made: Quickstart) -> Iterator[Quickstart]:
    """Return the project as the quickstart has left it, and put it back after the test."""
    for name in KEPT:
        file = made.shell.folder / name
        shutil.copy(file, _kept(file))
    yield made
    for name in KEPT:
        restore(made.shell.folder / name)


def restore(file: Path) -> None:
    """Put a file back as it was when the test began."""
    shutil.copy(_kept(file), file)


def _kept(file: Path) -> Path:
    return file.with_name(f"{file.name}.kept")


@runs("README.md#Meltano quickstart")
def test_the_quickstart_loads_the_default_streams(
    blocks: list[Block], quickstart: Quickstart
) -> None:
    assert [block.language for block in blocks] == ["sh", "sh"]
    tables = quickstart.row_counts()
    assert tables.keys() == DEFAULT
    for name in DEFAULT - {"requester"}:
        assert tables[name] == len(quickstart.emulator.tables[name].rows())
    assert tables["requester"] >= 1
    # What the text sets; the environment of the test overrides both.
    env_file = quickstart.env_file.read_text()
    assert "TAP_TOLOKA_TOKEN='YOUR_KEY'\n" in env_file
    address = "postgresql+psycopg://USER:PASSWORD@HOST:5432/DATABASE"
    assert f"TARGET_POSTGRES_SQLALCHEMY_URL='{address}'\n" in env_file
    usual = [f"{stream.name}.*" for stream in STREAMS if stream.selected_by_default]
    assert quickstart.extractor["select"] == usual
    target = quickstart.config("target-postgres")
    assert (target["use_copy"], target["validate_records"]) == (True, False)


def test_the_definitions_are_those_of_meltano_yml() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.yml" for name in definitions()}
    for name, text in definitions().items():
        assert (FOLDER / f"{name}.yml").read_text() == text, "python -m scripts.plugin_definitions"


def test_each_setting_reaches_the_tap_with_its_type_from_a_variable(quickstart: Quickstart) -> None:
    values: dict[str, Any] = {
        "token_type": "OAuth",
        "environment": "SANDBOX",
        "api_url": "https://toloka.example.com",
        "account_id": "17",
        "start_date": "2024-01-01",
        "filters": {"pools": {"project_id": "81776"}},
        "batch_size": 17,
        "on_misfit": "fail",
        "lookback_days": 30,
        "detect_changes": False,
        "skip_settled_pools": False,
        "max_concurrency": 3,
        "max_requests_per_second": 30,
        "shard": "2/8",
        "timeout": 11,
        "max_retries": 2,
        "retry_quotas": ["MIN", "HOUR"],
        "user_agent": "agent",
        "emit_activate_version_messages": True,
        "stream_maps": {"pools": {"one": "1"}},
        "stream_map_config": {"one": 1},
        "faker_config": {"seed": 1},
        "flattening_enabled": True,
        "flattening_max_depth": 1,
        "flattening_max_key_length": 40,
        "flattening_separator": ".",
    }
    assert {*values, "token"} == SETTINGS
    variables = {
        f"TAP_TOLOKA_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }
    config = quickstart.config(**variables)
    assert {name: config[name] for name in values} == values


@runs("docs/meltano.md#Check the key")
def test_the_key_is_checked_for_each_stream(blocks: list[Block], quickstart: Quickstart) -> None:
    (check,) = blocks
    done = quickstart.shell.attempt(check.text, MELTANO_CLI_LOG_LEVEL="info")
    assert done.returncode == 0, done.stderr
    for stream in STREAMS:
        assert f"{stream.name} " in done.stderr


@runs("docs/meltano.md#Settings")
def test_settings_are_set_by_commands_and_in_the_env_file(
    blocks: list[Block], quickstart: Quickstart
) -> None:
    commands, env_file = blocks
    assert env_file.language == "dotenv"
    listed = quickstart.shell.run(commands.text)
    for name in SETTINGS:
        assert f"TAP_TOLOKA_{name.upper()}" in listed
    settings = {
        "start_date": "2024-01-01",
        "lookback_days": 30,
        "filters": {"pools": {"project_id": "81776"}},
    }
    config = quickstart.config()
    assert config["environment"] == "PRODUCTION"
    assert {name: config[name] for name in settings} == settings
    restore(quickstart.shell.folder / "meltano.yml")
    with quickstart.env_file.open("a") as file:
        file.write(env_file.text)
    config = quickstart.config()
    assert config["environment"] == "SANDBOX"
    assert {name: config[name] for name in settings} == settings


@runs("docs/meltano.md#Select and leave out streams")
def test_streams_and_fields_are_added_and_left_out(
    blocks: list[Block], quickstart: Quickstart
) -> None:
    (select,) = blocks
    quickstart.shell.run(select.text)
    added = ["assignments.*", "!trainings.*", "!pools.owner"]
    assert quickstart.extractor["select"][-3:] == added
    output = quickstart.shell.run("meltano invoke tap-toloka")
    messages = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    read = {m["stream"] for m in messages if m["type"] == "SCHEMA"}
    assert read == DEFAULT - {"trainings"} | {"assignments"}
    pools = [m["record"] for m in messages if m["type"] == "RECORD" and m["stream"] == "pools"]
    assert pools
    assert all("owner" not in pool and "project_id" in pool for pool in pools)
    assert any("owner" in pool for pool in quickstart.emulator.pools.rows())


@runs("docs/meltano.md#Read a stream again")
def test_one_stream_is_read_again_and_the_state_of_others_stays(
    blocks: list[Block], quickstart: Quickstart
) -> None:
    (again,) = blocks
    assert quickstart.bookmarks.keys() > {"pools", "projects", "operations"}
    quickstart.emulator.clear_requests()
    quickstart.shell.run(again.text)
    assert {r.path for r in requests_for_rows(quickstart.emulator)} == {POOLS_PATH}
    assert "created_gt" not in quickstart.requests_for("v1/pools")[0]
    assert bookmarks_of(quickstart.shell) == quickstart.bookmarks


@runs("docs/meltano.md#Several accounts")
def test_a_second_account_has_a_state_and_a_schema_of_its_own(
    blocks: list[Block], quickstart: Quickstart
) -> None:
    (second,) = blocks
    variables = {"TAP_TOLOKA__SANDBOX_TOKEN": quickstart.emulator.key}
    quickstart.shell.run(second.text, **variables)
    assert "TAP_TOLOKA__SANDBOX_TOKEN='SANDBOX_KEY'\n" in quickstart.env_file.read_text()
    first, other = quickstart.plugins["extractors"]
    assert other["config"] == {"environment": "SANDBOX"}
    assert "config" not in first
    assert quickstart.row_counts("tap_toloka__sandbox").keys() == DEFAULT
    states = quickstart.shell.run("meltano state list").split()
    assert {*states} == {STATE_ID, "dev:tap-toloka--sandbox-to-target-postgres"}


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the loader is not for this Python")
@runs("docs/meltano.md#DuckDB instead of PostgreSQL")
def test_duckdb_is_loaded_instead(blocks: list[Block], quickstart: Quickstart) -> None:
    (load,) = blocks
    quickstart.shell.run(load.text)
    python = ".meltano/loaders/target-duckdb/venv/bin/python"
    script = """
import duckdb
with duckdb.connect("toloka.duckdb") as file:
    print(file.sql("SELECT count(*) FROM tap_toloka.pools").fetchall())
"""
    found = quickstart.shell.run(f"{python} -c '{script}'")
    assert found == f"[({len(quickstart.emulator.pools.rows())},)]\n"


@runs("docs/meltano.md#Upgrade")
def test_an_upgrade_brings_new_definitions_and_keeps_settings_selection_and_state(
    blocks: list[Block], quickstart: Quickstart
) -> None:
    (upgrade,) = blocks
    quickstart.shell.run("meltano config set tap-toloka lookback_days 30")
    before = quickstart.plugins
    for plugin, setting in (("tap-toloka", "Token"), ("target-postgres", "SQLAlchemy URL")):
        file = quickstart.upstream / f"meltano-plugins/{plugin}.yml"
        text = file.read_text()
        assert f"label: {setting}\n" in text
        file.write_text(text.replace(f"label: {setting}\n", "label: New label\n"))
    git(quickstart.upstream, "commit", "--all", "--message=New labels")
    quickstart.shell.run(upgrade.text)
    for kind in ("extractors", "loaders"):
        ((old,), (new,)) = before[kind], quickstart.plugins[kind]
        assert new["settings"][0] == {**old["settings"][0], "label": "New label"}
        kept = {"config", "select"} & old.keys()
        assert {name: new[name] for name in kept} == {name: old[name] for name in kept}
    assert quickstart.extractor["config"] == {"lookback_days": 30}
    quickstart.load(TAP_TOLOKA__SELECT='["projects.*"]')
    assert any("created_gt" in request for request in quickstart.requests_for("v1/projects"))


@runs(
    "docs/scheduling.md#meltano schedule",
    "docs/scheduling.md#Watch freshness",
    "docs/scheduling.md#The log of a failed run",
)
def test_a_schedule_is_run_and_its_runs_can_be_watched(
    blocks: list[Block], quickstart: Quickstart
) -> None:
    schedule, watch, quiet, shown = blocks
    began = datetime.now(timezone.utc).replace(microsecond=0, tzinfo=None)
    quickstart.shell.run(schedule.text, TAP_TOLOKA__SELECT='["requester.*"]')
    ((last_run, age),) = quickstart.query(watch.text)
    assert last_run >= began
    assert 0 <= age.total_seconds() < 300
    body = {"code": "ACCESS_DENIED", "message": "Access denied"}
    quickstart.emulator.faults.add(Fault(path="*/app-projects", status=403, body=body, times=None))
    failed = quickstart.shell.attempt(quiet.text, MELTANO_CLI_LOG_LEVEL="info")
    assert failed.returncode == 1
    errors = re.findall(r"^\S+ (\[error .*)", failed.stderr, re.MULTILINE)
    assert "[info" not in failed.stderr.partition("\n")[2], "but for the version of Meltano"

    def without_figures(lines: list[str]) -> list[str]:
        return [re.sub(r"[\d,.]*\d", "0", re.sub("  +", " ", line)) for line in lines]

    assert without_figures(errors) == without_figures(shown.text.splitlines())
    (proposed,) = set(re.findall(r"run `(meltano select [^`]*)`", failed.stderr))
    quickstart.shell.run(proposed)
    quickstart.load()  # without the stream that Toloka still refuses
    quickstart.emulator.faults.clear()


PIPELINE = f"{STATE_ID}:tap_toloka"
SHARDED = ("assignments", "tasks", "app_items")
"""Streams that are split into shards, by pool and by app project."""


@runs(
    "docs/scaling.md#Run them",
    "docs/scaling.md#From one run to N",
    "docs/scaling.md#Changing N",
)
def test_one_run_becomes_two_shards_and_these_become_three(
    blocks: list[Block], quickstart: Quickstart
) -> None:
    load, create_tables, copy, change = blocks
    names = [*DEFAULT, *SHARDED, "user_metadata"]
    variables = {
        "PIPELINE": PIPELINE,
        "RATE": "300",
        "TAP_TOLOKA__SELECT": json.dumps([f"{name}.*" for name in names]),
    }
    shell = Shell(quickstart.shell.folder, {**quickstart.shell.variables, **variables})

    def run_shards(count: int) -> None:
        quickstart.emulator.clear_requests()
        with ThreadPoolExecutor(count) as threads:
            runs = [
                threads.submit(shell.run, load.text, K=str(number), N=str(count))
                for number in range(1, count + 1)
            ]
        for run in runs:
            run.result()
        assert missing(quickstart) == {}

    shell.run(copy.text, N="2")
    shell.run(create_tables.text)
    assert "user_metadata" in quickstart.row_counts(), "which no shard loads here"
    run_shards(2)
    (request,) = quickstart.requests_for("v1/user-bonuses")
    assert "created_gt" in request, "the state of the one run counts, and shard 1 alone reads these"
    assert not any("user-metadata" in request.path for request in quickstart.emulator.requests)

    let_something_happen(quickstart.emulator)
    shell.run(change.text, OLD="2", NEW="3")
    merged = json.loads((shell.folder / "merged.json").read_text())["singer_state"]["bookmarks"]
    bookmark = merged["tasks"]["replication_key_value"]
    run_shards(3)
    pools = quickstart.emulator.pools.rows()
    older = {pool["id"] for pool in pools if pool["created"] < bookmark}
    requests = [r for r in quickstart.requests_for("v1/tasks") if r["pool_id"] in older]
    assert requests
    assert all("created_gt" in request for request in requests), "they are not read again"
    for number in (1, 2, 3):
        state = json.loads(shell.run(f"meltano state get {PIPELINE}:shard-{number}-of-3"))
        entries = state["singer_state"]["bookmarks"]
        assert {entries[name]["shard"] for name in ("assignments", "tasks")} == {f"{number}/3"}


def let_something_happen(emulator: Emulator) -> None:
    """Let rows change and come, also in a new pool."""
    now, dice = datetime.now(timezone.utc), Dice("shards")
    pool = make_pool("40000007", print_exactly(now), status="OPEN")
    emulator.pools.add([pool])
    for name in ("assignments", "app_items"):
        for row in emulator.tables[name].rows():
            if fields := next_change(name, row, dice, now):
                emulator.tables[name].change(row["id"], **fields)
    for row in (*emulator.pools.rows()[-3:], pool):
        for name in ("assignments", "tasks"):
            emulator.tables[name].add([make_row(name, dice, now, pool_id=row["id"])])


def missing(quickstart: Quickstart) -> dict[str, Any]:
    """Return, by stream, the rows that are not the same in the account and in its table."""
    database = Database(quickstart.url.replace("postgresql:", "postgresql+psycopg:"))
    differing = {}
    for stream in STREAMS:
        if stream.name in DEFAULT.union(SHARDED) - {"requester"}:
            expected = [without_nulls(row) for row in printed(stream, quickstart.emulator)]
            found = records_in(database, "tap_toloka", stream)
            differing[stream.name] = [row for row in found if row not in expected]
            differing[stream.name] += [row for row in expected if row not in found]
    return {name: rows for name, rows in differing.items() if rows}


@runs("docs/incremental.md#Re-reading")
def test_rows_are_read_again_by_lookback_and_by_full_table(
    blocks: list[Block], quickstart: Quickstart
) -> None:
    lookback, full_table = blocks
    quickstart.shell.run(lookback.text)
    quickstart.shell.run(full_table.text)
    quickstart.load(TAP_TOLOKA__SELECT='["tasks.*", "user_bonuses.*"]')
    (request,) = quickstart.requests_for("v1/user-bonuses")
    bookmark = quickstart.bookmarks["user_bonuses"]["replication_key_value"].removesuffix("Z")
    since = datetime.fromisoformat(request["created_gt"])
    assert (datetime.fromisoformat(bookmark) - since).days == 30
    requests = quickstart.requests_for("v1/tasks")
    assert requests
    assert not any("created_gt" in request for request in requests)


@runs("docs/incremental.md#Deleted rows")
def test_rows_that_were_deleted_in_toloka_are_marked(
    blocks: list[Block], quickstart: Quickstart
) -> None:
    (settings,) = blocks
    quickstart.shell.run(settings.text)
    same = quickstart.emulator.tables["requester"].rows()
    with Emulator(make_pools(5), rows={"requester": same}) as emulator:
        variables = {
            "TAP_TOLOKA_API_URL": emulator.url,
            "TAP_TOLOKA__SELECT": '["pools.*"]',
            "TAP_TOLOKA__LOAD_SCHEMA": "deletions",
        }
        quickstart.load(**variables)
        (deleted, *_) = (pool["id"] for pool in emulator.pools.rows())
        emulator.remove_pool(deleted)
        quickstart.load(**variables)
    found = quickstart.query("SELECT id FROM deletions.pools WHERE _sdc_deleted_at IS NOT NULL")
    assert found == [(deleted,)]
    assert quickstart.row_counts("deletions") == {"pools": 5}


@runs("docs/meltano.md#Remove")
def test_at_last_removing_leaves_nothing(blocks: list[Block], quickstart: Quickstart) -> None:
    commands, drop = blocks
    quickstart.shell.run(commands.text)
    assert quickstart.plugins == {}
    assert quickstart.shell.run("meltano state list").split() == []
    assert quickstart.row_counts()
    with psycopg.connect(quickstart.url) as connection:
        connection.execute(SQL(drop.text))
    assert quickstart.row_counts() == {}


@runs("docs/dbt.md#Run it")
def test_dbt_builds_the_marts_in_a_project_of_ones_own(
    blocks: list[Block], quickstart: Quickstart
) -> None:
    (block,) = blocks
    parts = conninfo_to_dict(quickstart.url)
    quickstart.shell.run(
        block.text,
        DBT_POSTGRES_HOST=str(parts["host"]),
        DBT_POSTGRES_USER=str(parts["user"]),
        DBT_POSTGRES_DATABASE=str(parts["dbname"]),
    )
    config = quickstart.config("dbt-postgres")
    assert (config["host"], config["user"], config["database"]) == ("HOST", "USER", "DATABASE")
    counts = quickstart.row_counts("toloka")
    marts = {path.stem for path in REPOSITORY.glob("transform/models/marts/*.sql")}
    tables = {*marts, "stg_toloka__labels"} - {"toloka__stuck_pools"}  # that one is a view
    assert counts.keys() == tables
    assert min(counts.values()) > 0
