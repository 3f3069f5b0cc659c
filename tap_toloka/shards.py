"""Which part of an account a run reads, if several runs share it.

Nothing here knows of the Singer SDK.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from zlib import crc32

if t.TYPE_CHECKING:
    from collections.abc import Mapping

MOST_SHARDS = 300
"""Toloka allows 300 requests per second and account, and a run can make no less than one."""

_FORM = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")


@dataclass(frozen=True)
class Shard:
    """One of several runs that share an account, each with a state of its own.

    Pools, operations, app projects and Tolokers are split by their ID, and with them all rows
    that are listed by them. Lists of the account are read by the first shard.

    Attributes:
        number: Which of them it is, from 1.
        count: How many there are.
    """

    number: int = 1
    count: int = 1

    @classmethod
    def of(cls, text: str) -> Shard:
        """Read what `str` returns, as `2/8`.

        Raises:
            ValueError: If it is not that.
        """
        found = _FORM.fullmatch(text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]) <= MOST_SHARDS:
            msg = f"write K/N, the Kth of N shards, as 2/8 (N up to {MOST_SHARDS})"
            raise ValueError(msg)
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def in_settings(cls, config: Mapping[str, t.Any]) -> Shard:
        """Return the shard that settings ask for."""
        text = config.get("shard")
        return cls.of(text) if text else cls()

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def is_whole(self) -> bool:
        """Whether there is no other one."""
        return self.count == 1

    @property
    def has_account_lists(self) -> bool:
        """Whether it reads the lists that are not split."""
        return self.number == 1

    def has(self, owner: str) -> bool:
        """Tell whether it reads what is listed by a pool, operation, app project or Toloker."""
        return self.is_whole or crc32(owner.encode()) % self.count == self.number - 1


WHOLE = Shard()
"""The only run of an account."""
