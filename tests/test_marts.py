"""The marts of dbt say what Python computes from the rows of the API."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from tests.runner import in_one_form
from toloka_emulator import POOL_IDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from tests.loaded_account import LoadedAccount

Json = dict[str, Any]
SUBMITTED = {"SUBMITTED", "ACCEPTED", "REJECTED"}


@pytest.fixture
def warehouse(marts: LoadedAccount) -> Iterator[psycopg.Connection[Json]]:
    """Connect in a time zone that is far from UTC."""
    with marts.database.connect(row_factory=dict_row) as connection:
        connection.execute("SET search_path TO toloka, tap_toloka; SET TIME ZONE 'Asia/Tokyo'")
        yield connection


def mart(warehouse: psycopg.Connection[Json], name: str, *keys: str) -> list[Json]:
    query = SQL("SELECT * FROM {} ORDER BY {}").format(
        Identifier(name),
        SQL(", ").join(
            SQL("{} COLLATE {}").format(Identifier(key), Identifier("C"))
            if key.endswith("_id")
            else Identifier(key)
            for key in keys
        ),
    )
    return warehouse.execute(query).fetchall()


def moment(printed: str) -> datetime:
    return datetime.fromisoformat(in_one_form(printed).removesuffix("Z"))


def rounded(number: Decimal, digits: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def share(part: Decimal | int, of: int, digits: int = 3) -> Decimal | None:
    return rounded(Decimal(part) / of, digits) if of else None


def by(field: str, rows: list[Json]) -> dict[Any, list[Json]]:
    groups: defaultdict[Any, list[Json]] = defaultdict(list)
    for row in rows:
        groups[row.get(field)].append(row)
    return groups


def with_status(account: LoadedAccount, *statuses: str) -> list[Json]:
    return [row for row in account.rows("assignments") if row["status"] in statuses]


def pools_of(account: LoadedAccount) -> dict[str, Json]:
    """Return pools and trainings by their IDs, trainings with their type."""
    trainings = {row["id"]: {**row, "type": "TRAINING"} for row in account.rows("trainings")}
    return trainings | {row["id"]: row for row in account.rows("pools")}


def about_pool(account: LoadedAccount, pool_id: str) -> Json:
    """Return the columns that each mart by pool begins with."""
    pool = pools_of(account).get(pool_id, {})
    return {
        "pool_id": pool_id,
        "pool": pool.get("private_name"),
        "project_id": pool.get("project_id"),
    }


def last_run(warehouse: psycopg.Connection[Json]) -> datetime:
    (row,) = warehouse.execute("SELECT max(read_at) AS at FROM requester").fetchall()
    at: datetime = row["at"]
    return at


# Labels


def labels_of(account: LoadedAccount) -> list[Json]:
    """Return one label for each task of what was submitted, by assignment and number."""
    found = []
    for row in with_status(account, *SUBMITTED):
        solutions = row.get("solutions") or []
        for number, task in enumerate(row.get("tasks") or []):
            answer = solutions[number].get("output_values") if number < len(solutions) else None
            known = [one for one in task.get("known_solutions") or [] if one["output_values"]]
            found.append(
                {
                    "label_id": f"{row['id']}-{number + 1}",
                    "task_id": task["id"],
                    **{name: row.get(name) for name in ("task_suite_id", "pool_id", "user_id")},
                    "status": row["status"],
                    "submitted": moment(row["submitted"]) if row.get("submitted") else None,
                    "output_values": answer,
                    "is_golden": bool(known),
                    "correctness": correctness(answer, known) if known and answer else None,
                    "assignment_id": row["id"],
                }
            )
            if answer == {} and known:
                found[-1]["correctness"] = Decimal(0)
    return sorted(found, key=itemgetter("label_id"))


def correctness(answer: Json, known: list[Json]) -> Decimal:
    missing = object()
    return max(
        Decimal(one.get("correctness_weight", 1))
        if all(answer.get(name, missing) == value for name, value in one["output_values"].items())
        else Decimal(0)
        for one in known
    )


def test_there_is_a_label_for_each_task_that_was_submitted(
    marts: LoadedAccount, warehouse: psycopg.Connection[Json]
) -> None:
    labels = labels_of(marts)
    found = mart(warehouse, "stg_toloka__labels", "label_id")
    assert [{name: row[name] for name in labels[0]} for row in found] == labels
    assert len({row["correctness"] for row in labels}) > 3
    assert {row["output_values"] is None for row in labels} == {True, False}


# What was five queries


def test_the_cost_per_accepted_label_is_the_rewards_shared_out_among_the_tasks(
    marts: LoadedAccount, warehouse: psycopg.Connection[Json]
) -> None:
    expected = []
    for pool_id, accepted in sorted(by("pool_id", with_status(marts, "ACCEPTED")).items()):
        labels = sum(len(row.get("tasks") or []) for row in accepted)
        cost = sum((Decimal(row.get("reward") or 0) for row in accepted), Decimal(0))
        if labels:
            counts = {"assignments": len(accepted), "labels": labels, "cost": cost}
            each = rounded(cost / labels, 5)
            expected.append({**about_pool(marts, pool_id), **counts, "cost_per_label": each})
    assert len(expected) > 60
    assert mart(warehouse, "toloka__cost_per_label", "pool_id") == expected


def test_the_time_to_submit_is_that_of_all_who_submitted(
    marts: LoadedAccount, warehouse: psycopg.Connection[Json]
) -> None:
    def percentile(seconds: list[Decimal], part: str) -> Decimal:
        place = Decimal(part) * (len(seconds) - 1)
        below, above = seconds[int(place)], seconds[min(int(place) + 1, len(seconds) - 1)]
        return rounded(below + (above - below) * (place % 1), 1)

    expected = []
    submitted = [row for row in marts.rows("assignments") if row.get("submitted")]
    for pool_id, rows in sorted(by("pool_id", submitted).items()):
        took = sorted(
            Decimal(
                (moment(row["submitted"]) - moment(row["created"])) // timedelta(milliseconds=1)
            )
            / 1000
            for row in rows
        )
        expected.append(
            {
                **about_pool(marts, pool_id),
                "submitted": len(rows),
                "median_seconds": percentile(took, "0.5"),
                "percentile_90_seconds": percentile(took, "0.9"),
            }
        )
    assert len(expected) > 60
    assert mart(warehouse, "toloka__time_to_submit", "pool_id") == expected


def test_the_rejection_rate_is_of_what_was_reviewed(
    marts: LoadedAccount, warehouse: psycopg.Connection[Json]
) -> None:
    expected = []
    reviewed = [row for row in with_status(marts, "ACCEPTED", "REJECTED") if row.get("user_id")]
    for user_id, rows in by("user_id", reviewed).items():
        rejected = sum(row["status"] == "REJECTED" for row in rows)
        counts = {"accepted": len(rows) - rejected, "rejected": rejected}
        rate = share(rejected, len(rows))
        expected.append(
            {"user_id": user_id, "reviewed": len(rows), **counts, "rejection_rate": rate}
        )
    expected.sort(key=itemgetter("user_id"))
    assert mart(warehouse, "toloka__rejection_rate", "user_id") == expected
    assert len({row["rejection_rate"] for row in expected}) > 10


def test_the_spend_of_a_day_is_what_was_accepted_and_the_bonuses_that_were_given(
    marts: LoadedAccount, warehouse: psycopg.Connection[Json]
) -> None:
    rewards: defaultdict[date, Decimal] = defaultdict(Decimal)
    for row in with_status(marts, "ACCEPTED"):
        at = row.get("accepted") or max(row[name] for name in ("created", "submitted"))
        rewards[moment(at).date()] += Decimal(row.get("reward") or 0)
    bonuses: defaultdict[date, Decimal] = defaultdict(Decimal)
    for row in marts.rows("user_bonuses"):
        bonuses[moment(row["created"]).date()] += Decimal(row.get("amount") or 0)
    days = sorted({*rewards, *bonuses})
    assert rewards.keys() - bonuses.keys()
    assert bonuses.keys() - rewards.keys()
    assert mart(warehouse, "toloka__spend_by_day", "day") == [
        {
            "day": day,
            "rewards": rewards[day],
            "bonuses": bonuses[day],
            "spend": rewards[day] + bonuses[day],
        }
        for day in days
    ]


def test_a_pool_is_stuck_if_it_is_open_and_quiet_for_a_day(
    marts: LoadedAccount, warehouse: psycopg.Connection[Json]
) -> None:
    (now,) = warehouse.execute("SELECT now() AT TIME ZONE 'UTC' AS now").fetchall()
    assignments = by("pool_id", marts.rows("assignments"))
    expected = []
    for pool_id, pool in sorted(pools_of(marts).items()):
        rows = assignments[pool_id]
        submitted = [moment(row["submitted"]) for row in rows if row.get("submitted")]
        opened = [moment(pool[name]) for name in ("created", "last_started") if pool.get(name)]
        quiet_since = max(submitted + opened)
        if (
            pool.get("status") == "OPEN"
            and pool.get("type") != "TRAINING"
            and quiet_since <= now["now"] - timedelta(days=1)
        ):
            expected.append(
                {
                    **about_pool(marts, pool_id),
                    "quiet_since": quiet_since,
                    "last_submitted": max(submitted, default=None),
                    "active": sum(row["status"] == "ACTIVE" for row in rows),
                }
            )
    found = mart(warehouse, "toloka__stuck_pools", "pool_id")
    assert found == expected
    borderline = {row["pool_id"]: row["active"] for row in found if row["pool_id"][:5] == "90000"}
    assert borderline == {"9000001": 0, "9000003": 3, "9000008": 0}
    assert any(row["last_submitted"] is None for row in found)


# Progress, quality, throughput


def wanted(account: LoadedAccount, pool: Json) -> list[tuple[int, int, int]]:
    """Return the overlap, the tasks and the answers of each task, or suite, of a pool."""
    done = [row for row in with_status(account, "SUBMITTED", "ACCEPTED") if row.get("tasks")]
    done = [row for row in done if row["pool_id"] == pool["id"]]
    if pool.get("mixer_config") is not None:
        given = Counter(task["id"] for row in done for task in row["tasks"])
        things = [(row, 1) for row in account.rows("tasks")]
    else:
        given = Counter(row["task_suite_id"] for row in done if row.get("task_suite_id"))
        things = [(row, len(row["tasks"])) for row in account.rows("task_suites")]
    return [
        (row["overlap"], size, given[row["id"]])
        for row, size in things
        if row["pool_id"] == pool["id"] and row["overlap"] and not row["infinite_overlap"]
    ]


def test_a_pool_is_as_far_as_its_answers_and_ends_as_it_went_on_in_the_last_day(
    marts: LoadedAccount, warehouse: psycopg.Connection[Json]
) -> None:
    as_of = last_run(warehouse)
    labels = by("pool_id", labels_of(marts))
    expected = []
    for pool_id, pool in sorted(pools_of(marts).items()):
        if pool.get("type") == "TRAINING":
            continue
        things = wanted(marts, pool)
        answers = sum(min(overlap, given) * size for overlap, size, given in things)
        whole = sum(overlap * size for overlap, size, _ in things)
        opened = moment(pool["last_started"]) if pool.get("last_started") else datetime.min  # noqa: DTZ901
        since = max(as_of - timedelta(days=1), opened)
        lately = [
            row
            for row in labels[pool_id]
            if row["status"] in {"SUBMITTED", "ACCEPTED"}
            if not (row["is_golden"] and pool.get("mixer_config") is not None)
            if row["submitted"] and since < row["submitted"] <= as_of
        ]
        passed = Decimal((as_of - since) // timedelta(microseconds=1)) / 3_600_000_000
        rate = len(lately) / max(passed, Decimal(1))
        left = None
        if pool["status"] == "OPEN" and answers < whole and rate:
            left = rounded((whole - answers) / rate, 1)
        end = as_of + timedelta(hours=float(left)) if left is not None else None
        expected.append(
            {
                **about_pool(marts, pool_id),
                "status": pool["status"],
                "expected_answers": whole if things else None,
                "answers": answers if things else None,
                "progress": share(answers, whole),
                "answers_per_hour": rounded(rate, 2),
                "hours_left": left,
                "forecast_end": end and end.replace(second=0, microsecond=0),
                "as_of": as_of,
            }
        )
    assert mart(warehouse, "toloka__pool_progress", "pool_id") == expected
    assert any(row["forecast_end"] for row in expected)
    assert any(row["progress"] is None for row in expected)
    assert {*POOL_IDS} <= {row["pool_id"] for row in expected}


def test_quality_is_how_often_known_answers_and_those_of_the_majority_are_met(
    marts: LoadedAccount, warehouse: psycopg.Connection[Json]
) -> None:
    pools = pools_of(marts)
    answers = [
        row
        for row in labels_of(marts)
        if row["output_values"] is not None
        and pools.get(row["pool_id"], {}).get("type") != "TRAINING"
    ]
    majority = {}
    for task_id, rows in by("task_id", [row for row in answers if not row["is_golden"]]).items():
        counted = [row["output_values"] for row in rows if row["status"] != "REJECTED"]
        for answer in counted:
            if len(counted) >= 3 and counted.count(answer) * 2 > len(counted):
                majority[task_id] = answer
    expected = []
    users = by("user_id", [row for row in answers if row["user_id"]])
    for user_id, rows in sorted(users.items()):
        golden: list[Decimal] = [row["correctness"] for row in rows if row["is_golden"]]
        others = [row for row in rows if row["task_id"] in majority and not row["is_golden"]]
        agreed = sum(row["output_values"] == majority[row["task_id"]] for row in others)
        expected.append(
            {
                "user_id": user_id,
                "answers": len(rows),
                "golden_answers": len(golden),
                "golden_accuracy": share(sum(golden), len(golden)),
                "majority_answers": len(others),
                "majority_agreement": share(agreed, len(others)),
            }
        )
    assert mart(warehouse, "toloka__toloker_quality", "user_id") == expected
    for name in ("golden_accuracy", "majority_agreement"):
        assert len({row[name] for row in expected}) > 10


def test_throughput_is_what_was_submitted_in_an_hour_of_the_last_28_days(
    marts: LoadedAccount, warehouse: psycopg.Connection[Json]
) -> None:
    first_day = last_run(warehouse).date() - timedelta(days=27)
    pools = pools_of(marts)
    submitted = [
        {**row, "submitted": moment(row["submitted"]), "project_id": pools[pool]["project_id"]}
        for row in marts.rows("assignments")
        if row.get("submitted") and (pool := row["pool_id"]) in pools
    ]
    lately = [row for row in submitted if row["submitted"].date() >= first_day]
    assert len(lately) < len(submitted)
    names = {row["id"]: row.get("public_name") for row in marts.rows("projects")}
    expected = []
    for project_id, rows in sorted(by("project_id", lately).items()):
        days = len({row["submitted"].date() for row in rows})
        for hour in range(24):
            now = [row for row in rows if row["submitted"].hour == hour]
            expected.append(
                {
                    "project_id": project_id,
                    "project": names.get(project_id),
                    "hour": hour,
                    "assignments": len(now),
                    "answers": sum(len(row.get("tasks") or []) for row in now),
                    "tolokers": len({row["user_id"] for row in now}),
                    "days": days,
                    "assignments_per_day": share(len(now), days, 2),
                }
            )
    assert mart(warehouse, "toloka__throughput_by_hour", "project_id", "hour") == expected
