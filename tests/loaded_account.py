"""An account with rows of all streams, and the database that Meltano loaded all of it into."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tap_toloka.streams import STREAMS
from tests.expected_rows import finished_operations, open_pool
from tests.projects import LOAD_INTO_POSTGRES
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
    from collections.abc import Iterable, Mapping

    from tests.databases import Database
    from tests.projects import Project


@dataclass(frozen=True)
class LoadedAccount:
    """What was loaded.

    Attributes:
        emulator: An emulator that holds the account, and does not run any more.
        database: Where all streams were loaded into.
        loaded_at: When that began, in UTC and without a zone, as PostgreSQL has it.
    """

    emulator: Emulator
    database: Database
    loaded_at: datetime

    def rows(self, name: str) -> list[Json]:
        """Return the rows of a list."""
        return self.emulator.tables[name].rows()


def load_rows(rows: dict[str, list[Json]], project: Project, database: Database) -> None:
    """Load all streams of an account that has these rows, by list."""
    with Emulator(rows=rows) as emulator:
        done = project.meltano(
            *LOAD_INTO_POSTGRES,
            TAP_TOLOKA__SELECT=json.dumps([f"{stream.name}.*" for stream in STREAMS]),
            TAP_TOLOKA_TOKEN=emulator.key,
            TAP_TOLOKA_API_URL=emulator.url,
            TARGET_POSTGRES_SQLALCHEMY_URL=database.url,
        )
    assert done.returncode == 0, done.stderr


def account_at(now: datetime) -> dict[str, list[Json]]:
    """Make an account: rows that belong together, rows of every form, borderline cases.

    It is the same for the same moment, in each process.
    """
    account = make_account(pools=60, assignments=1_500, seed=1, now=now)
    account["operations"] += finished_operations(now)
    account["pools"] += map(open_pool, POOL_IDS[:-1])  # the last is there already
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
    """Make rows that the marts only just count, or do not."""

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
    bonus = {
        "id": "9000001",
        "user_id": "e" * 32,
        "amount": Decimal("0.015"),
        "created": ago(days=400),
    }
    return {"pools": pools, "assignments": assignments, "user_bonuses": [bonus]}
