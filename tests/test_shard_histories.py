"""However many shards read an account, and whatever happens, the warehouse has what the API has."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.merge_states import merged
from tap_toloka.shards import WHOLE, Shard
from tests.simulation import Warehouse, bookmarks_in
from tests.test_the_warehouse_equals_the_api import RunsOfAllStreams

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runner import Run
    from toloka_emulator import Fault

IN_SHARDS = ("tasks", "task_suites", "assignments", "attachments", "app_items")
MOST_SHARDS = 3
MOST_ROWS = {
    "pools": 20,
    "trainings": 2,
    "app_projects": 5,
    "operations": 20,
    **dict.fromkeys(IN_SHARDS, 80),
}
"""So many that each shard has lists to read."""


class ShardedWarehouse(Warehouse):
    """Tables that several runs fill, each with a state of its own.

    Attributes:
        states: The state of each shard.
        shard: The one whose turn it is; `WHOLE` also when all are looked at.
        merged_bookmarks: How many merged bookmarks there were of which the shards had other ones.
    """

    shard = WHOLE

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.states = [self.state]
        self.merged_bookmarks = 0

    def run(self, *faults: Fault, **how: bool) -> Run:
        """Run one of the shards."""
        count, number = len(self.states), self._dice.randrange(len(self.states))
        return self._run_shard(Shard(number + 1, count), *faults, **how)

    def _run_shard(self, shard: Shard, *faults: Fault, **how: bool) -> Run:
        self.shard, place = shard, shard.number - 1
        self.state = self.states[place]
        self.settings["shard"] = str(shard)
        try:
            return super().run(*faults, **how)
        finally:
            self.states[place], self.shard = self.state, WHOLE

    def run_all(self, *faults: Fault) -> None:
        """Run each shard, in any order."""
        shards = [Shard(number + 1, len(self.states)) for number in range(len(self.states))]
        for shard in self._dice.sample(shards, len(shards)):
            self._run_shard(shard, *faults)

    def catch_up(self) -> None:
        self.run_all()
        self.run_all()  # where the first one resumed a run of a moment ago

    def divide(self, count: int) -> None:
        """Give the account to so many shards; what their states are made of is checked, too."""
        state = merged(self.states) if len(self.states) > 1 else self.states[0]
        for stream in self._streams:
            if stream.sharded and stream.name in bookmarks_in(state):
                found = {str(bookmarks_in(one).get(stream.name)) for one in self.states}
                self.merged_bookmarks += len(found) > 1
        self.state = {}
        self._keep(state)  # it promises the same of all rows
        self.states = [state] * count

    def _versions_of(self, name: str) -> dict[str, list[tuple[str, Any]]]:
        versions = super()._versions_of(name)
        stream = next(stream for stream in self._streams if stream.name == name)
        if not stream.sharded:
            return versions

        def is_ours(record: dict[str, Any]) -> bool:
            name_of_id = stream.listed_by or ""
            return self.shard.has((record.get("details") or record)[name_of_id])

        return {key: rows for key, rows in versions.items() if is_ours(rows[0][1])}


class RunsOfShards(RunsOfAllStreams):
    """All that can happen in an account, and to the runs of shards, whose number changes."""

    new_warehouse = ShardedWarehouse
    warehouse: ShardedWarehouse
    most_rows = MOST_ROWS

    @property
    def steps(self) -> tuple[Callable[[], object], ...]:
        shards = (*[self.run_tap] * 4, *[self.run_all] * 2, *[self.change_number] * 4)
        return (*super().steps, *shards, *[self.label] * 8)

    def fill_account(self) -> None:
        super().fill_account()
        for _ in range(8):
            pool_id = self.account.create_pool(project_id="1", auto_accept_period_day=2)
            self.account.change_pool(pool_id, "OPEN")

    def label(self) -> None:
        """Create and change rows of many pools and app projects."""
        for _ in range(6):
            name = self.dice.pick(IN_SHARDS)
            self.account.schedule(self.soon(), partial(self.create_row, name))
            if keys := [*self.account.versions["assignments"]]:
                change = partial(self.account.change, "assignments", self.dice.pick(keys))
                self.account.schedule(self.soon(), change)
        self.account.wait(timedelta())

    def run_all(self) -> None:
        self.warehouse.run_all(*self.faults)

    def change_number(self) -> None:
        self.warehouse.divide(self.dice.randrange(1, MOST_SHARDS + 1))

    def run_and_compare(self) -> None:
        super().run_and_compare()
        assert self.warehouse.merged_bookmarks > 5, "else it shows little"

    def change_settings(self) -> None:
        super().change_settings()
        # It is refused with FULL_TABLE, and does nothing without.
        self.warehouse.settings["emit_activate_version_messages"] = False

    def run_and_be_quiet(self) -> None:
        """Go on with one run, which is as quiet as after runs of its own."""
        self.warehouse.divide(1)
        self.warehouse.catch_up()
        super().run_and_be_quiet()


@pytest.mark.parametrize("seed", range(3))
def test_the_warehouse_equals_the_api_however_many_shards_fill_it(seed: int) -> None:
    RunsOfShards(seed).check(steps=150)
