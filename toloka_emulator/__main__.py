"""The emulator as a process; ends on SIGTERM and SIGINT."""

from __future__ import annotations

import argparse
import gc
import signal
import sys
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from toloka_emulator import (
    OPEN_POOLS,
    RESOURCES,
    Emulator,
    make_account,
    make_large_account,
    make_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toloka_emulator import Json


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m toloka_emulator", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="where to listen; 0, the default: on any free port")
    add("--pools", type=int, default=0, help="how many pools there are")
    add("--rows", type=int, default=0, help="how many rows each other list has")
    for option, what in (
        ("--account", "an account instead: rows of all lists that belong together"),
        ("--large", "many pools instead, with so many assignments in each"),
    ):
        add(option, type=int, nargs=2, metavar=("POOLS", "ASSIGNMENTS"), help=what)
    add("--open", type=int, default=OPEN_POOLS, help="how many of the many pools are open")
    add("--act-under", action="append", default=[], help="an id for X-Act-Under-Account-ID")
    add("--latency", type=float, default=0, help="seconds that each answer takes")
    return parser.parse_args()


def _emulator() -> Emulator:
    arguments = _arguments()
    counts = dict.fromkeys(RESOURCES, arguments.rows) | {"pools": arguments.pools}
    rows: Mapping[str, Iterable[Json]]
    rows = {name: make_rows(name, count) for name, count in counts.items()}
    if arguments.account:
        pools, assignments = arguments.account
        now = datetime.now(timezone.utc)
        rows = make_account(pools=pools, assignments=assignments, now=now)
    elif arguments.large:
        pools, assignments = arguments.large
        rows = make_large_account(pools, assignments, arguments.open)
    return Emulator(
        rows=rows,
        port=arguments.port,
        accounts=arguments.act_under,
        latency=arguments.latency,
        requests_per_second=300,  # as many as Toloka allows
    )


def main() -> None:
    """Serve until a signal comes."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit())
    gc.disable()  # it would look at all rows again and again, and find nothing
    emulator = _emulator()
    gc.freeze()
    gc.enable()
    with emulator:
        sys.stdout.write(f"Emulator of Toloka at {emulator.url} with {len(emulator.pools)} pools\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
