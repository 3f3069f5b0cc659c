"""One run of a peer, as a process that is measured."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import measure
from benchmarks.results import Run
from benchmarks.rows import ids_in

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from benchmarks.emulator import EmulatorProcess
    from benchmarks.peer import Peer
    from benchmarks.results import Result

_LONGEST_LINE = 2**16  # bytes, of a last line


def add_arguments(parser: argparse.ArgumentParser, *, rounds: int, limit: int) -> None:
    """Add the options that measuring takes, with these defaults."""
    add = parser.add_argument
    add("--rounds", type=int, default=rounds, help="runs of each peer; the results are medians")
    add("--limit", type=int, default=limit, help="seconds after which a run is ended")
    add("--budget", type=int, default=150, help="seconds after which a peer gets no further run")
    add("--write", action="store_true", help="put the result into the docs")


def run_in_rounds(
    results: Iterable[Result], emulator: EmulatorProcess, arguments: argparse.Namespace
) -> None:
    """Run peers in turn, round after round, so that what else the machine does hits all alike."""
    for number in range(1, arguments.rounds + 1):
        for result in results:
            if sum(run.seconds for run in result.runs) <= arguments.budget:
                add_run(result, emulator, arguments.limit, f"round {number}")


def add_run(
    result: Result, emulator: EmulatorProcess, limit: float, name: str, *options: str
) -> Run:
    """Run a peer once, with further options, and add that to its result."""
    peer = dataclasses.replace(result.peer, options=(*result.peer.options, *options))
    run = run_peer(peer, emulator, limit)
    result.runs.append(run)
    print(f"{result.latency} ms, {name}, {peer.title}: {run.seconds:.2f} s", file=sys.stderr)
    return run


def run_peer(peer: Peer, emulator: EmulatorProcess, limit: float) -> Run:
    """Run a peer once, for `limit` seconds at most, and look for the ids of the emulator."""
    emulator.forget_requests()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        took = measured([*peer.command, emulator.url, emulator.key], out, limit)
        stats = emulator.stats()
        ids = list(ids_in(out))
        last_line = _last_line_of(out)
    return Run(
        **took,
        requests=stats["requests"],
        most_in_flight=stats["most_in_flight"],
        rows=len(ids),
        different=len(emulator.ids.intersection(ids)),
        last_line=last_line,
    )


def measured(command: list[str], out: Path, limit: float) -> dict[str, Any]:
    """Run a command for `limit` seconds at most, and tell what it took, as fields of a `Run`.

    Its log is shown if it fails, its output goes into a file.
    """
    err = out.with_name("err")
    measuring = [sys.executable, "-I", "-S", measure.__file__, str(limit), str(out), str(err)]
    done = subprocess.run([*measuring, *command], check=True, stdout=subprocess.PIPE)
    took: dict[str, Any] = json.loads(done.stdout)
    if took["status"]:
        print(err.read_text()[-2000:], file=sys.stderr)
    return took


def stopped(command: list[str], out: Path, seconds: float | None) -> bool:
    """Run a command, and stop it by SIGTERM after some seconds; tell whether that was needed.

    Raises:
        RuntimeError: If it fails.
    """
    with out.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
            status = process.wait()
    if status not in {0, 128 + signal.SIGTERM}:
        msg = f"a run ended with status {status}"
        raise RuntimeError(msg)
    return status != 0


def _last_line_of(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _LONGEST_LINE, 0), os.SEEK_SET)
        return file.read().decode(errors="replace").strip().rpartition("\n")[2]
