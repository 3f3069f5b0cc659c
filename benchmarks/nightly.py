"""Measures a run of assignments after which nothing has changed, in pools that can all change."""

from __future__ import annotations

import argparse
import json
import shlex
import sys

from benchmarks import page
from benchmarks.assignments import KIND, TAP, add_account
from benchmarks.emulator import EmulatorProcess
from benchmarks.results import MEGABYTE, Result, table
from benchmarks.run import add_arguments, add_run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.nightly",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_account(parser)
    parser.set_defaults(assignments=50)
    add_arguments(parser, rounds=3, limit=500)
    arguments = parser.parse_args()
    if arguments.write and not page.has(_section(arguments)):
        parser.error(f"{page.PAGE} has no section for {_section(arguments)}")
    return arguments


def _section(arguments: argparse.Namespace) -> str:
    return f"nightly {arguments.pools} x {arguments.assignments}"


def main() -> None:
    """Run the tap without a state and with the one that it leaves, in turn, and print a table."""
    arguments = _arguments()
    TAP.install()
    latency = round(1_000 * arguments.latency)
    first = Result(TAP, latency, arguments.pools * arguments.assignments, KIND)
    later = Result(TAP, latency, 0, KIND)
    size = arguments.pools, arguments.assignments
    with EmulatorProcess.with_assignments(
        *size, arguments.latency, open_pools=arguments.pools
    ) as emulator:
        for number in range(1, arguments.rounds + 1):
            run = add_run(first, emulator, arguments.limit, f"round {number}, first run")
            state = json.dumps(json.loads(run.last_line)["value"])
            name = f"round {number}, next run"
            add_run(later, emulator, arguments.limit, name, "--state", state)
    command = shlex.join(["python", "-m", "benchmarks.nightly", *sys.argv[1:]])
    report = f"{_table(first, later)}\n\n{page.circumstances(command, [TAP])}"
    print(report)
    if arguments.write:
        page.write(_section(arguments), report)


def _table(first: Result, later: Result) -> str:
    head = [f"{first.latency} ms a request", "wall, s", "min to max", "÷ first run", "CPU, s"]
    rows = [
        [
            f"{title}: {result.expected:,} assignments",
            f"{result.seconds:.2f}",
            result.spread,
            f"{result.seconds / first.seconds:.2f}",
            f"{result.median(lambda run: run.cpu_seconds):.2f}",
            f"{result.median(lambda run: run.peak_bytes) / MEGABYTE:.0f}",
            f"{result.median(lambda run: run.requests):,.0f}",
            f"**{result.wrong}**" if result.wrong else "all, once",
            str(len(result.runs)),
        ]
        for title, result in (("first run", first), ("next run", later))
    ]
    return table([*head, "peak, MB", "requests", "read", "runs"], rows)


if __name__ == "__main__":
    main()
