"""`make run`, as a newcomer uses it, but for the environments that the Makefile makes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import psutil

from scripts import run
from tests.conftest import environment
from tests.emulator import Emulator, make_pools

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.conftest import Database, Project

RUN = [sys.executable, "-m", "scripts.run"]


def make_run(project: Project) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        RUN, cwd=project.root, env=environment(), capture_output=True, text=True, check=False
    )


def still_running(project: Project) -> list[str]:
    """Find processes that were started in the project, or with a file of it."""
    return [
        str(process.info)
        for process in psutil.process_iter(["pid", "cwd", "cmdline"])
        if process.info["cwd"] == str(project.root)
        or str(project.root) in " ".join(process.info["cmdline"] or [])
    ]


def test_the_first_run_brings_all_pools_and_the_second_only_those_that_are_new(
    project: Project,
) -> None:
    first = make_run(project)
    assert first.returncode == 0, first.stderr
    assert "Read        1,000 pools, 1,000 of them new; 1,000 in all\n" in first.stdout
    bookmark = re.search(r"Bookmark    none → (\S+Z)\n", first.stdout)
    assert bookmark
    second = make_run(project)
    assert second.returncode == 0, second.stderr
    assert "Read        3 pools, 3 of them new; 1,003 in all\n" in second.stdout
    assert f"Bookmark    {bookmark[1]} → 20" in second.stdout
    assert re.search(r"  all +1,003 +\d+", second.stdout)  # pools by project and status
    latest = second.stdout.partition("\nLatest pools\n")[2].splitlines()[1:4]
    assert [line.rpartition("  ")[2] for line in latest] == [f"New pool № {n}" for n in (3, 2, 1)]
    assert still_running(project) == []


def test_new_pools_of_the_emulator_are_younger_than_any_that_a_run_has_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "FILES", tmp_path)
    assert run.emulated_pools() == []
    run.emulated_pools()
    time.sleep(0.01)
    created = [pool["created"] for pool in run.emulated_pools()]
    assert created == sorted(set(created))
    minute_ago = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(minutes=1)
    assert datetime.fromisoformat(created[-1]) < minute_ago  # settled, so not read twice


def test_a_run_reads_the_account_and_fills_the_database_that_the_env_file_names(
    project: Project, database: Database
) -> None:
    with Emulator(make_pools(20)) as emulator:
        (project.root / ".env").write_text(
            f"TAP_TOLOKA_TOKEN={emulator.key}\n"
            f"TAP_TOLOKA_API_URL={emulator.url}\n"
            f"TARGET_POSTGRES_SQLALCHEMY_URL={database.url}\n"
        )
        done = make_run(project)
    assert done.returncode == 0, done.stderr
    assert "Read        20 pools, 20 of them new; 20 in all\n" in done.stdout
    with database.connect() as connection:
        (count,) = connection.execute("SELECT count(*) FROM tap_toloka.pools").fetchall()[0]
    assert count == 20
    assert not (project.root / ".run/postgres").exists()


def test_a_run_that_fails_says_so_and_shows_why(project: Project) -> None:
    (project.root / ".env").write_text("TAP_TOLOKA_TOKEN=a key\n")
    done = make_run(project)
    assert done.returncode == 1
    assert "token: it holds a space" in done.stderr
    *_, last = done.stderr.splitlines()
    assert last.startswith("make run: meltano run failed with status 1, see ")
    assert still_running(project) == []


def test_ctrl_c_leaves_nothing_running_and_does_not_hinder_the_next_run(project: Project) -> None:
    with subprocess.Popen(
        RUN, cwd=project.root, env=environment(), stdout=subprocess.DEVNULL
    ) as process:
        log = project.root / ".run/meltano.log"
        while not (log.exists() and "Beginning sync" in log.read_text()):
            assert process.poll() is None
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
    assert still_running(project) == []
    again = make_run(project)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "; 1,003 in all\n" in again.stdout
