"""Several runs of Meltano at once, and one whose task is interrupted."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import meltano_process

from toloka_emulator import Fault

if TYPE_CHECKING:
    import pytest

    from examples.nights import Nights
    from tests.loaded_account import LoadedAccount

SHARD_RUN = """
import logging
import meltano_process
logging.basicConfig(level=logging.INFO)
meltano_process.shard_run(1, 2, logging.getLogger())
"""


def test_shards_that_run_at_once_load_what_one_run_loads(
    nights: Nights, loaded: LoadedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in nights.variables.items():
        monkeypatch.setenv(name, value)
    logger = logging.getLogger("shards")
    meltano_process.account_run(3, logger)
    barrier = threading.Barrier(3)

    def run(number: int) -> None:
        barrier.wait()
        meltano_process.shard_run(number, 3, logger)

    with ThreadPoolExecutor() as pool:
        list(pool.map(run, [1, 2, 3]))
    assert nights.tables_unlike(loaded) == []


def test_a_run_that_is_interrupted_ends_first_and_keeps_its_checkpoint(nights: Nights) -> None:
    nights.emulator.faults.add(Fault(delay=1, times=None, path="*/tasks"))
    env = {
        "PYTHONPATH": str(Path(meltano_process.__file__).parent),
        "TAP_TOLOKA__SELECT": '["tasks.*"]',
        "TAP_TOLOKA_MAX_CONCURRENCY": "1",
    }
    task = subprocess.Popen(
        [sys.executable, "-c", SHARD_RUN],
        env={**os.environ, **nights.variables, **env},
        stderr=subprocess.PIPE,
        text=True,
    )
    nights.wait_for_tasks()
    task.send_signal(signal.SIGINT)
    _, log = task.communicate()
    assert log.splitlines()[-1] == "KeyboardInterrupt"
    assert "Stopped by SIGTERM" in log
    assert nights.processes == []
    assert "unfinished" in nights.state("shard-1-of-2")["tasks"]
