"""The job of Dagster loads what one run does, in shards, and stops as it should."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.loads import rows_in
from tests.projects import REPOSITORY
from toloka_emulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.conftest import Load, Rows

PROGRAMS = REPOSITORY / ".venv-dagster/bin"
JOB = Path(__file__).with_name("toloka_job.py")
SOON = 600.0
"""Seconds that nothing takes, on a busy machine."""

pytestmark = pytest.mark.timeout(2 * SOON)

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


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def start(load: Load, home: Path) -> subprocess.Popen[str]:
    """Start a run of the job as Dagster does, with steps side by side; its log is on stderr."""
    env = {
        **load.variables,
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "TAP_TOLOKA_MAX_REQUESTS_PER_SECOND": "300",
        "TOLOKA_RETRY_MINUTES": "0.01",
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


def states_of_shards(load: Load) -> list[dict[str, Any]]:
    """Return the entries of the states by stream."""
    pipeline = "dev:tap-toloka-to-target-postgres:tap_toloka"
    found = [
        load.project.meltano("state", "get", f"{pipeline}:shard-{number}-of-3").stdout
        for number in (1, 2, 3)
    ]
    return [json.loads(state).get("singer_state", {}).get("bookmarks", {}) for state in found]


def test_shards_load_what_one_run_loads_though_one_of_them_fails_once(
    load: Load, expected: Rows, tmp_path: Path
) -> None:
    load.emulator.faults.add(Fault(status=400, path="*/assignments", after=5))
    log = finish(start(load, tmp_path))
    assert log.count("STEP_UP_FOR_RETRY") == 1, log
    assert "assignments failed because Toloka answered 400" in log
    assert load.rows() == expected
    assert rows_in(load.database, "toloka", "spend_by_day")
    shards = [state["assignments"]["shard"] for state in states_of_shards(load)]
    assert shards == ["1/3", "2/3", "3/3"]


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
def test_a_job_that_is_stopped_leaves_no_tap_behind_and_the_next_one_goes_on(
    stop: Callable[[subprocess.Popen[str]], None], load: Load, expected: Rows, tmp_path: Path
) -> None:
    load.emulator.clear_requests()
    load.emulator.faults.add(Fault(delay=1, times=None, path="*/tasks"))
    run = start(load, tmp_path)
    wait_for(lambda: sum(one.path.endswith("/tasks") for one in load.emulator.requests) > 20)
    stop(run)
    run.communicate(timeout=SOON)
    assert run.returncode != 0
    wait_for(lambda: not load.processes())
    assert any("unfinished" in state.get("tasks", {}) for state in states_of_shards(load))
    load.emulator.faults.clear()
    finish(start(load, tmp_path))
    assert load.rows()["tasks"] == expected["tasks"]


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
