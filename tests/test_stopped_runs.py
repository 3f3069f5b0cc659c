"""A run that is stopped over and over, while rows change, fills a warehouse all the same."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from scripts.plugin_definitions import settings_of
from tap_toloka.streams.assignments import Assignments
from tests.expected_rows import printed
from tests.loads import records_in, without_nulls
from tests.runner import TAP, catalog_of, config_for
from tests.simulation import BEGINNING, CHANGING, Account
from tests.test_targets import target_in
from toloka_emulator import Dice, Fault

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database
    from tests.projects import Project

Json = dict[str, Any]

END = BEGINNING + timedelta(days=500)
SCHEMA = "stopped_runs"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
ROWS = 900
"""Rows of each stream when the first run begins."""
MOST_RUNS = 60


@dataclass
class Pipeline:
    """The tap, piped into target-postgres, with state passed on as Meltano does.

    Attributes:
        target: The program of the target.
        folder: Where files are.
        state: The last state that the target has printed.
        records: How many rows the tap has printed in all runs.
    """

    target: Path
    folder: Path
    state: Json = field(default_factory=dict)
    records: int = 0

    def run(self, stop_after: float | None = None, signum: signal.Signals = signal.SIGTERM) -> int:
        """Run to the end, or until it is stopped, and return the exit status of the tap.

        Args:
            stop_after: Seconds from the first row on after which the tap is stopped.
            signum: The signal that stops it.
        """
        (self.folder / "state.json").write_text(json.dumps(self.state))
        files = [f"--{name}={self.folder}/{name}.json" for name in ("config", "catalog", "state")]
        with (self.folder / "log").open("ab") as log:
            tap = subprocess.Popen([*TAP, *files], stdout=subprocess.PIPE, stderr=log)
            target = subprocess.Popen(
                [self.target, f"--config={self.folder}/target.json"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        reader = threading.Thread(target=self._pass_on, args=(tap, target))
        reader.start()
        if stop_after is not None:
            seen = self.records
            while self.records == seen and tap.poll() is None:
                time.sleep(0.01)
            with suppress(subprocess.TimeoutExpired):
                tap.wait(stop_after)
            tap.send_signal(signum)
        assert target.stdout
        with target.stdout:
            states = target.stdout.read().splitlines()
        reader.join()
        assert target.wait() == 0, (self.folder / "log").read_text()
        if states:
            self.state = json.loads(states[-1])
        return tap.wait()

    def _pass_on(self, tap: subprocess.Popen[bytes], target: subprocess.Popen[bytes]) -> None:
        """Pass lines on, and count rows."""
        assert tap.stdout
        assert target.stdin
        with tap.stdout, target.stdin:
            for line in tap.stdout:
                self.records += line.startswith(b'{"type":"RECORD"')
                target.stdin.write(line)


@pytest.fixture
def pipeline(installed: Project, database: Database, tmp_path: Path) -> Pipeline:
    """Make a pipeline into an empty database."""
    places = {"sqlalchemy_url": database.url, "default_target_schema": SCHEMA}
    settings = {**settings_of("target-postgres"), **places, "batch_size_rows": 100}
    (tmp_path / "target.json").write_text(json.dumps(settings))
    catalog = catalog_of()
    names = {stream.name for stream in CHANGING}
    for entry in catalog["streams"]:
        entry["metadata"][-1]["metadata"]["selected"] = entry["stream"] in names
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    return Pipeline(target_in(installed, "target-postgres"), tmp_path)


def fill(account: Account) -> None:
    """Let the history of an account happen, which ends with new rows.

    A bookmark is the date of the newest row, so rows that changed after it would be read again.
    """
    account.schedule_assignments(ROWS, 30, END)
    for stream in CHANGING:
        for _ in range(ROWS if stream is not Assignments else 0):
            moment = account.moment(BEGINNING, END)
            account.schedule(moment, partial(account.create, stream.name))
    account.finish()
    for stream in CHANGING:
        pool_id = account.pools.rows()[0]["id"] if stream is Assignments else ""
        account.create(stream.name, pool_id)
    account.wait_until(datetime.now(timezone.utc))


def schedule_changes(account: Account) -> None:
    """Let rows come and change in the next minute, listed late and not in order."""
    pools = [pool["id"] for pool in account.pools.rows() if pool["status"] != "ARCHIVED"][:5]
    for pool_id in pools:
        account.change_pool(pool_id, "OPEN")
    now = datetime.now(timezone.utc)
    for stream in CHANGING:
        for row_id in list(account.versions[stream.name])[:200]:
            at = now + timedelta(seconds=account.dice.uniform(0, 60))
            account.schedule(at, partial(account.change, stream.name, row_id))
        for _ in range(5):
            pool_id = account.dice.pick(pools) if stream is Assignments else ""
            at = now + timedelta(seconds=account.dice.uniform(0, 60))
            account.schedule(at, partial(account.create, stream.name, pool_id))


def versions(account: Account) -> int:
    """Count all versions of all rows so far."""
    return sum(
        len(of_row) for stream in CHANGING for of_row in account.versions[stream.name].values()
    )


def test_a_run_that_is_stopped_over_and_over_goes_on_and_loses_nothing(
    pipeline: Pipeline, database: Database
) -> None:
    dice = Dice("stopped runs")
    with Account("stopped runs", run_times=(END,), late_from=END) as account:
        fill(account)
        rows, before = sum(len(account.tables[s.name].rows()) for s in CHANGING), versions(account)
        schedule_changes(account)
        settings = {"batch_size": 20, "max_concurrency": 2}
        config = config_for(account, **settings)
        (pipeline.folder / "config.json").write_text(json.dumps(config))
        account.follows_clock = True
        account.faults.add(Fault(delay=0.05, times=None))
        stopped = 0
        while pipeline.run(dice.uniform(0.2, 3), dice.pick(SIGNALS)):
            stopped += 1
            assert stopped < MOST_RUNS, "it does not go on"
        account.follows_clock = False
        account.faults.clear()
        changed = versions(account) - before
        assert changed
        assert stopped > 3
        assert pipeline.records <= 1.2 * rows + changed
        account.finish()  # later than the tap's clock, so that all is listed
        assert pipeline.run() == 0
        for stream in CHANGING:
            expected = [without_nulls(row) for row in printed(stream, account)]
            assert records_in(database, SCHEMA, stream) == expected
    assert "unfinished" not in json.dumps(pipeline.state)
