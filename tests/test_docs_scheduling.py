"""What docs/scheduling.md says of cron, systemd and GitHub Actions works word for word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from scripts.run import MELTANO
from tests.docs_helpers import Block, Shell, runs
from tests.expected_rows import open_pool
from tests.loads import Loads
from tests.projects import REPOSITORY
from toloka_emulator import Emulator, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database
    from tests.projects import Project

FOLDER = "/srv/warehouse"
"""Where the project is, on the page."""
SCRIPT = REPOSITORY / "examples/meltano.sh"


@dataclass(frozen=True)
class Machine:
    """A machine with a project that loads two streams.

    Attributes:
        project: The project.
        emulator: The account.
        loads: Where rows are.
    """

    project: Project
    emulator: Emulator
    loads: Loads

    def attempt(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the page in the folder."""
        path = f"{Path(MELTANO).parent}{os.pathsep}{os.environ['PATH']}"
        shell = Shell(self.project.root, {**self.loads.variables, "PATH": path, **variables})
        return shell.attempt(command.replace(FOLDER, str(self.project.root)))


@pytest.fixture
def machine(project: Project, database: Database) -> Iterator[Machine]:
    """Make a machine, and an account with some pools."""
    with Emulator([open_pool(str(number)) for number in range(1, 10)]) as emulator:
        yield Machine(project, emulator, Loads(project, emulator, database, "pools", "requester"))


@runs("docs/scheduling.md#cron")
def test_cron_starts_no_second_run_and_mails_failures_alone(
    blocks: list[Block], machine: Machine
) -> None:
    (crontab,) = blocks
    *variables, line = crontab.text.splitlines()
    assert all(re.fullmatch(r"[A-Z]+=\S+", variable) for variable in variables)
    *when, command = line.split(maxsplit=5)
    assert when == ["0", "3", "*", "*", "*"]
    assert "%" not in command, "cron would take it for a new line"
    log = machine.project.root / "run.log"
    mails: list[str] = []
    first = threading.Thread(target=lambda: mails.append(machine.attempt(command).stdout))
    first.start()
    while not log.exists() or not log.stat().st_size:  # which Meltano writes, in a second or ten
        assert first.is_alive()
        time.sleep(0.05)
    assert machine.attempt(command).stdout == f"Toloka: exit status 75, see {log}\n"
    first.join()
    assert mails == [""], log.read_text()
    assert (len(machine.loads.rows("pools")), len(machine.loads.rows("requester"))) == (9, 1)

    machine.emulator.faults.add(Fault(status=403, times=None, path="*/pools"))
    assert machine.attempt(command).stdout == f"Toloka: exit status 1, see {log}\n"
    assert "pools failed because" in log.read_text()


@runs("docs/scheduling.md#systemd")
def test_the_units_of_systemd_are_valid(blocks: list[Block], tmp_path: Path) -> None:
    (units,) = blocks
    (command,) = re.findall(r"^ExecStart=(.*)$", units.text, re.MULTILINE)
    assert command == f"{FOLDER}/{SCRIPT.name} run tap-toloka target-postgres"
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze, which checks the rest, is not here")
    shutil.copy(SCRIPT, tmp_path)
    (tmp_path / "alert@.service").write_text("[Service]\nExecStart=/bin/true\n")
    _, *parts = re.split(r"^# /etc/systemd/system/(.+)\n", units.text, flags=re.MULTILINE)
    names, texts = parts[::2], parts[1::2]
    assert names == ["toloka.service", "toloka.timer"]
    for name, text in zip(names, texts, strict=True):
        (tmp_path / name).write_text(text.replace(FOLDER, str(tmp_path)))
    done = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / name for name in names)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@runs("docs/scheduling.md#GitHub Actions")
def test_the_workflow_of_github_fits_its_schema(blocks: list[Block], tmp_path: Path) -> None:
    (workflow,) = blocks
    file = tmp_path / "toloka.yml"
    file.write_text(workflow.text)
    schema = "--builtin-schema=vendor.github-workflows"
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", schema, file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@runs("docs/scheduling.md#GitHub Actions")
def test_each_run_of_the_workflow_goes_on_where_the_one_before_ended_though_on_a_new_machine(
    blocks: list[Block], machine: Machine, database: Database
) -> None:
    (workflow,) = blocks
    (job,) = yaml.safe_load(workflow.text)["jobs"].values()
    for name, value in job["env"].items():
        assert value == f"${{{{ secrets.{name} }}}}"
    with database.connect(autocommit=True) as connection:
        connection.execute("CREATE SCHEMA meltano")
    secrets = {
        "MELTANO_DATABASE_URI": f"{database.url}&options=-csearch_path%3Dmeltano",
        **machine.loads.variables,
    }
    env = {name: secrets[name] for name in job["env"]}
    for number in range(2):
        root = machine.project.root.with_name(f"{machine.project.root.name}_runner_{number}")
        runner = Machine(machine.project.copy(root), machine.emulator, machine.loads)
        shutil.copy(SCRIPT, root)
        done = runner.attempt(job["steps"][-1]["run"], **env)
        assert done.returncode == 0, done.stderr
        assert ("No state was found" in done.stderr) == (number == 0)
    assert not (root / ".meltano/meltano.db").exists()
    assert len(machine.loads.rows("requester")) == 2
