"""Read lists with toloka-kit, and print what it makes of them.

    read_lists.py URL KEY SEARCHES

SEARCHES is a JSON array of objects, each with `method` (as `get_pools`, which pages by itself, or
`find_pools`, which reads one page, or `get_requester`, which reads one row) and arguments for it.
Printed is a JSON array that holds for each search an array of rows, each as toloka-kit would send
it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from toloka.client import TolokaClient
from toloka.client.primitives.base import BaseTolokaObject


def search(client: TolokaClient, method: str, **arguments: object) -> list[dict[str, Any]]:
    """Do one search."""
    found = getattr(client, method)(**arguments)
    if isinstance(found, BaseTolokaObject) and method.startswith("get_"):
        found = [found]
    return [row.unstructure() for row in (found if method.startswith("get_") else found.items)]


def main() -> None:
    """Do all searches, and print what came."""
    url, key, searches = sys.argv[1:]
    client = TolokaClient(key, url=url, retries=0)
    found = [search(client, **arguments) for arguments in json.loads(searches)]
    json.dump(found, sys.stdout, default=float)


if __name__ == "__main__":
    main()
