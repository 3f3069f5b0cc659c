"""toloka-kit's client, page by page."""

from __future__ import annotations

import sys

from toloka.client import TolokaClient

url, key = sys.argv[1:]
client = TolokaClient(key, url=url)
for pool in client.get_pools(batch_size=300):
    print(pool.to_json())
