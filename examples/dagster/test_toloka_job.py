"""The job of Dagster loads what one run does, in shards, and stops as it should."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from examples.nights import SOON, wait_for
from tests.projects import REPOSITORY
from toloka_emulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.nights import Nights
    from tests.loaded_account import LoadedAccount

PROGRAMS = REPOSITORY / ".venv-dagster/bin"
JOB = Path(__file__).with_name("toloka_job.py")

TICKS_AND_A_FAILURE = """
import dagster as dg
import toloka_job as job

with dg.DagsterInstance.local_temp() as instance:
    for status in (None, dg.DagsterRunStatus.STARTED):
        if status:
            instance.create_run_for_job(job.toloka, status=status)
        with dg.build_schedule_context(instance=instance) as context:
            tick = job.nightly.evaluate_tick(context)
        print(len(tick.run_requests or []), tick.skip_message)
    run = job.toloka.execute_in_process(instance=instance, raise_on_error=False)
    failure = run.get_run_failure_event()
    context = dg.build_run_status_sensor_context("on_failure", failure, instance, run.dagster_run)
    job.on_failure(context.for_run_failure())
"""


def start(nights: Nights, home: Path, **variables: str) -> subprocess.Popen[str]:
    """Start a run of the job as Dagster does, with steps side by side; its log is on stderr."""
    env = {
        **nights.variables,
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "TOLOKA_RETRY_MINUTES": "0.01",
        **variables,
    }
    return subprocess.Popen(
        [PROGRAMS / "dagster", "job", "execute", "--python-file", JOB, "--job", "toloka"],
        cwd=home,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(run: subprocess.Popen[str]) -> str:
    """Wait for a run that goes well, and return its log."""
    _, log = run.communicate(timeout=SOON)
    assert run.returncode == 0, log
    return log


def test_shards_load_what_one_run_loads_though_one_of_them_fails_once(
    nights: Nights, loaded: LoadedAccount, tmp_path: Path
) -> None:
    nights.emulator.faults.add(Fault(status=400, path="*/assignments", after=5))
    log = finish(start(nights, tmp_path))
    assert log.count("STEP_UP_FOR_RETRY") == 1, log
    assert "assignments failed because Toloka answered 400" in log
    assert nights.tables_unlike(loaded) == []
    assert nights.rows_of("toloka__spend_by_day")
    for number in (1, 2, 3):
        assert nights.state(f"shard-{number}-of-3")["assignments"]["shard"] == f"{number}/3"


def cancel(run: subprocess.Popen[str]) -> None:
    """Cancel a run as Dagster does."""
    run.terminate()


def kill(run: subprocess.Popen[str]) -> None:
    """Kill all processes of Dagster that are in it."""
    process = psutil.Process(run.pid)
    home = process.cwd()  # Meltano and its guard are in the folder of the project
    processes = [process, *process.children(recursive=True)]
    for one in [one for one in processes if one.cwd() == home]:
        one.kill()


@pytest.mark.parametrize("stop", [cancel, kill])
def test_a_job_that_is_stopped_leaves_no_tap_behind_and_the_next_one_resumes(
    stop: Callable[[subprocess.Popen[str]], None],
    nights: Nights,
    loaded: LoadedAccount,
    tmp_path: Path,
) -> None:
    # Each shard reads tasks for a minute.
    nights.emulator.faults.add(Fault(delay=3, times=None, path="*/tasks"))
    run = start(nights, tmp_path, TAP_TOLOKA_MAX_CONCURRENCY="1")
    nights.wait_for_tasks()
    stop(run)
    run.communicate(timeout=SOON)
    assert run.returncode != 0
    wait_for(lambda: not nights.processes)
    states = [nights.state(f"shard-{number}-of-3") for number in (1, 2, 3)]
    assert any("unfinished" in state.get("tasks", {}) for state in states)
    nights.emulator.faults.clear()
    finish(start(nights, tmp_path))
    assert nights.tables_unlike(loaded) == []


def test_a_night_is_skipped_while_a_run_is_under_way_and_a_failure_is_told(tmp_path: Path) -> None:
    (tmp_path / "alerts.py").write_text("page = print")
    env = {
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": f"{JOB.parent}{os.pathsep}{tmp_path}",
        "MELTANO": "/nowhere/meltano",
        "TOLOKA_RETRY_MINUTES": "0",
        "TOLOKA_ON_FAILURE": "alerts.page",
    }
    done = subprocess.run(
        [PROGRAMS / "python", "-c", TICKS_AND_A_FAILURE],
        cwd=tmp_path,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second, failed, why = done.stdout.splitlines()
    assert (first, second) == ("1 None", "0 A run is still under way")
    assert failed.startswith("Toloka: run ")
    assert "/nowhere/meltano" in why
