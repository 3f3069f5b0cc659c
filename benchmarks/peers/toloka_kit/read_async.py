"""toloka-kit's asynchronous client, which it recommends in place of its AsyncMultithreadWrapper."""

from __future__ import annotations

import asyncio
import sys

from toloka.async_client import AsyncTolokaClient

url, key = sys.argv[1:]


async def main() -> None:
    """Print all pools."""
    client = AsyncTolokaClient(key, url=url)
    async for pool in client.get_pools(batch_size=300):
        print(pool.to_json())


asyncio.run(main())
