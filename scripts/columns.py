"""The tables that target-postgres creates for the streams, for the data dictionary and dbt."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_toloka.tap import TapToloka

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Schema = dict[str, Any]

_TYPES = {
    "string": "text",
    "integer": "bigint",
    "number": "numeric",
    "boolean": "boolean",
    "object": "jsonb",
}


@dataclass(frozen=True)
class Column:
    """A column of a table, or a property of an object in one.

    Attributes:
        name: Its name.
        type: Its type in PostgreSQL.
        description: What it holds.
        inner: The declared properties, if it holds objects or arrays of objects.
    """

    name: str
    type: str
    description: str
    inner: tuple[Column, ...]


@dataclass(frozen=True)
class Table:
    """A table, which has the name of the stream.

    Attributes:
        name: Its name.
        description: What its rows are.
        keys: The columns of its primary key.
        replication_key: The column that the bookmark refers to, if there is one.
        selected: Whether the tap reads the stream by default.
        columns: All columns but those that target-postgres adds.
    """

    name: str
    description: str
    keys: tuple[str, ...]
    replication_key: str | None
    selected: bool
    columns: tuple[Column, ...]


@functools.cache
def tables() -> tuple[Table, ...]:
    """Return the tables of all streams, by name."""
    tap = TapToloka(config={"token": "none"})
    catalog = json.loads(tap.catalog_json_text)
    entries = sorted(catalog["streams"], key=lambda entry: entry["stream"])
    return tuple(map(_table, entries))


def _table(entry: Mapping[str, Any]) -> Table:
    return Table(
        name=entry["stream"],
        description=entry["schema"]["description"],
        keys=tuple(entry["key_properties"]),
        replication_key=entry.get("replication_key"),
        selected=entry["metadata"][-1]["metadata"]["selected-by-default"],
        columns=tuple(_columns(entry["schema"])),
    )


def _columns(schema: Schema) -> Iterator[Column]:
    for name, inner in schema.get("properties", {}).items():
        within = inner if "properties" in inner else inner.get("items", {})
        yield Column(name, _type_of(inner), inner["description"], tuple(_columns(within)))


def _type_of(schema: Schema) -> str:
    """Return the type that target-postgres gives a column; docs/streams.md has them in a table."""
    types = {schema["type"]} if isinstance(schema["type"], str) else {*schema["type"]}
    types -= {"null"}
    if schema.get("format") == "date-time":
        return "timestamp"
    if types == {"array"}:
        return f"{_type_of(schema['items'])}[]"
    return _TYPES[types.pop()] if len(types) == 1 else "jsonb"
