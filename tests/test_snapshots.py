"""No schema, key or replication key changes unseen: `tests/snapshots` has the catalog's entries.

To renew them: `python -m tests.test_snapshots`. It names what would break tables that are there
already; then read what changed, and say so in CHANGELOG.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.sql import SQL, Identifier

from tests.expected_rows import whole_account
from tests.runner import catalog_of, catalog_of_all, config_for, run_inside
from toloka_emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database
    from tests.projects import Project
    from tests.runner import Run

Json = dict[str, Any]

SNAPSHOTS = Path(__file__).with_name("snapshots")


def entries() -> dict[str, Json]:
    """Return the entry of each stream, without the metadata of fields, which the SDK derives."""
    catalog = catalog_of()
    for entry in catalog["streams"]:
        (of_the_stream,) = [item for item in entry["metadata"] if not item["breadcrumb"]]
        del of_the_stream["metadata"]["selected"]
        entry["metadata"] = [of_the_stream]
    return {entry["stream"]: entry for entry in catalog["streams"]}


def snapshots() -> dict[str, Json]:
    """Return the entries as they are kept."""
    return {path.stem: json.loads(path.read_text()) for path in SNAPSHOTS.glob("*.json")}


def breaks(old: dict[str, Json], new: dict[str, Json]) -> Iterator[str]:
    """Name what of newer entries does not fit tables that were made by older ones."""
    for name, entry in old.items():
        if name not in new:
            yield f"{name} is gone"
            continue
        for keys in ("key_properties", "replication_key"):
            if entry.get(keys) != new[name].get(keys):
                yield f"{name} has other {keys}"
        now = new[name]["schema"]["properties"]
        for field, schema in entry["schema"]["properties"].items():
            if field not in now:
                yield f"{name}.{field} is gone"
            elif {*schema["type"]} - {*now[field]["type"]} or schema.get("format") != now[
                field
            ].get("format"):
                yield f"{name}.{field} is of another type"


def test_the_catalog_is_as_the_snapshots_have_it() -> None:
    kept, found = snapshots(), entries()
    assert found.keys() == kept.keys()
    for name, entry in found.items():
        assert entry == kept[name], f"{name}: see tests/test_snapshots.py"


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        (["pools"], None, ["pools is gone"]),
        (["pools", "key_properties"], ["id", "created"], ["pools has other key_properties"]),
        (["pools", "replication_key"], "last_started", ["pools has other replication_key"]),
        (["pools", "schema", "properties", "status"], None, ["pools.status is gone"]),
        (
            ["pools", "schema", "properties", "status"],
            {"type": ["integer", "null"]},
            ["pools.status is of another type"],
        ),
        (
            ["pools", "schema", "properties", "created"],
            {"type": ["string", "null"]},
            ["pools.created is of another type"],
        ),
        (["pools", "schema", "properties", "tier"], {"type": ["string", "null", "number"]}, []),
        (["pools", "schema", "properties", "more"], {"type": ["string", "null"]}, []),
    ],
    ids=str,
)
def test_renewing_a_snapshot_tells_what_breaks_tables(
    path: list[str], value: object, found: list[str]
) -> None:
    new = entries()
    *parents, name = path
    place: Any = new
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[name]
    else:
        place[name] = value
    assert list(breaks(snapshots(), new)) == found


def test_rows_of_an_older_schema_stay_and_newer_ones_load(
    project: Project, database: Database
) -> None:
    """Have each stream gain a field, as an upgrade of the tap may bring it."""
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
    with Emulator(rows=whole_account(20, seed=1)) as emulator:
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
    keys = entries()[name]["key_properties"]
    messages = [m for run in runs for m in run.messages if m["type"] == "RECORD"]
    records = [m["record"] for m in messages if m["stream"] == name]
    return {tuple(str(record[key]) for key in keys): record for record in records}


def filled(name: str, field: str, run: Run) -> int:
    """Count the rows that have a value of a field."""
    return sum(record.get(field) is not None for record in rows_of(name, run).values())


if __name__ == "__main__":
    found = entries()
    for problem in breaks(snapshots(), found):
        sys.stderr.write(f"breaks tables that are there: {problem}\n")
    for name, entry in found.items():
        text = json.dumps(entry, indent=2, ensure_ascii=False)
        (SNAPSHOTS / f"{name}.json").write_text(f"{text}\n")
