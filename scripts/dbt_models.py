"""Writes the sources and staging models in `transform`, from the schemas of the tap.

    python -m scripts.dbt_models

Sources are the tables that target-postgres creates, with their columns. A staging model has one row
per key: the fields under Toloka's names, `id` named after the table, and objects flattened one
level deep. Marts are written by hand. A test fails when a file is not current.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from scripts.columns import Column, Table, tables
from scripts.release import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODELS = ROOT / "transform/models"
HEADER = "Generated from tap_toloka/schemas: python -m scripts.dbt_models"

# What `id` is called, in Toloka's words, where the singular of the table's name would not do.
_IDS = {
    "app_batches": "batch_id",
    "app_items": "item_id",
    "user_bonuses": "user_bonus_id",
    "user_metadata": "user_id",
}

# Columns for joins that lie deeper than one level, or in a free-form object.
_FURTHER = {
    "operations": (("parameters", "pool_id"),),
    "pools": (("quality_control", "training_requirement", "training_pool_id"),),
}

# The values that Toloka's reference lists; the test of any other one only warns.
_POOL = {
    "status": ("OPEN", "CLOSED", "ARCHIVED", "LOCKED"),
    "last_close_reason": (
        *("MANUAL", "EXPIRED", "COMPLETED", "NOT_ENOUGH_BALANCE", "ASSIGNMENTS_LIMIT_EXCEEDED"),
        *("BLOCKED", "FOR_UPDATE"),
    ),
}
_ITEM = ("NEW", "PROCESSING", "COMPLETED", "ERROR", "CANCELLED", "ARCHIVE", "NO_MONEY", "STOPPED")
_VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "app_batches": {"status": (*_ITEM, "QUEUED", "LOADING", "STOPPING")},
    "app_items": {"status": _ITEM},
    "app_projects": {"status": ("CREATING", "READY", "ARCHIVE", "ARCHIVED", "ERROR")},
    "assignments": {
        "status": ("ACTIVE", "SUBMITTED", "ACCEPTED", "REJECTED", "SKIPPED", "EXPIRED")
    },
    "attachments": {"attachment_type": ("ASSIGNMENT_ATTACHMENT",)},
    "operations": {"status": ("PENDING", "RUNNING", "SUCCESS", "FAIL")},
    "pools": {**_POOL, "type": ("REGULAR", "TRAINING")},
    "projects": {
        "status": ("ACTIVE", "ARCHIVED"),
        "assignments_issuing_type": ("AUTOMATED", "MAP_SELECTOR"),
    },
    "trainings": _POOL,
    "user_restrictions": {"scope": ("ALL_PROJECTS", "POOL", "PROJECT", "SYSTEM")},
}

# Names that need quotes.
_KEYWORDS = {"current_time"}

Yaml = dict[str, Any]


class _Field(NamedTuple):
    """A column of a staging model."""

    name: str
    sql: str
    type: str
    description: str


class Relation(NamedTuple):
    """A line of the diagram in docs/streams.md: rows of `many` refer to one of `one`."""

    one: str
    many: str
    key: str
    reference: str


def files() -> dict[Path, str]:
    """Return the text of each generated file by its path."""
    all_tables = tables()
    staging = {
        MODELS / f"staging/stg_toloka__{table.name}.sql": _staging_model(table)
        for table in all_tables
    }
    return {
        MODELS / "sources.yml": _dump(_sources(all_tables)),
        MODELS / "staging/staging.yml": _dump({"models": [*map(_tested_model, all_tables)]}),
        **staging,
    }


def _dump(content: Yaml) -> str:
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return f"# {HEADER}\n\n{text}"


# Sources


def _sources(all_tables: tuple[Table, ...]) -> Yaml:
    return {
        "sources": [
            {
                "name": "toloka",
                "description": "The tables that tap-toloka and target-postgres load.",
                "schema": "{{ var('toloka_schema')"
                " or env_var('TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA', 'tap_toloka') }}",
                "tables": [*map(_source, all_tables)],
            }
        ]
    }


def _source(table: Table) -> Yaml:
    keys = ", ".join(table.keys)
    source: Yaml = {
        "name": table.name,
        "description": f"{table.description} Key: {keys}.",
        "config": {"enabled": _is_loaded(table.name)},
        "columns": [
            {"name": column.name, "data_type": column.type, "description": column.description}
            for column in table.columns
        ],
    }
    if table.name == "requester":  # the one table that has a new row after each run
        source["config"] |= {
            "loaded_at_field": "read_at",
            "freshness": {
                "warn_after": {"count": 26, "period": "hour"},
                "error_after": {"count": 50, "period": "hour"},
            },
        }
    return source


def _is_loaded(table: str) -> str:
    return f"{{{{ var('toloka__using_{table}') }}}}"


# Staging models


def _staging_model(table: Table) -> str:
    columns = ",\n    ".join(
        field.sql if field.sql.strip('"') == field.name else f"{field.sql} AS {field.name}"
        for field in _fields(table)
    )
    return (
        f"-- {HEADER}\n\n"
        f"{{{{ config(enabled=var('toloka__using_{table.name}')) }}}}\n\n"
        f"SELECT\n    {columns},\n    _sdc_extracted_at\n"
        f"FROM {{{{ toloka_table(source('toloka', '{table.name}')) }}}} AS {table.name}\n"
    )


def _fields(table: Table) -> Iterator[_Field]:
    names = {_name_of(table, column.name) for column in table.columns}
    for column in table.columns:
        name = _name_of(table, column.name)
        sql = f'"{column.name}"' if column.name in _KEYWORDS else column.name
        yield _Field(name, sql, column.type, column.description)
        if column.type == "jsonb":
            for inner in column.inner:
                field = _inner_field(column, inner)
                if field.name not in names and not inner.type.startswith("jsonb"):
                    yield field
    for path in _FURTHER.get(table.name, ()):
        *objects, last = path
        sql = f"{' -> '.join([objects[0], *map(repr, objects[1:])])} ->> '{last}'"
        yield _Field("_".join(path[-2:]), sql, "text", f"From `{'.'.join(path)}`.")


def _name_of(table: Table, column: str) -> str:
    if column != "id":
        return column
    return _IDS.get(table.name, f"{table.name.removesuffix('s')}_id")


def _inner_field(column: Column, inner: Column) -> _Field:
    sql, kind = f"{column.name} ->> '{inner.name}'", inner.type
    if kind.endswith("[]"):  # an array of texts, as it is
        sql, kind = f"{column.name} -> '{inner.name}'", "jsonb"
    elif kind != "text":
        sql = f"({sql})::{kind}"
    return _Field(f"{column.name}_{inner.name}", sql, kind, inner.description)


# Their tests


def _tested_model(table: Table) -> Yaml:
    columns: list[Yaml] = [
        {"name": field.name, "data_type": field.type, "description": field.description}
        for field in _fields(table)
    ]
    keys = [_name_of(table, key) for key in table.keys]
    for column in columns:
        if tests := [*_column_tests(table, column["name"], keys)]:
            column["data_tests"] = tests
    model: Yaml = {
        "name": f"stg_toloka__{table.name}",
        "description": table.description,
        "columns": columns,
    }
    tests = [*_array_relations(table)]
    if len(keys) > 1:
        together = " || '-' || ".join(keys)
        tests.insert(0, {"unique": {"arguments": {"column_name": together}}})
    return {**model, "data_tests": tests} if tests else model


def _column_tests(table: Table, name: str, keys: list[str]) -> Iterator[Any]:
    if name in keys:
        yield "not_null"
    if [name] == keys:
        yield "unique"
    if values := _VALUES.get(table.name, {}).get(name):
        yield {"accepted_values": {"arguments": {"values": [*values]}, "config": _WARN}}
    for relation in relations():
        field = "_".join(relation.reference.split("."))
        if relation.many == table.name and field == name:
            yield {"relationships": {"arguments": _target(relation), "config": _config(relation)}}


_WARN = {"severity": "warn"}


@functools.cache
def relations() -> tuple[Relation, ...]:
    """Return the relations in the diagram of docs/streams.md."""
    text = (ROOT / "docs/streams.md").read_text()
    found = re.findall(
        r'^ +(\w+) [|}][|o]--[|o][|{] (\w+) : "(\S+) = (\S+)"$', text, flags=re.MULTILINE
    )
    return tuple(Relation(*line) for line in found)


def _target(relation: Relation) -> Yaml:
    (table,) = [table for table in tables() if table.name == relation.one]
    # Rows of a training have its ID as their `pool_id`.
    layer = "int" if relation.one == "pools" else "stg"
    return {
        "to": f"ref('{layer}_toloka__{relation.one}')",
        "field": _name_of(table, relation.key),
    }


def _config(relation: Relation) -> Yaml:
    """Only warn: settings such as `filters` leave rows out that others refer to."""
    return {**_WARN, "enabled": _is_loaded(relation.one)}


def _array_relations(table: Table) -> Iterator[Yaml]:
    for relation in relations():
        if relation.many == table.name and "[]" in relation.reference:
            array, _, key = relation.reference.partition("[].")
            arguments = {"array": array, "key": key, **_target(relation)}
            if array == "interlocutors":
                arguments["only"] = "element ->> 'role' = 'USER'"
            yield {"relationships_in_array": {"arguments": arguments, "config": _config(relation)}}


def main() -> None:
    """Write all files, and delete staging models of tables that are gone."""
    texts = files()
    (MODELS / "staging").mkdir(parents=True, exist_ok=True)
    for path in MODELS.glob("staging/stg_toloka__*.sql"):
        if path not in texts and HEADER in path.read_text():
            path.unlink()
    for path, text in texts.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
