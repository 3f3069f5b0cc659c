"""Measures how fast the tap reads all pools, beside its peers."""

from __future__ import annotations

import argparse
import shlex
import sys

from benchmarks import chart, page
from benchmarks.emulator import EmulatorProcess
from benchmarks.peer import LOOP, PEERS, TAP, Peer
from benchmarks.results import Result, tables
from benchmarks.run import run_peer

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
    add("--rounds", type=int, default=5, help="runs of each peer; medians are told")
    add("--limit", type=int, default=300, help="seconds after which a run is ended")
    add("--budget", type=int, default=150, help="seconds after which a peer gets no further run")
    add("--write", action="store_true", help="put the result into the docs")
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
    results = [
        result
        for latency in arguments.latency
        for result in _measure_all(peers, latency, arguments)
    ]
    told = "\n\n".join(
        [
            *tables(results, PEERS[LOOP]),
            page.circumstances(shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]), peers),
        ]
    )
    print(told)
    if arguments.write:
        page.write(f"{arguments.pools} pools", told)
        if arguments.pools == DRAWN:
            page.CHART.write_text(chart.draw(results))


def _measure_all(peers: list[Peer], latency: int, arguments: argparse.Namespace) -> list[Result]:
    """Measure in rounds, so that what else the machine does hits all alike."""
    results = [Result(peer, latency, arguments.pools) for peer in peers]
    with EmulatorProcess.with_pools(arguments.pools, latency / 1000) as emulator:
        for number in range(1, arguments.rounds + 1):
            for result in results:
                if sum(run.seconds for run in result.runs) > arguments.budget:
                    continue
                run = run_peer(result.peer, emulator, arguments.limit)
                result.runs.append(run)
                print(
                    f"{latency} ms, round {number}, {result.peer.title}: {run.seconds:.2f} s",
                    file=sys.stderr,
                )
    return results


if __name__ == "__main__":
    main()
