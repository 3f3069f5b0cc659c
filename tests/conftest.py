"""What tests that run Meltano share: a PostgreSQL, a project with its plugins, a loaded account."""

from __future__ import annotations

import itertools
import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import hypothesis
import psycopg
import pytest

from scripts.run import postgres
from tests import isolation
from tests.databases import Database
from tests.dbt import Dbt
from tests.loaded_account import LoadedAccount, account_at, load_rows
from tests.projects import REPOSITORY, Project, copy_sources
from tests.shared import made_once
from toloka_emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_numbers = itertools.count()

# How long an example takes says more of what else the machine does.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with files that run Meltano: they take longest, and should not end up last."""
    slow = {item.path for item in items if {"installed", "trap"} & {*item.fixturenames}}  # type: ignore[attr-defined]
    items.sort(key=lambda item: item.path not in slow)


def _new_name() -> str:
    """Return a name that nothing has in any worker."""
    return f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}_{next(_numbers)}"


@pytest.fixture(scope="session")
def shared(pytestconfig: pytest.Config) -> Path:
    """Return the folder that all workers share."""
    return pytestconfig.stash[isolation.shared_folder]


@pytest.fixture(scope="session")
def server(shared: Path) -> Iterator[psycopg.Connection]:
    """Connect to a PostgreSQL of the tests; the first worker starts it, the last one stops it."""
    with (
        postgres(shared / "postgres") as url,
        psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection,
    ):
        yield connection


@pytest.fixture
def database(server: psycopg.Connection) -> Database:
    """Make an empty database."""
    return Database.create(server, _new_name())


@pytest.fixture(scope="session")
def installed(shared: Path, pytestconfig: pytest.Config) -> Project:
    """Return a project with its plugins, to make copies of."""
    project = Project(shared / "installed", pytestconfig.stash[isolation.installing])

    def install() -> str:
        copy_sources(REPOSITORY, project.root)
        project.install("tap-toloka", "target-postgres", "dbt-postgres")
        return ""

    made_once(shared, "plugins", install)
    return project


@pytest.fixture
def project(installed: Project, shared: Path) -> Project:
    """Make a project of this test's own, with its plugins, as it is before its first run."""
    return installed.copy(shared / _new_name())


@pytest.fixture(scope="session")
def loaded(installed: Project, server: psycopg.Connection, shared: Path) -> LoadedAccount:
    """Load an account, once for all tests that only look at what came of it."""
    name = "loaded_account"

    def load() -> str:
        now = datetime.now(timezone.utc)
        load_rows(account_at(now), installed.copy(shared / name), Database.create(server, name))
        return now.isoformat()

    now = datetime.fromisoformat(made_once(shared, name, load))
    emulator = Emulator(rows=account_at(now))
    return LoadedAccount(emulator, Database.named(server, name), now.replace(tzinfo=None))


@pytest.fixture(scope="session")
def marts(installed: Project, loaded: LoadedAccount, shared: Path) -> LoadedAccount:
    """Build the models of dbt from the loaded account, once for all tests that look at them."""

    def build() -> str:
        done = Dbt(installed.copy(shared / "marts"), loaded.database).build()
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    made_once(shared, "built_marts", build)
    return loaded
