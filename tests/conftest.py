"""What tests of the whole way share: a PostgreSQL, and a Meltano project with its plugins."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from scripts.run import MELTANO, postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[psycopg.Connection]:
    """Start a real PostgreSQL and connect to it."""
    with (
        postgres(tmp_path_factory.mktemp("postgres")) as url,
        psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection,
    ):
        yield connection


@dataclass(frozen=True)
class Database:
    """A database that was empty when the test began.

    Attributes:
        url: Its address, as target-postgres wants it: with the driver that can COPY.
    """

    url: str

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """Connect to it."""
        return psycopg.connect(self.url.replace("+psycopg", ""), **options)


_numbers = itertools.count()


@pytest.fixture
def database(server: psycopg.Connection) -> Database:
    """Make an empty database."""
    name = f"test_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name}".encode())
    return Database(f"postgresql+psycopg://postgres:@/{name}?host={server.info.host}")


@dataclass(frozen=True)
class Project:
    """A copy of this project in a folder of its own, with its plugins installed."""

    root: Path

    def meltano(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run Meltano to its end, well or not; what it has on stderr is its log."""
        return subprocess.run(
            [MELTANO, *arguments],
            cwd=self.root,
            env=environment(**env),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


def environment(**env: str) -> dict[str, str]:
    """Return this process' environment with `env`, and with nothing else that sets up plugins."""
    ours = ("TAP_", "TARGET_", "MELTANO_")
    others = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**others, "NO_COLOR": "1", **env}


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Copy this project and let `meltano install` make its plugins."""
    root = tmp_path_factory.mktemp("project") / "tap-toloka"
    shutil.copytree(REPOSITORY, root, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    project = Project(root)
    done = project.meltano("install", "tap-toloka", "target-postgres")
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def project(installed: Project) -> Project:
    """Return the project as it is before its first run."""
    for made in (".meltano/meltano.db", "toloka.duckdb", ".env"):
        (installed.root / made).unlink(missing_ok=True)
    shutil.rmtree(installed.root / ".run", ignore_errors=True)
    return installed
