"""What runs took, and tables of it."""

from __future__ import annotations

import signal
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.peer import Peer

MEGABYTE = 10**6  # bytes
COLUMNS = (
    "wall, s",
    "min to max",
    "÷ loop",
    "pools a s",
    "CPU, s",
    "peak, MB",
    "requests",
    "at once",
    "pools read",
    "runs",
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a peer, as a whole process, from its start to its end.

    Attributes:
        seconds: Wall time.
        cpu_seconds: Time on a core, user and system, with all child processes.
        peak_bytes: Most memory that was resident, in the largest process if there are several.
        status: The exit status; less than 0: ended by that signal.
        requests: How many requests it made.
        most_in_flight: The most requests that waited for their answer at once.
        rows: How many rows it printed.
        different: How many of these were different pools that there are.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    status: int
    requests: int
    most_in_flight: int
    rows: int
    different: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """All runs of a peer that are alike.

    Attributes:
        peer: Whose runs they are.
        latency: Milliseconds that each answer took.
        pools: How many pools there were.
        runs: The runs, one at least.
    """

    peer: Peer
    latency: int
    pools: int
    runs: list[Run]

    def median(self, value: Callable[[Run], float]) -> float:
        """Return the median of something over all runs."""
        return statistics.median(map(value, self.runs))

    @property
    def seconds(self) -> float:
        """The median of the wall time."""
        return self.median(lambda run: run.seconds)

    @property
    def wrong(self) -> str:
        """What the first run that was not as it should be did; empty if all were."""
        for run in self.runs:
            if run.status == -signal.SIGKILL:
                return f"not done in {run.seconds:.0f} s: {run.different:,} pools"
            if run.status:
                return f"ended with {run.status} after {run.different:,} pools"
            if run.different < self.pools:
                return f"only {run.different:,} pools"
            if run.rows > self.pools:
                return f"{run.rows - self.pools:,} twice"
        return ""


def tables(results: Iterable[Result], loop: Peer) -> Iterator[str]:
    """Yield a table in Markdown for each latency, in which all are put beside the loop."""
    by_latency: dict[int, list[Result]] = {}
    for result in results:
        by_latency.setdefault(result.latency, []).append(result)
    for latency, group in by_latency.items():
        of_loop = next((r.seconds for r in group if r.peer == loop and not r.wrong), None)
        yield "\n".join(
            [
                _line([f"{latency} ms a request", *COLUMNS]),
                _line(["---", *["--:"] * len(COLUMNS)]),
                *(_line(_row(result, of_loop)) for result in group),
            ]
        )


def _row(result: Result, of_loop: float | None) -> list[str]:
    seconds = [run.seconds for run in result.runs]
    return [
        result.peer.title,
        f"{result.seconds:.2f}",
        f"{min(seconds):.2f} to {max(seconds):.2f}",
        f"{result.seconds / of_loop:.2f}" if of_loop else "",
        f"{result.pools / result.seconds:,.0f}",
        f"{result.median(lambda run: run.cpu_seconds):.2f}",
        f"{result.median(lambda run: run.peak_bytes) / MEGABYTE:.0f}",
        f"{result.median(lambda run: run.requests):,.0f}",
        f"{result.median(lambda run: run.most_in_flight):.0f}",
        f"**{result.wrong}**" if result.wrong else "all, once",
        str(len(result.runs)),
    ]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
