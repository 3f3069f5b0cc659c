"""Measures how long it takes until all rows are in PostgreSQL, beside other ways to get them there.

Only what the programs take is measured: the server is another process, on the same cores.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.sql import SQL, Identifier

from benchmarks import page
from benchmarks.emulator import EmulatorProcess
from benchmarks.peer import PEERS, TAP, Peer
from benchmarks.results import MEGABYTE, table
from benchmarks.run import measured
from scripts.plugin_definitions import settings_of
from scripts.run import postgres

if TYPE_CHECKING:
    from collections.abc import Callable

SECTION = "loads"
READER = PEERS[TAP]
TARGET = Peer(title="target-postgres", folder="target_postgres")
PIPELINEWISE = Peer(title="pipelinewise-target-postgres", folder="pipelinewise")
DLT = Peer(title="dlt rest_api", folder="dlt_postgres", script="load.py")
ALL = (READER, TARGET, PIPELINEWISE, DLT)


@dataclass(frozen=True)
class Place:
    """What is read, and where the rows go.

    Attributes:
        stream: What is read.
        emulator: Serves it.
        database: The address of the database, without a driver.
        folder: Takes files of a run.
        schema: Where the table is.
    """

    stream: str
    emulator: EmulatorProcess
    database: str
    folder: Path
    schema: str = "loaded"

    def has_all(self) -> bool:
        """Tell whether each row is in the table, once."""
        query = SQL("SELECT count(*), count(DISTINCT id) FROM {}")
        with psycopg.connect(self.database) as connection:
            found = connection.execute(query.format(Identifier(self.schema, self.stream)))
            return found.fetchone() == (len(self.emulator.ids),) * 2

    def clear(self) -> None:
        """Drop the table of the run before."""
        drop = SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(self.schema))
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute(drop)
            connection.execute("CHECKPOINT")  # else it hits the run that follows


def tap(place: Place, **settings: object) -> str:
    """Return the command of the tap, with settings in place of those that it has here."""
    given = ["--settings", json.dumps(settings)] if settings else []
    options = ["--stream", place.stream, *given, place.emulator.url, place.emulator.key]
    return shlex.join([*READER.command, *options])


def _target(executable: str) -> Callable[[Place], str]:
    """Return what makes the command of a program in the environment of the target."""

    def command(place: Place) -> str:
        config = {**settings_of("target-postgres"), "default_target_schema": place.schema}
        config["sqlalchemy_url"] = place.database.replace("postgresql:", "postgresql+psycopg:")
        path = Path(TARGET.command[0]).with_name(executable)
        return shlex.join([str(path), "--config", _written(place, executable, config)])

    return command


def _pipelinewise(place: Place) -> str:
    address = psycopg.conninfo.conninfo_to_dict(place.database)
    config = {
        **{name: address[name] for name in ("host", "user", "dbname")},
        "password": "not looked at",
        "port": 5432,
        "default_target_schema": place.schema,
    }
    path = Path(PIPELINEWISE.command[0]).with_name("target-postgres")
    return shlex.join([str(path), "--config", _written(place, "pipelinewise", config)])


def _written(place: Place, name: str, config: dict[str, Any]) -> str:
    path = place.folder / f"{name}.json"
    path.write_text(json.dumps(config))
    return str(path)


def _dlt(place: Place) -> str:
    address = psycopg.conninfo.conninfo_to_dict(place.database)
    # It insists on a host and a password, and the server on its socket.
    database = "postgresql://{user}:unused@localhost/{dbname}?host={host}".format(**address)
    options = [place.stream, place.schema, database]
    return shlex.join([*DLT.command, *options, place.emulator.url, place.emulator.key])


fast, plain = _target("fast-target-postgres"), _target("target-postgres")
FASTEST = "tap-toloka, the fast target"
ALONE = "the tap alone, into a file"
WAYS: dict[str, Callable[[Place], str]] = {
    ALONE: lambda place: f"{tap(place)} > {place.folder}/rows",
    "the fast target alone, from the file": lambda place: f"{fast(place)} < {place.folder}/rows",
    FASTEST: lambda place: f"{tap(place)} | {fast(place)}",
    "tap-toloka, target-postgres": lambda place: f"{tap(place)} | {plain(place)}",
    "tap-toloka, pipelinewise-target-postgres": lambda place: (
        f"{tap(place)} | {_pipelinewise(place)}"
    ),
    "dlt rest_api, merge": _dlt,
}
"""Commands for a shell."""


@dataclass
class Loads:
    """All runs of one way.

    Attributes:
        runs: What each took, as `measured` tells it.
        wrong: What went wrong in the last run in which something did.
    """

    runs: list[dict[str, Any]] = field(default_factory=list)
    wrong: str = ""

    def add(self, way: str, place: Place, limit: float) -> None:
        """Run it once more."""
        place.clear()
        command = ["bash", "-o", "pipefail", "-c", WAYS[way](place)]
        took = measured(command, place.folder / "out", limit)
        self.runs.append(took)
        if took["status"]:
            self.wrong = f"ended with {took['status']}"
        elif way != ALONE and not place.has_all():
            self.wrong = "not all"
        told = f"{took['seconds']:.2f} s {self.wrong}"
        print(f"{place.stream}, {way}: {told}", file=sys.stderr)

    def median(self, name: str) -> float:
        """Return the median of something that was measured."""
        return float(median(took[name] for took in self.runs))

    def row(self, way: str, fastest: Loads, expected: int) -> list[str]:
        """Return a row of the table."""
        seconds = [took["seconds"] for took in self.runs]
        loaded = "" if way == ALONE else "all, once"
        return [
            way,
            f"{self.median('seconds'):.2f}",
            f"{min(seconds):.2f} to {max(seconds):.2f}",
            f"{self.median('seconds') / fastest.median('seconds'):.2f}",
            f"{expected / self.median('seconds'):,.0f}",
            f"{self.median('cpu_seconds'):.2f}",
            f"{self.median('peak_bytes') / MEGABYTE:.0f}",
            f"**{self.wrong}**" if self.wrong else loaded,
            str(len(self.runs)),
        ]


def _table(place: Place, rounds: int, limit: float) -> str:
    """Run all ways in turn, round after round, and make a table."""
    loads = {way: Loads() for way in WAYS}
    for _ in range(rounds):
        for way, of_way in loads.items():
            of_way.add(way, place, limit)
    expected = len(place.emulator.ids)
    rows = [of_way.row(way, loads[FASTEST], expected) for way, of_way in loads.items()]
    head = [f"{expected:,} {place.stream}", "wall, s", "min to max", "÷ fast target", "rows a s"]
    return table([*head, "CPU, s", "peak, MB", "rows in the table", "runs"], rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.end_to_end",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--pools", type=int, default=30_000, help="how many pools are loaded")
    add(
        "--assignments",
        type=int,
        nargs=2,
        default=[200, 200],
        metavar=("POOLS", "EACH"),
        help="of how many pools assignments are loaded, and how many each has",
    )
    add("--rounds", type=int, default=2, help="runs of each; the results are medians")
    add("--limit", type=int, default=200, help="seconds after which a run is ended")
    add("--write", action="store_true", help=f"write the tables into {page.PAGE.name}")
    return parser.parse_args()


def main() -> None:
    """Load pools, then assignments, in all ways, and print tables."""
    arguments = _arguments()
    for peer in ALL:
        peer.install()
    pools, each = arguments.assignments
    accounts: dict[str, Callable[[], EmulatorProcess]] = {
        "pools": lambda: EmulatorProcess.with_pools(arguments.pools),
        "assignments": lambda: EmulatorProcess.with_assignments(pools, each, 0),
    }
    parts = []
    with tempfile.TemporaryDirectory() as name, postgres(Path(name, "postgres")) as address:
        database = address.replace("+psycopg", "")
        for stream, start in accounts.items():
            with start() as emulator:
                place = Place(stream, emulator, database, Path(name))
                parts.append(_table(place, arguments.rounds, arguments.limit))
    command = shlex.join(["python", "-m", "benchmarks.end_to_end", *sys.argv[1:]])
    report = "\n\n".join([*parts, page.circumstances(command, ALL)])
    print(report)
    if arguments.write:
        page.write(SECTION, report)


if __name__ == "__main__":
    main()
