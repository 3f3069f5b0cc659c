"""Pools, and the assignments in them: alike for who serves them and for who checks what was read.

All that can be told of an assignment follows from the numbers of its pool and of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import msgspec

from toloka_emulator import make_pools

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

LIVE = 20
"""Pools that are open; in all others nothing can happen any more."""

FIRST_POOL, POOL_STEP = 993_000, 7
"""Ids of pools: as they rise they get a digit more."""

HISTORY, SETTLED, CLOSED_LIFE, LIVE_LIFE = (timedelta(days=days) for days in (1095, 100, 5, 10))
"""How far back the first pool began and the last closed one stopped, and how long pools run."""

STATUSES = (*["ACCEPTED"] * 7, "REJECTED", "SKIPPED", "EXPIRED")
LIVE_STATUSES = (*["ACCEPTED"] * 5, "REJECTED", "SUBMITTED", "ACTIVE", "SKIPPED", "EXPIRED")
MOVES = {"SUBMITTED": "ACCEPTED", "ACTIVE": "SUBMITTED"}
"""What an assignment becomes from one run to the next."""

NEW = 3
"""Assignments that come to each live pool from one run to the next."""

_SPREAD = 0x9E3779B97F4A7C15  # odd, so that products differ for all numbers of 64 bits
_TEXTS = (
    "The speaker names a street and a house number, then repeats the number more slowly.",
    "Кот сидит на подоконнике; за окном снег, людей и надписей на снимке нет 🐈",
    "猫が窓辺に座っている。外は雪で、人も文字も写っていない。",
    "Auf dem Bild ist ein Straßenschild zu sehen, halb verdeckt von einem Baum.",
)


@dataclass(frozen=True)
class Work:
    """Everything that there is at first, and what changes later.

    Attributes:
        pools: How many pools there are.
        assignments: How many assignments each has.
        until: When the last of them changed, UTC, without a zone.
    """

    pools: int
    assignments: int
    until: datetime

    @property
    def live(self) -> range:
        """The numbers of the live pools."""
        return range(max(self.pools - LIVE, 0), self.pools)

    @property
    def changes(self) -> int:
        """How many assignments move on, or are new, from one run to the next."""
        return len(self.live) * (NEW + self._moving // len(LIVE_STATUSES) * len(MOVES))

    @property
    def _moving(self) -> int:
        """A tenth of what a live pool has, in which all statuses are alike often."""
        return self.assignments // 100 * len(LIVE_STATUSES)

    def pool_rows(self) -> Iterator[Json]:
        """Make the pools."""
        for number, row in enumerate(make_pools(self.pools)):
            began, life = self._life(number)
            yield {
                **row,
                "id": str(_pool_id(number)),
                "created": _printed(began - timedelta(hours=3)),
                "last_started": _printed(began),
                "last_stopped": None if number in self.live else _printed(began + life),
                "status": "OPEN" if number in self.live else "CLOSED",
            }

    def ids(self) -> Iterator[str]:
        """Give the ids of all assignments that there are at first, pool by pool."""
        for pool in range(self.pools):
            for number in range(self.assignments):
                yield _assignment_id(pool, number, self._created(pool, number))

    def rows(self) -> Iterator[bytes]:
        """Make these assignments."""
        for pool in range(self.pools):
            statuses = LIVE_STATUSES if pool in self.live else STATUSES
            for number in range(self.assignments):
                status = statuses[number % len(statuses)]
                row = _assignment(pool, number, self._created(pool, number), status, self.until)
                yield msgspec.json.encode(row)

    def changed(self, step: int) -> Iterator[tuple[str, Json]]:
        """Tell which assignments move on before the run of this number, from 0, and to what."""
        first = step % 10 * self._moving
        for pool in self.live:
            for number in range(first, first + self._moving):
                if status := MOVES.get(LIVE_STATUSES[number % len(LIVE_STATUSES)]):
                    yield (
                        _assignment_id(pool, number, self._created(pool, number)),
                        {
                            "status": status,
                            status.lower(): _printed(self._moment(step)),
                            "solutions": _solutions(number),
                        },
                    )

    def added(self, step: int) -> Iterator[Json]:
        """Make the assignments that are new in that run."""
        at = self._moment(step)
        for pool in self.live:
            for number in range(NEW):
                number_of_all = self.assignments + step * NEW + number
                yield _assignment(pool, number_of_all, at, "ACTIVE", at)

    def _moment(self, step: int) -> datetime:
        return self.until + timedelta(minutes=1 + step)

    def _life(self, pool: int) -> tuple[datetime, timedelta]:
        """Tell when a pool began, and how long it is open."""
        if pool in self.live:
            return self.until - LIVE_LIFE, LIVE_LIFE
        last = HISTORY - SETTLED - CLOSED_LIFE
        return self.until - HISTORY + last * (pool / self.pools), CLOSED_LIFE

    def _created(self, pool: int, number: int) -> datetime:
        """Tell when an assignment was given to somebody: many are at first, few at last."""
        began, life = self._life(pool)
        return began + life * (number / self.assignments) ** 2


def newest() -> datetime:
    """Return a time that changes can come after, and yet lie behind now."""
    now = datetime.now(timezone.utc).replace(microsecond=0, tzinfo=None)
    return now - timedelta(hours=1)


def _assignment(pool: int, number: int, created: datetime, status: str, until: datetime) -> Json:
    """Make an assignment of one task, some 1.3 KB of JSON; no date is later than `until`."""
    texts = [_TEXTS[place % len(_TEXTS)] for place in (number, number // 2 + 1)]
    pool_id = str(_pool_id(pool))
    row = {
        "id": _assignment_id(pool, number, created),
        "task_suite_id": _object_id(pool, 3 * number + 1, created),
        "pool_id": pool_id,
        "user_id": f"{number % 5_000 * _SPREAD:032x}",
        "status": status,
        "reward": 0.05,
        "tasks": [
            {
                "id": _object_id(pool, 3 * number + 2, created),
                "pool_id": pool_id,
                "input_values": {
                    "image": f"https://example.com/{pool_id}/photo%20{number}.jpg?size=1024",
                    "description": " ".join(texts),
                    "position": {"latitude": 55.733969, "longitude": 37.587093},
                    "shown": number % 7,
                },
                "origin_task_id": _object_id(pool, number, created),
                "created": _printed(created),
                "overlap": 3,
                "infinite_overlap": False,
                "remaining_overlap": 0,
                "reserved_for": [],
                "unavailable_for": [],
            }
        ],
        "mixed": True,
        "automerged": False,
        "created": _printed(created),
        **_dates(number, created, status, until),
        "owner": {"id": "6c6e20dc86cca2ae787afcb2629de162", "myself": True, "company_id": "1"},
    }
    if "submitted" in row:
        row["solutions"] = _solutions(number)
    return row


def _dates(number: int, created: datetime, status: str, until: datetime) -> Json:
    """Make the dates of what came after an assignment was given to somebody."""
    done = min(created + timedelta(seconds=20 + number * 37 % 580), until)
    checked = min(done + timedelta(seconds=number * 7_919 % 172_800), until)
    if status == "ACTIVE":
        return {}
    if status in {"SKIPPED", "EXPIRED"}:
        return {status.lower(): _printed(done)}
    dates = {"submitted": _printed(done)}
    return dates if status == "SUBMITTED" else dates | {status.lower(): _printed(checked)}


def _solutions(number: int) -> list[Json]:
    text = _TEXTS[(number + 1) % len(_TEXTS)]
    values = {"result": ("cat", "dog")[number % 2], "comment": text, "sure": number % 3 > 0}
    return [{"output_values": values}]


def _pool_id(number: int) -> int:
    return FIRST_POOL + number * POOL_STEP


def _assignment_id(pool: int, number: int, created: datetime) -> str:
    return _object_id(pool, 3 * number, created)


def _object_id(pool: int, number: int, created: datetime) -> str:
    """Make an id as Toloka's are: of the pool, the second, and something that differs."""
    second = int(created.replace(tzinfo=timezone.utc).timestamp())
    return f"{_pool_id(pool):010x}--{second:08x}{number * _SPREAD & (2**64 - 1):016x}"


def _printed(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
