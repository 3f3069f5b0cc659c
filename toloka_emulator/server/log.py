"""What was asked of the emulator, and how hard."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web
    from multidict import CIMultiDictProxy, MultiMapping


@dataclass
class Request:
    """A request to the API.

    Attributes:
        method: `GET` and the like.
        path: The path, without the query.
        params: The query, decoded; `params.getall(name)` where one was given several times.
        headers: The headers; names in any case.
        started: When it came, in seconds of the monotonic clock.
        ended: When its answer was ready, likewise; None: not yet.
        status: The HTTP status answered; None: not yet, or the connection was reset.
    """

    method: str
    path: str
    params: MultiMapping[str]
    headers: CIMultiDictProxy[str]
    started: float
    ended: float | None = None
    status: int | None = None


class SlidingSecond:
    """Counts what happened in the second up to now."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def count(self, now: float) -> int:
        """Tell how many there were in the second before `now`."""
        while self._times and self._times[0] <= now - 1:
            self._times.popleft()
        return len(self._times)

    def add(self, now: float) -> None:
        """Count one more, at `now`."""
        self._times.append(now)


class Log:
    """Every request to the API since the start or the last `clear`.

    Attributes:
        most_in_flight: The greatest number of requests that waited for an answer at once.
        most_in_a_second: The greatest number that came within any one second.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self.clear()

    def clear(self) -> None:
        """Forget all requests, and the greatest numbers of them."""
        with self._lock:
            self._requests: list[Request] = []
            self._second = SlidingSecond()
            self.most_in_flight = self._in_flight
            self.most_in_a_second = 0

    def requests(self) -> list[Request]:
        """Give the requests so far, in the order in which they came."""
        with self._lock:
            return list(self._requests)

    def start(self, asked: web.Request) -> Request:
        """Note a request that came in."""
        now = time.monotonic()
        request = Request(asked.method, asked.path, asked.query, asked.headers, started=now)
        with self._lock:
            self._requests.append(request)
            self._in_flight += 1
            self._second.add(now)
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
            self.most_in_a_second = max(self.most_in_a_second, self._second.count(now))
        return request

    def end(self, request: Request) -> None:
        """Note that the answer to a request is ready."""
        with self._lock:
            request.ended = time.monotonic()
            self._in_flight -= 1
