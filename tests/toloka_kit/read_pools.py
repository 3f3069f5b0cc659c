"""Read pools with toloka-kit, and print what it makes of them.

    read_pools.py URL KEY SEARCHES

SEARCHES is a JSON array of objects, each with `method` (`get_pools`, which pages by itself, or
`find_pools`, which reads one page) and arguments for it. Printed is a JSON array that holds for
each search an array of pools.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from toloka.client import (
    Pool,
    TolokaClient,
)


def search(client: TolokaClient, method: str, **arguments: object) -> list[Pool]:
    """Do one search."""
    found = getattr(client, method)(**arguments)
    return list(found if method == "get_pools" else found.items)


def as_json(pool: Pool) -> dict[str, Any]:
    """Give the fields that are compared."""
    return {
        "id": pool.id,
        "project_id": pool.project_id,
        "private_name": pool.private_name,
        "status": pool.status.value,
        "type": pool.type.value,
        "created": pool.created.isoformat(),
        "reward_per_assignment": pool.reward_per_assignment,
    }


def main() -> None:
    """Do all searches, and print what came."""
    url, key, searches = sys.argv[1:]
    client = TolokaClient(key, url=url, retries=0)
    found = [search(client, **arguments) for arguments in json.loads(searches)]
    json.dump([[as_json(pool) for pool in pools] for pools in found], sys.stdout)


if __name__ == "__main__":
    main()
