"""What tests of the whole way share: a PostgreSQL, and a Meltano project with its plugins."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.types.json import set_json_loads

from scripts.run import MELTANO, postgres
from tap_toloka.streams import STREAMS
from tests.expected_rows import finished_operations, open_pool
from toloka_emulator import (
    POOL_IDS,
    RESOURCES,
    Emulator,
    Json,
    make_account,
    make_pool,
    make_rows,
    print_exactly,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Make a folder for PostgreSQL and the project, not where pytest has its own.

    Where tests run as root, PostgreSQL runs as another user. Each session of pytest that begins
    takes the right to enter pytest's folder from all others.
    """
    with tempfile.TemporaryDirectory(prefix="tap-toloka-", ignore_cleanup_errors=True) as path:
        yield Path(path)


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[psycopg.Connection]:
    """Start a real PostgreSQL and connect to it."""
    with (
        postgres(folder / "postgres") as url,
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
        """Connect to it; numbers within objects come out with the digits that they have."""
        connection = psycopg.connect(self.url.replace("+psycopg", ""), **options)
        set_json_loads(partial(json.loads, parse_float=Decimal), connection)
        return connection


_numbers = itertools.count()


@pytest.fixture
def database(server: psycopg.Connection) -> Database:
    """Make an empty database."""
    return _new_database(server)


def _new_database(server: psycopg.Connection) -> Database:
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
def installed(folder: Path) -> Project:
    """Copy this project and let `meltano install` make its plugins."""
    root = folder / "tap-toloka"
    shutil.copytree(REPOSITORY, root, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    project = Project(root)
    done = project.meltano("install", "tap-toloka", "target-postgres")
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def project(installed: Project) -> Project:
    """Return the project as it is before its first run."""
    return before_its_first_run(installed)


def before_its_first_run(project: Project) -> Project:
    """Take away what runs have left in a project."""
    for made in (".meltano/meltano.db", "toloka.duckdb", ".env"):
        (project.root / made).unlink(missing_ok=True)
    shutil.rmtree(project.root / ".run", ignore_errors=True)
    return project


@dataclass(frozen=True)
class Filled:
    """An account, and the database that Meltano loaded all of it into.

    Attributes:
        emulator: What holds the account; it answers no more.
        database: Where all streams were loaded into.
        began: When that was, in UTC, as PostgreSQL has it.
    """

    emulator: Emulator
    database: Database
    began: datetime

    def rows(self, name: str) -> list[Json]:
        """Return the rows that the account has in a list."""
        return self.emulator.tables[name].rows()


@pytest.fixture(scope="session")
def filled(installed: Project, server: psycopg.Connection) -> Filled:
    """Let Meltano load all streams of an account, once for all tests that only look at them."""
    project, database = before_its_first_run(installed), _new_database(server)
    began = datetime.now(timezone.utc)
    with Emulator(rows=_account(began)) as emulator:
        done = project.meltano(
            "run",
            "tap-toloka",
            "target-postgres",
            TAP_TOLOKA__SELECT=json.dumps([f"{stream.name}.*" for stream in STREAMS]),
            TAP_TOLOKA_TOKEN=emulator.key,
            TAP_TOLOKA_API_URL=emulator.url,
            TARGET_POSTGRES_SQLALCHEMY_URL=database.url,
        )
    assert done.returncode == 0, done.stderr
    return Filled(emulator, database, began.replace(tzinfo=None))


def _account(now: datetime) -> dict[str, list[Json]]:
    """Make an account that has a world, rows of every form that there is, and borderline cases."""
    account = make_account(pools=60, assignments=1_500, seed=1, now=now)
    account["operations"] += finished_operations()
    account["pools"] += map(open_pool, POOL_IDS[:-1])  # the last is one of the world's
    assert POOL_IDS[-1] in {pool["id"] for pool in account["pools"]}
    made = RESOURCES.keys() - {"pools", "requester"}
    _add(account, {name: make_rows(name, 40, seed=1) for name in sorted(made)})
    _add(account, borderline_cases(now))
    return account


def _add(account: dict[str, list[Json]], new: Mapping[str, Iterable[Json]]) -> None:
    for name, rows in new.items():
        there = {row.get("id") for row in account[name]} - {None}
        account[name] += [row for row in rows if row.get("id") not in there]


def borderline_cases(now: datetime) -> dict[str, list[Json]]:
    """Make rows that the answers to the questions of docs/queries only just count, or do not."""

    def ago(**duration: float) -> str:
        return print_exactly(now - timedelta(**duration))

    def pool(pool_id: int, opened: str, **fields: object) -> Json:
        return make_pool(
            str(pool_id), ago(days=20), **{"status": "OPEN", "last_started": opened, **fields}
        )

    def assignment(pool_id: int, status: str, at: str, **fields: object) -> Json:
        place = next(places)
        return {
            "id": f"{pool_id:010x}--{place:024x}",
            "pool_id": str(pool_id),
            "user_id": f"{place:032x}",
            "status": status,
            "reward": Decimal("0.07"),
            "tasks": [{"id": f"{pool_id:010x}--{number:024x}"} for number in range(place % 4)],
            "created": ago(days=15),
            **({} if status == "ACTIVE" else {"submitted": at, status.lower(): at}),
            **fields,
        }

    pools = [
        pool(9_000_001, ago(hours=25)),  # never a submission
        pool(9_000_002, ago(hours=23)),
        pool(9_000_003, ago(days=10)),  # the last a day ago
        pool(9_000_004, ago(days=10)),
        pool(9_000_005, ago(hours=23)),  # opened again
        pool(9_000_006, ago(hours=25), type="TRAINING"),
        pool(9_000_007, ago(days=9), status="CLOSED"),
        {**pool(9_000_008, ago(hours=25), type=None), "last_started": None},
    ]
    last = {3: ago(hours=25), 4: ago(hours=23), 5: ago(days=9), 7: ago(days=9)}
    places = itertools.count()
    assignments: list[Json] = []
    for number, at in last.items():
        assignments += [assignment(9_000_000 + number, "SUBMITTED", at) for _ in range(2)]
        assignments += [assignment(9_000_000 + number, "ACTIVE", at) for _ in range(number)]
    # Tolokers with as many reviewed assignments as are enough, and with one less.
    for user, reviewed in (("e" * 32, 20), ("f" * 32, 19)):
        for number in range(reviewed):
            status = "REJECTED" if number % 3 == 0 else "ACCEPTED"
            assignments.append(assignment(9_000_007, status, ago(days=10), user_id=user))
    assignments.append(assignment(9_000_001, "ACCEPTED", ago(days=70), tasks=[], submitted=None))
    bonus = {"id": "9000001", "amount": Decimal("0.015"), "created": ago(days=400)}
    return {"pools": pools, "assignments": assignments, "user_bonuses": [bonus]}
