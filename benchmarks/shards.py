"""Measures what several runs gain that share an account, on as many machines or on this one.

Machines of their own are simulated: a reader in place of each target takes rows as fast as
target-postgres has loaded them before, and sleeps in between. So shards use little of this machine.
It has to be one with Linux.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import curves, page
from benchmarks.assignments import TAP
from benchmarks.emulator import EmulatorProcess
from benchmarks.end_to_end import READER, TARGET, Place, plain, tap
from benchmarks.peer import ROOT
from benchmarks.results import table
from benchmarks.rows import ids_of
from benchmarks.run import measured
from scripts.run import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SECTION = "shards"
CHART = ROOT / "docs" / "scaling.svg"
ALLOWED = 300  # requests per second and account
CONNECTIONS = 32  # of all shards: for 300 requests of 0.1 s in a second
NAP = 0.02  # seconds that a reader waits at least, as shorter waits cost CPU time


@dataclass(frozen=True)
class Account:
    """How many pools there are, and how many assignments each has."""

    pools: int
    each: int

    @classmethod
    def of(cls, text: str) -> Account:
        """Read what is written as `2000x100`."""
        pools, each = text.split("x")
        return cls(int(pools), int(each))

    def __str__(self) -> str:
        return f"{self.pools:,} pools with {self.each} assignments each"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.shards",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--accounts",
        nargs="+",
        type=Account.of,
        default=[Account(2_000, 100), Account(4_500, 20)],
        metavar="POOLSxEACH",
        help="how many pools there are, and how many assignments each has",
    )
    add("--shards", nargs="+", type=int, default=[1, 2, 4, 8], help="how many runs there are")
    add("--latency", type=float, default=0.1, help="seconds that Toloka takes for an answer")
    add(
        "--loaded",
        type=Account.of,
        default=Account(200, 200),
        metavar="POOLSxEACH",
        help="what is loaded into PostgreSQL",
    )
    add(
        "--rate", type=float, help="rows that a simulated target takes per second, in place of that"
    )
    add("--rounds", type=int, default=2, help="how often that is done; the results are medians")
    add("--limit", type=int, default=200, help="seconds after which a load is ended")
    add("--write", action="store_true", help=f"put the result into {page.PAGE.name}")
    return parser.parse_args()


# On this machine, into PostgreSQL

ONE, TWO = "one run", "2 shards at once"


@dataclass(frozen=True)
class Loads:
    """The loads of one way: seconds of each, and how busy the machine was."""

    seconds: list[float]
    busy: list[float]


def _loads(arguments: argparse.Namespace) -> dict[str, Loads]:
    """Load all assignments in one run and in two shards, in turn, into a table that is there."""
    size = arguments.loaded.pools, arguments.loaded.each
    loads = {ONE: Loads([], []), TWO: Loads([], [])}
    with (
        tempfile.TemporaryDirectory() as name,
        postgres(Path(name, "postgres")) as address,
        EmulatorProcess.with_assignments(*size, arguments.latency) as emulator,
    ):
        place = Place("assignments", emulator, address.replace("+psycopg", ""), Path(name))
        for _ in range(arguments.rounds):
            for way, of_way in loads.items():
                _create_table(place)
                with _cpu() as busy:
                    took = _load(place, way, arguments.limit)
                of_way.seconds.append(took)
                of_way.busy.extend(busy)
                print(f"{way}: {took:.2f} s, CPU {busy[0]:.0%}", file=sys.stderr)
    return loads


def _create_table(place: Place) -> None:
    """Let the target create the table: two that do so at once fail."""
    place.clear()
    create = f"{tap(place)} | grep --max-count=1 SCHEMA | {plain(place)}"
    measured(["bash", "-c", create], place.folder / "out", limit=60)


def _load(place: Place, way: str, limit: float) -> float:
    """Return how many seconds a load takes.

    Raises:
        RuntimeError: If it fails, or not all rows are in the table.
    """
    parts: list[dict[str, object]] = [{}]
    if way == TWO:
        pace = ALLOWED // 2
        parts = [{"shard": f"{number}/2", "max_requests_per_second": pace} for number in (1, 2)]
    pipes = [f"{tap(place, **settings)} | {plain(place)} &" for settings in parts]
    command = " ".join([*pipes, " && ".join(["wait -n"] * len(pipes))])
    took = measured(["bash", "-o", "pipefail", "-c", command], place.folder / "out", limit)
    if took["status"] or not place.has_all():
        msg = f"{way} ended with status {took['status']}, or not all rows are there"
        raise RuntimeError(msg)
    return float(took["seconds"])


# On machines of their own


@dataclass(frozen=True)
class Shard:
    """One run of the tap.

    Attributes:
        start: Seconds until its first row came.
        reading: Seconds from there to its end.
        ids: The ids of the rows that it printed, each as often as that was.
    """

    start: float
    reading: float
    ids: list[str]


@dataclass(frozen=True)
class Runs:
    """All shards of an account, at once.

    Attributes:
        shards: The runs.
        start: Seconds that a tap takes to start if it is alone.
        requests: How many requests they made together.
        busy: How busy the machine was, from 0 to 1.
        wrong: What went wrong.
    """

    shards: Sequence[Shard]
    start: float
    requests: int
    busy: float
    wrong: str

    @property
    def seconds(self) -> float:
        """Wall time of the slowest one, had each had a machine of its own."""
        return self.start + max(shard.reading for shard in self.shards)

    def row(self, alone: Runs, rows: int) -> list[str]:
        """Return a row of the table."""
        fastest = self.start + min(shard.reading for shard in self.shards)
        printed = [len(shard.ids) for shard in self.shards]
        return [
            str(len(self.shards)),
            f"{self.seconds:.1f}",
            f"{alone.seconds / self.seconds:.1f}",
            f"{fastest:.1f}",
            f"{rows / self.seconds:,.0f}",
            f"{min(printed):,} to {max(printed):,}",
            f"{self.requests:,}",
            f"{self.requests / self.seconds:.0f}",
            f"{self.requests / ALLOWED:.1f}",
            f"{self.busy:.0%}",
            f"**{self.wrong}**" if self.wrong else "all, once",
        ]


COLUMNS = (
    "wall, s",
    "times as fast",
    "fastest shard, s",
    "rows a s",
    "rows of a shard",
    "requests",
    "requests a s",
    f"at {ALLOWED} a s, s",
    "CPU of this machine",
    "rows read",
)


def _simulated(account: Account, arguments: argparse.Namespace, rate: float) -> dict[int, Runs]:
    """Read an account by each number of shards, at a target's rate; the first number is 1."""
    runs: dict[int, Runs] = {}
    size = account.pools, account.each
    with EmulatorProcess.with_assignments(*size, arguments.latency) as emulator:
        for count in sorted({1, *arguments.shards}):
            start = runs[1].start if runs else None
            runs[count] = one = _run_at_once(count, emulator, rate, start)
            told = f"{one.seconds:.1f} s {one.wrong}"
            print(f"{account}, {count} shards: {told}", file=sys.stderr)
    return runs


def _run_at_once(count: int, emulator: EmulatorProcess, rate: float, start: float | None) -> Runs:
    emulator.forget_requests()
    with _cpu() as busy, ThreadPoolExecutor(count) as threads:
        numbers = range(1, count + 1)
        shards = list(threads.map(lambda n: _run(n, count, emulator, rate), numbers))
    ids = [row_id for shard in shards for row_id in shard.ids]
    wrong = "" if len(ids) == len(emulator.ids) and {*ids} == emulator.ids else "not all, once"
    start = shards[0].start if start is None else start
    return Runs(shards, start, emulator.stats()["requests"], busy[0], wrong)


def _run(number: int, count: int, emulator: EmulatorProcess, rate: float) -> Shard:
    """Run one shard, and take as many of its rows in a second as a target does."""
    settings = {
        "shard": f"{number}/{count}",
        "max_requests_per_second": ALLOWED // count,
        "max_concurrency": math.ceil(CONNECTIONS / count),
    }
    options = ["--settings", json.dumps(settings), emulator.url, emulator.key]
    began, first, ids = time.perf_counter(), 0.0, []
    process = subprocess.Popen(
        [*TAP.command, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None  # noqa: S101  # it is a pipe
    done = 0.0  # when the target has loaded all rows so far
    for row_id in ids_of(process.stdout):
        now = time.perf_counter()
        first = first or now
        done = max(done, now) + 1 / rate
        ids.append(row_id)
        if done - now > NAP:
            time.sleep(done - now)
    if status := process.wait():
        msg = f"shard {number} of {count} ended with status {status}"
        raise RuntimeError(msg)
    return Shard(first - began, time.perf_counter() - first, ids)


@contextmanager
def _cpu() -> Iterator[list[float]]:
    """Tell, after a block, which share of the machine's CPU time was used in it."""
    busy: list[float] = []
    before = _ticks()
    yield busy
    idle, total = (now - then for now, then in zip(_ticks(), before, strict=True))
    busy.append(1 - idle / total)


def _ticks() -> tuple[int, int]:
    """Return the time that all cores were idle so far, and all of their time."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


# Results


def _table_of_loads(loads: dict[str, Loads], account: Account) -> str:
    rows = account.pools * account.each
    cells = []
    for way, of_way in loads.items():
        seconds = median(of_way.seconds)
        spread = f"{min(of_way.seconds):.2f} to {max(of_way.seconds):.2f}"
        busy = f"{median(of_way.busy):.0%}"
        cells.append([way, f"{seconds:.2f}", spread, f"{rows / seconds:,.0f}", busy])
    head = [f"{rows:,} assignments into PostgreSQL, on this machine", "wall, s", "min to max"]
    return table([*head, "rows a s", "CPU"], cells)


def _table_of_runs(account: Account, runs: dict[int, Runs]) -> str:
    rows = account.pools * account.each
    cells = [one.row(runs[1], rows) for one in runs.values()]
    return table([f"{account}: shards", *COLUMNS], cells)


def main() -> None:
    """Load into PostgreSQL, then simulate machines with that rate, and print tables."""
    arguments = _arguments()
    for peer in (TAP, TARGET):
        peer.install()
    loads = _loads(arguments)
    rows = arguments.loaded.pools * arguments.loaded.each
    rate = arguments.rate or rows / median(loads[ONE].seconds)
    simulated = {account: _simulated(account, arguments, rate) for account in arguments.accounts}
    command = shlex.join(["python", "-m", "benchmarks.shards", *sys.argv[1:]])
    report = "\n\n".join(
        [
            _table_of_loads(loads, arguments.loaded),
            f"The readers that stand for targets take {rate:,.0f} rows per second each:",
            *(_table_of_runs(account, runs) for account, runs in simulated.items()),
            page.circumstances(command, [READER, TARGET]),
        ]
    )
    print(report)
    if arguments.write:
        page.write(SECTION, report)
        CHART.write_text(_chart(simulated, rate))


def _chart(simulated: dict[Account, dict[int, Runs]], rate: float) -> str:
    drawn = [
        curves.Curve(
            str(account),
            {count: one.seconds for count, one in runs.items()},
            runs[1].requests / ALLOWED,
        )
        for account, runs in simulated.items()
    ]
    title = f"Seconds to load all assignments, if each shard loads {rate:,.0f} rows per second"
    return curves.draw(title, f"{ALLOWED} requests per second", drawn)


if __name__ == "__main__":
    main()
