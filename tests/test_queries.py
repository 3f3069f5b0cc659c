"""The queries of docs/queries return what Python computes; tables join as docs/streams.md says."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.sql import SQL, Identifier

from tap_toloka.streams import STREAMS
from tests.projects import REPOSITORY
from tests.runner import catalog_of, in_one_form
from toloka_emulator import POOL_IDS, make_account

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from tests.loaded_account import LoadedAccount

QUERIES = REPOSITORY / "docs/queries"
FILES = sorted(path.name for path in QUERIES.glob("*.sql"))

Json = dict[str, Any]
Answer = list[tuple[Any, ...]]


@pytest.fixture
def warehouse(loaded: LoadedAccount) -> Iterator[psycopg.Connection]:
    """Connect in a time zone that is far from UTC; changes are rolled back."""
    with loaded.database.connect() as connection:
        connection.execute("SET search_path TO tap_toloka; SET TIME ZONE 'Asia/Tokyo'")
        yield connection
        connection.rollback()


def text_of(name: str) -> str:
    return (QUERIES / name).read_text()


def answer(warehouse: psycopg.Connection, name: str, **settings: str) -> Answer:
    """Run a file; settings are values to put in place of those that it has at its top."""
    text = text_of(name)
    for setting, value in settings.items():
        _, _, rest = text.partition("WITH settings AS (SELECT ")
        old, _, _ = rest.partition(f" AS {setting})")
        assert rest
        text = text.replace(f"SELECT {old} AS", f"SELECT {value} AS")
    return warehouse.execute(text).fetchall()


def moment(printed: str) -> datetime:
    return datetime.fromisoformat(in_one_form(printed).removesuffix("Z"))


def rounded(number: Decimal, digits: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def name_of(loaded: LoadedAccount, pool_id: str) -> str | None:
    """Return the name of a pool; NUL is what PostgreSQL cannot hold."""
    (pool,) = [pool for pool in loaded.rows("pools") if pool["id"] == pool_id]
    name: str | None = pool.get("private_name")
    return name


def by(field: str, rows: list[Json]) -> dict[Any, list[Json]]:
    groups: defaultdict[Any, list[Json]] = defaultdict(list)
    for row in rows:
        groups[row.get(field)].append(row)
    return groups


def with_status(loaded: LoadedAccount, status: str) -> list[Json]:
    return [row for row in loaded.rows("assignments") if row["status"] == status]


def test_the_cost_per_accepted_label_is_the_rewards_shared_out_among_the_tasks(
    loaded: LoadedAccount, warehouse: psycopg.Connection
) -> None:
    expected = []
    for pool_id, accepted in by("pool_id", with_status(loaded, "ACCEPTED")).items():
        labels = sum(len(row.get("tasks") or []) for row in accepted)
        cost = sum((Decimal(row.get("reward") or 0) for row in accepted), Decimal(0))
        if labels:
            each = rounded(cost / labels, 5)
            name = name_of(loaded, pool_id)
            expected.append((pool_id, name, len(accepted), labels, cost, each))
    expected.sort(key=lambda row: (-row[5], -row[4], row[0]))
    assert len(expected) > 60
    assert answer(warehouse, "cost_per_label.sql") == expected


def test_the_time_to_submit_is_that_of_all_who_submitted(
    loaded: LoadedAccount, warehouse: psycopg.Connection
) -> None:
    def percentile(seconds: list[Decimal], part: Decimal) -> Decimal:
        place = part * (len(seconds) - 1)
        below, above = seconds[int(place)], seconds[min(int(place) + 1, len(seconds) - 1)]
        return rounded(below + (above - below) * (place % 1), 1)

    expected = []
    submitted = [row for row in loaded.rows("assignments") if row.get("submitted")]
    for pool_id, rows in by("pool_id", submitted).items():
        took = sorted(
            Decimal(
                (moment(row["submitted"]) - moment(row["created"])) // timedelta(milliseconds=1)
            )
            / 1000
            for row in rows
        )
        median, slow = (percentile(took, Decimal(part)) for part in ("0.5", "0.9"))
        expected.append((pool_id, name_of(loaded, pool_id), len(rows), median, slow))
    expected.sort(key=lambda row: (-row[3], row[0]))
    assert len(expected) > 60
    assert answer(warehouse, "time_to_submit.sql") == expected


@pytest.mark.parametrize("least", [20, 30])
def test_the_rejection_rate_is_of_what_was_reviewed_if_that_was_enough(
    loaded: LoadedAccount, warehouse: psycopg.Connection, least: int
) -> None:
    counts = {"ACCEPTED": 0, "REJECTED": 0}
    expected = []
    for user_id, rows in by("user_id", loaded.rows("assignments")).items():
        for status in counts:
            counts[status] = sum(row["status"] == status for row in rows)
        accepted, rejected = counts.values()
        if (reviewed := accepted + rejected) >= least:
            rate = rounded(Decimal(rejected) / reviewed, 3)
            expected.append((user_id, reviewed, accepted, rejected, rate))
    expected.sort(key=lambda row: (-row[4], -row[1], row[0] or "~"))
    found = answer(warehouse, "rejection_rate.sql", least_reviewed=str(least))
    assert found == expected
    users = [row[0] for row in found]
    assert ("e" * 32 in users, "f" * 32 in users) == (least == 20, False)
    if least == 20:
        assert found == answer(warehouse, "rejection_rate.sql")


def test_the_spend_of_a_day_is_what_was_accepted_and_the_bonuses_that_were_given(
    loaded: LoadedAccount, warehouse: psycopg.Connection
) -> None:
    rewards: defaultdict[date, Decimal] = defaultdict(Decimal)
    for row in with_status(loaded, "ACCEPTED"):
        rewards[moment(row["accepted"]).date()] += Decimal(row.get("reward") or 0)
    bonuses: defaultdict[date, Decimal] = defaultdict(Decimal)
    for row in loaded.rows("user_bonuses"):
        bonuses[moment(row["created"]).date()] += Decimal(row.get("amount") or 0)
    days = sorted({*rewards, *bonuses}, reverse=True)
    assert rewards.keys() - bonuses.keys()
    assert bonuses.keys() - rewards.keys()
    assert answer(warehouse, "spend_by_day.sql") == [
        (day, rewards[day], bonuses[day], rewards[day] + bonuses[day]) for day in days
    ]


def test_a_pool_is_stuck_if_it_is_open_and_quiet_for_a_day(
    loaded: LoadedAccount, warehouse: psycopg.Connection
) -> None:
    assignments = by("pool_id", loaded.rows("assignments"))
    expected = []
    for pool in loaded.rows("pools"):
        rows = assignments[pool["id"]]
        submitted = [moment(row["submitted"]) for row in rows if row.get("submitted")]
        opened = [moment(pool[name]) for name in ("created", "last_started") if pool.get(name)]
        quiet_since = max(submitted + opened)
        if (
            pool["status"] == "OPEN"
            and pool.get("type") != "TRAINING"
            and quiet_since < loaded.loaded_at - timedelta(days=1)
        ):
            active = sum(row["status"] == "ACTIVE" for row in rows)
            last = max(submitted, default=None)
            expected.append((pool["id"], pool.get("private_name"), quiet_since, last, active))
    expected.sort(key=lambda row: (row[2], row[0]))
    found = answer(warehouse, "stuck_pools.sql")
    assert found == expected
    borderline = {row[0]: row[4] for row in found if row[0].startswith("90000")}
    assert borderline == {"9000001": 0, "9000003": 3, "9000008": 0}
    assert any(last is None for _, _, _, last, _ in found)


@pytest.mark.parametrize("name", ["cost_per_label.sql", "time_to_submit.sql"])
def test_pools_that_were_not_loaded_have_no_name(
    loaded: LoadedAccount, warehouse: psycopg.Connection, name: str
) -> None:
    before = answer(warehouse, name)
    pool_id = before[0][0]
    assert before[0][1] == name_of(loaded, pool_id)
    warehouse.execute("DELETE FROM pools WHERE id = %s", [pool_id])
    assert answer(warehouse, name) == [(pool_id, None, *before[0][2:]), *before[1:]]


def test_a_file_reads_the_tables_that_it_names_and_no_others(
    loaded: LoadedAccount,
) -> None:
    assert len(FILES) == 5
    with loaded.database.connect() as connection:
        for name in FILES:
            reads = re.search(r"^-- Reads: (.+)[.]$", text_of(name), flags=re.MULTILINE)
            assert reads
            connection.execute("CREATE SCHEMA few; SET search_path TO few")
            for table in reads[1].split(", "):
                connection.execute(
                    SQL("CREATE VIEW {0} AS SELECT * FROM tap_toloka.{0}").format(Identifier(table))
                )
            answer(connection, name)
            connection.rollback()


# docs/streams.md


def block(language: str) -> str:
    """Return the one block of docs/streams.md that is in a language."""
    text = (REPOSITORY / "docs/streams.md").read_text()
    (found,) = re.findall(rf"^```{language}\n(.+?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return str(found)


RELATIONS = re.findall(
    r'^ +(\w+) [|}][|o]--[|o][|{] (\w+) : "(\S+) = (\S+)"$', block("mermaid"), flags=re.MULTILINE
)


def values_at(path: str, rows: list[Json]) -> set[str]:
    """Return all values at a path of the diagram."""
    found: list[Any] = list(rows)
    for name in path.split("."):
        found = [row[name.removesuffix("[]")] for row in found if row.get(name.removesuffix("[]"))]
        if name.endswith("[]"):
            found = [*chain.from_iterable(found)]
    return set(found)


def test_the_diagram_has_all_streams_and_each_of_its_lines_is_tested() -> None:
    first, *lines = block("mermaid").splitlines()
    assert first == "erDiagram"
    assert len(lines) == len(RELATIONS)
    assert {name for line in RELATIONS for name in line[:2]} == {s.name for s in STREAMS}


@pytest.mark.parametrize(("one", "many", "key", "reference"), RELATIONS)
def test_tables_join_by_columns_that_they_have(
    one: str, many: str, key: str, reference: str
) -> None:
    for stream, path in ((one, key), (many, reference)):
        (entry,) = [entry for entry in catalog_of()["streams"] if entry["stream"] == stream]
        schema = entry["schema"]
        for name in path.split("."):
            if "properties" not in schema:  # free in form
                assert path == "parameters.pool_id"
                break
            schema = schema["properties"][name.removesuffix("[]")]
            assert ("items" in schema) == name.endswith("[]")
            schema = schema.get("items", schema)
        else:
            assert "string" in schema["type"]


@pytest.fixture(scope="module")
def world() -> dict[str, list[Json]]:
    """Make an account whose rows belong together."""
    return make_account(pools=40, assignments=600, seed=3, now=datetime.now(timezone.utc))


@pytest.mark.parametrize(("one", "many", "key", "reference"), RELATIONS)
def test_each_reference_leads_to_a_row(
    world: dict[str, list[Json]], one: str, many: str, key: str, reference: str
) -> None:
    keys, references = values_at(key, world[one]), values_at(reference, world[many])
    if reference == "interlocutors[].id":  # Tolokers, and the requester
        references -= values_at("id", world["requester"])
    assert references
    assert references <= keys


def test_the_query_below_the_diagram_returns_each_label(
    loaded: LoadedAccount, warehouse: psycopg.Connection
) -> None:
    # All but a pool that also has answers which do not go with its tasks.
    pools = {pool["id"] for pool in loaded.rows("pools")} - {*POOL_IDS}
    labels = [
        (row["pool_id"], row["user_id"], task["id"], solution["output_values"])
        for row in with_status(loaded, "ACCEPTED")
        if row["pool_id"] in pools and row.get("solutions")
        for task, solution in zip(row["tasks"], row["solutions"], strict=True)
    ]
    found = warehouse.execute(block("sql")).fetchall()
    assert len(labels) > 1000
    answered = [row for row in found if row[0] in pools and row[3] is not None]
    assert in_order(answered) == in_order(labels)


def in_order(rows: Answer) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True, default=str) for row in rows)
