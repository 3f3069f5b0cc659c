"""A loop over the pools, and over the assignments of each, on one connection."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import orjson
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator


def pages(session: requests.Session, url: str, limit: int, **wanted: str) -> Iterator[list[Any]]:
    """Yield the rows of a list, page by page."""
    params = {"sort": "id", "limit": str(limit), **wanted}
    has_more = True
    while has_more:
        response = session.get(url, params=params, timeout=60)
        response.raise_for_status()
        page = orjson.loads(response.content)
        yield page["items"]
        if has_more := page["has_more"]:
            params["id_gt"] = page["items"][-1]["id"]


parser = argparse.ArgumentParser()
parser.add_argument("--limit", type=int, default=10_000)
parser.add_argument("url")
parser.add_argument("key")
arguments = parser.parse_args()
write = sys.stdout.buffer.write
with requests.Session() as session:
    session.headers["Authorization"] = f"ApiKey {arguments.key}"
    address = f"{arguments.url}/api/v1"
    pools = [pool["id"] for page in pages(session, f"{address}/pools", 300) for pool in page]
    for pool_id in pools:
        for rows in pages(session, f"{address}/assignments", arguments.limit, pool_id=pool_id):
            for row in rows:
                write(orjson.dumps({"type": "RECORD", "stream": "assignments", "record": row}))
                write(b"\n")
