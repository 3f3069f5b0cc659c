"""Shows how far `meltano run` is, by its log: with a bar on a terminal, in lines elsewhere."""

from __future__ import annotations

import contextlib
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_OF_TAP = re.compile(r"\] tap-toloka +(.+)")
_STREAMS = re.compile(r"Reading (\d+) streams?: ")
_BEGINS = re.compile(r"Beginning sync of '(\w+)'")
_HOW_FAR = re.compile(r"(\w+): ((?:.+, )?[\d,]+ rows?, .+)")
_END = re.compile(r"(?:Stopped by \w+: )?\d+ of \d+ streams? read, ")


@dataclass
class HowFar:
    """What the log of a run has told so far.

    Attributes:
        streams: How many streams are read; 0 if that is not known yet.
        begun: How many have been begun.
        done: How many are done, failed ones included.
        doing: What is being done.
    """

    streams: int = 0
    begun: int = 0
    done: int = 0
    doing: str = "starting Meltano"

    def hear(self, line: str) -> bool:
        """Take in a line of the log, and tell whether it is worth a line of its own."""
        text = found[1].rstrip() if (found := _OF_TAP.search(line)) else ""
        if found := _STREAMS.match(text):
            self.streams = int(found[1])
        elif found := _BEGINS.match(text):
            self.done, self.begun, self.doing = self.begun, self.begun + 1, found[1]
        elif _HOW_FAR.fullmatch(text):
            self.doing = text
            return True
        elif _END.match(text):
            self.done, self.doing = self.begun, "loading the last rows"
        return False


@contextlib.contextmanager
def shown(log: Path, say: Callable[[str, str], None]) -> Iterator[Callable[[], None]]:
    """Show how far a run is, by what is added to its log from now on.

    Args:
        log: The log of Meltano.
        say: Prints a line of progress, of what and how far, where there is no terminal.

    Yields:
        What is to be called now and then.
    """
    how_far = HowFar()
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(log.open())
        file.seek(0, 2)
        show = stack.enter_context(_bar()) if sys.stdout.isatty() else None
        rest = ""

        def update() -> None:
            nonlocal rest
            *lines, rest = (rest + file.read()).split("\n")
            for line in lines:
                if how_far.hear(line) and show is None:
                    say("Reading", f"stream {how_far.begun} of {how_far.streams}, {how_far.doing}")
            if show is not None:
                show(how_far)

        yield update


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[HowFar], None]]:
    """Show a bar, which is gone at the end."""
    columns = (
        TextColumn(f"{'Reading':<12}"[:-1]),
        BarColumn(20),
        MofNCompleteColumn(),
        TextColumn("streams, {task.description}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task(HowFar.doing, total=None)
        yield lambda seen: bar.update(
            task, total=seen.streams or None, completed=seen.done, description=seen.doing
        )
