"""Tests touch nothing of the user who runs them: no account, no database, no settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import isolation
from tests.projects import REPOSITORY, copy_sources
from tests.user_of_tests import SECRET, Trap, make_home, users_variables

if TYPE_CHECKING:
    from collections.abc import Iterator

# Those that start the tap in each way that there is, by real Meltano into a real PostgreSQL too.
TESTS = (
    "tests/test_isolation.py::test_the_environment_is_that_of_the_tests",
    "tests/test_sdk.py::TestStandard::test_tap_cli_prints",
    "tests/test_settings.py::test_settings_can_come_from_the_environment",
    "tests/test_stopping.py::test_the_next_run_loses_nothing",
    "tests/test_make_run.py::test_a_run_reads_the_account_and_fills_the_database_that_the_env_file_names",
)


@pytest.fixture
def trap() -> Iterator[Trap]:
    """Listen where the user's Toloka, PostgreSQL and Meltano are said to be."""
    trap = Trap()
    yield trap
    trap.close()


def test_nothing_of_the_user_reaches_a_test(
    trap: Trap, shared: Path, pytestconfig: pytest.Config
) -> None:
    """Run some tests in a copy of the repository that has a `.env`, and the `.venv` of this one."""
    folder = shared / "hostile"
    repository, home = folder / "repository", folder / "home"
    copy_sources(REPOSITORY, repository)
    (repository / ".venv").symlink_to(sys.prefix)
    installing = pytestconfig.stash[isolation.installing]
    variables = users_variables(trap, folder)
    dotenv = "".join(f"{name}='{value}'\n" for name, value in variables.items())
    (repository / ".env").write_text(dotenv)
    make_home(trap, home)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    python = repository / ".venv/bin/python"
    # Quickly over if requests go into the trap, where the tap would try again for minutes.
    options = ["-x", "--timeout=60", "-rA", "-p", "no:xdist", "-p", "no:cacheprovider"]
    options.append(f"--basetemp={folder / 'pytest'}")
    done = subprocess.run(
        [str(python), "-m", "pytest", *options, *TESTS],
        cwd=repository,
        env={
            **kept,
            **installing,
            **variables,
            "HOME": str(home),
            "PGPASSFILE": str(home / ".pgpass"),
            "PGSERVICEFILE": str(home / ".pg_service.conf"),
            "NETRC": str(home / ".netrc"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert SECRET not in done.stdout
    assert trap.connections == 0
    assert (repository / ".env").read_text() == dotenv
    left = {path.name for path in (*repository.iterdir(), *home.iterdir(), *folder.iterdir())}
    assert SECRET not in left


def test_the_environment_is_that_of_the_tests(shared: Path) -> None:
    for name, value in os.environ.items():
        assert not name.startswith(("TAP_", "TARGET_", "MELTANO_", "PG", "SINGER_", "XDG_")), name
        assert not isolation.matches(name, isolation.INSTALLING), name
        assert SECRET not in value, name
    assert Path.home() == shared / "home"
