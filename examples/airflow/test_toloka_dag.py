"""The DAG, run by Airflow: with an emulator of Toloka, a PostgreSQL, a fresh Meltano project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from examples.nights import wait_for
from tests.dbt import using
from tests.loads import rows_in
from tests.projects import REPOSITORY
from toloka_emulator import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from examples.nights import Nights
    from tests.loaded_account import LoadedAccount

AIRFLOW = REPOSITORY / ".venv-airflow/bin/airflow"
SHARDS = 3

ALERTS = """
import os

def note(context):
    with open(os.environ["NOTES"], "a") as notes:
        print(context["task_instance"].task_id, context["exception"], sep=": ", file=notes)
"""
"""A module of a user, with what to call if a task fails."""


@dataclass(frozen=True)
class Airflow:
    """An Airflow of a test's own, with the DAG.

    Attributes:
        home: Its folder.
        nights: What the DAG runs.
    """

    home: Path
    nights: Nights

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        """Start its command; what it logs goes to a file."""
        ours = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "examples/airflow/dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "PYTHONPATH": f"{REPOSITORY / 'examples'}{os.pathsep}{self.home}",
            "NOTES": str(self.home / "notes"),
            "TOLOKA_ON_FAILURE": "alerts.note",
            "TOLOKA_RETRY_MINUTES": "0.01",
            "TOLOKA_SHARDS": str(SHARDS),
        }
        with (self.home / "log").open("w") as log:
            return subprocess.Popen(
                [AIRFLOW, *arguments],
                env={**os.environ, **self.nights.variables, **ours, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def run(self, *arguments: str, **env: str) -> bool:
        """Run its command to the end, and return whether it went well."""
        with self.start(*arguments, **env) as process:
            return process.wait() == 0

    @property
    def log(self) -> str:
        """What the last command logged."""
        return (self.home / "log").read_text()

    @property
    def notes(self) -> str:
        """What the callback noted."""
        notes = self.home / "notes"
        return notes.read_text() if notes.exists() else ""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an Airflow whose database has the pool, to make copies of."""
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture
def airflow(prepared: Path, nights: Nights, tmp_path: Path) -> Airflow:
    """Make an Airflow."""
    template = Airflow(prepared, nights)
    if not (prepared / "airflow.db").exists():
        assert template.run("db", "migrate"), template.log
        assert template.run("pools", "set", "toloka", str(SHARDS), "Shards"), template.log
    for name in ("airflow.cfg", "airflow.db"):
        shutil.copy(prepared / name, tmp_path)
    text = (tmp_path / "airflow.cfg").read_text().replace(str(prepared), str(tmp_path))
    (tmp_path / "airflow.cfg").write_text(text)
    (tmp_path / "alerts.py").write_text(ALERTS)
    return Airflow(tmp_path, nights)


def test_shards_load_what_one_run_loads_though_one_of_them_fails_once(
    airflow: Airflow, nights: Nights, loaded: LoadedAccount
) -> None:
    nights.emulator.faults.add(Fault(status=400, path="*/assignments", after=20))
    assert airflow.run("dags", "test", "toloka"), airflow.log
    assert "MeltanoError: assignments failed because Toloka answered 400" in airflow.log
    assert airflow.notes == "", "a retry has healed it"
    assert nights.tables_unlike(loaded) == []
    assert nights.rows_of("toloka__spend_by_day")
    assert nights.rows_of("toloka__pool_progress")


def test_a_task_that_fails_says_why_and_calls_whom_the_user_wants(
    airflow: Airflow, nights: Nights
) -> None:
    nights.emulator.faults.add(Fault(status=403, path="*/skills", times=None))
    select = json.dumps(["requester.*", "skills.*"])
    env = {"TAP_TOLOKA__SELECT": select, "TOLOKA_RETRIES": "0"}
    assert not airflow.run("dags", "test", "toloka", **env)
    note, total = airflow.notes.splitlines()
    assert note.startswith("account: skills failed because Toloka answered 403 ACCESS_DENIED")
    assert total.startswith("1 of 2 streams read, 1 failed (skills)")


def test_a_task_that_is_killed_leaves_no_run_behind_and_the_next_one_resumes(
    airflow: Airflow, nights: Nights
) -> None:
    # Those that the models read, and one that takes its time.
    names = ("requester", "pools", "assignments", "user_bonuses", "tasks")
    select = json.dumps([f"{name}.*" for name in names])
    env = {"TAP_TOLOKA__SELECT": select, "TAP_TOLOKA_MAX_CONCURRENCY": "1"}
    env["DBT_POSTGRES_VARS"] = json.dumps(using(*names))
    nights.emulator.faults.add(Fault(delay=1, times=None, path="*/tasks"))
    with airflow.start("dags", "test", "toloka", **env) as process:
        nights.wait_for_tasks()
        process.kill()  # as Airflow does with a task that is cleared or marked
    wait_for(lambda: not nights.processes)
    before = nights.pools_with_tasks
    states = [nights.state(f"shard-{number}-of-3") for number in range(1, SHARDS + 1)]
    assert any("unfinished" in state.get("tasks", {}) for state in states)

    nights.emulator.faults.clear()
    nights.emulator.clear_requests()
    assert airflow.run("dags", "test", "toloka", **env), airflow.log
    assert len(before & nights.pools_with_tasks) <= 2, "others are not read again"
    tasks = rows_in(nights.database, "tap_toloka", "tasks")
    assert len(tasks) == len(nights.emulator.tables["tasks"].rows())
