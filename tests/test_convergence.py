"""Whatever becomes of rows while runs go well, die and read beside it, the warehouse has it all."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, rule
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from psycopg.types.json import set_json_loads

from tap_toloka.streams.apps import AppBatches, AppItems, AppProjects
from tap_toloka.streams.assignments import Assignments
from tap_toloka.streams.messages import MessageThreads
from tap_toloka.streams.operations import Operations
from tap_toloka.streams.pool_by_pool import APPEAL_DAYS, LONGEST_REVIEW_DAYS
from tap_toloka.streams.pools import Pools
from tap_toloka.streams.projects import Projects
from tap_toloka.streams.tasks import Tasks, TaskSuites
from tap_toloka.streams.trainings import Trainings
from tap_toloka.streams.users import Skills, UserRestrictions, UserSkills
from tap_toloka.streams.webhooks import WebhookSubscriptions
from tests.expected_rows import emulator_with, in_order, printed
from tests.projects import LOAD_INTO_POSTGRES
from tests.runner import catalog_of, config_for, run_inside
from tests.simulation import (
    BEGINNING,
    CHANGING,
    WHAT_PASSES,
    Account,
    Warehouse,
    moments,
    plan_assignments,
)
from toloka_emulator import APP_PROJECT_IDS, Dice, Fault, make_pool, make_rows, print_exactly

if TYPE_CHECKING:
    from tap_toloka.client import TolokaStream
    from tests.databases import Database
    from tests.projects import Project

Json = dict[str, Any]

END = BEGINNING + timedelta(days=500)
A_MILLISECOND = timedelta(milliseconds=1)


def bad_luck(stream: type[TolokaStream], account: Account, dice: Dice) -> list[Fault]:
    """Pick what goes wrong in a run."""
    kind = dice.randrange(4)
    if kind == 0:  # it dies
        return [Fault(status=503, after=dice.pick((0, 1, 3)), times=None)]
    passing = [
        msgspec.structs.replace(dice.pick(WHAT_PASSES), after=dice.randrange(10)) for _ in range(4)
    ]
    pool_ids = [pool["id"] for pool in account.pools.rows()]
    if kind == 1 and stream is Assignments and pool_ids:  # a pool is refused
        params = {"pool_id": dice.pick(pool_ids)}
        return [Fault(status=403, times=None, path="*/assignments", params=params), *passing]
    if kind == 1 and stream is AppItems:
        path = f"*/{dice.pick(APP_PROJECT_IDS)}/items"
        return [Fault(status=403, times=None, path=path), *passing]
    return passing


@pytest.mark.parametrize("stream", CHANGING, ids=lambda stream: stream.name)
def test_after_lives_and_bad_luck_the_warehouse_is_what_toloka_holds(
    stream: type[TolokaStream],
) -> None:
    dice = Dice(f"lives of {stream.name}")
    runs = tuple(moments(dice, 40, END))
    with Account(stream.name, runs=runs) as account:
        if stream is Assignments:
            plan_assignments(account, 1_000, 14, END)
        for _ in range(300 if stream is not Assignments else 0):
            account.plan(stream.name, account.moment(BEGINNING, END))
        warehouse = Warehouse(account, stream)
        for moment in runs:
            account.go_to(moment)
            faults = bad_luck(stream, account, dice)
            warehouse.run(*faults, keep_printed_state=dice.chance(0.5))
        assert warehouse.died > 2
        assert account.moved > 20
        account.settle()
        warehouse.run()
        warehouse.check_it_is_what_toloka_holds()


class Interleaved(RuleBasedStateMachine):
    """Steps of lives, runs of all these streams, and runs that die, in whatever order.

    After a whole run when all is listed, nothing is missed. No bookmark ever is ahead of the rows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.account = Account()
        self.account.__enter__()
        self.pool_ids = ["999999", "1000000"]
        created = print_exactly(BEGINNING)
        self.account.pools.add(make_pool(id_, created, status="OPEN") for id_ in self.pool_ids)
        self.warehouse = Warehouse(self.account, *CHANGING, batch_size=2, max_retries=0)

    def teardown(self) -> None:
        self.account.__exit__()

    @rule(streams=st.lists(st.sampled_from(CHANGING), min_size=1, max_size=6), soon=st.booleans())
    def begin(self, streams: list[type[TolokaStream]], soon: bool) -> None:  # noqa: FBT001
        for stream in streams:
            pool_id = self.account.dice.pick(self.pool_ids) if stream is Assignments else ""
            at = self.account.now + timedelta(seconds=soon)
            self.account.plan(stream.name, at, pool_id)
        self.account.go_on(timedelta())

    @rule(milliseconds=st.lists(st.sampled_from([0, 500, 1500, 3000]), min_size=1, max_size=4))
    def step(self, milliseconds: list[int]) -> None:
        for stream in CHANGING:
            ids = [*self.account.printed[stream.name]]
            for pause in milliseconds if ids else ():
                at = self.account.now + timedelta(milliseconds=pause)
                self.account.plan_step(stream.name, at, self.account.dice.pick(ids))
        self.account.go_on(timedelta())

    @rule(seconds=st.sampled_from([1, 30, 61, 1_000_000]))
    def pass_time(self, seconds: int) -> None:
        self.account.go_on(timedelta(seconds=seconds))

    @rule()
    def run_whole(self) -> None:
        self.warehouse.run()

    @rule(after=st.integers(0, 12), kept=st.booleans())
    def run_into_trouble(self, after: int, kept: bool) -> None:  # noqa: FBT001
        fault = Fault(status=500, after=after, times=None)
        self.warehouse.run(fault, keep_printed_state=kept)

    @rule()
    def compare_when_all_is_listed(self) -> None:
        self.account.settle()
        self.warehouse.run()
        self.warehouse.check_it_has_all_that_is_told()


TestInterleaved = Interleaved.TestCase
TestInterleaved.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)


# Pools that are left out


shares = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
milliseconds = st.integers(0, 90 * 86_400_000).map(lambda number: timedelta(milliseconds=number))


@given(
    pauses=st.lists(milliseconds, min_size=2, max_size=6),
    duration=st.integers(5, 10**6),
    review=st.none() | st.integers(1, LONGEST_REVIEW_DAYS),
    taken=st.lists(shares, min_size=4, max_size=4),
    status=st.sampled_from(["CLOSED", "ARCHIVED"]),
)
@settings(max_examples=300, deadline=None)
def test_a_pool_is_asked_as_long_as_anything_can_change_in_it(
    pauses: list[timedelta], duration: int, review: int | None, taken: list[float], status: str
) -> None:
    created = datetime(2023, 6, 1)  # noqa: DTZ001  # as Toloka prints it
    dates = [created]  # then it starts and stops in turn
    for pause in pauses[: len(pauses) // 2 * 2]:
        dates.append(dates[-1] + pause)

    def pool_at(number: int) -> Json:
        """Return the pool as it was after so many of its dates."""
        starts, stops = dates[1 : number + 1 : 2], dates[2 : number + 1 : 2]
        return {
            "status": "OPEN" if len(starts) > len(stops) else status,
            "created": in_tap(created),
            "last_started": in_tap(starts[-1]) if starts else None,
            "last_stopped": in_tap(stops[-1]) if stops else None,
            "assignment_max_duration_seconds": duration,
            "auto_accept_period_day": review,
        }

    for number in range(1, len(dates), 2):
        start, stop = dates[number : number + 2]
        steps = [
            stop - start,
            timedelta(seconds=duration),
            timedelta(days=review or LONGEST_REVIEW_DAYS),
            timedelta(days=APPEAL_DAYS),
        ]
        change = start
        for longest, share in zip(steps, taken, strict=True):
            change += longest * share
            unread_since = in_tap(change - A_MILLISECOND)
            for later in range(number, len(dates)):  # runs, at and after the change
                if later + 1 == len(dates) or dates[later + 1] > change:
                    assert Assignments.can_change_after(pool_at(later), unread_since)
        settled = in_tap(stop + sum(steps[1:], timedelta()))
        assert not Assignments.can_change_after(pool_at(number + 1), settled)


def in_tap(moment: datetime) -> str:
    """Print a date in the tap's one form."""
    return moment.isoformat(timespec="milliseconds") + "Z"


@pytest.mark.parametrize("seed", [1, 5])  # these take the rule to its limits
def test_no_change_is_lost_in_pools_that_are_left_out(seed: int) -> None:
    asked = {}
    for skip in (True, False):
        runs = tuple(moments(Dice(seed), 20, END))
        with Account(seed, runs=runs, at_last=0.9) as account:
            plan_assignments(account, 600, 6, END)
            settings = {"skip_settled_pools": skip, "batch_size": 1_000}
            warehouse = Warehouse(account, Assignments, **settings)
            asked[skip] = 0
            for moment in runs:
                account.go_to(moment)
                account.clear_requests()
                warehouse.run()
                asked[skip] += len({r.params.get("pool_id") for r in account.requests} - {None})
            account.settle()
            warehouse.run()
            warehouse.check_it_is_what_toloka_holds()
    assert asked[True] < asked[False]


# What the warehouse cannot know


NOT_TOLD: tuple[tuple[type[TolokaStream], Json], ...] = (
    (Pools, {"status": "OPEN", "last_started": "2026-01-02T03:04:05"}),
    (Pools, {"status": "CLOSED", "last_stopped": "2026-01-02T03:04:05"}),
    (Pools, {"priority": 90}),
    (Projects, {"public_name": "Another name"}),
    (Projects, {"status": "ARCHIVED"}),
    (Trainings, {"status": "OPEN", "last_started": "2026-01-02T03:04:05"}),
    (Trainings, {"private_name": "Another name"}),
    (Skills, {"name": "Another name"}),
    (WebhookSubscriptions, {"webhook_url": "https://example.com/elsewhere"}),
    (UserRestrictions, {"will_expire": "2030-01-02T03:04:05"}),
    (MessageThreads, {"messages": [{"text": {"EN": "An answer"}}], "folders": ["OUTBOX"]}),
    (Tasks, {"overlap": 17, "remaining_overlap": 16}),
    (TaskSuites, {"overlap": 17, "remaining_overlap": 16}),
    (Assignments, {"bonus_ids": ["3139"]}),
    (Assignments, {"public_comment": "On second thoughts, well done"}),
    (Operations, {"status": "RUNNING", "started": "2026-01-02T03:04:05", "progress": 50}),
    (AppProjects, {"status": "ARCHIVED"}),
    (AppBatches, {"status": "COMPLETED", "finished_at": "2026-01-02T03:04:05"}),
    (AppItems, {"status": "PROCESSING", "started_at": "2026-01-02T03:04:05"}),
)


@pytest.mark.parametrize(
    ("stream", "change"),
    [
        pytest.param(stream, change, id=f"{stream.name}-{min(change)}")
        for stream, change in NOT_TOLD
    ],
)
def test_a_change_that_no_date_tells_of_comes_by_a_look_back_or_a_full_table(
    stream: type[TolokaStream], change: Json
) -> None:
    rows = [row for row in make_rows(stream.name, 30) if not change.items() <= row.items()][:3]
    for row, days in zip(rows, (100, 5, 1), strict=True):
        born(stream, row, days)
    old, young, newest = (row["id"] for row in rows)
    with emulator_with(stream, rows) as emulator:
        config = config_for(emulator)
        first = run_inside(config, stream=stream.name)
        assert {*first.ids} == {old, young, newest}
        for row_id in (old, young):
            emulator.tables[stream.name].change(row_id, **change)
        held = {row["id"]: row for row in printed(stream, emulator)}
        assert sum(row not in first.records for row in held.values()) == 2

        usual = run_inside(config, first.state, stream=stream.name)
        looked_back = run_inside({**config, "lookback_days": 10}, first.state, stream=stream.name)
        full_table = catalog_of(stream=stream.name, replication_method="FULL_TABLE")
        full = run_inside(config, first.state, full_table)
    assert usual.records == []
    assert in_order(stream, looked_back.records) == in_order(
        stream, [held[row_id] for row_id in (young, newest)]
    )
    assert in_order(stream, full.records) == in_order(stream, held.values())


def born(stream: type[TolokaStream], row: Json, days: int) -> None:
    """Make a row one that came so many days ago, and that nothing has become of yet."""
    suffix = "_at" if str(stream.replication_key).endswith("_at") else ""
    first, *others = (f"{name}{suffix}" for name in stream.change_dates)
    for name in others:
        row.pop(name, None)
    row[first] = print_exactly(datetime.now(timezone.utc) - timedelta(days=days))


@pytest.mark.parametrize(
    "stream",
    [UserSkills, UserRestrictions, WebhookSubscriptions],
    ids=lambda stream: stream.name,
)
def test_a_row_that_is_taken_away_is_told_by_a_full_table_with_a_version(
    stream: type[TolokaStream],
) -> None:
    with emulator_with(stream, make_rows(stream.name, 3, seed=1)) as emulator:
        config = config_for(emulator)
        first = run_inside(config, stream=stream.name)
        gone, *kept = sorted(first.ids)
        emulator.tables[stream.name].remove(gone)
        looked_back = run_inside(
            {**config, "lookback_days": 9_999}, first.state, stream=stream.name
        )
        full_table = catalog_of(stream=stream.name, replication_method="FULL_TABLE")
        config["emit_activate_version_messages"] = True
        full = run_inside(config, first.state, full_table)
    assert sorted(looked_back.ids) == kept
    assert {m["type"] for m in looked_back.messages} == {"SCHEMA", "RECORD", "STATE"}
    assert sorted(full.ids) == kept
    (activated,) = {m["version"] for m in full.messages if m["type"] == "ACTIVATE_VERSION"}
    assert {m["version"] for m in full.messages if m["type"] == "RECORD"} == {activated}


# The whole way


class Meltano:
    """Runs of all these streams by Meltano, which keeps their state."""

    def __init__(self, project: Project, account: Account, database: Database) -> None:
        self._project = project
        self._account = account
        self._database = database

    def run(self, *faults: Fault) -> bool:
        """Run into these faults, and tell whether it went well."""
        for fault in faults:
            self._account.faults.add(fault)
        done = self._project.meltano(
            *LOAD_INTO_POSTGRES,
            TAP_TOLOKA_TOKEN=self._account.key,
            TAP_TOLOKA_API_URL=self._account.url,
            TAP_TOLOKA_BATCH_SIZE="100",
            TAP_TOLOKA__SELECT=json.dumps([f"{stream.name}.*" for stream in CHANGING]),
            TARGET_POSTGRES_SQLALCHEMY_URL=self._database.url,
        )
        self._account.faults.clear()
        return done.returncode == 0

    @property
    def bookmarks(self) -> dict[str, str]:
        """The bookmarks by stream."""
        done = self._project.meltano("state", "get", "dev:tap-toloka-to-target-postgres")
        bookmarks = json.loads(done.stdout)["singer_state"]["bookmarks"]
        return {name: bookmark["replication_key_value"] for name, bookmark in bookmarks.items()}

    def rows_of(self, stream: type[TolokaStream]) -> list[Json]:
        """Return the rows of a table as the tap printed them, without what is NULL."""
        query = SQL("SELECT * FROM tap_toloka.{}").format(Identifier(stream.name))
        with self._database.connect(row_factory=dict_row) as connection:
            set_json_loads(partial(json.loads, parse_float=Decimal), connection)
            rows = connection.execute(query).fetchall()
        records = [
            {
                name: in_tap(value) if isinstance(value, datetime) else value
                for name, value in without_nulls(row).items()
                if not name.startswith("_sdc_")
            }
            for row in rows
        ]
        return in_order(stream, records)


def without_nulls(row: Json) -> Json:
    """Return what a row has."""
    return {name: value for name, value in row.items() if value is not None}


def test_meltano_brings_all_that_changed_into_postgres(
    project: Project, database: Database
) -> None:
    runs = tuple(moments(Dice("Meltano"), 2, END))
    with Account("Meltano", runs=runs, late_from=END) as account:
        meltano = Meltano(project, account, database)
        plan_assignments(account, 1_000, 14, END)
        for stream in CHANGING[1:]:
            for _ in range(100):
                account.plan(stream.name, account.moment(BEGINNING, END))

        # Months pass between these. The second dies when the first stream of four was read.
        account.go_to(runs[0])
        assert meltano.run(Fault(cut=True, after=5))
        first = meltano.bookmarks
        account.go_to(runs[1])
        assert not meltano.run(Fault(status=400, path="*/assignments", times=None, after=9))
        second = meltano.bookmarks
        assert {name for name, date in second.items() if date != first[name]} == {"app_items"}

        # Then what happens is listed late, if not always, and not in order.
        account.settle()
        now = datetime.now(timezone.utc)
        assert account.now < now
        pool_ids = [pool["id"] for pool in account.pools.rows()]
        for pool_id in pool_ids:
            account.pools.change(pool_id, status="OPEN")
        for seconds in range(-30, 30):
            for stream in CHANGING:
                pool_id = account.dice.pick(pool_ids) if stream is Assignments else ""
                account.plan(stream.name, now + timedelta(seconds=seconds), pool_id)
        account.is_real = True
        assert meltano.run()
        account.is_real = False
        rows = {stream.name: meltano.rows_of(stream) for stream in CHANGING}
        account.settle()  # past the tap's clock, so that all is listed, and what began has an end
        assert meltano.run()
        for stream in CHANGING:
            held = [without_nulls(row) for row in printed(stream, account)]
            assert meltano.rows_of(stream) == held != rows[stream.name]
