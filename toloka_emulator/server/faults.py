"""Faults on demand: what a test or a benchmark wants to go wrong, and when."""

from __future__ import annotations

import itertools
import math
import threading
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import UNSET

if TYPE_CHECKING:
    from collections.abc import Mapping


class Fault(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What goes wrong, with which requests. As JSON it has the same fields.

    Without a `body`, the answer is Toloka's error for the `status`. A body goes out as it is if it
    is text or bytes, else as JSON; without a `status`, with 200. Paths and values of parameters may
    hold the wildcards of `fnmatch`.
    """

    times: int | None = 1  # how many requests it hits; None: every one
    after: int = 0  # how many matching requests pass unharmed before
    path: str = "*"  # hits requests to this path only
    params: dict[str, str] = {}  # hits requests with these parameters only
    delay: float = 0  # seconds that the answer takes longer
    status: int | None = None  # the HTTP status
    headers: dict[str, str] = {}  # beside the usual ones or in place of them
    body: object = UNSET
    quota: Literal["MIN", "HOUR", "DAY"] | None = None  # 429, this being its `payload.interval`
    reset: bool = False  # resets the connection before anything is answered
    cut: bool = False  # closes the connection after half of the body
    has_more: object = UNSET  # takes the place of `has_more` of a list, whatever JSON it is
    without_has_more: bool = False  # leaves `has_more` out of a list
    without_items: bool = False  # empties the list, and leaves `has_more` as it is

    def matches(self, path: str, params: Mapping[str, str]) -> bool:
        """Tell whether a request is of those that it hits."""
        return fnmatchcase(path, self.path) and all(
            name in params and fnmatchcase(params[name], value)
            for name, value in self.params.items()
        )

    def hits(self, number: int) -> bool:
        """Tell whether it hits the matching request of this number, from 0."""
        times = math.inf if self.times is None else self.times
        return 0 <= number - self.after < times


class Faults:
    """The faults that wait for requests. A request is hit by the first that applies to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[Fault, itertools.count[int]]] = []

    def add(self, fault: Fault) -> None:
        """Let a fault wait, behind those that do already."""
        with self._lock:
            self._waiting.append((fault, itertools.count()))

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._waiting.clear()

    def take(self, path: str, params: Mapping[str, str]) -> Fault:
        """Give the fault that hits this request; one without any effect if none does."""
        with self._lock:
            for fault, numbers in self._waiting:
                if fault.matches(path, params) and fault.hits(next(numbers)):
                    return fault
        return Fault()
