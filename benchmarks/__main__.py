"""Measures how fast the tap reads all pools, beside its peers."""

from __future__ import annotations

import argparse
import shlex
import sys

from benchmarks import chart, page
from benchmarks.emulator import EmulatorProcess
from benchmarks.peer import LOOP, PEERS, TAP
from benchmarks.results import Result, tables
from benchmarks.run import add_arguments, run_in_rounds

DRAWN = 30_000
"""As many pools are in the chart."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    names = [*PEERS, "all"]
    add(
        "--peers",
        nargs="+",
        default=[TAP, LOOP],
        choices=names,
        metavar="PEER",
        help=f"who is measured, of {', '.join(names)}",
    )
    add("--pools", type=int, default=DRAWN, help="how many pools there are")
    add(
        "--latency",
        nargs="+",
        type=int,
        default=[0],
        metavar="MS",
        help="how long Toloka takes for an answer",
    )
    add_arguments(parser, rounds=5, limit=300)
    arguments = parser.parse_args()
    if arguments.write and not page.has(f"{arguments.pools} pools"):
        parser.error(f"{page.PAGE} has no section for {arguments.pools} pools")
    return arguments


def main() -> None:
    """Run all peers in turn, round after round, and print tables."""
    arguments = _arguments()
    peers = [PEERS[name] for name in (PEERS if "all" in arguments.peers else arguments.peers)]
    for peer in peers:
        peer.install()
    results = []
    for latency in arguments.latency:
        group = [Result(peer, latency, arguments.pools) for peer in peers]
        with EmulatorProcess.with_pools(arguments.pools, latency / 1000) as emulator:
            run_in_rounds(group, emulator, arguments)
        results += group
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    report = "\n\n".join([*tables(results, PEERS[LOOP]), page.circumstances(command, peers)])
    print(report)
    if arguments.write:
        page.write(f"{arguments.pools} pools", report)
        if arguments.pools == DRAWN:
            page.CHART.write_text(chart.draw(results))


if __name__ == "__main__":
    main()
