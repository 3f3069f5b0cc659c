"""`make run` shows how far it is: with a bar on a terminal, in lines elsewhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.live import HowFar, shown

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = "2026-11-29T14:49:19.715616Z [info     ] tap-toloka   "
LINES = (
    "Reading 3 streams: apps, assignments, pools",
    "Beginning sync of 'apps' in full_table mode",
    "METRIC                         metric_name=record_count metric_value=20",
    "Beginning sync of 'assignments' in incremental mode",
    "assignments: 812 of 2,003 pools, 412,000 rows, 14,200 rows/s, about 4 min left",
    "Skipping assignments of pool 7: Toloka answered 403",
    "Beginning sync of 'pools' in incremental mode",
    "pools: about 40 %, 1 row, 2 requests",
    "apps        20 rows  1 request  0.0 s  no bookmark",
    "2 of 3 streams read, 1 failed (pools), 412,021 rows, 31.4 s",
)
LOG = "".join(f"{BEFORE}{line}\n" for line in LINES)


def test_the_log_tells_how_far_a_run_is() -> None:
    seen = HowFar()
    told = [(seen.hear(line), seen.done, seen.streams, seen.doing) for line in LOG.splitlines()]
    starting, loading = "starting Meltano", "loading the last rows"
    assert told == [
        (False, 0, 3, starting),
        (False, 0, 3, "apps"),
        (False, 0, 3, "apps"),
        (False, 1, 3, "assignments"),
        (True, 1, 3, LINES[4]),
        (False, 1, 3, LINES[4]),
        (False, 2, 3, "pools"),
        (True, 2, 3, LINES[7]),
        (False, 2, 3, LINES[7]),
        (False, 3, 3, loading),
    ]


def test_where_there_is_no_terminal_it_is_told_in_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    log.write_text(LOG)  # of an earlier run
    with log.open("a") as file, shown(log, print) as update:
        for part in re.findall(".{1,50}", LOG, re.DOTALL):  # lines come in pieces
            file.write(part)
            file.flush()
            update()
    assert capsys.readouterr().out.splitlines() == [
        f"Reading stream 2 of 3, {LINES[4]}",
        f"Reading stream 3 of 3, {LINES[7]}",
    ]


@pytest.mark.parametrize("ending", ["", "raise KeyboardInterrupt"])
def test_on_a_terminal_a_bar_shows_it_and_leaves_nothing(tmp_path: Path, ending: str) -> None:
    log = tmp_path / "log"
    log.write_text("")
    code = (
        "import pathlib, sys, time; from scripts.live import shown\n"
        "log = pathlib.Path(sys.argv[1])\n"
        "with shown(log, print) as update, log.open('a') as file:\n"
        "    for line in sys.argv[2].splitlines(keepends=True):\n"
        "        file.write(line); file.flush(); update(); time.sleep(0.15)\n"
        f"    {ending}"
    )
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code, str(log), LOG],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        check=False,
        timeout=60,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "140"},
    )
    os.close(theirs)
    output = ""
    while part := os.read(ours, 65_536):
        output += part.decode()
        if output.endswith("\x1b[2K"):
            break
    os.close(ours)
    assert bool(done.returncode) == bool(ending)
    assert output.index("\x1b[?25l") < output.index("\x1b[?25h"), "the cursor is there again"
    text = re.sub(r"\x1b\[[\d;]*m", "", output)
    for frame in ("0/3 streams, apps", "1/3 streams, assignments: 812 of", "3/3 streams, loading"):
        assert frame in text
