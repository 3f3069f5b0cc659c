"""What tests of the examples share: nights of an orchestrator, to compare with one run."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
from psycopg.sql import SQL, Identifier

from scripts.run import MELTANO
from tap_toloka.streams import STREAMS
from tests.dbt import ALL_STREAMS
from tests.loads import records_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database
    from tests.loaded_account import LoadedAccount
    from tests.projects import Project
    from toloka_emulator import Emulator

Json = dict[str, Any]

SCHEMA = "tap_toloka"
SOON = 600.0
"""Seconds that nothing takes, on a busy machine."""


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@dataclass(frozen=True)
class Nights:
    """A project that an orchestrator runs.

    Attributes:
        project: The project, with dbt.
        emulator: The account.
        database: Where its rows go.
    """

    project: Project
    emulator: Emulator
    database: Database

    @property
    def variables(self) -> dict[str, str]:
        """The variables that tell an orchestrator where all that is."""
        return {
            "MELTANO": MELTANO,
            "MELTANO_PROJECT_ROOT": str(self.project.root),
            "TAP_TOLOKA_TOKEN": self.emulator.key,
            "TAP_TOLOKA_API_URL": self.emulator.url,
            "TAP_TOLOKA_MAX_REQUESTS_PER_SECOND": "300",
            "TAP_TOLOKA__SELECT": json.dumps([f"{stream.name}.*" for stream in STREAMS]),
            "TARGET_POSTGRES_SQLALCHEMY_URL": self.database.url,
            "DBT_POSTGRES_VARS": json.dumps(ALL_STREAMS),
        }

    @property
    def processes(self) -> list[psutil.Process]:
        """All processes that run with these variables: of the orchestrator, Meltano, plugins."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):  # it has ended, or is not ours
                root = process.environ().get("MELTANO_PROJECT_ROOT")
                if root == str(self.project.root) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    @property
    def pools_with_tasks(self) -> set[str]:
        """The pools whose tasks were requested."""
        requests = [one for one in self.emulator.requests if one.path.endswith("/tasks")]
        return {request.params["pool_id"] for request in requests}

    def wait_for_tasks(self, pools: int = 6) -> None:
        """Wait until the tasks of as many pools were requested."""
        wait_for(lambda: len(self.pools_with_tasks) >= pools)

    def state(self, name: str) -> Json:
        """Return the entries of a state by stream, as of `shard-2-of-3`."""
        state_id = f"dev:tap-toloka-to-target-postgres:{SCHEMA}:{name}"
        done = self.project.meltano("state", "get", state_id)
        bookmarks: Json = json.loads(done.stdout).get("singer_state", {}).get("bookmarks", {})
        return bookmarks

    def tables_unlike(self, loaded: LoadedAccount) -> list[str]:
        """Return the tables that differ from those that one run has loaded, or are empty."""
        unlike = []
        for stream in STREAMS:
            ours, theirs = (
                records_in(database, SCHEMA, stream)
                for database in (self.database, loaded.database)
            )
            if stream.name == "requester":  # a row for each run
                ours, theirs = ([{**rows[0], "read_at": None}] for rows in (ours, theirs))
            if ours != theirs or not ours:
                unlike.append(stream.name)
        return unlike

    def rows_of(self, model: str) -> int:
        """Count the rows of what dbt has built."""
        query = SQL("SELECT count(*) FROM {}").format(Identifier("toloka", model))
        with self.database.connect() as connection:
            ((count,),) = connection.execute(query).fetchall()
        return int(count)
