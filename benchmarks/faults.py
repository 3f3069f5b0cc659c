"""Shows what each peer does when something goes wrong."""

from __future__ import annotations

import argparse
import math
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import page
from benchmarks.emulator import EmulatorProcess
from benchmarks.peer import LOOP, PEERS, PIPELINE
from benchmarks.results import table
from benchmarks.rows import ids_in

if TYPE_CHECKING:
    from benchmarks.peer import Peer

POOLS = 1_000
"""Four pages of 300."""

LIMIT = 200
"""Seconds after which a run is taken to hang: longer than any peer waits for a minute's quota."""

ENDLESS = 200
"""Requests after which a run is taken to go on for ever; the greediest needs 20."""

WRONG_KEY = "AKeyThatNobodyHasAtAll0.ThatIsNotKnown.ToTheEmulator0123456789"


@dataclass(frozen=True, eq=False)
class Case:
    """Something that goes wrong.

    Attributes:
        title: What, in Markdown.
        fault: The fields of the emulator's fault, which hits the request for the second page.
        first_page: Whether the body is that of the first page.
        key: The key, if it is not the right one.
        after: Seconds after that request until all is well again.
        stopped: Whether the peer gets a SIGTERM instead then.
    """

    title: str
    fault: dict[str, Any] = field(default_factory=dict)
    first_page: bool = False
    key: str | None = None
    after: float = math.inf
    stopped: bool = False


CASES = [
    Case("408 once", {"status": 408}),
    Case("429 once, `Retry-After: 1`", {"status": 429, "headers": {"Retry-After": "1"}}),
    Case("429 for a minute, quota `MIN`", {"quota": "MIN", "times": None}, after=60),
    Case("502 once", {"status": 502}),
    Case("503 once", {"status": 503}),
    Case("connection reset once", {"reset": True}),
    Case("body cut short once", {"cut": True}),
    Case("200 with `{}` once", {"body": {}}),
    Case("200 with HTML once", {"body": "<html><body>Back soon</body></html>"}),
    Case("`has_more` and no rows, once", {"without_items": True}),
    Case("no `has_more`, once", {"without_has_more": True}),
    Case("the first page again, once", first_page=True),
    Case("the first page again, for ever", {"times": None}, first_page=True),
    Case("wrong key", key=WRONG_KEY),
    Case("SIGTERM", {"delay": 10}, after=0.5, stopped=True),
]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        text: In a few words of Markdown; what must not happen is bold.
        leaked: Whether the key is in what it printed.
    """

    text: str
    leaked: bool


def main() -> None:
    """Run each peer in each case, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    # The loop is no product, and what the pipeline reads from is tried without it.
    names = [name for name in PEERS if name not in {LOOP, PIPELINE}]
    parser.add_argument(
        "--peers",
        nargs="+",
        default=names,
        choices=names,
        metavar="PEER",
        help=f"who is tried, of {', '.join(names)}",
    )
    parser.add_argument("--write", action="store_true", help="put the result into the docs")
    arguments = parser.parse_args()
    peers = [PEERS[name] for name in arguments.peers]
    for peer in peers:
        peer.install()
    with EmulatorProcess.with_pools(POOLS) as emulator:
        outcomes = {case: [_try(peer, case, emulator) for peer in peers] for case in CASES}
    leaking = {
        peer.title
        for of_case in outcomes.values()
        for peer, outcome in zip(peers, of_case, strict=True)
        if outcome.leaked
    }
    leaks = f"The key was found in what these printed: {', '.join(sorted(leaking)) or 'none'}."
    command = shlex.join(["python", "-m", "benchmarks.faults", *sys.argv[1:]])
    report = "\n\n".join([_table(peers, outcomes), leaks, page.circumstances(command, peers)])
    print(report)
    if arguments.write:
        page.write("faults", report)


def _table(peers: list[Peer], outcomes: dict[Case, list[Outcome]]) -> str:
    head = ["", *(peer.title for peer in peers)]
    rows = (
        [case.title, *(outcome.text for outcome in of_case)] for case, of_case in outcomes.items()
    )
    return table(head, rows, numbers=False)


def _try(peer: Peer, case: Case, emulator: EmulatorProcess) -> Outcome:
    if case.stopped and peer.library:
        return Outcome(text="", leaked=False)  # what a signal does is up to its user
    fault = {"params": {"id_gt": "*"}, **case.fault}
    if case.first_page:
        fault["body"] = emulator.page("pools", limit=300)
    emulator.forget_faults()
    emulator.forget_requests()
    emulator.add_fault(**fault)
    key = case.key or emulator.key
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        with out.open("wb") as stdout, err.open("wb") as stderr:
            command = [*peer.command, emulator.url, key]
            process = subprocess.Popen(command, stdout=stdout, stderr=stderr)
            killed = _watch(process, emulator, case)
        printed, log = out.read_bytes(), err.read_bytes()
        ids = list(ids_in(out))
    if killed:
        text = f"**{killed}**"
    elif case.stopped:
        text = _how_stopped(process.returncode, printed)
    elif process.returncode:
        text = "fails"
    else:
        text = _how_ended(ids, emulator.ids)
    print(
        f"{peer.title}, {case.title}: {text}; status {process.returncode}, {len(ids)} rows, "
        f"{emulator.stats()['requests']} requests; {_last_words(printed, log)}",
        file=sys.stderr,
    )
    return Outcome(text, leaked=key.encode() in printed + log)


def _watch(process: subprocess.Popen[bytes], emulator: EmulatorProcess, case: Case) -> str:
    """Wait for a process to end; if it has to be killed, tell what it did instead."""
    began = time.monotonic()
    hit, due = False, math.inf
    while process.poll() is None:
        time.sleep(0.1)
        now = time.monotonic()
        requests = emulator.stats()["requests"]
        if requests > ENDLESS or now > began + LIMIT:
            process.kill()
            process.wait()
            return "never ends" if requests > ENDLESS else "hangs"
        if not hit and requests > 1:
            hit, due = True, now + case.after
        if now > due:
            due = math.inf
            if case.stopped:
                process.terminate()
            else:
                emulator.forget_faults()
    return ""


def _how_ended(ids: list[str], expected: set[str]) -> str:
    """Tell what came of a run that ended with status 0."""
    if missing := len(expected.difference(ids)):
        return f"**{missing:,} rows missing**"
    if twice := len(ids) - len(expected):
        return f"**{twice:,} rows twice**"
    return "all rows"


def _how_stopped(status: int, printed: bytes) -> str:
    """Tell how a signal ended a run; to be killed by it is 143 for a shell."""
    status = 128 - status if status < 0 else status
    text = f"ends with {status}" if status == 128 + signal.SIGTERM else f"**ends with {status}**"
    return text if printed.endswith(b"\n") or not printed else f"{text}, **line cut**"


def _last_words(printed: bytes, log: bytes) -> str:
    """Return the last line of the log, or of what was printed if that is where it logs to."""
    lines = (log or printed).strip().splitlines()
    return lines[-1].decode(errors="replace")[-300:] if lines else ""


if __name__ == "__main__":
    main()
