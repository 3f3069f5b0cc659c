"""An account whose rows have lives, in a time of its own; and a warehouse that the tap fills.

Time passes when a test says so, and while the tap reads: each request takes a moment, in which what
was planned happens. So rows move between two pages, and between two lists, of one run.
"""

from __future__ import annotations

import heapq
import itertools
import json
import threading
import time
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tap_toloka.parallel import Pace
from tap_toloka.streams.apps import AppItems
from tap_toloka.streams.assignments import Assignments
from tap_toloka.streams.operations import Operations
from tap_toloka.streams.pool_by_pool import APPEAL_DAYS, LONGEST_REVIEW_DAYS
from tap_toloka.streams.users import UserSkills
from tap_toloka.tap import TapToloka
from tests.expected_rows import changes, in_order, printed
from tests.runner import catalog_of, config_for, expected, run_inside
from toloka_emulator import (
    APP_PROJECT_IDS,
    Dice,
    Emulator,
    Fault,
    make_pool,
    make_row,
    make_rows,
    next_change,
    print_exactly,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiohttp import web
    from typing_extensions import Self

    from tap_toloka.client import TolokaStream
    from tests.runner import Run

Json = dict[str, Any]

BEGINNING = datetime(2023, 6, 1, tzinfo=timezone.utc)
A_REQUEST = timedelta(milliseconds=1_511)
"""How long a request takes in the account's time."""

LATEST_SECONDS = 59
"""How late a change may be listed: the bookmark is a minute behind for it."""

CHANGING: tuple[type[TolokaStream], ...] = (Assignments, Operations, AppItems, UserSkills)
"""Streams of whose changes a date tells."""

WHAT_PASSES = (
    Fault(status=429),
    Fault(quota="MIN"),
    Fault(status=500),
    Fault(status=503, headers={"Retry-After": "1"}),
    Fault(body="<html>Maintenance</html>"),
    Fault(body={"items": [{"id": 1}], "content": [{"id": 1}], "has_more": False}),
    Fault(cut=True),
    Fault(reset=True),
    Fault(without_has_more=True),
)

_exact = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


def begin(name: str, at: datetime, dice: Dice, pool_id: str = "") -> Json:
    """Make a row of a list that was just made, in this pool if it is an assignment."""
    facts: dict[str, Json] = {
        "assignments": {"status": "ACTIVE", "pool_id": pool_id},
        "operations": {"status": "PENDING", "type": "POOL.OPEN"},
        "app_items": {"status": "NEW"},
        "user_skills": {"modified": print_exactly(at)},
    }
    return make_row(name, dice, at, **facts[name])


class Account(Emulator):
    """Toloka, in a time of its own, which is also that of the tap as long as a `with` block runs.

    Args:
        seed: Other lives for another seed.
        runs: Moments about which much happens.
        late_from: From when on what happens is listed late, if not always.
        at_last: How often a step is taken at the last moment.

    Attributes:
        now: What time it is.
        read: Whether a run is under way, so that requests take time.
        died: Whether the last run died.
        is_real: Whether the time is that of the clock.
        moved: How often something happened while a run was under way.
        printed: All that each row ever was, by stream and id: its latest date that tells, and the
            record that the tap would print of it.
    """

    def __init__(
        self,
        seed: object = 0,
        *,
        runs: tuple[datetime, ...] = (),
        late_from: datetime = BEGINNING,
        at_last: float = 0,
    ) -> None:
        super().__init__(rows={"app_projects": make_rows("app_projects", len(APP_PROJECT_IDS))})
        self.now = BEGINNING
        self.read = False
        self.died = False
        self.is_real = False
        self.moved = 0
        self.printed: dict[str, defaultdict[str, list[tuple[str, Json]]]] = {
            stream.name: defaultdict(list) for stream in CHANGING
        }
        self.dice = Dice(f"account {seed}")
        self._runs = runs
        self._late_from = late_from
        self._at_last = at_last
        self._plan: list[tuple[datetime, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._patches = pytest.MonkeyPatch()

    def __enter__(self) -> Self:
        # which asks for `monotonic` alone
        self._patches.setattr("toloka_emulator.server.table.time", self)
        began = property(lambda _tap: round(self.monotonic() * 1000))
        self._patches.setattr(TapToloka, "initialized_at", began)
        sync_all = TapToloka.sync_all

        def watched(tap: TapToloka) -> None:
            self.read = self.died = True
            try:
                sync_all(tap)
                self.died = False
            finally:
                self.read = False

        self._patches.setattr(TapToloka, "sync_all", watched)
        self._patches.setattr(time, "sleep", lambda _seconds: None)
        self._patches.setattr(Pace, "pause", lambda _pace, _seconds: None)
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        self._patches.undo()
        super().__exit__(*exc)

    def monotonic(self) -> float:
        """Return the account's time in seconds."""
        return self.now.timestamp()

    async def handle(self, asked: web.Request) -> web.Response:
        """Answer a request, after a moment in which lives go on."""
        if self.is_real:
            self.go_to(datetime.now(timezone.utc))
        elif self.read:
            self.go_on(A_REQUEST)
        return await super().handle(asked)

    # Time

    def go_on(self, duration: timedelta) -> None:
        """Let so much time pass."""
        self.go_to(self.now + duration)

    def go_to(self, moment: datetime) -> None:
        """Let time pass until then."""
        with self._lock:
            while self._plan and self._plan[0][0] <= moment:
                self.now, _, happen = heapq.heappop(self._plan)
                happen()
                self.moved += self.read
            self.now = max(self.now, moment)

    def settle(self) -> None:
        """Let all that is planned happen, and be listed."""
        while self._plan:
            self.go_to(max(at for at, *_ in self._plan))
        self.go_on(timedelta(seconds=61))

    def moment(self, first: datetime, last: datetime) -> datetime:
        """Pick a moment: often about the begin of a run, when it can be missed, or the last."""
        share = self.dice.random()
        near = [run for run in self._runs if first < run < last]
        if near and share < 0.5:
            at = self.dice.pick(near) + timedelta(seconds=self.dice.uniform(-65, 20))
            at = min(max(at, first), last)
        elif share < 0.65:
            at = last
        else:
            at = first + (last - first) * self.dice.random()
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    def _at(self, moment: datetime, happen: Callable[[], object]) -> None:
        heapq.heappush(self._plan, (moment, next(self._numbers), happen))

    # What happens

    def plan_pool(self, created: datetime, open_: list[tuple[datetime, datetime]]) -> str:
        """Let there be a pool that opens and closes, and give its id."""
        dice = self.dice
        pool_id = str(999_000 + 7 * next(self._numbers))
        facts = {
            "assignment_max_duration_seconds": dice.pick((60, 600, 86_400, 864_000)),
            "auto_accept_period_day": dice.pick((None, 1, 7, 21)),
        }
        pool = make_pool(pool_id, print_exactly(created), **facts)
        self._at(created, lambda: self.pools.add([pool], visible_in=self._late()))

        def change(status: str, date: str) -> None:
            fields = {"status": status, date: print_exactly(self.now)}
            self.pools.change(pool_id, visible_in=self._late(), **fields)

        for start, stop in open_:
            self._at(start, partial(change, "OPEN", "last_started"))
            self._at(stop, partial(change, "CLOSED", "last_stopped"))
        if dice.chance(0.3):
            self._at(open_[-1][1], partial(change, "ARCHIVED", "last_stopped"))
        return pool_id

    def plan(self, stream: str, at: datetime, pool_id: str = "") -> None:
        """Let a life begin then, in this pool if it is that of an assignment."""
        self._at(at, partial(self.begin, stream, pool_id))

    def plan_step(self, stream: str, at: datetime, row_id: str) -> None:
        """Let a life take a step then."""
        self._at(at, partial(self.step, stream, row_id))

    def begin(self, stream: str, pool_id: str = "") -> None:
        """Let a life begin now."""
        row = begin(stream, self.now, self.dice, pool_id)
        self.tables[stream].add([row], visible_in=self._late())
        self._note(stream, row["id"])

    def step(self, stream: str, row_id: str) -> None:
        """Take a life on by a step, if there is one."""
        row = _exact(self.tables[stream].get(row_id))
        if stream == "user_skills" and self.dice.chance(0.3):
            return  # no other value ever
        if fields := next_change(stream, row, self.dice, self.now):
            self.tables[stream].change(row_id, visible_in=self._late(), **fields)
            self._note(stream, row_id)

    def _note(self, stream: str, row_id: str) -> None:
        """Keep what a row is now, and plan what will be next, if anything is planned at all."""
        record = expected(_exact(self.tables[stream].get(row_id)))
        (kind,) = [kind for kind in CHANGING if kind.name == stream]
        if "updated" in kind.added_fields:
            record["updated"] = max(changes(kind, record))
        self.printed[stream][row_id].append((max(changes(kind, record)), record))
        if self._runs:
            last = self.now + self._patience(record)
            at = last if self.dice.chance(self._at_last) else self.moment(self.now, last)
            self.plan_step(stream, at, row_id)

    def _patience(self, record: Json) -> timedelta:
        """Return how long the next step takes at most: what the rule of settled pools knows."""
        if "pool_id" not in record:
            return timedelta(days=40)
        pool = _exact(self.pools.get(record["pool_id"]))
        if record["status"] == "ACTIVE":
            return timedelta(seconds=pool["assignment_max_duration_seconds"])
        if record["status"] == "SUBMITTED":
            return timedelta(days=pool["auto_accept_period_day"] or LONGEST_REVIEW_DAYS)
        return timedelta(days=APPEAL_DAYS)

    def _late(self) -> float:
        """Return in how many seconds what happens now is listed."""
        if self.now < self._late_from or self.dice.chance(0.3):
            return 0
        return self.dice.pick((LATEST_SECONDS, self.dice.uniform(0, LATEST_SECONDS)))


def plan_assignments(account: Account, count: int, pools: int, end: datetime) -> None:
    """Plan assignments in pools, some of which close and open again."""
    dice = account.dice
    chances = []
    for _ in range(pools):
        created = account.moment(BEGINNING, BEGINNING + (end - BEGINNING) * 0.7)
        periods, last = [], created
        for _ in range(dice.randrange(1, 4)):
            start = account.moment(last, min(last + timedelta(days=70), end))
            last = account.moment(start, min(start + timedelta(days=20), end))
            periods.append((start, last))
        pool_id = account.plan_pool(created, periods)
        chances += [(pool_id, period) for period in periods]
    for _ in range(count):
        pool_id, period = dice.pick(chances)
        account.plan("assignments", account.moment(*period), pool_id)


class Warehouse:
    """What runs of the tap leave in a warehouse that upserts by key.

    Args:
        account: What they read.
        *streams: Which streams they read.
        **settings: Settings of the tap.

    Attributes:
        rows: The records, by stream and id.
        state: The state that the next run is given.
        died: How many runs died.
    """

    def __init__(self, account: Account, *streams: type[TolokaStream], **settings: Any) -> None:
        self.rows: dict[str, dict[str, Json]] = {stream.name: {} for stream in streams}
        self.state: Json = {}
        self.died = 0
        self._account = account
        self._dice = Dice("warehouse")
        self._streams = streams
        self._settings = {"batch_size": 10, "max_requests_per_second": 300, **settings}
        self._catalog = catalog_of(stream=streams[0].name)
        for entry in self._catalog["streams"]:
            entry["metadata"][-1]["metadata"]["selected"] = entry["stream"] in self.rows

    def run(self, *faults: Fault, keep_printed_state: bool = False) -> Run:
        """Run the tap, with faults; check what each run promises, and load what it printed.

        Args:
            *faults: What goes wrong.
            keep_printed_state: Whether a run that dies has printed its state to a runner who kept
                it. Else the state is that of before, and some of the rows are loaded.
        """
        account = self._account
        for fault in faults:
            account.faults.add(fault)
        run = run_inside(
            config_for(account, **self._settings), self.state, self._catalog, may_fail=True
        )
        account.faults.clear()
        self.died += account.died
        assert faults or not account.died, "a run without bad luck died"
        messages = run.messages
        self._check_that_no_key_came_twice(messages)
        if account.died and not keep_printed_state:
            self._load(messages[: self._dice.randrange(len(messages) + 1)])
            return run
        self._load(messages)
        self._keep(run.state or self.state)
        return run

    def check_it_is_what_toloka_holds(self) -> None:
        """Compare it with the account, row for row, field for field."""
        for stream in self._streams:
            rows = in_order(stream, self.rows[stream.name].values())
            assert rows == printed(stream, self._account)

    def check_it_has_all_that_is_told(self) -> None:
        """Compare it with the account, but for what changed since without a date that tells."""
        for stream in self._streams:
            self._check_that_nothing_is_missed(stream.name, "9999")

    def _load(self, messages: list[Json]) -> None:
        for message in messages:
            if message["type"] == "RECORD":
                record = message["record"]
                self.rows[message["stream"]][record["id"]] = record

    def _keep(self, state: Json) -> None:
        assert len(json.dumps(state)) < 2_000
        before = self._bookmarks
        self.state = state
        after = self._bookmarks
        assert before.keys() <= after.keys()
        assert all(before[name] <= date for name, date in after.items() if name in before)
        for name, bookmark in after.items():
            self._check_that_nothing_is_missed(name, bookmark)

    def _check_that_nothing_is_missed(self, name: str, date: str) -> None:
        """Check that what changed until a date is here, as it was then or later."""
        for row_id, versions in self._account.printed[name].items():
            told = max((when for when, _ in versions if when <= date), default="")
            wanted = [record for when, record in versions if when >= told]
            found = self.rows[name].get(row_id)
            assert found in wanted or not (told or found), f"a change until {date} was not read"

    @property
    def _bookmarks(self) -> dict[str, str]:
        bookmarks = self.state.get("bookmarks", {})
        return {
            name: bookmark["replication_key_value"]
            for name, bookmark in bookmarks.items()
            if "replication_key_value" in bookmark
        }

    def _check_that_no_key_came_twice(self, messages: list[Json]) -> None:
        records = [m for m in messages if m["type"] == "RECORD"]
        keys = {(m["stream"], m["record"]["id"]) for m in records}
        assert len(keys) == len(records), "a row came twice in one run"


def moments(dice: Dice, count: int, end: datetime) -> Iterator[datetime]:
    """Pick moments of runs, in order."""
    spans = sorted(dice.random() for _ in range(count))
    for span in spans:
        at = BEGINNING + (end - BEGINNING) * span
        yield at.replace(microsecond=at.microsecond // 1000 * 1000)
