"""Runs of dbt on tables that were loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg.conninfo import conninfo_to_dict

from tap_toloka.streams import STREAMS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    from tests.databases import Database
    from tests.projects import Project


def using(*streams: str) -> dict[str, bool]:
    """Return variables of the dbt project that say that these streams are loaded, and no others."""
    return {f"toloka__using_{stream.name}": stream.name in streams for stream in STREAMS}


ALL_STREAMS: Mapping[str, bool] = using(*(stream.name for stream in STREAMS))


@dataclass(frozen=True)
class Dbt:
    """The dbt of a project, on a database.

    Attributes:
        project: A project with its plugins.
        database: Where the tables are, and the models go.
        tables: The schema of the tables.
        models: The schema of the models.
    """

    project: Project
    database: Database
    tables: str = "tap_toloka"
    models: str = "toloka"

    @property
    def variables(self) -> dict[str, str]:
        """The variables that tell dbt-postgres where all that is."""
        parts = conninfo_to_dict(self.database.url.replace("+psycopg", ""))
        return {
            "DBT_POSTGRES_HOST": str(parts["host"]),
            "DBT_POSTGRES_USER": str(parts["user"]),
            "DBT_POSTGRES_DATABASE": str(parts["dbname"]),
            "DBT_POSTGRES_SCHEMA": self.models,
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": self.tables,
        }

    def build(
        self, *arguments: str, variables: Mapping[str, object] = ALL_STREAMS
    ) -> subprocess.CompletedProcess[str]:
        """Build and test models; what dbt prints is on stdout.

        Args:
            *arguments: What follows on the command line, as `--select`.
            variables: Variables of the dbt project.
        """
        command = ("invoke", "--no-install", "dbt-postgres:build", *arguments)
        given = {"DBT_POSTGRES_VARS": json.dumps(variables)}
        return self.project.meltano(*command, **self.variables, **given)
