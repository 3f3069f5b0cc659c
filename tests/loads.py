"""Runs of Meltano from an emulator into PostgreSQL."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from tests.expected_rows import in_order
from tests.projects import LOAD_INTO_POSTGRES

if TYPE_CHECKING:
    from tap_toloka.client import TolokaStream
    from tests.databases import Database
    from tests.projects import Project
    from toloka_emulator import Emulator, Fault

Json = dict[str, Any]


class Loads:
    """Loads some streams of an emulator into a database, by `meltano run`."""

    def __init__(
        self, project: Project, emulator: Emulator, database: Database, *streams: str
    ) -> None:
        self._project = project
        self._emulator = emulator
        self._database = database
        self._select = json.dumps([f"{stream}.*" for stream in streams])
        self.log = ""
        """The log of the last run."""
        self.began = datetime.min  # noqa: DTZ901  # as PostgreSQL has it
        """When the last run began."""

    def run(self, *faults: Fault, **env: str) -> bool:
        """Run into these faults and with these variables, and return whether it went well."""
        self.began = datetime.now(timezone.utc).replace(tzinfo=None)
        self._emulator.clear_requests()
        for fault in faults:
            self._emulator.faults.add(fault)
        done = self._project.meltano(
            *LOAD_INTO_POSTGRES,
            **{**self.variables, **env},
        )
        self._emulator.faults.clear()
        self.log = done.stderr
        assert "deprecat" not in self.log.lower()
        return done.returncode == 0

    @property
    def variables(self) -> dict[str, str]:
        """The variables that Meltano is given."""
        return {
            "TAP_TOLOKA_TOKEN": self._emulator.key,
            "TAP_TOLOKA_API_URL": self._emulator.url,
            "TAP_TOLOKA_BATCH_SIZE": "100",
            "TAP_TOLOKA__SELECT": self._select,
            "TARGET_POSTGRES_SQLALCHEMY_URL": self._database.url,
        }

    @property
    def state(self) -> Json:
        """The entries of the state by stream, as Meltano keeps them."""
        done = self._project.meltano("state", "get", "dev:tap-toloka-to-target-postgres")
        bookmarks: Json = json.loads(done.stdout).get("singer_state", {}).get("bookmarks", {})
        return bookmarks

    @property
    def bookmarks(self) -> dict[str, str]:
        """The bookmarks by stream, as Meltano keeps them."""
        key = "replication_key_value"
        return {name: entry[key] for name, entry in self.state.items() if entry.get(key)}

    def rows(self, stream: str) -> list[Json]:
        """Return the rows of a table, with the target's own columns."""
        return rows_in(self._database, "tap_toloka", stream)

    def records(self, stream: type[TolokaStream]) -> list[Json]:
        """Return the rows of a table as the tap printed them, without what is NULL."""
        return records_in(self._database, "tap_toloka", stream)


def rows_in(database: Database, schema: str, stream: str) -> list[Json]:
    """Return the rows of a table, with the target's own columns."""
    query = SQL("SELECT * FROM {}").format(Identifier(schema, stream))
    with database.connect(row_factory=dict_row) as connection:
        rows: list[Json] = connection.execute(query).fetchall()
    return rows


def records_in(database: Database, schema: str, stream: type[TolokaStream]) -> list[Json]:
    """Return the rows of a table as the tap printed them, without what is NULL."""
    rows = [
        without_nulls(without_own_columns(row)) for row in rows_in(database, schema, stream.name)
    ]
    for row in rows:
        for name, value in row.items():
            if isinstance(value, datetime):
                row[name] = value.isoformat(timespec="milliseconds") + "Z"
    return in_order(stream, rows)


def without_nulls(row: Json) -> Json:
    """Return what a row has."""
    return {name: value for name, value in row.items() if value is not None}


def without_own_columns(row: Json) -> Json:
    """Return a row without the columns that the target adds."""
    return {name: value for name, value in row.items() if not name.startswith("_sdc_")}
