"""A real HTTP server that behaves as Toloka does, faults included: for tests and benchmarks.

It is held to Toloka's API reference, not to the tap. In a test:

    with Emulator(pools=make_pools(50, seed=1)) as emulator:
        emulator.faults.add(Fault(status=503, times=2))
        ...  # ask emulator.url with emulator.key

`make_rows` makes rows of one list, of every form there is; `make_world` rows of all lists that
belong together; `lives` tells what becomes of them.

As a process: `python -m toloka_emulator --help`; from outside it is driven as `control` tells.
"""

from __future__ import annotations

from toloka_emulator import lives
from toloka_emulator.data import make_pool, make_pools
from toloka_emulator.emulator import Emulator
from toloka_emulator.faults import Fault
from toloka_emulator.parts import (
    AGGREGATION_IDS,
    APP_PROJECT_IDS,
    LOGGED_IDS,
    POOL_IDS,
    USER_IDS,
)
from toloka_emulator.rows import make_rows
from toloka_emulator.world import make_world

__all__ = [
    "AGGREGATION_IDS",
    "APP_PROJECT_IDS",
    "LOGGED_IDS",
    "POOL_IDS",
    "USER_IDS",
    "Emulator",
    "Fault",
    "lives",
    "make_pool",
    "make_pools",
    "make_rows",
    "make_world",
]
