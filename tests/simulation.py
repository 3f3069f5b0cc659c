"""A simulation: an account that changes in a time of its own, and a warehouse that runs fill.

Time passes when a test says so, and while the tap reads: each request takes a moment, in which what
is scheduled happens. So rows change between two pages, and between two lists, of one run.
"""

from __future__ import annotations

import heapq
import itertools
import json
import threading
from collections import defaultdict
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from tap_toloka.streams import STREAMS
from tap_toloka.streams.apps import AppItems
from tap_toloka.streams.assignments import Assignments
from tap_toloka.streams.operations import Operations
from tap_toloka.streams.pool_by_pool import APPEAL_DAYS, LONGEST_REVIEW_DAYS
from tap_toloka.streams.users import UserSkills
from tests.expected_rows import changes, in_order, key_of, printed, printed_row
from tests.runner import catalog_of_all, config_for, expected, no_waiting, run_inside, stopped_after
from toloka_emulator import (
    APP_PROJECT_IDS,
    LOGGED_IDS,
    RESOURCES,
    Dice,
    Emulator,
    Fault,
    make_pool,
    make_row,
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

REQUEST_DURATION = timedelta(milliseconds=1_511)
"""How long a request takes in the account's time."""

MOST_SECONDS_LATE = 59
"""How late a change may be listed; the bookmark stays a minute behind because of that."""

CHANGING: tuple[type[TolokaStream], ...] = (Assignments, Operations, AppItems, UserSkills)
"""Streams whose rows change, and have a date of each change that matters."""

EDITED = (
    *("projects", "pools", "trainings", "skills", "user_restrictions", "message_threads"),
    "webhook_subscriptions",
)
"""Lists whose rows are edited by hand, so that a change can be undone."""

_STREAMS = {stream.name: stream for stream in STREAMS}
_BY_NAME = {stream.name: stream for stream in STREAMS if stream.replication_key}
_OF_ACCOUNT = {stream.name for stream in STREAMS if stream.listed_by in {None, "user_id"}}
"""Streams that promise to have every change."""


class Account(Emulator):
    """Toloka, in a time of its own, which is also the time of the tap within a `with` block.

    Args:
        seed: Another seed makes other rows and changes.
        run_times: When runs are planned; much happens about these moments. Without any, nothing
            happens unless a test schedules it.
        late_from: From when on changes may be listed late.
        at_limit: Share of the changes that happen at the last moment that Toloka allows.

    Attributes:
        now: What time it is.
        changes_during_runs: How many changes happened while the tap was reading.
        follows_clock: Whether its time is that of the clock.
        deleted: Ids of rows that were deleted, by stream.
        unsure: Streams and ids of rows that do not become again what they were before: a run has
            printed them that failed, so state may not know how they were then.
        versions: All versions of each row by stream and id: the date of the change, and the record
            that the tap would print.
    """

    def __init__(
        self,
        seed: object = 0,
        *,
        run_times: tuple[datetime, ...] = (),
        late_from: datetime = BEGINNING,
        at_limit: float = 0,
    ) -> None:
        super().__init__()
        self.now = BEGINNING
        self.changes_during_runs = 0
        self.follows_clock = False
        self.deleted: defaultdict[str, set[str]] = defaultdict(set)
        self.unsure: set[tuple[str, str]] = set()
        self.versions: dict[str, defaultdict[str, list[tuple[str, Json]]]] = {
            name: defaultdict(list) for name in _BY_NAME
        }
        self.dice = Dice(f"account {seed}")
        self._run_times = run_times
        self._late_from = late_from
        self._at_limit = at_limit
        self._is_read = False
        self._before: dict[tuple[str, str], Json] = {}
        self._changed_at: dict[tuple[str, str], datetime] = {}
        self._schedule: list[tuple[datetime, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._numbers_as_ids = map(str, itertools.count(97, 2))
        self._lock = threading.Lock()
        self._patches = ExitStack()
        for id_ in APP_PROJECT_IDS:
            self._create("app_projects", make_row("app_projects", Dice(id_), BEGINNING, id=id_))

    def __enter__(self) -> Self:
        # These call nothing but what is below, and `monotonic`.
        self._patches.enter_context(patch("toloka_emulator.server.table.time", self))
        self._patches.enter_context(patch("tap_toloka.clock.time", self))
        self._patches.enter_context(no_waiting())
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        self._patches.close()
        super().__exit__(*exc)

    def monotonic(self) -> float:
        """Return the account's time in seconds."""
        return self.now.timestamp()

    def clock_gettime(self, _clock: int) -> float:
        """Return the account's time in seconds."""
        return self.now.timestamp()

    def time(self) -> float:
        """Return the account's time in seconds."""
        return self.now.timestamp()

    def date(self) -> datetime:
        """Return the account's time."""
        return self.now

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request, after a moment in which time passes."""
        if self.follows_clock:
            self.wait_until(datetime.now(timezone.utc))
        elif self._is_read:
            self.wait(REQUEST_DURATION)
        return await super().handle(request)

    def read(self, read: Callable[[], Run]) -> Run:
        """Let the tap read it; time passes meanwhile."""
        self._is_read = True
        try:
            return read()
        finally:
            self._is_read = False

    # Time

    def wait(self, duration: timedelta) -> None:
        """Let time pass."""
        self.wait_until(self.now + duration)

    def wait_until(self, moment: datetime) -> None:
        """Let time pass until a moment, and happen what is scheduled."""
        with self._lock:
            while self._schedule and self._schedule[0][0] <= moment:
                self.now, _, happen = heapq.heappop(self._schedule)
                happen()
                self.changes_during_runs += self._is_read
            self.now = max(self.now, moment)

    def finish(self) -> None:
        """Let all that is scheduled happen, and be listed."""
        while self._schedule:
            self.wait_until(max(at for at, *_ in self._schedule))
        self.wait(timedelta(seconds=MOST_SECONDS_LATE + 10))  # several requests take a moment each

    def moment(self, first: datetime, last: datetime) -> datetime:
        """Pick a moment, preferably about the start of a run, when changes can be missed."""
        share = self.dice.random()
        near = [run for run in self._run_times if first < run < last]
        if near and share < 0.5:
            at = self.dice.pick(near) + timedelta(seconds=self.dice.uniform(-65, 20))
            at = min(max(at, first), last)
        elif share < 0.65:
            at = last
        else:
            at = first + (last - first) * self.dice.random()
        return in_milliseconds(at)

    def schedule(self, at: datetime, happen: Callable[[], object]) -> None:
        """Let something happen at a moment."""
        heapq.heappush(self._schedule, (at, next(self._numbers), happen))

    # Pools

    def create_pool(self, **fields: Any) -> str:
        """Create a pool now, and return its id."""
        pool_id = next(self._numbers_as_ids)
        self._create("pools", make_pool(pool_id, print_exactly(self.now), **fields))
        return pool_id

    def pool_or_training(self, pool_id: str) -> Json:
        """Return a pool, or a training, as it is."""
        name = "trainings" if pool_id in self.versions["trainings"] else "pools"
        return self.tables[name].row(pool_id)

    def change_pool(self, pool_id: str, status: str) -> None:
        """Change the status of a pool now."""
        dates = {"OPEN": {"last_started": print_exactly(self.now)}, "ARCHIVED": {}}
        stopped = {"last_stopped": print_exactly(self.now)}
        self._change("pools", pool_id, {"status": status, **dates.get(status, stopped)})

    def schedule_pools(self, count: int, end: datetime) -> list[tuple[str, datetime, datetime]]:
        """Schedule pools that open, close and open again; return when assignments can begin."""
        dice = self.dice
        periods = []
        for _ in range(count):
            pool_id = next(self._numbers_as_ids)
            created = self.moment(BEGINNING, BEGINNING + (end - BEGINNING) * 0.7)
            fields = {
                "assignment_max_duration_seconds": dice.pick((60, 600, 86_400, 864_000)),
                "auto_accept_period_day": dice.pick((None, 1, 7, 21)),
            }
            pool = make_pool(pool_id, print_exactly(created), **fields)
            self.schedule(created, partial(self._create, "pools", pool))
            stop = created
            for _ in range(dice.randrange(1, 4)):
                start = self.moment(stop, min(stop + timedelta(days=70), end))
                stop = self.moment(start, min(start + timedelta(days=20), end))
                self.schedule(start, partial(self.change_pool, pool_id, "OPEN"))
                self.schedule(stop, partial(self.change_pool, pool_id, "CLOSED"))
                periods.append((pool_id, start, stop))
            if dice.chance(0.3):
                self.schedule(stop, partial(self.change_pool, pool_id, "ARCHIVED"))
        return periods

    def schedule_assignments(self, count: int, pools: int, end: datetime) -> None:
        """Schedule pools, and assignments that begin in them."""
        periods = self.schedule_pools(pools, end)
        for _ in range(count):
            pool_id, start, stop = self.dice.pick(periods)
            at = self.moment(start, stop)
            self.schedule(at, partial(self.create, "assignments", pool_id))

    # Rows that change

    def create(
        self, stream: str, pool_id: str = "", *, visible_in: float | None = None, **fields: Any
    ) -> None:
        """Create a row now, in this pool if it is of a list by pool.

        Args:
            stream: Its stream.
            pool_id: Its pool.
            visible_in: In how many seconds it is listed; `None`: that is left to chance.
            **fields: Some of its fields.
        """
        facts: dict[str, Json] = {
            "trainings": {"status": "CLOSED"},
            "assignments": {"status": "ACTIVE", "pool_id": pool_id},
            "tasks": {"pool_id": pool_id},
            "task_suites": {"pool_id": pool_id},
            "attachments": {"details": {"pool_id": pool_id}},
            "operations": {"status": "PENDING", "type": "POOL.OPEN"},
            "app_projects": {"status": "CREATING"},
            "app_batches": {"status": "LOADING"},
            "app_items": {"status": "NEW"},
            "user_skills": {"modified": print_exactly(self.now)},
        }
        if RESOURCES[stream].ids == "numbers":
            fields["id"] = next(self._numbers_as_ids)
        row = make_row(stream, self.dice, self.now, **{**facts.get(stream, {}), **fields})
        self._create(stream, row, visible_in)

    def change(self, stream: str, row_id: str) -> None:
        """Change a row now, if it is still there and Toloka still allows a change."""
        if row_id in self.deleted[stream]:
            return
        row = self.tables[stream].row(row_id)
        if self.now > self._changed_at[stream, row_id] + self._longest_wait(stream, row):
            return
        if stream == "user_skills" and self.dice.chance(0.3):
            return  # it has its last value
        before = self._before.pop((stream, row_id), {})
        if before and self.dice.chance(0.5):
            fields = before
        else:
            fields = next_change(stream, row, self.dice, self.now)
            self._before[stream, row_id] = _undone(stream, row, fields)
        returns = self._was_before(stream, {**row, **fields})
        if fields and not (returns and (self._is_read or (stream, row_id) in self.unsure)):
            self._change(stream, row_id, fields, at_once=returns)
        if fields.get("status") == "SUCCESS":
            self._create_results(row)

    def delete(self, stream: str, row_id: str) -> None:
        """Delete a row now, of the lists of which Toloka lets rows be deleted."""
        if row_id not in self.deleted[stream]:
            self.tables[stream].remove(row_id)
            self.deleted[stream].add(row_id)
            del self.versions[stream][row_id]

    def _create_results(self, operation: Json) -> None:
        """Create what an operation leaves behind when it has finished."""
        facts = {"operation_id": operation["id"]}
        # A log grows at its end: rows of it are known by their place.
        for number, late in enumerate(sorted(self._seconds_late() for _ in range(3))):
            if operation["type"] in LOGGED_IDS.values():
                self.create("operation_logs", visible_in=late, number=number, **facts)
            elif operation["type"] == "SOLUTION.AGGREGATE":
                self.create("aggregated_solutions", **facts)

    def _create(self, stream: str, row: Json, visible_in: float | None = None) -> None:
        late = self._seconds_late() if visible_in is None else visible_in
        self.tables[stream].add([row], visible_in=late)
        self._changed(stream, key_of(_BY_NAME[stream], row))

    def _change(self, stream: str, row_id: str, fields: Json, *, at_once: bool = False) -> None:
        visible_in = 0 if at_once else self._seconds_late()
        self.tables[stream].change(row_id, visible_in=visible_in, **fields)
        self._changed(stream, row_id)

    def _was_before(self, stream: str, row: Json) -> bool:
        """Tell whether a row was the same before."""
        record = printed_row(_BY_NAME[stream], row, self)
        before = self.versions[stream][key_of(_BY_NAME[stream], row)]
        return any(record == version for _, version in before)

    def _changed(self, stream: str, row_id: str) -> None:
        """Keep the version of a row, and schedule the next change if runs are planned."""
        row = self.tables[stream].row(row_id)
        record = printed_row(_BY_NAME[stream], row, self)
        latest = max(changes(_BY_NAME[stream], {**expected(row), **record}))
        self.versions[stream][row_id].append((latest, record))
        self._changed_at[stream, row_id] = self.now
        if self._run_times and stream in {one.name for one in CHANGING}:
            last = self.now + self._longest_wait(stream, row)
            at = last if self.dice.chance(self._at_limit) else self.moment(self.now, last)
            self.schedule(at, partial(self.change, stream, row_id))

    def _longest_wait(self, stream: str, row: Json) -> timedelta:
        """Return how long after a change the next one can come; skipping of pools relies on it."""
        if stream != "assignments":
            return timedelta(days=40)
        pool = self.pool_or_training(row["pool_id"])
        if row["status"] == "ACTIVE":
            return timedelta(seconds=pool["assignment_max_duration_seconds"])
        if row["status"] == "SUBMITTED":
            return timedelta(days=pool.get("auto_accept_period_day") or LONGEST_REVIEW_DAYS)
        return timedelta(days=APPEAL_DAYS)

    def _seconds_late(self) -> float:
        """Return in how many seconds what happens now is listed."""
        if self.now < self._late_from or self.dice.chance(0.3):
            return 0
        return self.dice.pick((MOST_SECONDS_LATE, self.dice.uniform(0, MOST_SECONDS_LATE)))


def _undone(stream: str, row: Json, fields: Json) -> Json:
    """Return what undoes a change, if it is one that can be: another name, comment, folder, ..."""
    if stream not in EDITED or not {*fields} <= {*row} - {"status", "messages", "modified"}:
        return {}
    return {name: row[name] for name in fields}


class Warehouse:
    """Tables that upsert by key, and the state, as runs of the tap leave them.

    Each run is checked: no key comes twice, the state is small, no bookmark goes back, and what
    changed until a bookmark has been loaded.

    Args:
        account: What is read.
        *streams: Which streams are read.
        **settings: Settings of the tap.

    Attributes:
        rows: Records by stream and key.
        state: The state that the next run is given.
        settings: Settings of the next run.
        selected: Names of the streams that the next run reads.
        full_tables: Of these, those that it reads as FULL_TABLE.
        deselected: Fields that it does not read, by stream.
        partial: Names of streams of which it does not hold all rows or columns, as it was told.
        since: The `start_date` of the first run, in the form of records; empty: it had none.
        failed_runs: How many runs failed.
    """

    def __init__(self, account: Account, *streams: type[TolokaStream], **settings: Any) -> None:
        self.rows: dict[str, dict[str, Json]] = {stream.name: {} for stream in streams}
        self.state: Json = {}
        self.settings = {"batch_size": 10, **settings}
        self.selected = {*self.rows}
        self.full_tables: set[str] = set()
        self.deselected: dict[str, str] = {}
        self.partial: set[str] = set()
        self.since = ""
        self.failed_runs = 0
        self._account = account
        self._dice = Dice("warehouse")
        self._streams = streams
        self._columns: dict[str, set[str]] = {}
        self._versions: dict[tuple[str, str], int | None] = {}
        self._catalog = catalog_of_all()

    def run(self, *faults: Fault, keeps_state: bool = False, may_stop: bool = False) -> Run:
        """Run the tap, and load what it printed.

        Args:
            *faults: What goes wrong.
            keeps_state: Whether all that a failing run printed is loaded and its last state is
                kept. If not, some of the messages are loaded, and of some of these the last state
                is kept, as if target and tap had been killed.
            may_stop: Whether it may fail without faults.
        """
        account = self._account
        for fault in faults:
            account.faults.add(fault)
        config = config_for(account, **self.settings)
        catalog = self._catalog_of_run()
        run = account.read(lambda: run_inside(config, self.state, catalog, may_fail=True))
        account.faults.clear()
        failed = run.status != 0
        self.failed_runs += failed
        assert faults or may_stop or not failed, "a run without faults failed"
        loaded = kept = run.messages
        _check_that_no_key_comes_twice(loaded, _resumed(self.state))
        if failed and not keeps_state:
            loaded = loaded[: self._dice.randrange(len(loaded) + 1)]
            kept = loaded[: self._dice.randrange(len(loaded) + 1)]
        self._load(loaded)
        for message in loaded if failed else ():
            if message["type"] == "RECORD":
                key = key_of(_STREAMS[message["stream"]], message["record"])
                account.unsure.add((message["stream"], key))
        states = [message["value"] for message in kept if message["type"] == "STATE"]
        self._keep(states[-1] if states else self.state)
        return run

    def catch_up(self) -> None:
        """Run, and once more if that went on with a run that had been interrupted just before."""
        resumed = _resumed(self.state)
        self.run()
        if resumed:
            self.run()

    def check_rows(self) -> None:
        """Check that it holds what the account does, row for row and field for field."""
        for stream in self._streams:
            rows = in_order(stream, self.rows[stream.name].values())
            assert rows == printed(stream, self._account)

    def check_dated_changes(self) -> None:
        """Check that it holds what the account does, but for changes without a date."""
        for stream in self._streams:
            self._check_changes_until("9999", stream.name, self._filters(stream.name))

    def check_promises(self) -> None:
        """Check that lists of the account equal it, and others but for changes without a date.

        Rows that were deleted stay, and no others that the account does not have.
        """
        for stream in self._streams:
            is_bound = "start_date" in self.settings or not stream.changes_without_date
            start_date = self.since if is_bound else ""
            name, rows = stream.name, self.rows[stream.name]
            self._check_changes_until("9999", name, self._filters(name))
            listed = {key_of(stream, row): row for row in printed(stream, self._account)}
            assert rows.keys() - listed.keys() <= self._account.deleted[name]
            for key, row in listed.items() if name in _OF_ACCOUNT else ():
                created = self._account.versions[name][key][0][0] if name in _BY_NAME else "9999"
                if created >= start_date and passes(row, self._filters(name)):
                    assert self._read(name, rows.get(key)) == self._read(name, row), name

    def _read(self, stream: str, record: Json | None) -> Json | None:
        """Return what is selected of a record."""
        left_out = self.deselected.get(stream)
        return record and {name: value for name, value in record.items() if name != left_out}

    def _catalog_of_run(self) -> Json:
        for entry in self._catalog["streams"]:
            name, metadata = entry["stream"], entry["metadata"]
            metadata[-1]["metadata"]["selected"] = name in self.selected
            if name in _BY_NAME:
                is_full = name in self.full_tables
                entry["replication_method"] = "FULL_TABLE" if is_full else "INCREMENTAL"
            for item in metadata[:-1]:
                is_in = item["breadcrumb"] != ["properties", self.deselected.get(name)]
                item["metadata"]["selected"] = is_in
        return self._catalog

    def _load(self, messages: list[Json]) -> None:
        """Load as target-postgres does: a column that a schema lacks stays as it is."""
        for message in messages:
            name = message.get("stream", "")
            if message["type"] == "SCHEMA":
                self._columns[name] = {*message["schema"]["properties"]}
            elif message["type"] == "RECORD":
                key = key_of(_STREAMS[name], message["record"])
                before = self.rows[name].get(key, {}).items()
                kept = {column: x for column, x in before if column not in self._columns[name]}
                self.rows[name][key] = {**kept, **message["record"]}
                self._versions[name, key] = message.get("version")
            elif message["type"] == "ACTIVATE_VERSION":
                self.rows[name] = {
                    key: row
                    for key, row in self.rows[name].items()
                    if self._versions[name, key] == message["version"]
                }

    def _keep(self, state: Json) -> None:
        for entry in state.get("bookmarks", {}).values():
            assert len(json.dumps(entry)) < 2_000
        before, self.state = self.state, state
        for name, bookmark in bookmarks_in(before).items():
            now = bookmarks_in(state)[name]
            if bookmark.get("filters") == now.get("filters"):
                assert bookmark["replication_key_value"] <= now["replication_key_value"]
        for name, bookmark in bookmarks_in(state).items():
            value, filters = bookmark["replication_key_value"], bookmark.get("filters", {})
            self._check_changes_until(value, name, filters, bookmark.get("skipped", {}))

    def _check_changes_until(
        self, until: str, name: str, filters: Json, skipped: Json | None = None
    ) -> None:
        """Check that each row that passes filters is there as it was on a date, or later.

        Of pools and app projects that were skipped it may be as it was on an earlier date.
        """
        for key, versions in self._versions_of(name).items():
            if not passes(versions[0][1], filters):
                continue
            owner = str(versions[0][1].get(_BY_NAME[name].listed_by or ""))
            date = (skipped or {}).get(owner, until)
            dates = (changed for changed, _ in versions if self.since <= changed <= date)
            latest = max(dates, default="")
            wanted = [record for changed, record in versions if changed >= latest]
            found = self.rows[name].get(key)
            missing = f"a change of {name} {key} until {date} is missing"
            assert found in wanted or not (latest or found), missing

    def _versions_of(self, name: str) -> dict[str, list[tuple[str, Json]]]:
        """Return the versions of each row of a stream; of none if it holds only a part of them."""
        return {} if name in self.partial else self._account.versions.get(name, {})

    def _filters(self, name: str) -> Json:
        filters: Json = self.settings.get("filters", {}).get(name, {})
        return filters


def bookmarks_in(state: Json) -> dict[str, Json]:
    """Return the bookmarks that have a value."""
    bookmarks = state.get("bookmarks", {})
    return {name: b for name, b in bookmarks.items() if b.get("replication_key_value")}


def passes(record: Json, filters: Json) -> bool:
    """Tell whether a row passes filters: by values, by `id_gt` of numbers, and by one folder."""
    others = {name: value for name, value in filters.items() if name not in {"id_gt", "folder"}}
    if not {*filters.get("folder", ())} <= {*(record.get("folders") or ())}:
        return False
    if any(record.get(name) != value for name, value in others.items()):
        return False
    return "id_gt" not in filters or int(record["id"]) > int(filters["id_gt"])


def _resumed(state: Json) -> list[str]:
    """Return the streams that are read twice: what was left of them, and what is new since."""
    return [name for name, entry in state.get("bookmarks", {}).items() if "unfinished" in entry]


def _status_of_operation(message: Json) -> str:
    return str(message["record"]["status"]) if message["stream"] == "operations" else ""


def _check_that_no_key_comes_twice(messages: list[Json], resumed: list[str]) -> None:
    records = [m for m in messages if m["type"] == "RECORD" and m["stream"] not in resumed]
    keys = {
        # An operation may change its status between the requests for one and for the other.
        (m["stream"], key_of(_STREAMS[m["stream"]], m["record"]), _status_of_operation(m))
        for m in records
    }
    assert len(keys) == len(records), "a row came twice in one run"


def pick_run_times(dice: Dice, count: int, end: datetime) -> Iterator[datetime]:
    """Pick moments until an end, in order."""
    for share in sorted(dice.random() for _ in range(count)):
        yield in_milliseconds(BEGINNING + (end - BEGINNING) * share)


def in_milliseconds(moment: datetime) -> datetime:
    """Cut off what is below a millisecond."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class RandomRuns:
    """Runs, and runs that fail, in any order with what a subclass lets happen in the account.

    Args:
        seed: Another seed takes other steps.
    """

    streams: tuple[type[TolokaStream], ...]
    new_warehouse: Callable[..., Warehouse] = Warehouse

    def __init__(self, seed: int) -> None:
        self.dice = Dice(f"{type(self).__name__} {seed}")
        self.account = Account(seed)
        self.warehouse = self.new_warehouse(
            self.account,
            *self.streams,
            max_retries=0,
            batch_size=self.dice.randrange(1, 5),
            max_concurrency=self.dice.pick((1, 2, 4, 30)),
        )

    def check(self, steps: int) -> None:
        """Take steps, and compare the warehouse with the account at the end."""
        with self.account:
            self.fill_account()
            self.warehouse.run()
            for _ in range(steps):
                self.dice.pick(self.steps)()
            self.run_and_compare()

    def fill_account(self) -> None:
        """Create what is there before the first run."""
        raise NotImplementedError

    @property
    def steps(self) -> tuple[Callable[[], object], ...]:
        """What can happen next."""
        runs = (self.run_tap, self.run_tap, self.run_tap_and_fail, self.run_tap_and_stop)
        return (self.pass_time, *runs)

    @property
    def faults(self) -> list[Fault]:
        """What goes wrong in each run, but for those that are compared."""
        return []

    def pass_time(self) -> None:
        """Let up to two days pass."""
        self.account.wait(timedelta(seconds=self.dice.pick((1, 30, 61, 61, 590, 164_000))))

    def run_tap(self) -> None:
        """Run the tap."""
        self.warehouse.run(*self.faults)

    def run_tap_and_fail(self) -> None:
        """Run the tap, most likely not to its end."""
        status = self.dice.pick((400, 500))
        fault = Fault(status=status, after=self.dice.randrange(13), times=None)
        self.warehouse.run(fault, *self.faults, keeps_state=self.dice.chance(0.5))

    def run_tap_and_stop(self) -> None:
        """Run the tap, which gets a signal; what it printed is loaded, and its state is kept."""
        with stopped_after(self.dice.randrange(1, 12)):
            self.warehouse.run(*self.faults, keeps_state=True, may_stop=True)

    def run_and_compare(self) -> None:
        """Run when everything is listed and nothing goes wrong; check that nothing is missing."""
        self.account.finish()
        self.warehouse.catch_up()
        self.warehouse.check_dated_changes()
