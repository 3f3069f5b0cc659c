"""A real HTTP server that behaves as Toloka does, faults included: for tests and benchmarks.

It is held to Toloka's API reference, not to the tap. In a test:

    with Emulator(pools=make_pools(50, seed=1)) as emulator:
        emulator.faults.add(Fault(status=503, times=2))
        ...  # ask emulator.url with emulator.key

`make_row` makes a row of any list, `make_rows` many of every form there is; `make_account` rows of
all lists that belong together; `next_change` says what a row changes into.

As a process: `python -m toloka_emulator --help`; from outside it is driven as `control` tells.
"""

from __future__ import annotations

from toloka_emulator.data.account import Account, make_account
from toloka_emulator.data.changes import next_change
from toloka_emulator.data.large import (
    OPEN_POOLS,
    make_large_account,
    make_many_pools,
    make_small_assignment,
)
from toloka_emulator.data.pools import make_pool
from toloka_emulator.data.rows import LAST_DATE, make_pools, make_row, make_rows
from toloka_emulator.data.runs import NEW_POOLS, account_after, account_of_next_run
from toloka_emulator.data.values import (
    AGGREGATION_IDS,
    APP_PROJECT_IDS,
    LOGGED_IDS,
    POOL_IDS,
    USER_IDS,
    Dice,
    Json,
    print_exactly,
    read_date,
)
from toloka_emulator.server.api import KEY, REQUESTER
from toloka_emulator.server.emulator import Emulator
from toloka_emulator.server.faults import Fault
from toloka_emulator.server.log import Request
from toloka_emulator.server.resources import RESOURCES
from toloka_emulator.server.table import Table

__all__ = [
    "AGGREGATION_IDS",
    "APP_PROJECT_IDS",
    "KEY",
    "LAST_DATE",
    "LOGGED_IDS",
    "NEW_POOLS",
    "OPEN_POOLS",
    "POOL_IDS",
    "REQUESTER",
    "RESOURCES",
    "USER_IDS",
    "Account",
    "Dice",
    "Emulator",
    "Fault",
    "Json",
    "Request",
    "Table",
    "account_after",
    "account_of_next_run",
    "make_account",
    "make_large_account",
    "make_many_pools",
    "make_pool",
    "make_pools",
    "make_row",
    "make_rows",
    "make_small_assignment",
    "next_change",
    "print_exactly",
    "read_date",
]
