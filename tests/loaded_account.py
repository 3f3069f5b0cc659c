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
    _add(account, borderline_answers(now))
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
    assignments.append(assignment(9_000_001, "ACCEPTED", ago(days=70), tasks=[], submitted=None))
    assignments.append(assignment(9_000_007, "ACCEPTED", ago(days=10), accepted=None))
    bonus = {
        "id": "9000001",
        "user_id": "e" * 32,
        "amount": Decimal("0.015"),
        "created": ago(days=400),
    }
    return {"pools": pools, "assignments": assignments, "user_bonuses": [bonus]}


def borderline_answers(now: datetime) -> dict[str, list[Json]]:
    """Make tasks and answers that the marts of progress and quality only just count, or do not."""
    opened, lately = (print_exactly(now - timedelta(hours=hours)) for hours in (10, 2))
    cat, dog = {"result": "cat"}, {"result": "dog"}
    mixed = {"mixer_config": {"real_tasks_count": 1}}
    known = {"known_solutions": [{"output_values": cat}]}
    numbers = itertools.count()

    def pool(pool_id: int, status: str, **fields: object) -> Json:
        return make_pool(str(pool_id), opened, status=status, last_started=opened, **fields)

    def one_of(pool_id: int, **fields: object) -> Json:
        """Make a row of a pool, with the next number."""
        row = {"id": f"{pool_id:010x}--{next(numbers):024x}", "pool_id": str(pool_id)}
        return {**row, "created": opened, **fields}

    def wanted(pool_id: int, overlap: int, **fields: object) -> Json:
        return one_of(pool_id, overlap=overlap, infinite_overlap=False, **fields)

    def answers(task: Json, *given: Json | None, **fields: object) -> list[Json]:
        """Make an assignment for each answer to a task."""
        return [
            one_of(
                int(task["pool_id"]),
                user_id=f"{number:032x}",
                tasks=[{"id": task["id"], **fields}],
                solutions=[{"output_values": answer}],
                status="ACCEPTED",
                submitted=lately,
                accepted=lately,
            )
            for number, answer in enumerate(given)
        ]

    open_pool, closed, of_suites, training = range(9_000_011, 9_000_015)
    tasks = [wanted(open_pool, overlap) for overlap in (2, 5, 5, 5, 5)]
    too_often, tied, agreed, sometimes_golden, unanswered = tasks
    in_closed, in_training = wanted(closed, 5), wanted(training, 5)
    in_suite = [one_of(of_suites), one_of(of_suites)]
    suite = wanted(of_suites, 3, tasks=in_suite)
    # Rejected answers have no vote.
    rejected = [row | {"status": "REJECTED"} for row in answers(agreed, dog, dog, dog)]
    done = [
        answer | {"task_suite_id": suite["id"], "tasks": in_suite, "solutions": 2 * [solution]}
        for answer in answers(suite, cat, cat)
        for solution in answer["solutions"]
    ]
    return {
        "pools": [
            pool(open_pool, "OPEN", **mixed),
            pool(closed, "CLOSED", **mixed),
            pool(of_suites, "OPEN"),
            pool(training, "OPEN", type="TRAINING"),
        ],
        "tasks": [*tasks, in_closed, in_training],
        "task_suites": [suite],
        "assignments": [
            *answers(too_often, cat, cat, cat),
            *answers(tied, cat, cat, dog, dog),
            *answers(agreed, cat, cat, cat),
            *rejected,
            *answers(sometimes_golden, cat, cat, cat),
            *answers(sometimes_golden, dog, dog, dog, **known),
            *answers(unanswered, None, None, None, cat),
            *answers(in_closed, cat, dog),
            *answers(in_training, dog, dog, cat, **known),
            *done,
        ],
    }
