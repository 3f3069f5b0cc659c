"""The dbt package: what of it is generated, what it builds from which tables, how it is used."""

from __future__ import annotations

import os
import re
import shutil
import socket
import socketserver
import subprocess
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from psycopg.sql import SQL, Identifier

from scripts import dbt_models
from scripts.columns import tables
from tests.dbt import Dbt
from tests.docs_helpers import Block, runs
from tests.loaded_account import load_rows
from tests.projects import REPOSITORY
from tests.test_joins import RELATIONS
from toloka_emulator import Emulator, make_account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

    from tests.databases import Database
    from tests.loaded_account import LoadedAccount
    from tests.projects import Project

PACKAGE = REPOSITORY / "transform"
MODELS = {path.stem: path for path in PACKAGE.glob("models/**/*.sql")}
BY_DEFAULT = {table.name for table in tables() if table.selected}


def described() -> dict[str, dict[str, Any]]:
    """Return what the YAML files say of models, by name."""
    files = map(yaml.safe_load, (path.read_text() for path in PACKAGE.glob("models/**/*.yml")))
    return {model["name"]: model for file in files for model in file.get("models", [])}


def columns_of(database: Database, schema: str) -> dict[str, list[tuple[str, str]]]:
    """Return names and types of the columns of all tables and views of a schema."""
    query = """
        SELECT relname, attname, replace(format_type(atttypid, NULL), ' without time zone', '')
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = %s::regnamespace AND attnum > 0 AND NOT attisdropped
            AND relkind IN ('r', 'v')
        ORDER BY relname, attnum
    """
    found: dict[str, list[tuple[str, str]]] = {}
    with database.connect() as connection:
        for table, name, kind in connection.execute(query, [schema]).fetchall():
            found.setdefault(table, []).append((name, kind))
    return found


# What is generated, and described


def test_sources_and_staging_models_are_those_of_the_schemas() -> None:
    for path, text in dbt_models.files().items():
        where = path.relative_to(REPOSITORY)
        assert path.read_text() == text, f"{where}: run python -m scripts.dbt_models"
    generated = {path.stem for path in dbt_models.files() if path.suffix == ".sql"}
    assert generated == {f"stg_toloka__{table.name}" for table in tables()}
    by_hand = {name for name in MODELS if "staging" in str(MODELS[name])} - generated
    assert by_hand == {"stg_toloka__labels"}


def test_each_line_of_the_diagram_of_tables_is_tested() -> None:
    found = []
    for name, model in described().items():
        tests = [test for column in model["columns"] for test in column.get("data_tests", [])]
        for test in [*tests, *model.get("data_tests", [])]:
            if isinstance(test, dict) and next(iter(test)).startswith("relationships"):
                ((_, settings),) = test.items()
                to = settings["arguments"]["to"].partition("__")[2].removesuffix("')")
                found.append((to, name.removeprefix("stg_toloka__")))
    assert {(one, many) for one, many, _, _ in RELATIONS} <= {*found}
    assert len(found) >= len(RELATIONS)


def test_tables_have_the_columns_and_types_that_are_generated(loaded: LoadedAccount) -> None:
    found = columns_of(loaded.database, "tap_toloka")
    for table in tables():
        columns = dict(found[table.name])
        assert {name for name in columns if not name.startswith("_sdc_")} == {
            column.name for column in table.columns
        }
        for column in table.columns:
            assert columns[column.name] == column.type, f"{table.name}.{column.name}"


def test_each_model_has_the_columns_that_are_described(marts: LoadedAccount) -> None:
    found = columns_of(marts.database, "toloka")
    models = described()
    assert models.keys() == MODELS.keys() == found.keys()
    for name, model in models.items():
        assert len(model["description"]) > 15, name
        columns = {column["name"]: column for column in model["columns"]}
        built = {column for column, _ in found[name]}
        assert built - {"_sdc_extracted_at"} <= columns.keys() <= built, name
        for column, kind in found[name]:
            said = columns.get(column, {})
            assert said.get("data_type", kind) == kind, f"{name}.{column}"
            assert column == "_sdc_extracted_at" or said["description"]


def test_each_variable_of_the_package_is_used_and_streams_are_on_as_the_tap_selects_them() -> None:
    declared = yaml.safe_load((PACKAGE / "dbt_project.yml").read_text())["vars"]
    text = "".join(path.read_text() for path in PACKAGE.glob("m*/**/*.*"))
    assert declared.keys() == {*re.findall(r"var\('+(\w+)'+\)", text)}
    using = {name: value for name, value in declared.items() if name.startswith("toloka__using_")}
    assert using == {f"toloka__using_{table.name}": table.selected for table in tables()}


def test_the_version_of_the_package_is_that_of_the_tap() -> None:
    package = yaml.safe_load((PACKAGE / "dbt_project.yml").read_text())
    assert f'\nversion = "{package["version"]}"\n' in (REPOSITORY / "pyproject.toml").read_text()


# What is built


def test_rows_that_belong_together_pass_all_tests_without_a_warning(
    project: Project, database: Database
) -> None:
    now = datetime.now(timezone.utc)
    load_rows(make_account(pools=20, assignments=400, seed=5, now=now), project, database)
    done = Dbt(project, database).build("--warn-error")
    assert done.returncode == 0, done.stdout
    assert re.search(r"PASS=\d{3} WARN=0 ERROR=0 SKIP=0", done.stdout)


@pytest.fixture
def tcp_port(server: psycopg.Connection) -> Iterator[int]:
    """Serve PostgreSQL on a port, as target-postgres takes no folder of a socket for `host`."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        while part := source.recv(65_536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as postgres:
                postgres.connect(f"{server.info.host}/.s.PGSQL.{server.info.port}")
                answers = threading.Thread(target=copy, args=(postgres, self.request))
                answers.start()
                copy(self.request, postgres)
                answers.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Forward) as forwarding:
        thread = threading.Thread(target=forwarding.serve_forever)
        thread.start()
        yield forwarding.server_address[1]
        forwarding.shutdown()
        thread.join()


def test_a_clone_loads_and_builds_the_default_streams_with_the_database_in_parts(
    project: Project, database: Database, tcp_port: int
) -> None:
    parts = Dbt(project, database).variables
    with Emulator(rows=make_account(pools=5, assignments=20, now=datetime.now(timezone.utc))) as it:
        (project.root / ".env").write_text(
            f"TAP_TOLOKA_TOKEN={it.key}\n"
            f"TAP_TOLOKA_API_URL={it.url}\n"
            "TARGET_POSTGRES_HOST=127.0.0.1\n"
            f"TARGET_POSTGRES_PORT={tcp_port}\n"
            f"DBT_POSTGRES_PORT={tcp_port}\n"
            f"TARGET_POSTGRES_USER={parts['DBT_POSTGRES_USER']}\n"
            "TARGET_POSTGRES_PASSWORD=none\n"
            f"TARGET_POSTGRES_DATABASE={parts['DBT_POSTGRES_DATABASE']}\n"
        )
        done = project.meltano("run", "tap-toloka", "target-postgres", "dbt-postgres:build")
    assert done.returncode == 0, done.stderr
    assert "WARN=0 ERROR=0 SKIP=0" in done.stderr
    built = {f"stg_toloka__{name}" for name in BY_DEFAULT} | {"int_toloka__pools"}
    assert columns_of(database, "toloka").keys() == built
    fresh = project.meltano("invoke", "dbt-postgres:freshness")
    assert fresh.returncode == 0
    assert "PASS freshness of toloka.requester" in fresh.stdout


SUITE_WITH_A_GOLDEN_TASK = """
    INSERT INTO pools (id, status, last_started) VALUES ('1', 'OPEN', '2026-03-01 10:00');
    INSERT INTO requester (id, read_at) VALUES ('r', '2026-03-01 12:00');
    INSERT INTO task_suites (id, pool_id, overlap, infinite_overlap, tasks)
    VALUES ('s', '1', 2, FALSE, ARRAY['{"id": "a"}', '{"id": "b"}']::jsonb[]);
    INSERT INTO assignments (id, pool_id, task_suite_id, status, submitted, tasks)
    VALUES ('1', '1', 's', 'SUBMITTED', '2026-03-01 11:00', ARRAY[
        '{"id": "a"}', '{"id": "b", "known_solutions": [{"output_values": {"result": "x"}}]}'
    ]::jsonb[]);
"""


def test_a_forecast_counts_golden_tasks_of_suites_as_what_is_expected_does(
    project: Project, database: Database
) -> None:
    with database.connect(autocommit=True) as connection:
        connection.execute("CREATE SCHEMA tap_toloka; SET search_path TO tap_toloka")
        for table in tables():
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            connection.execute(f"CREATE TABLE {table.name} ({columns})".encode())
        connection.execute(SUITE_WITH_A_GOLDEN_TASK)
        done = Dbt(project, database).build("--select", "+toloka__pool_progress")
        assert done.returncode == 0, done.stdout
        progress = connection.execute(
            "SELECT expected_answers, answers, answers_per_hour, hours_left"
            " FROM toloka.toloka__pool_progress"
        ).fetchall()
    assert progress == [(4, 2, 1, 2)]


@pytest.fixture
def few_columns(marts: LoadedAccount) -> Database:
    """Make a schema with a table of pools that lacks columns, and has rows marked as deleted."""
    with marts.database.connect(autocommit=True) as connection:
        connection.execute(
            """
            CREATE SCHEMA few_columns;
            CREATE TABLE few_columns.pools AS SELECT * FROM tap_toloka.pools;
            ALTER TABLE few_columns.pools
                DROP COLUMN private_comment, DROP COLUMN owner, DROP COLUMN _sdc_extracted_at;
            UPDATE few_columns.pools SET _sdc_deleted_at = now() WHERE status = 'ARCHIVED';
            """
        )
    return marts.database


def test_fields_that_are_not_selected_are_null_and_deleted_rows_are_left_out(
    project: Project, few_columns: Database
) -> None:
    dbt = Dbt(project, few_columns, tables="few_columns", models="few_models")
    done = dbt.build("--select", "stg_toloka__pools", variables={})
    assert done.returncode == 0, done.stdout
    with few_columns.connect() as connection:
        ((total, commented, archived),) = connection.execute(
            "SELECT count(*), count(coalesce(private_comment, owner_id)),"
            " count(*) FILTER (WHERE status = 'ARCHIVED')"
            " FROM few_models.stg_toloka__pools"
        ).fetchall()
    assert total > 40
    assert (commented, archived) == (0, 0)

    done = dbt.build("--select", "stg_toloka__trainings", variables={})
    assert done.returncode != 0
    assert 'There is no table "loaded_account"."few_columns"."trainings", or dbt' in done.stdout
    assert "or set the variable toloka__using_trainings to false." in done.stdout


CHANGES = """
    -- Reviewed since, and loaded again.
    UPDATE grown.assignments SET status = 'ACCEPTED', updated = now(), _sdc_extracted_at = now()
    WHERE id IN (SELECT id FROM grown.assignments WHERE status = 'SUBMITTED' ORDER BY id LIMIT 9);
    -- Loaded again: the requester has changed what is right, which has no date.
    UPDATE grown.assignments
    SET tasks = ARRAY(
            SELECT task || '{"known_solutions": [{"output_values": {"result": "?"}}]}'
            FROM unnest(tasks) AS task
        ),
        _sdc_extracted_at = now()
    WHERE id IN (SELECT id FROM grown.assignments WHERE status = 'REJECTED' ORDER BY id LIMIT 9);
    -- One task fewer than before.
    UPDATE grown.assignments SET tasks = tasks[1:1], _sdc_extracted_at = now()
    WHERE id IN (
        SELECT id FROM grown.assignments
        WHERE status = 'ACCEPTED' AND cardinality(tasks) > 1 ORDER BY id DESC LIMIT 9
    );
    -- Loaded late, with dates before those of others.
    INSERT INTO grown.assignments SELECT * FROM held_back;
    -- Gone, marked as gone, and taken back.
    DELETE FROM grown.assignments
    WHERE id IN (SELECT id FROM grown.assignments WHERE status = 'ACCEPTED' ORDER BY id LIMIT 9);
    UPDATE grown.assignments SET _sdc_deleted_at = now()
    WHERE id IN (SELECT id FROM grown.assignments WHERE status = 'ACCEPTED' ORDER BY id LIMIT 9);
    UPDATE grown.assignments SET status = 'ACTIVE'
    WHERE id IN (
        SELECT id FROM grown.assignments WHERE status = 'REJECTED' ORDER BY id DESC LIMIT 9
    );
"""


LOADED_MEANWHILE = """
    CREATE FUNCTION grown.load() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE grown.assignments SET updated = now(), _sdc_extracted_at = now()
        WHERE status = 'SUBMITTED';
        RETURN NULL;
    END $$;
    CREATE TRIGGER loaded_meanwhile AFTER INSERT ON grown_models.stg_toloka__labels
    FOR EACH STATEMENT EXECUTE FUNCTION grown.load();
"""


def test_labels_follow_all_changes_and_others_are_not_written_again(
    project: Project, marts: LoadedAccount
) -> None:
    def build(schema: str) -> dict[str, tuple[Any, ...]]:
        """Build labels, and return when each was written, and what it says."""
        dbt = Dbt(project, marts.database, tables="grown", models=schema)
        select = ("--select", "stg_toloka__assignments", "stg_toloka__labels")
        done = dbt.build(*select, variables={"toloka__using_assignments": True})
        assert done.returncode == 0, done.stdout
        query = SQL("SELECT label_id, xmin::text, labels.* FROM {} AS labels")
        labels = connection.execute(
            query.format(Identifier(schema, "stg_toloka__labels"))
        ).fetchall()
        return {label_id: columns for label_id, *columns in labels}

    with marts.database.connect(autocommit=True) as connection:
        connection.execute(
            """
            CREATE SCHEMA grown;
            CREATE TABLE grown.assignments AS SELECT * FROM tap_toloka.assignments;
            CREATE TEMPORARY TABLE held_back AS
            SELECT * FROM grown.assignments WHERE status = 'SUBMITTED' ORDER BY updated LIMIT 9;
            DELETE FROM grown.assignments WHERE id IN (SELECT id FROM held_back);
            """
        )
        before = build("grown_models")
        connection.execute(CHANGES)
        after, rebuilt = build("grown_models"), build("rebuilt")
        connection.execute(LOADED_MEANWHILE)
        assert build("grown_models") == after
    assert {name: row[1:] for name, row in after.items()} == {
        name: row[1:] for name, row in rebuilt.items()
    }
    assert before.keys() - after.keys()
    assert after.keys() - before.keys()
    unchanged = {name for name, row in after.items() if row[1:] == before.get(name, row)[1:]}
    assert {name for name in unchanged & before.keys() if after[name] != before[name]} == set()
    assert len(before) > len(unchanged) > 1000


# How it is used


@runs("docs/dbt.md#In a dbt project of your own")
def test_another_dbt_project_can_use_it_as_a_package(
    blocks: list[Block], installed: Project, marts: LoadedAccount, tmp_path: Path
) -> None:
    packages, settings = blocks
    shutil.copytree(PACKAGE, tmp_path / "tap-toloka/transform")
    theirs = tmp_path / "theirs"
    (theirs / "models").mkdir(parents=True)
    (theirs / "packages.yml").write_text(packages.text)
    (theirs / "dbt_project.yml").write_text(
        f"name: theirs\nversion: 1.0.0\nprofile: toloka\n{settings.text}"
    )
    (theirs / "models/rewards.sql").write_text(
        "SELECT sum(rewards) AS rewards FROM {{ ref('toloka__spend_by_day') }}"
    )
    # A source of the same name, of their own.
    (theirs / "models/sources.yml").write_text(
        "sources: [{name: toloka, schema: tap_toloka, tables: [{name: pools}]}]"
    )
    shutil.copy(PACKAGE / "profiles.yml", theirs)
    dbt = installed.root / ".meltano/utilities/dbt-postgres/venv/bin/dbt"
    variables = Dbt(installed, marts.database, tables="elsewhere", models="theirs").variables
    for command in ("deps", "build"):
        done = subprocess.run(
            [dbt, command],
            cwd=theirs,
            env={**os.environ, **variables, "DBT_POSTGRES_PORT": "5432"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "toloka__spend_by_day" in columns_of(marts.database, "theirs_toloka")
    with marts.database.connect() as connection:
        query = "SELECT rewards = (SELECT sum(rewards) FROM toloka.toloka__spend_by_day)"
        assert connection.execute(f"{query} FROM theirs.rewards".encode()).fetchall() == [(True,)]
