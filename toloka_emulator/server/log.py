"""What was asked of the emulator, and how hard."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web
    from multidict import CIMultiDictProxy, MultiMapping


@dataclass
class Request:
    """A request to the API; times are seconds of the monotonic clock."""

    method: str
    path: str  # without the query
    params: MultiMapping[str]  # decoded; `params.getall(name)` where one was given several times
    headers: CIMultiDictProxy[str]  # names in any case
    started: float
    ended: float | None = None  # when the answer was ready; None: not yet
    status: int | None = None  # None: not yet, or the connection was reset


class Log:
    """Every request to the API since the start or the last `clear`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self.clear()

    def clear(self) -> None:
        """Forget all requests, and the greatest number of them."""
        with self._lock:
            self._requests: list[Request] = []
            self.most_in_flight = self._in_flight

    def requests(self) -> list[Request]:
        """Give the requests so far, in the order in which they came."""
        with self._lock:
            return list(self._requests)

    @property
    def most_in_a_second(self) -> int:
        """The greatest number of requests that came within any one second."""
        times = [request.started for request in self.requests()]
        before = (bisect_right(times, started - 1) for started in times)
        return max((place - first for place, first in enumerate(before, start=1)), default=0)

    def start(self, asked: web.Request) -> Request:
        """Note a request that came in."""
        with self._lock:
            now = time.monotonic()
            request = Request(asked.method, asked.path, asked.query, asked.headers, started=now)
            self._requests.append(request)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        return request

    def end(self, request: Request) -> None:
        """Note that the answer to a request is ready."""
        with self._lock:
            request.ended = time.monotonic()
            self._in_flight -= 1
