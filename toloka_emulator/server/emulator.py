"""The emulator: a server in a thread of its own, with what a test needs at hand."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from aiohttp import web

from toloka_emulator.server.api import Api
from toloka_emulator.server.control import control_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping

    from typing_extensions import Self

    from toloka_emulator.server.log import Request
    from toloka_emulator.server.table import NewRow

_GRACE = 0.05  # seconds that answers under way have when the emulator stops
_LARGEST_BODY = 2**30  # bytes, of rows added over HTTP


class Emulator(Api):
    """Toloka, on 127.0.0.1, for as long as a `with` block runs.

    Args:
        pools: The pools there are from the start.
        rows: Rows of all lists that there are from the start, by the names of `RESOURCES`.
        port: Where to listen; 0: on any free port.
        settings: What `Api` takes.

    Attributes:
        pools: The pools, to be read, added and changed.
    """

    def __init__(
        self,
        pools: Iterable[NewRow] = (),
        *,
        rows: Mapping[str, Iterable[NewRow]] | None = None,
        port: int = 0,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.pools = self.tables["pools"]
        self.pools.add(pools)
        for name, new in (rows or {}).items():
            self.tables[name].add(new)
        self._port = port

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *exc: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """The address, as `http://127.0.0.1:PORT`."""
        return "http://{}:{}".format(*self._runner.addresses[0])

    @property
    def requests(self) -> list[Request]:
        """The requests to the API so far, in the order in which they came."""
        return self.log.requests()

    @property
    def most_in_flight(self) -> int:
        """The greatest number of requests that waited for an answer at once."""
        return self.log.most_in_flight

    def clear_requests(self) -> None:
        """Forget the requests so far, and count anew."""
        self.log.clear()

    def remove_pool(self, pool_id: str) -> None:
        """Take a pool away: it is listed no more, and what is asked of it is answered 404."""
        self.pools.remove(pool_id)
        self.removed_pools.add(pool_id)

    async def _start(self) -> None:
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/api/{path:.*}", self.handle)
        app.add_subapp("/_emulator", control_of(self))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def _stop(self) -> None:
        await self._runner.cleanup()
        # Answers that are still due, after a delay or the like, will not be given.
        due = asyncio.all_tasks() - {asyncio.current_task()}
        for task in due:
            task.cancel()
        await asyncio.gather(*due, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()
