"""Tables join as docs/streams.md says."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from scripts.dbt_models import relations
from tap_toloka.streams import STREAMS
from tests.projects import REPOSITORY
from tests.runner import catalog_of
from toloka_emulator import POOL_IDS, make_account

if TYPE_CHECKING:
    from tests.loaded_account import LoadedAccount

Json = dict[str, Any]
Answer = list[tuple[Any, ...]]


def block(language: str) -> str:
    """Return the one block of docs/streams.md that is in a language."""
    text = (REPOSITORY / "docs/streams.md").read_text()
    (found,) = re.findall(rf"^```{language}\n(.+?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return str(found)


RELATIONS = relations()


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


def test_the_query_below_the_diagram_returns_each_label(loaded: LoadedAccount) -> None:
    # All but a pool that also has answers which do not go with its tasks.
    pools = {pool["id"] for pool in loaded.rows("pools")} - {*POOL_IDS}
    labels = [
        (row["pool_id"], row["user_id"], task["id"], solution["output_values"])
        for row in loaded.rows("assignments")
        if row["status"] == "ACCEPTED" and row["pool_id"] in pools and row.get("solutions")
        for task, solution in zip(row["tasks"], row["solutions"], strict=True)
        if solution["output_values"] is not None
    ]
    with loaded.database.connect() as connection:
        connection.execute("SET search_path TO tap_toloka")
        found = connection.execute(block("sql")).fetchall()
    assert len(labels) > 1000
    answered = [row for row in found if row[0] in pools and row[3] is not None]
    assert in_order(answered) == in_order(labels)


def in_order(rows: Answer) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True, default=str) for row in rows)
