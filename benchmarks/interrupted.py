"""Measures a first load of assignments that is stopped every few seconds, and goes on each time."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks import page
from benchmarks.assignments import TAP, add_account
from benchmarks.emulator import EmulatorProcess
from benchmarks.results import table
from benchmarks.run import stopped

COMMAND = [TAP.command[0], "-m", "tap_toloka"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.interrupted",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_account(parser)
    add = parser.add_argument
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
        catalog: What is selected.
        every: Seconds after which each run is stopped; `None`: it is not.

    Attributes:
        seconds: How long all runs took.
        runs: How many runs there were.
        rows: How many rows they printed.
        requests: How many requests they made.
        is_complete: Whether they printed all rows.
    """

    def __init__(self, emulator: EmulatorProcess, catalog: str, every: float | None) -> None:
        self.seconds = 0.0
        self.runs = 0
        self.rows = 0
        self._ids: set[str] = set()
        self._state = "{}"
        config = json.dumps({"api_url": emulator.url, "token": emulator.key})
        emulator.forget_requests()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "config").write_text(config)
            (folder / "catalog").write_text(catalog)
            while self._run(folder, every):
                pass
        self.requests = emulator.stats()["requests"]
        self.is_complete = self._ids == emulator.ids

    def _run(self, folder: Path, every: float | None) -> bool:
        """Run once, and return whether it was stopped."""
        (folder / "state").write_text(self._state)
        options = [f"--{name}={folder / name}" for name in ("config", "catalog", "state")]
        began = time.perf_counter()
        was_stopped = stopped([*COMMAND, *options], folder / "out", every)
        self.seconds += time.perf_counter() - began
        self.runs += 1
        self._look_at(folder / "out")
        print(f"{self.seconds:.1f} s, run {self.runs}: {len(self._ids):,} rows", file=sys.stderr)
        return was_stopped

    def _look_at(self, out: Path) -> None:
        """Count the rows of a run, and keep its last state."""
        with out.open("rb") as file:
            for line in file:
                message = json.loads(line)
                if message["type"] == "RECORD":
                    self.rows += 1
                    self._ids.add(message["record"]["id"])
                elif message["type"] == "STATE":
                    self._state = json.dumps(message["value"])


def _catalog() -> str:
    """Return a catalog in which assignments are selected."""
    discovered = subprocess.run([*COMMAND, "--discover"], check=True, stdout=subprocess.PIPE)
    catalog = json.loads(discovered.stdout)
    for entry in catalog["streams"]:
        entry["metadata"][-1]["metadata"]["selected"] = entry["stream"] == "assignments"
    return json.dumps(catalog)


def main() -> None:
    """Load everything, undisturbed and stopped in turn, and print a table."""
    arguments = _arguments()
    TAP.install()
    catalog = _catalog()
    ways = {"undisturbed": None, f"stopped every {arguments.every:g} s": arguments.every}
    loads: dict[str, list[Load]] = {title: [] for title in ways}
    size = arguments.pools, arguments.assignments
    with EmulatorProcess.with_assignments(*size, arguments.latency) as emulator:
        for _ in range(arguments.rounds):
            for title, every in ways.items():
                loads[title].append(load := Load(emulator, catalog, every))
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
