"""No stream, key or type changes by accident: `catalog.txt` keeps the catalog.

To renew it: `python -m tests.catalog`, which names what breaks tables that are there already.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.sql import SQL, Identifier

from tap_toloka.streams import STREAMS
from tests import catalog
from tests.expected_rows import whole_account
from tests.runner import catalog_of, catalog_of_all, config_for, run_inside, run_process
from toloka_emulator import Emulator, make_pools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database
    from tests.projects import Project
    from tests.runner import Run

Json = dict[str, Any]

JSON_TYPES = {"string", "number", "integer", "boolean", "object", "array", "null"}


def test_the_catalog_is_as_the_file_has_it() -> None:
    assert catalog.found() == catalog.kept(), "see tests/catalog.py"


def test_every_property_and_every_array_has_a_type() -> None:
    """Without these some targets fail, or make up a type."""
    with Emulator() as emulator:
        run = run_inside(config_for(emulator), catalog=catalog_of_all())
    schemas = {m["stream"]: m["schema"] for m in run.messages if m["type"] == "SCHEMA"}
    assert schemas.keys() == {stream.name for stream in STREAMS}
    assert [*itertools.chain(*itertools.starmap(untyped_parts, schemas.items()))] == []


def untyped_parts(path: str, schema: Json) -> Iterator[str]:
    """Yield what in a schema has no type or no items that it should have, or one JSON lacks."""
    types = {schema["type"]} if isinstance(schema.get("type"), str) else {*schema.get("type", [])}
    if not types or not types <= JSON_TYPES:
        yield f"{path} has no type"
    if "array" in types and "items" not in schema:
        yield f"{path} has no items"
    for name, inner in schema.get("properties", {}).items():
        yield from untyped_parts(f"{path}.{name}", inner)
    if "items" in schema:
        yield from untyped_parts(f"{path}[]", schema["items"])


@pytest.mark.parametrize(
    ("path", "what", "breaks"),
    [
        ("pools", None, ["pools is gone"]),
        ("pools", "key id, created; INCREMENTAL by created; selected", ["pools has another key"]),
        (
            "pools",
            "key id; INCREMENTAL by last_started; selected",
            ["pools has another replication key"],
        ),
        ("pools", "key id; FULL_TABLE; selected", ["pools has another replication key"]),
        ("pools", "key id; INCREMENTAL by created; not selected", []),
        ("pools.status", None, ["pools.status is gone"]),
        ("pools.status", "integer, null", ["pools.status is of another type"]),
        ("pools.status", "null, integer, string", []),
        ("assignments.tasks", "array, object, null", ["assignments.tasks is of another type"]),
        ("operations.parameters", "array, object, string, null", []),
        ("pools.created", "string, null", ["pools.created is of another type"]),
        ("pools.more", "string, null", []),
        ("pools.owner.id", "integer, null", []),
        ("pools.owner.id", None, []),
    ],
    ids=str,
)
def test_renewing_the_file_names_what_breaks_tables(
    path: str, what: str | None, breaks: list[str]
) -> None:
    changed = {**catalog.kept(), path: what}
    new = {path: what for path, what in changed.items() if what is not None}
    assert list(catalog.breaking_changes(catalog.kept(), new)) == breaks


def test_rows_of_an_older_schema_stay_and_newer_rows_are_loaded(
    project: Project, database: Database
) -> None:
    """Add a field to each stream, as an upgrade of the tap may do."""
    target = project.root / ".meltano" / "loaders" / "target-postgres" / "venv" / "bin"
    config = project.root / "target.json"
    config.write_text(json.dumps({"sqlalchemy_url": database.url, "default_target_schema": "t"}))

    def load(messages: bytes) -> None:
        command = [str(target / "target-postgres"), "--config", str(config)]
        done = subprocess.run(command, input=messages, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    older = catalog_of_all()
    newest = {entry["stream"]: newest_field_of(entry) for entry in older["streams"]}
    for entry in older["streams"]:
        del entry["schema"]["properties"][newest[entry["stream"]]]
    with Emulator(rows=whole_account(8, seed=1)) as emulator:
        first = run_inside(config_for(emulator), catalog=older)
        load(first.output)
        gone = emulator.tables["skills"].rows()[0]["id"]
        emulator.tables["skills"].remove(gone)
        second = run_inside(config_for(emulator), catalog=catalog_of_all())
        load(second.output)
    with database.connect() as connection:
        for name, field in newest.items():
            counts = SQL("SELECT count(*), count(nullif({}::text, 'null')) FROM t.{}")
            query = counts.format(Identifier(field), Identifier(name))
            found = connection.execute(query).fetchone()
            assert found == (len(rows_of(name, first, second)), filled(name, field, second)), name
        kept = SQL("SELECT name FROM t.skills WHERE id = {}").format(gone)
        assert connection.execute(kept).fetchone() is not None


def newest_field_of(entry: Json) -> str:
    """Return the last field of a stream that it can do without."""
    keys = {*entry["key_properties"], entry.get("replication_key")}
    fields: list[str] = [field for field in entry["schema"]["properties"] if field not in keys]
    return fields[-1]


def rows_of(name: str, *runs: Run) -> dict[tuple[str, ...], Json]:
    """Return the rows of a stream as a warehouse would have them after these runs."""
    keys = {stream.name: stream.primary_keys for stream in STREAMS}[name]
    messages = [m for run in runs for m in run.messages if m["type"] == "RECORD"]
    records = [m["record"] for m in messages if m["stream"] == name]
    return {tuple(str(record[key]) for key in keys): record for record in records}


def filled(name: str, field: str, run: Run) -> int:
    """Count the rows that have a value of a field."""
    return sum(record.get(field) is not None for record in rows_of(name, run).values())


def test_schemas_alone_are_those_of_a_run_with_the_same_catalog() -> None:
    catalog = catalog_of("owner")
    with Emulator(make_pools(3, seed=1)) as emulator:
        config = config_for(emulator)
        run = run_inside(config, None, catalog)
        emulator.clear_requests()
        alone = run_process("--test=schema", config=config, catalog=catalog)
        assert emulator.requests == []
    assert alone.messages == [message for message in run.messages if message["type"] == "SCHEMA"]
    assert "owner" not in alone.schema["properties"]
    everything = run_process("--test=schema", config=config)
    assert len(everything.messages) == len(STREAMS)
