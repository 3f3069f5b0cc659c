"""Emulators that several files of tests ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.emulator.helpers import few_pools
from toloka_emulator import RESOURCES, Emulator, make_pools, make_rows

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Give an emulator with a few pools."""
    with Emulator(few_pools()) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def many_pools() -> Iterator[Emulator]:
    """Give an emulator with 700 pools of all kinds, which no test changes."""
    with Emulator(make_pools(700, seed=1)) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def all_lists() -> Iterator[Emulator]:
    """Give an emulator with 300 rows of every list, which no test changes."""
    with Emulator(rows={name: make_rows(name, 300, seed=3) for name in RESOURCES}) as emulator:
        yield emulator
