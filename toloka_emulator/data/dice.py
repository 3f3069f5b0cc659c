"""Chance, and the ids and dates that come of it."""

from __future__ import annotations

import string
import uuid
from datetime import datetime, timezone
from random import Random
from typing import TYPE_CHECKING, TypeVar

from toloka_emulator.server.dates import IN_ROW, instant

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_MILLISECONDS = len("2026-01-02T03:04:05.678")
_LENGTHS = (_MILLISECONDS,) * 10 + (22, 21, 19, 19, 16)  # of dates as they are printed


class Dice(Random):
    """A random number generator: the same rows for the same seed."""

    def pick(self, options: Sequence[T]) -> T:
        """Pick one; faster than `choice`."""
        return options[int(self.random() * len(options))]

    def chance(self, probability: float) -> bool:
        """Say yes with this probability."""
        return self.random() < probability

    def print_date(self, moment: datetime) -> str:
        """Print a date as rows have it."""
        return print_exactly(moment)

    def object_id(self, at: datetime) -> str:
        """Make an id of 24 hexadecimal digits, the first of which are the second it was made in."""
        return f"{int(at.timestamp()):08x}{self.getrandbits(64):016x}"

    def pool_object_id(self, pool_id: str, at: datetime) -> str:
        """Make an id of what is in a pool: `hex--hex`, the first being the pool's number."""
        return f"{int(pool_id):010x}--{self.object_id(at)}"

    def uuid(self) -> str:
        """Make an id of an operation or a file."""
        return str(uuid.UUID(int=self.getrandbits(128), version=4))

    def app_id(self) -> str:
        """Make an id of the apps API."""
        return "".join(self.pick(string.ascii_letters + string.digits) for _ in range(20))

    def user_id(self) -> str:
        """Make an id of a Toloker."""
        return f"{self.getrandbits(128):032x}"


class AnyFormDice(Dice):
    """Prints dates in all the forms that Toloka has (openapi, examples)."""

    def print_date(self, moment: datetime) -> str:
        """Print a date, most often whole, or with its fraction or even the seconds cut short."""
        return moment.isoformat(timespec="milliseconds")[: self.pick(_LENGTHS)]


def print_exactly(moment: datetime) -> str:
    """Print a date to the millisecond, without zeros at the end of the fraction."""
    text = moment.isoformat(timespec="milliseconds")[:_MILLISECONDS]
    return text.rstrip("0").removesuffix(".")


def read_date(printed: str) -> datetime:
    """Read a date of a row, in any form, as a moment with a zone."""
    return datetime.fromisoformat(instant(printed, IN_ROW)).replace(tzinfo=timezone.utc)
