"""Measures what the first run and the next ones of a very large account take."""

from __future__ import annotations

import argparse
import itertools
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks import page
from benchmarks.assignments import TAP
from benchmarks.emulator import EmulatorProcess
from benchmarks.results import MEGABYTE, table
from benchmarks.run import measured, stopped
from toloka_emulator import (
    LAST_DATE,
    REQUESTER,
    Dice,
    make_many_pools,
    make_row,
    make_small_assignment,
    next_change,
    print_exactly,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from toloka_emulator import Json

COMMAND = [TAP.command[0], "-m", "tap_toloka"]
ASSIGNMENTS = 2
"""As many stand for the 200 that a pool has: as many requests, and a hundredth of the rows."""
AT_ONCE = 5_000  # rows that are added to the emulator
DAYS = 1_000  # that the account is old: as much as one of them brings is new or changes in a day
SETTINGS = {"max_requests_per_second": 300}
DAY_AFTER = LAST_DATE + timedelta(hours=20)
KILOBYTE = 1_000  # bytes

Ids = dict[str, set[str]]
"""Ids of rows, by stream."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--pools", type=int, default=100_000, help="how many pools there are")
    add("--latency", type=float, default=0.1, help="seconds that Toloka takes for an answer")
    add("--only", choices=("lists", "assignments"), help="measure only these")
    add("--stop", type=float, default=10, help="seconds after which one first run is stopped")
    add("--limit", type=int, default=1_200, help="seconds after which a run is ended")
    add("--write", action="store_true", help="put the result into the docs")
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write needs both tables")
    if arguments.write and not page.has(_section(arguments)):
        parser.error(f"{page.PAGE} has no section for {_section(arguments)}")
    return arguments


def _section(arguments: argparse.Namespace) -> str:
    return f"scale {arguments.pools}"


def main() -> None:
    """Read the lists of the account, then those of each pool as well, and print a table of each."""
    arguments = _arguments()
    TAP.install()
    tables = []
    if arguments.only != "assignments":
        title = f"account lists, {1_000 * arguments.latency:.0f} ms a request"
        tables.append(_table(title, _measure(arguments, ["account lists"], arguments.latency)))
    if arguments.only != "lists":
        title = "with assignments, 0 ms a request"
        tables.append(_table(title, _measure(arguments, ["account lists", "assignments"], 0)))
    command = shlex.join(["python", "-m", "benchmarks.scale", *sys.argv[1:]])
    report = "\n\n".join([*tables, page.circumstances(command, [TAP])])
    print(report)
    if arguments.write:
        page.write(_section(arguments), report)


@dataclass(frozen=True, kw_only=True)
class Load:
    """One run of the tap.

    Attributes:
        title: What it was.
        took: What `measure` tells of it; nothing of a run that was stopped.
        requests: How many requests it made.
        most_in_flight: The most requests that waited for their answer at once.
        state: The last state.
        largest_state: Bytes of the largest one.
        rows: How many rows it printed.
        expected: How many it had to print, at least.
        missing: How many of these it did not print.
    """

    title: str
    took: dict[str, float]
    requests: int
    most_in_flight: int
    state: str
    largest_state: int
    rows: int
    expected: int
    missing: int


def _measure(
    arguments: argparse.Namespace, what: Collection[str], latency: float
) -> Iterator[Load]:
    """Yield the first run, one that finds nothing new, and one that is a day later."""
    with (
        EmulatorProcess(f"--latency={latency}", rows=()) as emulator,
        tempfile.TemporaryDirectory() as folder,
    ):
        account = _Account(emulator, arguments.pools, with_assignments="assignments" in what)
        tap = _Tap(emulator, Path(folder), account, arguments.limit)
        yield tap.stopped("first run, stopped", arguments.stop)
        yield (load := tap.run("first run", "{}", account.ids))
        yield (load := tap.run("next run, nothing changed", load.state, {}))
        changed = account.let_a_day_pass()
        yield (load := tap.run("next run, a day later", load.state, changed))
        yield tap.run("next run, nothing changed", load.state, {})


class _Account:
    """What the emulator holds.

    Args:
        emulator: Is filled.
        pools: How many pools there are.
        with_assignments: Whether they hold assignments.

    Attributes:
        ids: The ids of all rows.
    """

    def __init__(self, emulator: EmulatorProcess, pools: int, *, with_assignments: bool) -> None:
        self._emulator = emulator
        self._a_day = -(-pools // DAYS)
        self._with_assignments = with_assignments
        self._statuses: dict[str, str] = {}  # of pools, by id, oldest first
        self.ids: Ids = defaultdict(set)
        lists = make_many_pools(pools, ASSIGNMENTS)
        if not with_assignments:
            del lists["assignments"]
        for name, rows in lists.items():
            self._add(name, rows)
        self.ids["requester"].add(str(REQUESTER["id"]))

    def _add(self, name: str, rows: Iterable[Json]) -> set[str]:
        """Add rows, and return their ids."""
        ids: set[str] = set()
        rows = iter(rows)
        while some := list(itertools.islice(rows, AT_ONCE)):
            self._emulator.add_rows(name, some)
            ids.update(row["id"] for row in some)
            if name == "pools":
                self._statuses.update((row["id"], row["status"]) for row in some)
        self.ids[name] |= ids
        return ids

    def _change(self, name: str, row_id: str, **fields: object) -> str:
        self._emulator.change_row(name, row_id, fields)
        if name == "pools" and "status" in fields:
            self._statuses[row_id] = str(fields["status"])
        return row_id

    def let_a_day_pass(self) -> Ids:
        """Let happen what happens in a day, and return the ids of all rows that are not as before.

        The pools that have been open, or closed, for longest are closed or archived; none of the
        dates that Toloka can filter pools by tells of that, nor of a change to a name or a comment.
        """
        dice, some = Dice(1), max(self._a_day // 10, 1)
        changed: Ids = defaultdict(set)
        for name in ("projects", "trainings", "skills"):
            for row_id in dice.sample(sorted(self.ids[name]), 2):
                changed[name].add(self._change(name, row_id, private_comment="Changed"))
        for row_id in dice.sample(list(self._statuses), some):
            changed["pools"].add(self._change("pools", row_id, private_comment="Changed"))
        changed["pools"] |= self._end_pools()
        greatest = max(map(int, self._statuses))
        for name, count in (
            ("pools", self._a_day),
            ("projects", 1),
            ("user_skills", self._a_day),
            ("user_bonuses", self._a_day),
            ("message_threads", some),
            ("operations", 3 * self._a_day),
        ):
            rows = []
            for number in range(1, count + 1):
                at, facts = DAY_AFTER + timedelta(seconds=number), {}
                if name == "operations":
                    facts = {"status": "SUCCESS"}
                if name == "pools":
                    facts = {"id": str(greatest + number), "type": "REGULAR", "status": "OPEN"}
                    facts["last_started"] = print_exactly(at)
                rows.append(make_row(name, dice, at, **facts))
            changed[name] |= self._add(name, rows)
        if self._with_assignments:
            changed["assignments"] = self._work_on_pools(dice)
        return changed

    def _end_pools(self) -> set[str]:
        """Close or archive the oldest pools of a status."""
        ids = set()
        stopped = print_exactly(DAY_AFTER)
        for old, new in (
            ("CLOSED", {"status": "ARCHIVED"}),
            ("OPEN", {"status": "CLOSED", "last_stopped": stopped}),
        ):
            of_status = (row_id for row_id, status in self._statuses.items() if status == old)
            for row_id in list(itertools.islice(of_status, self._a_day)):
                ids.add(self._change("pools", row_id, **new))
        return ids

    def _work_on_pools(self, dice: Dice) -> set[str]:
        """Let an assignment of each open pool move on, if one can, and a new one come."""
        ids, new = set(), []
        for pool_id, status in self._statuses.items():
            if status == "OPEN":
                time.sleep(0.005)  # the emulator allows 300 requests a second
                unfinished = {"pool_id": pool_id, "status": "ACTIVE,SUBMITTED", "limit": 1}
                for row in json.loads(self._emulator.page("assignments", **unfinished))["items"]:
                    change = next_change("assignments", row, dice, DAY_AFTER)
                    ids.add(self._change("assignments", row["id"], **change))
                new.append(make_small_assignment(pool_id, "ACTIVE", dice, DAY_AFTER))
        return ids | self._add("assignments", new)


class _Tap:
    """Runs the tap.

    Args:
        emulator: What is read.
        folder: For what the tap is given and what it prints.
        account: Tells what is selected beside the default.
        limit: Seconds after which a run is ended.
    """

    def __init__(
        self, emulator: EmulatorProcess, folder: Path, account: _Account, limit: int
    ) -> None:
        self._emulator = emulator
        self._folder = folder
        self._limit = limit
        config = {"api_url": emulator.url, "token": emulator.key, **SETTINGS}
        (folder / "config").write_text(json.dumps(config))
        (folder / "catalog").write_text(_catalog(account.ids))

    def run(self, title: str, state: str, expected: Ids) -> Load:
        """Run to the end, from a state.

        Args:
            title: What it is called.
            state: The state.
            expected: The ids of the rows that it has to print.
        """
        self._emulator.forget_requests()
        took = measured(self._command(state), self._folder / "out", self._limit)
        if took["status"]:
            msg = f"{title} ended with status {took['status']}"
            raise RuntimeError(msg)
        return self._load(title, took, expected)

    def stopped(self, title: str, seconds: float) -> Load:
        """Begin a first run, and stop it."""
        self._emulator.forget_requests()
        stopped(self._command("{}"), self._folder / "out", seconds)
        return self._load(f"{title} after {seconds:g} s", {}, {})

    def _command(self, state: str) -> list[str]:
        (self._folder / "state").write_text(state)
        names = ("config", "catalog", "state")
        return [*COMMAND, *(f"--{name}={self._folder / name}" for name in names)]

    def _load(self, title: str, took: dict[str, float], expected: Ids) -> Load:
        stats = self._emulator.stats()
        printed, rows, states = _messages_in(self._folder / "out")
        load = Load(
            title=title,
            took=took,
            **{name: stats[name] for name in ("requests", "most_in_flight")},
            state=states[-1],
            largest_state=max(len(state.encode()) for state in states),
            rows=rows,
            expected=sum(map(len, expected.values())),
            missing=sum(len(ids - printed[name]) for name, ids in expected.items()),
        )
        by_stream = ", ".join(f"{len(ids):,} {name}" for name, ids in printed.items())
        print(f"{title}, {took.get('seconds', 0):.1f} s: {by_stream}", file=sys.stderr)
        return load


class _Record(msgspec.Struct):
    id: str


class _Message(msgspec.Struct):
    type: str
    stream: str = ""
    record: _Record | None = None
    value: msgspec.Raw = msgspec.Raw(b"{}")


def _messages_in(path: Path) -> tuple[Ids, int, list[str]]:
    """Return the ids of the rows that were printed, how many that were, and all states."""
    decode = msgspec.json.Decoder(_Message).decode
    ids: Ids = defaultdict(set)
    rows, states = 0, ["{}"]
    with path.open("rb") as file:
        for line in file:
            message = decode(line)
            if message.record is not None:
                ids[message.stream].add(message.record.id)
                rows += 1
            elif message.type == "STATE":
                states.append(bytes(message.value).decode())
    return ids, rows, states


def _catalog(streams: Collection[str]) -> str:
    """Return a catalog in which streams are selected beside those that are by default."""
    discovered = subprocess.run([*COMMAND, "--discover"], check=True, capture_output=True)
    catalog = json.loads(discovered.stdout)
    for entry in catalog["streams"]:
        if entry["stream"] in streams:
            entry["metadata"][-1]["metadata"]["selected"] = True
    return json.dumps(catalog)


def _table(title: str, loads: Iterable[Load]) -> str:
    head = [title, "wall, s", "CPU, s", "peak, MB", "requests", "at once", "largest state, KB"]
    rows = [
        [
            load.title,
            *(_took(load.took) if load.took else [""] * 3),
            f"{load.requests:,}",
            f"{load.most_in_flight}",
            f"{load.largest_state / KILOBYTE:.1f}",
            f"{load.expected:,}" if load.took else "",
            f"{load.rows:,}",
            f"**{load.missing:,}**" if load.missing else "",
        ]
        for load in loads
    ]
    return table([*head, "rows new or changed", "rows printed", "not printed"], rows)


def _took(took: dict[str, float]) -> list[str]:
    return [
        f"{took['seconds']:.1f}",
        f"{took['cpu_seconds']:.1f}",
        f"{took['peak_bytes'] / MEGABYTE:.0f}",
    ]


if __name__ == "__main__":
    main()
