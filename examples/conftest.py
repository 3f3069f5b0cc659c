"""What tests of the examples share: a project with dbt, an account, a database."""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING

import pytest

from examples.nights import Nights
from tests import isolation
from tests.conftest import database, loaded, project, server, shared  # noqa: F401  # fixtures
from tests.loaded_account import account_at
from tests.projects import REPOSITORY, Project, copy_sources
from tests.shared import made_once
from toloka_emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.databases import Database
    from tests.loaded_account import LoadedAccount


@pytest.fixture(scope="session")
def installed(shared: Path, pytestconfig: pytest.Config) -> Project:  # noqa: F811
    """Return a project with its plugins and dbt, to make copies of."""
    made = Project(shared / "installed", pytestconfig.stash[isolation.installing])

    def install() -> str:
        copy_sources(REPOSITORY, made.root)
        made.install("tap-toloka", "target-postgres", "dbt-postgres")
        return ""

    made_once(shared, "plugins", install)
    return made


@pytest.fixture
def nights(
    project: Project,  # noqa: F811
    database: Database,  # noqa: F811
    loaded: LoadedAccount,  # noqa: F811
) -> Iterator[Nights]:
    """Return a project that loads nothing yet, from the account that one run has loaded."""
    now = loaded.loaded_at.replace(tzinfo=timezone.utc)
    with Emulator(rows=account_at(now)) as emulator:
        yield Nights(project, emulator, database)
