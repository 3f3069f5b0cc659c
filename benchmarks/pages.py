"""Measures what a page costs to read: one that fits, and ones with something that does not.

    python -m benchmarks.pages [--before FOLDER]

All kinds are read in turn, round after round, in one process each; FOLDER holds the package of
another state (`git worktree add FOLDER REVISION`), which reads the page that fits as well.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.peer import ROOT
from benchmarks.results import table

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS, PAGES = 300, 60
KINDS: dict[str, Callable[[list[dict[str, Any]]], object]] = {
    "all rows fit": lambda rows: rows,
    "a value of one row does not fit": lambda rows: rows[150].update(status={"a": 1}),
    "a value of one row is converted": lambda rows: rows[150].update(status=5),
    "a value of every row does not fit": lambda rows: [row.update(status=[]) for row in rows],
    "an unknown field in every row": lambda rows: [row.update(new={"a": 1}) for row in rows],
}
_READ = """
import logging, sys, time
sys.path.insert(0, {folder!r})
import msgspec
from tap_toloka.streams import STREAMS
(stream,) = (one for one in STREAMS if one.name == {stream!r})
logging.disable(logging.CRITICAL)
def compute(rows):
    for row in rows:
        row.updated = row.created
options = {{}} if {is_before} else {{"on_misfit": "keep"}}
added = compute if stream.added_fields else None
reader = stream.reader(stream.known_properties(), logging.getLogger(), added, **options)
body = sys.stdin.buffer.read()
times = []
for _ in range({pages}):
    began = time.process_time()
    reader.read(body)
    times.append(time.process_time() - began)
print(min(times[5:]))
"""


def _milliseconds(folder: str, stream: str, kind: str, *, is_before: bool) -> float:
    import msgspec  # noqa: PLC0415

    from toloka_emulator import make_rows  # noqa: PLC0415

    rows = [dict(row) for row in make_rows(stream, ROWS, seed=3)]
    KINDS[kind](rows)
    encode = msgspec.json.Encoder(decimal_format="number").encode
    code = _READ.format(folder=folder, stream=stream, pages=PAGES, is_before=is_before)
    body = encode({"items": rows, "has_more": False})
    done = subprocess.run([sys.executable, "-c", code], input=body, capture_output=True, check=True)
    return float(done.stdout) * 1000


def main() -> None:
    """Read all kinds of pages in turn, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--before", metavar="FOLDER", help="where another state is")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    cases = [(str(ROOT), kind, False) for kind in KINDS]
    if arguments.before:
        cases.insert(0, (arguments.before, "all rows fit", True))
    for stream in ("pools", "assignments"):
        times: dict[int, list[float]] = {number: [] for number in range(len(cases))}
        for _ in range(arguments.rounds):
            for number, (folder, kind, before) in enumerate(cases):
                times[number].append(_milliseconds(folder, stream, kind, is_before=before))
        first = statistics.median(times[0])
        head = [f"{ROWS} {stream}", "CPU, ms a page", "min to max", "ratio"]
        lines = (
            [
                f"{kind}{', before' if before else ''}",
                f"{statistics.median(found):.2f}",
                f"{min(found):.2f} to {max(found):.2f}",
                f"{statistics.median(found) / first:.2f}",
            ]
            for (_, kind, before), found in zip(cases, times.values(), strict=True)
        )
        print(table(head, lines), end="\n\n")


if __name__ == "__main__":
    main()
