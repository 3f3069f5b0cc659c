"""Threads and their pace. Nothing here knows of Toloka."""

from __future__ import annotations

import queue
import threading
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

_Result = t.TypeVar("_Result")


class StoppedError(Exception):
    """The run no longer wants what this thread was about to request."""


class Pace:
    """Keeps the requests of all threads together below a rate, and can make all of them pause.

    Args:
        per_second: Most requests in any second.
    """

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, stopped: threading.Event) -> None:
        """Wait until the next request may go out.

        Raises:
            StoppedError: As soon as `stopped` is set.
        """
        while True:
            with self._lock:
                left = self._next - time.monotonic()
                if left <= 0:
                    self._next = time.monotonic() + self._interval
            if stopped.wait(max(left, 0)):
                raise StoppedError
            if left <= 0:
                return

    def pause(self, seconds: float) -> None:
        """Let no request of any thread go out for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class Threads(t.Generic[_Result]):
    """Threads that carry out tasks; results come out in the order in which they are ready.

    At most `most` tasks are under way. That bounds memory: results not yet taken count as well.

    Attributes:
        busy: Tasks that are under way, or whose result was not taken yet.
        stopped: Set when the `with` block ends; tasks should then give up.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.busy = 0
        self.stopped = threading.Event()
        self._count = 0
        self._tasks: queue.SimpleQueue[Callable[[], _Result] | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[_Result | None, BaseException | None]]
        self._results = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stopped.set()
        for _ in range(self._count):
            self._tasks.put(None)

    @property
    def idle(self) -> int:
        """How many more tasks can be under way."""
        return self.most - self.busy

    def start(self, task: Callable[[], _Result]) -> None:
        """Have a task carried out; a thread is started if all are busy."""
        if self._count == self.busy:
            # Daemons: a run that is stopped does not wait for answers that nobody wants.
            threading.Thread(target=self._work, name="toloka", daemon=True).start()
            self._count += 1
        self.busy += 1
        self._tasks.put(task)

    def result(self) -> _Result:
        """Wait for the next result; if its task failed, its error is raised."""
        result, error = self._results.get()
        self.busy -= 1
        if error is not None:
            raise error
        return t.cast("_Result", result)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                self._results.put((task(), None))
            except BaseException as error:  # noqa: BLE001  # raised by `result`
                self._results.put((None, error))
