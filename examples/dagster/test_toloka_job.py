"""The job of Dagster loads what one run does, in shards, and stops as it should."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.projects import REPOSITORY
from toloka_emulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.nights import Nights
    from tests.loaded_account import LoadedAccount

PROGRAMS = REPOSITORY / ".venv-dagster/bin"
JOB = Path(__file__).with_name("toloka_job.py")
SOON = 600.0
"""Seconds that nothing takes, on a busy machine."""

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
    """Wait until something is so."""
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def start(nights: Nights, tmp_path: Path) -> subprocess.Popen[str]:
    """Start a run of the job, with the executor that runs steps side by side."""
    env = {
        **nights.variables,
        "DAGSTER_HOME": str(tmp_path),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "TOLOKA_RETRY_MINUTES": "0.01",
    }
    return subprocess.Popen(
        [PROGRAMS / "dagster", "job", "execute", "--python-file", JOB, "--job", "toloka"],
        cwd=tmp_path,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_job_loads_in_three_shards_what_one_run_does_though_one_of_them_fails_at_first(
    nights: Nights, loaded: LoadedAccount, tmp_path: Path
) -> None:
    nights.emulator.faults.add(Fault(status=400, path="*/assignments", after=5))
    run = start(nights, tmp_path)
    _, log = run.communicate(timeout=SOON)
    assert run.returncode == 0, log
    assert log.count("STEP_UP_FOR_RETRY") == 1, log
    assert "assignments failed because Toloka answered 400" in log
    assert nights.tables_unlike(loaded) == []
    assert nights.rows_of("spend_by_day")
    for number in (1, 2, 3):
        shard = nights.state(f"shard-{number}-of-3")
        assert shard["assignments"]["shard"] == f"{number}/3"
        assert "pools" not in shard
    assert "pools" in nights.state("account")


def cancel(run: subprocess.Popen[str], _: Nights) -> None:
    """Cancel a run as Dagster does."""
    run.terminate()


def kill(_: subprocess.Popen[str], nights: Nights) -> None:
    """Kill all processes of Dagster."""
    for process in nights.processes:
        if process.cmdline()[0].startswith(str(PROGRAMS)) and "meltano_process" not in str(
            process.cmdline()
        ):
            process.kill()


@pytest.mark.parametrize("stop", [cancel, kill])
def test_a_job_that_is_stopped_leaves_no_tap_behind_and_the_next_one_goes_on(
    stop: Callable[[subprocess.Popen[str], Nights], None],
    nights: Nights,
    loaded: LoadedAccount,
    tmp_path: Path,
) -> None:
    nights.emulator.faults.add(Fault(delay=1.0, times=None, path="*/tasks"))
    run = start(nights, tmp_path)
    wait_for(lambda: sum(r.path.endswith("/tasks") for r in nights.emulator.requests) > 20)
    stop(run, nights)
    run.communicate(timeout=SOON)
    assert run.returncode != 0
    wait_for(lambda: not nights.processes)
    left = [nights.state(f"shard-{number}-of-3").get("tasks", {}) for number in (1, 2, 3)]
    assert any("unfinished" in entry for entry in left)

    nights.emulator.faults.clear()
    run = start(nights, tmp_path)
    _, log = run.communicate(timeout=SOON)
    assert run.returncode == 0, log
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
