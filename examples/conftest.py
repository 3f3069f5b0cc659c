"""What tests of the examples share: an account, a Meltano project with dbt, rows to compare."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from scripts.run import MELTANO
from tap_toloka.streams import STREAMS
from tests.conftest import database, installed, server, shared  # noqa: F401
from tests.databases import Database
from tests.loaded_account import account_at
from tests.loads import rows_in, without_own_columns
from tests.projects import LOAD_INTO_POSTGRES
from tests.runner import wait_until
from tests.shared import made_once
from toloka_emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

    from tests.projects import Project

Rows = dict[str, list[str]]


@dataclass(frozen=True)
class Load:
    """What a test loads: the account into a database of its own, with a project of its own.

    Attributes:
        emulator: Serves the account, which has rows of all streams and stays as it is.
        project: The Meltano project.
        database: What is loaded.
        variables: What Meltano and the examples are told.
    """

    emulator: Emulator
    project: Project
    database: Database
    variables: dict[str, str]

    def rows(self, schema: str = "tap_toloka") -> Rows:
        """Return the rows of all tables, as text and in order, but for when they were read."""
        return {
            stream.name: sorted(
                repr({**without_own_columns(row), "read_at": None})
                for row in rows_in(self.database, schema, stream.name)
            )
            for stream in STREAMS
        }

    def wait_for_tasks(self) -> set[str]:
        """Wait until the tasks of some pools were requested, and return these pools."""
        wait_until(lambda: len(self.pools_read()) > 5)
        return self.pools_read()

    def pools_read(self) -> set[str]:
        """Return the pools whose tasks were requested."""
        requests = [one for one in self.emulator.requests if one.path.endswith("/tasks")]
        return {request.params["pool_id"] for request in requests}

    def bookmarks(self, name: str) -> dict[str, Any]:
        """Return the bookmarks in a state of the night, as of `account`."""
        state_id = f"dev:tap-toloka-to-target-postgres:tap_toloka:{name}"
        done = self.project.meltano("state", "get", state_id)
        bookmarks: dict[str, Any] = json.loads(done.stdout)["singer_state"]["bookmarks"]
        return bookmarks

    def processes(self) -> list[psutil.Process]:
        """Return the processes that run in the project: Meltano, its plugins, their guard."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd() == str(self.project.root):
                    found.append(process)
        return found


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Serve an account."""
    with Emulator(rows=account_at(datetime.now(timezone.utc))) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def with_dbt(installed: Project, shared: Path) -> Project:  # noqa: F811
    """Return a project with its plugins and dbt, to make copies of."""

    def install() -> str:
        installed.install("dbt-postgres")
        return ""

    made_once(shared, "dbt", install)
    return installed


def load_into(database: Database, emulator: Emulator, project: Project) -> Load:  # noqa: F811
    """Return how all streams of the account are loaded."""
    emulator.faults.clear()
    emulator.clear_requests()
    variables = {
        "MELTANO": MELTANO,
        "MELTANO_PROJECT_ROOT": str(project.root),
        "TAP_TOLOKA_TOKEN": emulator.key,
        "TAP_TOLOKA_API_URL": emulator.url,
        "TAP_TOLOKA__SELECT": json.dumps([f"{stream.name}.*" for stream in STREAMS]),
        "TARGET_POSTGRES_SQLALCHEMY_URL": database.url,
    }
    return Load(emulator, project, database, variables)


@pytest.fixture
def load(
    database: Database,  # noqa: F811
    emulator: Emulator,
    with_dbt: Project,
    shared: Path,  # noqa: F811
    tmp_path: Path,
) -> Load:
    """Return a load into an empty database, with a project as it is before its first run."""
    return load_into(database, emulator, with_dbt.copy(shared / tmp_path.name))


@pytest.fixture(scope="session")
def expected(
    server: psycopg.Connection,  # noqa: F811
    emulator: Emulator,
    with_dbt: Project,
    shared: Path,  # noqa: F811
) -> Rows:
    """Return the rows of all tables after one run without shards."""
    load = load_into(Database.create(server, "one_run"), emulator, with_dbt.copy(shared / "one"))
    done = load.project.meltano(*LOAD_INTO_POSTGRES, **load.variables)
    assert done.returncode == 0, done.stderr
    rows = load.rows()
    assert all(rows.values())
    return rows
