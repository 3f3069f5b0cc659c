"""Whatever happens in an account and to runs, the warehouse ends up with what the API has."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tap_toloka.streams import STREAMS
from tap_toloka.streams.requester import Requester
from tests.runner import in_one_form, stopped_after
from tests.simulation import BEGINNING, RandomRuns
from toloka_emulator import (
    APP_PROJECT_IDS,
    LOGGED_IDS,
    RESOURCES,
    USER_IDS,
    Fault,
    make_row,
    print_exactly,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_toloka.client import TolokaStream

STREAMS_READ = tuple(stream for stream in STREAMS if stream is not Requester)
"""All but the one that has a row for each run."""

IN_POOLS = ("tasks", "task_suites", "assignments", "attachments")
CHANGING = (
    *("projects", "pools", "pools", "trainings", "tasks", "task_suites", "assignments"),
    *("skills", "user_skills", "user_restrictions", "message_threads", "webhook_subscriptions"),
    *("operations", "operations", "app_projects", "app_batches", "app_items"),
)
"""Lists of which rows change; the emulator knows how."""
DELETABLE = ("user_restrictions", "user_skills", "webhook_subscriptions")
"""Lists that have a DELETE (openapi)."""
MOST_ROWS = {"pools": 5, "trainings": 2, "app_projects": 5, "operations": 12}
"""As many come to be of lists of which each row has lists of its own; of others 15."""

FILTERS: dict[str, tuple[dict[str, Any], ...]] = {
    "pools": ({"status": "CLOSED"}, {"status": "OPEN"}, {"id_gt": "99"}),
    "projects": ({"status": "ACTIVE"},),
    "operations": ({"status": "SUCCESS"}, {"type": "POOL.OPEN"}),
    "message_threads": ({"folder": ["UNREAD"]},),
    "app_projects": ({"status": "READY"},),
    "user_restrictions": ({"scope": "SYSTEM"},),
}
FIELDS = {
    "pools": "status",
    "trainings": "private_name",
    "projects": "public_name",
    "skills": "name",
    "message_threads": "messages",
    "webhook_subscriptions": "webhook_url",
    "user_restrictions": "private_comment",
    "app_projects": "status",
}
"""A field that changes, of each list whose rows are compared from run to run."""
TRANSIENT_FAULTS = (
    Fault(status=429),
    Fault(quota="MIN"),
    Fault(status=503, headers={"Retry-After": "1"}),
    Fault(cut=True),
    Fault(reset=True),
    Fault(without_has_more=True),
)


class RunsOfAllStreams(RandomRuns):
    """All that can happen in an account, and to runs that read all of it with default settings.

    Between runs settings change, and which streams and fields are selected.
    """

    streams = STREAMS_READ
    most_rows: Mapping[str, int] = MOST_ROWS

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.warehouse.settings |= {"max_retries": 3, "batch_size": self.dice.randrange(2, 6)}
        self.refused: list[Fault] = []
        if self.dice.chance(0.3):
            start = BEGINNING + timedelta(minutes=10)
            self.warehouse.settings["start_date"] = start.isoformat()
            self.warehouse.since = in_one_form(print_exactly(start))
        self.account.tables["user_metadata"].add(
            make_row("user_metadata", self.dice, self.account.now, id=id_) for id_ in USER_IDS
        )
        self.account.tables["apps"].add(make_row("apps", self.dice, self.account.now) for _ in "12")

    @property
    def steps(self) -> tuple[Callable[[], object], ...]:
        runs = (self.run_tap, self.run_tap_and_fail, self.run_tap_and_stop, self.run_tap_and_kill)
        settings = (self.change_settings, self.change_selection, self.refuse_a_list_or_none)
        rows = (*[self.change_rows] * 16, *[self.create_rows] * 6, *[self.delete_a_row] * 3)
        return (*runs, self.run_and_check, *settings, *rows, self.pass_time, self.pass_time)

    @property
    def faults(self) -> list[Fault]:
        transient = [
            msgspec.structs.replace(self.dice.pick(TRANSIENT_FAULTS), after=self.dice.randrange(60))
            for _ in range(self.dice.randrange(3))
        ]
        return [*self.refused, *transient]

    def fill_account(self) -> None:
        pool_id = self.account.create_pool(auto_accept_period_day=2)
        self.account.change_pool(pool_id, "OPEN")
        for user_id in USER_IDS:  # a Toloker is listed who had an assignment
            self.account.create("assignments", pool_id, user_id=user_id)
        for _ in range(8):
            self.create_rows()
            self.account.wait(timedelta(minutes=3))
            self.change_rows()

    # What happens in the account

    def soon(self) -> Any:
        """Pick a moment now, or during the next run if that comes next."""
        seconds = self.dice.pick((0, 0, self.dice.uniform(0, 200)))
        return self.account.now + timedelta(milliseconds=round(seconds * 1000))

    def create_rows(self) -> None:
        at = self.soon()
        for _ in range(self.dice.randrange(1, 8)):
            name = self.dice.pick([*self.account.versions, *IN_POOLS, "assignments"])
            self.account.schedule(at, partial(self.create_row, name))
        self.account.wait(timedelta())

    def create_row(self, name: str) -> None:
        """Create a row, unless there are many, or it needs a pool and none is open."""
        dice, account = self.dice, self.account
        if len(account.versions[name]) >= self.most_rows.get(name, 15):
            return
        if name == "pools":
            account.create_pool(project_id=dice.pick("12"), auto_accept_period_day=2)
        elif name == "operations":
            types = ("POOL.OPEN", "SOLUTION.AGGREGATE", *LOGGED_IDS.values())
            account.create(name, type=dice.pick(types))
        elif name in IN_POOLS:
            open_pools = [
                pool["id"]
                for owners in ("pools", "trainings")
                for pool in account.tables[owners].rows()
                if pool["status"] == "OPEN"
            ]
            if open_pools:
                account.create(name, dice.pick(open_pools))
        elif name not in {"operation_logs", "aggregated_solutions"}:
            account.create(name)

    def change_rows(self) -> None:
        for _ in range(self.dice.randrange(1, 6)):
            name = self.dice.pick(CHANGING)
            if keys := [*self.account.versions[name]]:
                change = partial(self.account.change, name, self.dice.pick(keys))
                self.account.schedule(self.soon(), change)
        self.account.wait(timedelta())

    def delete_a_row(self) -> None:
        name = self.dice.pick(DELETABLE)
        if keys := [*self.account.versions[name]]:
            delete = partial(self.account.delete, name, self.dice.pick(keys))
            self.account.schedule(self.soon(), delete)

    # What happens to runs

    def change_settings(self) -> None:
        dice, settings = self.dice, self.warehouse.settings
        name, value = dice.pick(
            (
                ("max_concurrency", dice.pick((1, 2, 4, 8, 30))),
                ("batch_size", dice.randrange(2, 6)),
                ("detect_changes", dice.chance(0.3)),
                ("lookback_days", dice.pick((0, 0, 1))),
                ("skip_settled_pools", dice.chance(0.5)),
                ("emit_activate_version_messages", dice.chance(0.5)),
                ("filters", {}),
            )
        )
        settings[name] = value
        if name == "filters" and dice.chance(0.7):
            stream = dice.pick([*FILTERS])
            settings[name] = {stream: dice.pick(FILTERS[stream])}
            self.warehouse.partial.add(stream)

    def change_selection(self) -> None:
        """Select streams and fields, and read some as FULL_TABLE."""
        warehouse, dice = self.warehouse, self.dice
        names = [stream.name for stream in self.streams]
        warehouse.selected = {*names} if dice.chance(0.2) else {*dice.sample(names, 6)}
        some = {dice.pick(names), *dice.sample([*FIELDS], 3)}
        warehouse.full_tables = some if dice.chance(0.4) else set()
        warehouse.deselected = {}
        # Rows from before `start_date` are not compared, and would lack the field for good.
        if "start_date" not in warehouse.settings and dice.chance(0.5):
            stream = dice.pick([*FIELDS])
            warehouse.deselected = {stream: FIELDS[stream]}
            warehouse.partial.add(stream)

    def refuse_a_list_or_none(self) -> None:
        app_project = f"*/{self.dice.pick(APP_PROJECT_IDS)}/*"
        pool = {"pool_id": self.dice.pick([*self.account.versions["pools"], "1"])}
        refused = [
            Fault(status=403, times=None, path=app_project),
            Fault(status=403, times=None, path="*/assignments", params=pool),
        ]
        self.refused = [fault for fault in refused if self.dice.chance(0.3)]

    def run_tap_and_stop(self) -> None:
        with stopped_after(self.dice.randrange(1, 60)):
            self.warehouse.run(*self.faults, keeps_state=True, may_stop=True)

    def run_tap_and_kill(self) -> None:
        """Run the tap, which is killed; an earlier state counts than what is loaded."""
        with stopped_after(self.dice.randrange(1, 60)):
            self.warehouse.run(*self.faults, may_stop=True)

    # What is compared

    def run_and_check(self) -> None:
        """Run when all is listed and nothing goes wrong; check that the warehouse has all of it.

        Filters stay, and fields that are not selected.
        """
        warehouse = self.warehouse
        self.refused = []
        warehouse.selected, warehouse.full_tables = {one.name for one in self.streams}, set()
        warehouse.settings |= {"detect_changes": True, "lookback_days": 0}
        self.account.finish()
        warehouse.catch_up()
        warehouse.partial &= {*warehouse.settings.get("filters", ()), *warehouse.deselected}
        warehouse.check_promises()
        self.account.unsure.clear()

    def run_and_compare(self) -> None:
        """Run with default settings; check that all is equal, and that a further run is quiet."""
        for name in ("start_date", "filters"):
            self.warehouse.settings.pop(name, None)
        self.warehouse.deselected = {}
        self.run_and_check()
        self.run_and_be_quiet()
        self.run_full_tables()
        assert self.account.changes_during_runs > 10, "else it shows little"
        assert self.warehouse.failed_runs > 2

    def run_and_be_quiet(self) -> None:
        """Run while nothing happens: only rows younger than a bookmark are printed again.

        Pages into which rows came, as ids do not rise, may have to be cut anew first.
        """
        anew = self.records_of_a_run()
        again = self.records_of_a_run()
        bookmarks = self.warehouse.state["bookmarks"]
        for stream in self.streams:
            if stream.replication_key is None:  # it is read whole in each run
                continue
            if not stream.changes_without_date:
                # Rows that have changed later than the newest one was created, and those of which
                # nothing will tell that they change.
                since = bookmarks.get(stream.name, {}).get("replication_key_value", "")
                assert all(
                    is_later(row, since) or is_under_way(stream.name, row)
                    for row in again[stream.name]
                ), stream.name
                continue
            rows = len(self.account.tables[stream.name])
            if stream.id_order() is None and rows > self.warehouse.settings["batch_size"]:
                continue  # it is compared as one page
            assert not again[stream.name], stream.name
            assert not anew[stream.name] or RESOURCES[stream.name].ids != "numbers", stream.name
            self.check_requests(stream)

    def records_of_a_run(self) -> dict[str, list[dict[str, Any]]]:
        """Run, and return the records of each stream."""
        self.account.clear_requests()
        records = defaultdict(list)
        for message in self.warehouse.run().messages:
            if message["type"] == "RECORD":
                records[message["stream"]].append(message["record"])
        return records

    def check_requests(self, stream: type[TolokaStream]) -> None:
        """Check that a list was read with a request per page, and one for what is new."""
        rows, size = len(self.account.tables[stream.name]), self.warehouse.settings["batch_size"]
        by_date = f"{stream.change_dates[0]}_"
        asked = [
            request.params
            for request in self.account.requests
            if request.path == f"/api{stream.path}"
            and any(name.startswith(by_date) for name in request.params)
        ]
        assert len(asked) <= 2 * math.ceil(rows / size) + 2, (stream.name, asked)

    def run_full_tables(self) -> None:
        """Run with FULL_TABLE, which takes rows out that are not there any more."""
        warehouse = self.warehouse
        warehouse.full_tables = {stream.name for stream in self.streams}
        warehouse.settings["emit_activate_version_messages"] = True
        warehouse.run()
        warehouse.check_rows()
        warehouse.settings["emit_activate_version_messages"] = False
        warehouse.full_tables = set()


def is_later(record: dict[str, Any], since: str) -> bool:
    """Tell whether a record has a date after another one."""
    dates = ("updated", "created", "created_at", "finished", "finished_at", "operation_finished")
    return any((record.get(name) or "") > since for name in dates)


def is_under_way(name: str, record: dict[str, Any]) -> bool:
    """Tell whether a record is of an operation or a batch that has not ended."""
    if name == "app_batches":
        return not record.get("finished_at")
    return name == "operations" and record["status"] in {"PENDING", "RUNNING"}


@pytest.mark.parametrize("seed", range(7))
def test_the_warehouse_equals_the_api(seed: int) -> None:
    RunsOfAllStreams(seed).check(steps=150)
