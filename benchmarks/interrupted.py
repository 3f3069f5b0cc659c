"""Measures a first load of assignments that is stopped every few seconds, and goes on each time."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks import page
from benchmarks.assignments import TAP
from benchmarks.emulator import EmulatorProcess
from benchmarks.results import table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.interrupted",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--pools", type=int, default=2_000, help="how many pools there are")
    add("--assignments", type=int, default=500, help="how many assignments each has")
    add("--latency", type=float, default=0.1, help="seconds that Toloka takes for an answer")
    add("--every", type=float, default=5, help="seconds after which a run is stopped")
    add("--rounds", type=int, default=3, help="how often everything is read")
    add("--write", action="store_true", help=f"write the table into {page.PAGE.name}")
    arguments = parser.parse_args()
    if arguments.write and not page.has(_section(arguments)):
        parser.error(f"{page.PAGE} has no section for {_section(arguments)}")
    return arguments


def _section(arguments: argparse.Namespace) -> str:
    return f"interrupted {arguments.pools} x {arguments.assignments}"


class Load:
    """A first load, in as many runs as it takes.

    Args:
        emulator: What is read.
        every: Seconds after which each run is stopped; `None`: it is not.
    """

    def __init__(self, emulator: EmulatorProcess, every: float | None) -> None:
        self.seconds = 0.0
        self.runs = 0
        self.rows = 0
        self._ids: set[str] = set()
        emulator.forget_requests()
        state = None
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "out")
            while self._run(emulator, every, state, out):
                state = self._look_at(out) or state
            self._look_at(out)
        self.requests = emulator.stats()["requests"]
        self.is_complete = self._ids == emulator.ids

    def _run(
        self, emulator: EmulatorProcess, every: float | None, state: str | None, out: Path
    ) -> bool:
        """Run once, and return whether it was stopped."""
        options = ("--state", state) if state else ()
        with out.open("wb") as file:
            began = time.perf_counter()
            process = subprocess.Popen(
                [*TAP.command, *options, emulator.url, emulator.key],
                stdout=file,
                stderr=subprocess.DEVNULL,
            )
            try:
                status = process.wait(every)
            except subprocess.TimeoutExpired:
                process.terminate()
                status = process.wait()
            self.seconds += time.perf_counter() - began
        self.runs += 1
        if status not in {0, 128 + signal.SIGTERM}:
            msg = f"a run ended with status {status}"
            raise RuntimeError(msg)
        return status != 0

    def _look_at(self, out: Path) -> str | None:
        """Count the rows of a run, and return its last state."""
        state = None
        with out.open("rb") as file:
            for line in file:
                message = json.loads(line)
                if message["type"] == "RECORD":
                    self.rows += 1
                    self._ids.add(message["record"]["id"])
                elif message["type"] == "STATE":
                    state = json.dumps(message["value"])
        return state


def main() -> None:
    """Load everything, undisturbed and stopped in turn, and print a table."""
    arguments = _arguments()
    TAP.install()
    ways = {"undisturbed": None, f"stopped every {arguments.every:g} s": arguments.every}
    loads: dict[str, list[Load]] = {title: [] for title in ways}
    size = arguments.pools, arguments.assignments
    with EmulatorProcess.with_assignments(*size, arguments.latency) as emulator:
        for _ in range(arguments.rounds):
            for title, every in ways.items():
                loads[title].append(load := Load(emulator, every))
                print(f"{title}: {load.seconds:.2f} s, {load.runs} runs", file=sys.stderr)
        expected = len(emulator.ids)
    whole = median(load.seconds for load in loads["undisturbed"])
    head = [f"{expected:,} assignments", "wall, s", "÷ undisturbed", "runs", "requests"]
    rows = [
        [
            title,
            f"{(seconds := median(load.seconds for load in of_way)):.2f}",
            f"{seconds / whole:.2f}",
            f"{median(load.runs for load in of_way):.0f}",
            f"{median(load.requests for load in of_way):,.0f}",
            f"{median(load.rows for load in of_way) / expected:.3f}",
            "all" if all(load.is_complete for load in of_way) else "**not all**",
        ]
        for title, of_way in loads.items()
    ]
    command = shlex.join(["python", "-m", "benchmarks.interrupted", *sys.argv[1:]])
    report = "\n\n".join(
        [
            table([*head, "rows printed ÷ rows", "assignments read"], rows),
            page.circumstances(command, [TAP]),
        ]
    )
    print(report)
    if arguments.write:
        page.write(_section(arguments), report)


if __name__ == "__main__":
    main()
