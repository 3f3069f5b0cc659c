"""The emulator is Toloka enough for Toloka's own client: toloka-kit 1.2.3 reads from it."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator import Emulator, make_pools

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Pools = list[dict[str, Any]]

REPOSITORY = Path(__file__).parents[1]
PYTHON = os.environ.get(
    "TOLOKA_KIT_PYTHON", str(REPOSITORY / ".venv-toloka-kit" / "bin" / "python")
)
BATCH_SIZES = (7, 50, 299, 300, None)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Give an emulator with 320 pools, more than fit on one page."""
    with Emulator(make_pools(320, seed=7)) as emulator:
        yield emulator


def read(
    emulator: Emulator, *searches: Mapping[str, object], key: str | None = None
) -> list[Pools]:
    """Let toloka-kit search, and give the pools that each search found."""
    if not Path(PYTHON).exists():
        pytest.fail(f"There is no {PYTHON}: `make test` builds this environment")
    done = subprocess.run(
        [
            PYTHON,
            REPOSITORY / "tests" / "toloka_kit" / "read_pools.py",
            emulator.url,
            key or emulator.key,
            json.dumps(searches),
        ],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: list[Pools] = json.loads(done.stdout)
    return found


def held(emulator: Emulator) -> Pools:
    """Give what the emulator holds, in the form that `read_pools.py` prints."""
    return [
        {
            "id": row["id"],
            "project_id": row["project_id"],
            "private_name": row["private_name"],
            "status": row["status"],
            "type": row["type"],
            "created": moment(row["created"]).isoformat(),
            # toloka-kit makes a float of it; a training has none
            "reward_per_assignment": (
                float(row["reward_per_assignment"]) if "reward_per_assignment" in row else None
            ),
        }
        for row in emulator.pools.rows()
    ]


def moment(printed: str) -> datetime:
    """Read a date as Toloka prints it; Python 3.10 does not know a fraction cut short."""
    seconds, _, fraction = printed.partition(".")
    read = datetime.fromisoformat(seconds).replace(tzinfo=timezone.utc)
    return read.replace(microsecond=int(fraction.ljust(6, "0")))


def test_reads_every_pool_whole_at_any_batch_size(emulator: Emulator) -> None:
    pools = held(emulator)
    assert {pool["type"] for pool in pools} == {"REGULAR", "TRAINING"}
    found = read(emulator, *({"method": "get_pools", "batch_size": size} for size in BATCH_SIZES))
    assert found == [pools] * len(BATCH_SIZES)


def test_reads_with_an_oauth_token(emulator: Emulator) -> None:
    [found] = read(emulator, {"method": "get_pools"}, key=emulator.oauth_token)
    assert found == held(emulator)


def test_filters_as_the_emulator_does(emulator: Emulator) -> None:
    pools = held(emulator)
    middle = pools[160]
    boundary = {"id_gte": "999990", "id_lt": "1000100"}
    # Of a datetime toloka-kit makes six digits; the reference, and so the emulator, knows three.
    since = {"created_gt": middle["created"][: len("2026-01-02T03:04:05.678")]}
    found = read(
        emulator,
        {"method": "get_pools", "batch_size": 20, "status": "OPEN"},
        {"method": "get_pools", "batch_size": 3, "project_id": "9000", "status": "CLOSED"},
        {"method": "get_pools", "batch_size": 2, **boundary},
        {"method": "get_pools", "batch_size": 20, **since},
    )
    assert all(found)
    assert found == [
        [pool for pool in pools if pool["status"] == "OPEN"],
        [pool for pool in pools if (pool["project_id"], pool["status"]) == ("9000", "CLOSED")],
        [pool for pool in pools if 999_990 <= int(pool["id"]) < 1_000_100],
        [pool for pool in pools if pool["created"] > middle["created"]],
    ]


def test_sorts_as_the_emulator_does(emulator: Emulator) -> None:
    pools = held(emulator)
    newest, last = read(
        emulator,
        {"method": "find_pools", "sort": ["-created", "id"], "limit": 10},
        {"method": "find_pools", "sort": ["-id"], "limit": 10},
    )
    assert newest == sorted(pools, key=lambda pool: pool["created"], reverse=True)[:10]
    assert last == pools[:-11:-1]
