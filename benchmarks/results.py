"""What runs took, and tables of it."""

from __future__ import annotations

import signal
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from benchmarks.peer import Peer

MEGABYTE = 10**6  # bytes
COLUMNS = (
    "wall, s",
    "min to max",
    "÷ loop",
    "{} a s",
    "CPU, s",
    "peak, MB",
    "requests",
    "at once",
    "{} read",
    "runs",
)
"""With room for what the rows are called."""


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
        different: How many of these were different rows that there are.
        last_line: What it printed last; a tap prints its state.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    status: int
    requests: int
    most_in_flight: int
    rows: int
    different: int
    last_line: str


@dataclass(frozen=True)
class Result:
    """All runs of a peer that are alike.

    Attributes:
        peer: Whose runs they are.
        latency: Milliseconds that each answer took.
        expected: How many rows there were to be read.
        kind: What they are called.
        runs: The runs, one at least once they are done.
    """

    peer: Peer
    latency: int
    expected: int
    kind: str = "pools"
    runs: list[Run] = field(default_factory=list)

    def median(self, value: Callable[[Run], float]) -> float:
        """Return the median of something over all runs."""
        return statistics.median(map(value, self.runs))

    @property
    def seconds(self) -> float:
        """The median of the wall time."""
        return self.median(lambda run: run.seconds)

    @property
    def spread(self) -> str:
        """The shortest and the longest wall time."""
        seconds = [run.seconds for run in self.runs]
        return f"{min(seconds):.2f} to {max(seconds):.2f}"

    @property
    def a_row(self) -> float:
        """The median of the wall time, by row."""
        return self.seconds / self.expected

    @property
    def wrong(self) -> str:
        """What the first run that was not as it should be did; empty if all were."""
        for run in self.runs:
            if run.status == -signal.SIGKILL:
                return f"not done in {run.seconds:.0f} s: {run.different:,} {self.kind}"
            if run.status:
                return f"ended with {run.status} after {run.different:,} {self.kind}"
            if run.different < self.expected:
                return f"only {run.different:,} {self.kind}"
            if run.rows > self.expected:
                return f"{run.rows - self.expected:,} twice"
        return ""


def tables(results: Iterable[Result], loop: Peer) -> Iterator[str]:
    """Yield a table in Markdown for each latency, in which all are put beside the loop."""
    by_latency: dict[int, list[Result]] = {}
    for result in results:
        by_latency.setdefault(result.latency, []).append(result)
    for latency, group in by_latency.items():
        of_loop = next((r.a_row for r in group if r.peer == loop and not r.wrong), None)
        columns = [column.format(group[0].kind) for column in COLUMNS]
        yield table(
            [f"{latency} ms a request", *columns], (_row(result, of_loop) for result in group)
        )


def table(head: Sequence[str], rows: Iterable[Iterable[str]], *, numbers: bool = True) -> str:
    """Make a table in Markdown, of a name and numbers, or other texts, in each row."""
    lines = [head, ["---", *["--:" if numbers else "---"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _row(result: Result, of_loop: float | None) -> list[str]:
    return [
        result.peer.title,
        f"{result.seconds:.2f}",
        result.spread,
        f"{result.a_row / of_loop:.2f}" if of_loop else "",
        f"{1 / result.a_row:,.0f}",
        f"{result.median(lambda run: run.cpu_seconds):.2f}",
        f"{result.median(lambda run: run.peak_bytes) / MEGABYTE:.0f}",
        f"{result.median(lambda run: run.requests):,.0f}",
        f"{result.median(lambda run: run.most_in_flight):.0f}",
        f"**{result.wrong}**" if result.wrong else "all, once",
        str(len(result.runs)),
    ]
