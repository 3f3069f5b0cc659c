"""toloka-kit's client, pool by pool, for as many pools as are wanted."""

from __future__ import annotations

import itertools
import sys

from toloka.client import TolokaClient

pools, url, key = sys.argv[1:]
client = TolokaClient(key, url=url)
for pool in itertools.islice(client.get_pools(batch_size=300), int(pools)):
    for assignment in client.get_assignments(pool_id=pool.id, batch_size=10_000):
        print(assignment.to_json())
