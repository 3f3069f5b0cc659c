"""Reading with several connections at once: threads, their pace, and how a list is shared out.

Nothing here knows of Toloka's rows. A list is read in parts, each by an id cursor of its own; what
is left of a part is split when threads would idle otherwise.
"""

from __future__ import annotations

import queue
import threading
import time
import typing as t

from tap_toloka.ids import scale_of

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from tap_toloka.pagination import IdCursor

_Result = t.TypeVar("_Result")

PAGES_WORTH_A_PART = 2
"""A part is split off if about so many pages are in it; its last page is half empty on average."""

PAGES_FORESEEN = 16
"""How far ahead a page is trusted to tell how dense ids are, for one part."""

PARTS_PER_PAGE = 0.15
"""Parts that may be split off for each page read, beside one per thread at first.

Each part costs at most one request that brings less than a page, so this bounds the waste where
ids lie in clusters, and guesses go wrong.
"""


class StoppedError(Exception):
    """Nobody wants the answer of this request any more."""


class Pace:
    """Keeps the requests of all threads together below a rate, lets all of them pause, or stop.

    Args:
        per_second: Most requests in any second.
    """

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._lock = threading.Lock()
        self._next = 0.0
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()

    def wait(self) -> None:
        """Wait until the next request may go out.

        Raises:
            StoppedError: If none may any more.
        """
        while True:
            with self._lock:
                left = self._next - time.monotonic()
                if left <= 0:
                    self._next = time.monotonic() + self._interval
            if self._stopped.wait(max(left, 0)):
                raise StoppedError
            if left <= 0:
                return

    def pause(self, seconds: float) -> None:
        """Let no request of any thread go out for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class Threads(t.Generic[_Result]):
    """Threads that carry out tasks; the results come out in the order in which they are ready.

    At most `most` tasks are under way. That bounds memory: what waits to be taken is theirs.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.busy = 0
        self._count = 0
        self._tasks: queue.SimpleQueue[Callable[[], _Result] | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[_Result | None, BaseException | None]]
        self._results = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for _ in range(self._count):
            self._tasks.put(None)

    @property
    def idle(self) -> int:
        """How many tasks more can be under way."""
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
        """Wait for the next result; what went wrong with its task is raised."""
        result, error = self._results.get()
        self.busy -= 1
        if error is not None:
            raise error
        return t.cast("_Result", result)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                self._results.put((task(), None))
            except BaseException as error:  # noqa: BLE001  # raised where the result is taken
                self._results.put((None, error))


class Shares:
    """Shares out a list among threads, by what its pages tell of where its ids lie.

    Ids are those of all requesters of Toloka, so one's own come in clusters with gaps between.

    Args:
        threads: How many there are to share among.
    """

    def __init__(self, threads: int) -> None:
        self._spare = float(threads)
        self.greatest: str | None = None
        """The greatest id of the list, once it is known; until then nothing is split."""
        self._asked = False

    def needs_greatest(self, cursor: IdCursor, first: str, idle: int) -> bool:
        """Tell whether the greatest id should be asked for now, once.

        Args:
            cursor: Where the list is read.
            first: The first id of the last page.
            idle: Threads that have nothing to do, the one that read the page among them.
        """
        if self._asked or idle <= 1 or scale_of(first, cursor.order) is None:
            return False
        self._asked = True
        return True

    def rest_of(self, cursor: IdCursor, first: str, idle: int) -> list[IdCursor]:
        """Return cursors for what is left of a part after a page: more than one if worth it.

        Args:
            cursor: Where the part is read, now at the last id of the page.
            first: The first id of the page.
            idle: Threads that have nothing to do, the one that read the page among them.
        """
        self._spare += PARTS_PER_PAGE
        last_id, end_id = cursor.current_value, cursor.end or self.greatest
        scale = scale_of(first, cursor.order)
        if scale is None or last_id is None or end_id is None:
            return [cursor]
        try:
            last, end = scale.place(last_id), scale.place(end_id)
        except ValueError:
            return [cursor]  # ids of two kinds; nothing says which lie between
        page = last - scale.place(first) + 1  # as wide as the rows of one page lie here
        count = min(idle, (end - last) // (PAGES_WORTH_A_PART * page), 1 + int(self._spare))
        if count <= 1:
            return [cursor]
        self._spare -= count - 1
        starts = _evenly(last, end, count)
        if starts[1] - last > PAGES_FORESEEN * page:
            # One half of the threads expects more of the same, the other half anything.
            near = count // 2
            far = last + PAGES_FORESEEN * page * near
            starts = _evenly(last, far, near) + _evenly(far, end, count - near)
        bounds = [scale.at(start) for start in starts[1:]]
        ends = [*bounds[1:], cursor.end]
        cursor.end = bounds[0]
        return [cursor, *map(cursor.part, bounds, ends)]


def _evenly(start: int, end: int, parts: int) -> list[int]:
    """Return where each part begins if a range is cut into equal ones."""
    return [start + (end - start) * number // parts for number in range(parts)]
