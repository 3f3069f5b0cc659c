"""Tests touch nothing of the user who runs them: no account, no database, no settings."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import isolation
from tests.projects import REPOSITORY, copy_sources

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "HOSTILE"

# Those that start the tap in each way that there is, by real Meltano into a real PostgreSQL too.
TESTS = (
    "tests/test_isolation.py::test_the_environment_is_that_of_the_tests",
    "tests/test_sdk.py::TestStandard::test_tap_cli_prints",
    "tests/test_settings.py::test_settings_can_come_from_the_environment",
    "tests/test_stopping.py::test_the_next_run_loses_nothing",
    "tests/test_make_run.py::test_a_run_reads_the_account_and_fills_the_database_that_the_env_file_names",
)


class Trap:
    """A server on this machine that counts who connects, and answers nobody."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    """Listen where the user's Toloka, PostgreSQL and Meltano are said to be."""
    trap = Trap()
    yield trap
    trap.close()


def users_variables(trap: Trap, folder: Path) -> dict[str, str]:
    """Return variables of a user who has an account, databases and projects of their own."""
    address = f"127.0.0.1:{trap.port}"
    return {
        "TAP_TOLOKA_TOKEN": SECRET,
        "TAP_TOLOKA_API_URL": f"http://{address}",
        "TAP_TOLOKA_ACCOUNT_ID": SECRET,
        "TAP_TOLOKA_USER_AGENT": SECRET,
        "TAP_TOLOKA_START_DATE": "2025-01-01",
        "TAP_TOLOKA_BATCH_SIZE": "3",
        "TAP_TOLOKA__SELECT": '["skills.*"]',
        "TARGET_POSTGRES_SQLALCHEMY_URL": f"postgresql+psycopg://{SECRET}:{SECRET}@{address}/a",
        "TARGET_POSTGRES_HOST": "127.0.0.1",
        "TARGET_POSTGRES_PORT": str(trap.port),
        "TARGET_POSTGRES_USER": SECRET,
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": SECRET,
        "PGHOST": "127.0.0.1",
        "PGHOSTADDR": "127.0.0.1",
        "PGPORT": str(trap.port),
        "PGUSER": SECRET,
        "PGPASSWORD": SECRET,
        "PGDATABASE": SECRET,
        "PGSERVICE": SECRET,
        "PGOPTIONS": f"-c search_path={SECRET}",
        "MELTANO_PROJECT_ROOT": str(folder / "meltano"),
        "MELTANO_ENVIRONMENT": SECRET,
        "MELTANO_DATABASE_URI": f"postgresql+psycopg://{SECRET}:{SECRET}@{address}/meltano",
        "MELTANO_STATE_BACKEND_URI": f"file://{folder}/{SECRET}",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "true",
        "MELTANO_SNOWPLOW_COLLECTOR_ENDPOINTS": f'["http://{address}"]',
        "MELTANO_HUB_URL": f"http://{address}",
        "SINGER_SDK_LOG_CONFIG": f"/{SECRET}.yml",
        "LOGLEVEL": "DEBUG",
        "XDG_CONFIG_HOME": str(folder / "home/.config"),
    }


def make_home(trap: Trap, home: Path) -> None:
    """Make the home directory of that user."""
    service = f"[{SECRET}]\nhost=127.0.0.1\nport={trap.port}\nuser={SECRET}\n"
    files = {
        ".netrc": f"machine 127.0.0.1 login {SECRET} password {SECRET}\n",
        ".pgpass": f"*:*:*:*:{SECRET}\n",
        ".pg_service.conf": service,
        ".config/meltano/config.yml": f"yaml: {{indent: {SECRET}}}\n",
        ".env": f"TAP_TOLOKA_TOKEN={SECRET}\n",
    }
    for name, text in files.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)


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
