"""Measures how fast the tap reads assignments pool by pool, and what has changed since."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from datetime import timedelta

from benchmarks import page
from benchmarks.emulator import EmulatorProcess
from benchmarks.peer import Peer
from benchmarks.results import MEGABYTE, Result, table, tables
from benchmarks.run import add_arguments, add_run, run_in_rounds
from toloka_emulator import LAST_DATE, OPEN_POOLS, Dice, make_row, next_change

KIT_POOLS = 100
"""As many pools are read with toloka-kit, which would take long for more."""

TAP = Peer(title="tap-toloka", folder="tap_toloka", options=("--stream", "assignments"))
ONE_CONNECTION = dataclasses.replace(
    TAP,
    title="tap-toloka, 1 connection",
    options=(*TAP.options, "--settings", '{"max_concurrency": 1}'),
)
LOOP = Peer(title="bare loop", folder="bare_loop", script="read_assignments.py", library=True)
SMALL_PAGE = 1_000
"""As many assignments are in an answer to the tap, unless it is set otherwise."""
SMALL_PAGES = dataclasses.replace(
    LOOP, title=f"bare loop, {SMALL_PAGE:,} in an answer", options=(f"--limit={SMALL_PAGE}",)
)
KIND = "assignments"

NEW = 3
"""Assignments that come to each open pool from one run to the next."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.assignments",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_account(parser)
    add_arguments(parser, rounds=3, limit=500)
    arguments = parser.parse_args()
    if arguments.write and not page.has(_section(arguments)):
        parser.error(f"{page.PAGE} has no section for {_section(arguments)}")
    return arguments


def add_account(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how large the account is, and how far away."""
    add = parser.add_argument
    add("--pools", type=int, default=2_000, help="how many pools there are")
    add("--assignments", type=int, default=500, help="how many assignments each has")
    add("--latency", type=float, default=0.1, help="seconds that Toloka takes for an answer")


def _section(arguments: argparse.Namespace) -> str:
    return f"assignments {arguments.pools} x {arguments.assignments}"


def main() -> None:
    """Run all peers in turn, round after round, then the tap after changes, and print tables."""
    arguments = _arguments()
    results, kit = _results(arguments), _result_of_kit(arguments)
    peers = [result.peer for result in (*results, kit)]
    for peer in peers:
        peer.install()
    size = arguments.pools, arguments.assignments
    with EmulatorProcess.with_assignments(*size, arguments.latency) as emulator:
        run_in_rounds(results, emulator, arguments)
        add_run(kit, emulator, arguments.limit, "one run")
        later = _measure_later(results[0], emulator, arguments)
    command = shlex.join(["python", "-m", "benchmarks.assignments", *sys.argv[1:]])
    report = "\n\n".join(
        [
            *tables([*results, kit], LOOP),
            _compared([*results, kit]),
            _table_of_later(later),
            page.circumstances(command, peers),
        ]
    )
    print(report)
    if arguments.write:
        page.write(_section(arguments), report)


def _results(arguments: argparse.Namespace) -> list[Result]:
    """Make room for the runs of who reads everything, of the tap first."""
    peers = [TAP, ONE_CONNECTION, LOOP]
    if arguments.assignments > SMALL_PAGE:
        peers.append(SMALL_PAGES)
    return [_result(peer, arguments, arguments.pools) for peer in peers]


def _result_of_kit(arguments: argparse.Namespace) -> Result:
    pools = min(KIT_POOLS, arguments.pools)
    peer = Peer(
        title=f"toloka-kit, {pools} of the pools" if pools < arguments.pools else "toloka-kit",
        folder="toloka_kit",
        script="read_assignments.py",
        options=(str(pools),),
        library=True,
    )
    return _result(peer, arguments, pools)


def _result(peer: Peer, arguments: argparse.Namespace, pools: int) -> Result:
    return Result(peer, round(1_000 * arguments.latency), pools * arguments.assignments, KIND)


def _measure_later(
    first: Result, emulator: EmulatorProcess, arguments: argparse.Namespace
) -> Result:
    """Run the tap again and again, each time with the state of the run before, after changes."""
    moving = arguments.assignments // 50
    changes = min(OPEN_POOLS, arguments.pools) * (moving + NEW)
    later = Result(TAP, first.latency, changes, KIND)
    last = first.runs[-1]
    for step in range(arguments.rounds):
        emulator.ids = _change(step, moving, emulator)
        state = json.dumps(json.loads(last.last_line)["value"])
        name = f"next run {step + 1}"
        last = add_run(later, emulator, arguments.limit, name, "--state", state)
    return later


def _change(step: int, moving: int, emulator: EmulatorProcess) -> set[str]:
    """Let assignments of the open pools move on and new ones come; return the ids of all these."""
    at, dice = LAST_DATE + timedelta(minutes=1 + step), Dice(step)
    ids = set()
    for pool in json.loads(emulator.page("pools", status="OPEN"))["items"]:
        unfinished = {"pool_id": pool["id"], "status": "ACTIVE,SUBMITTED", "limit": moving or 1}
        rows = json.loads(emulator.page("assignments", **unfinished))["items"][:moving]
        for row in rows:
            change = next_change("assignments", row, dice, at)
            emulator.change_row("assignments", row["id"], change)
        facts = {"pool_id": pool["id"], "status": "ACTIVE"}
        new = [make_row("assignments", dice, at, **facts) for _ in range(NEW)]
        emulator.add_rows("assignments", new)
        ids |= {row["id"] for row in (*rows, *new)}
    return ids


def _compared(results: list[Result]) -> str:
    """Say how many times as fast as each other peer the tap is."""
    tap, *others = results
    lines = [f"- {other.peer.title}: {_times(tap, other)}" for other in others]
    return "\n".join(["The tap is so many times as fast as others, least and most:", "", *lines])


def _times(tap: Result, other: Result) -> str:
    """Compare medians, and the slowest runs of the one with the fastest of the other."""
    ours = [run.seconds / tap.expected for run in tap.runs]
    theirs = [run.seconds / other.expected for run in other.runs]
    least, most = min(theirs) / max(ours), max(theirs) / min(ours)
    return f"{other.a_row / tap.a_row:.1f} ({least:.1f} to {most:.1f})"


def _table_of_later(later: Result) -> str:
    head = ["the next run", "wall, s", "min to max", "CPU, s", "peak, MB"]
    row = [
        f"{later.expected:,} assignments changed",
        f"{later.seconds:.2f}",
        later.spread,
        f"{later.median(lambda run: run.cpu_seconds):.2f}",
        f"{later.median(lambda run: run.peak_bytes) / MEGABYTE:.0f}",
        f"{later.median(lambda run: run.requests):,.0f}",
        f"{later.median(lambda run: run.most_in_flight):.0f}",
        f"**{later.wrong}**" if later.wrong else "all, once",
        str(len(later.runs)),
    ]
    return table([*head, "requests", "at once", "changes read", "runs"], [row])


if __name__ == "__main__":
    main()
