"""The DAG, run by Airflow: with an emulator of Toloka, a PostgreSQL, a fresh Meltano project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.loads import rows_in
from tests.projects import REPOSITORY
from tests.runner import wait_until
from toloka_emulator import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from examples.conftest import Load, Rows

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
        load: What the DAG loads.
    """

    home: Path
    load: Load

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
                env={**os.environ, **self.load.variables, **ours, **env},
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
def airflow(prepared: Path, load: Load, tmp_path: Path) -> Airflow:
    """Make an Airflow."""
    template = Airflow(prepared, load)
    if not (prepared / "airflow.db").exists():
        assert template.run("db", "migrate"), template.log
        assert template.run("pools", "set", "toloka", str(SHARDS), "Shards"), template.log
    for name in ("airflow.cfg", "airflow.db"):
        shutil.copy(prepared / name, tmp_path)
    text = (tmp_path / "airflow.cfg").read_text().replace(str(prepared), str(tmp_path))
    (tmp_path / "airflow.cfg").write_text(text)
    (tmp_path / "alerts.py").write_text(ALERTS)
    return Airflow(tmp_path, load)


def test_shards_load_what_one_run_loads_though_one_of_them_fails_once(
    airflow: Airflow, load: Load, expected: Rows
) -> None:
    load.emulator.faults.add(Fault(status=400, path="*/assignments", after=20))
    assert airflow.run("dags", "test", "toloka"), airflow.log
    assert "MeltanoError: assignments failed because Toloka answered 400" in airflow.log
    assert airflow.notes == "", "a retry has healed it"
    assert load.rows() == expected
    for model, key in (("spend_by_day", "day"), ("cost_per_label", "pool_id")):
        rows = rows_in(load.database, "toloka", model)
        assert len({row[key] for row in rows}) == len(rows) > 1


def test_a_task_that_fails_says_why_and_calls_whom_the_user_wants(
    airflow: Airflow, load: Load
) -> None:
    load.emulator.faults.add(Fault(status=403, path="*/skills", times=None))
    selected = {"TAP_TOLOKA__SELECT": json.dumps(["requester.*", "skills.*"])}
    assert not airflow.run("dags", "test", "toloka", TOLOKA_RETRIES="0", **selected)
    (note, total) = airflow.notes.splitlines()
    assert note.startswith("account: skills failed because Toloka answered 403 ACCESS_DENIED")
    assert total.startswith("1 of 2 streams read, 1 failed (skills)")
    assert "Bash" not in airflow.log


def test_a_task_that_is_killed_leaves_no_run_behind_and_the_next_one_resumes(
    airflow: Airflow, load: Load
) -> None:
    # Those that the models read, and one that takes its time.
    names = ("requester", "pools", "assignments", "user_bonuses", "tasks")
    select = json.dumps([f"{name}.*" for name in names])
    env = {"TAP_TOLOKA__SELECT": select, "TAP_TOLOKA_MAX_CONCURRENCY": "1"}
    load.emulator.faults.add(Fault(delay=1, times=None, path="*/tasks"))
    with airflow.start("dags", "test", "toloka", **env) as process:
        before = load.wait_for_tasks()
        process.kill()  # as Airflow does with a task that is cleared or marked
    wait_until(lambda: not load.processes())
    assert "unfinished" in load.bookmarks("shard-1-of-3")["tasks"]

    load.emulator.faults.clear()
    load.emulator.clear_requests()
    assert airflow.run("dags", "test", "toloka", **env), airflow.log
    assert len(before & load.pools_read()) <= 2, "others are not read again"
    tasks = rows_in(load.database, "tap_toloka", "tasks")
    assert len(tasks) == len(load.emulator.tables["tasks"].rows())
