"""A run that was stopped goes on in the next one: no row is lost, and few come twice."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.streams import STREAMS
from tests.expected_rows import emulator_of, in_order, printed
from tests.runner import Run, catalog_of, config_for, run_inside, stopped_after
from toloka_emulator import Dice

if TYPE_CHECKING:
    from tap_toloka.client import TolokaStream
    from toloka_emulator import Emulator

INCREMENTAL = [stream for stream in STREAMS if stream.replication_key]


def by_name(stream: type[TolokaStream]) -> str:
    return stream.name


def runs_until_done(emulator: Emulator, name: str, dice: Dice, **settings: Any) -> list[Run]:
    """Run with the state of the last run, each stopped after some lines, until one is not."""
    runs: list[Run] = []
    state: Any = None
    while not runs or runs[-1].status:
        config = config_for(emulator, **settings)
        with stopped_after(dice.randrange(8, 25)):
            runs.append(run_inside(config, state, catalog_of(stream=name)))
        state = runs[-1].state or state
        assert len(json.dumps(state)) < 2_000
        assert len(runs) < 200, "it does not go on"
    return runs


@pytest.mark.parametrize("stream", INCREMENTAL, ids=by_name)
@pytest.mark.parametrize("threads", [1, 8])
def test_runs_that_are_stopped_again_and_again_read_every_row_and_few_twice(
    stream: type[TolokaStream], threads: int
) -> None:
    dice = Dice(f"{stream.name} {threads}")
    with emulator_of(stream, 300, seed=4) as emulator:
        settings = {"batch_size": 5, "max_concurrency": threads}
        runs = runs_until_done(emulator, stream.name, dice, **settings)
        records = [record for run in runs for record in run.records]
        rows = {tuple(record[key] for key in stream.primary_keys): record for record in records}
        assert in_order(stream, rows.values()) == printed(stream, emulator)
    assert len(runs) > 3
    counts = Counter(tuple(record[key] for key in stream.primary_keys) for record in records)
    assert len(records) - len(counts) <= (len(runs) - 1) * 5, "more than a page for each stop"
    assert len(records) <= 1.2 * len(counts)
