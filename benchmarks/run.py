"""One run of a peer, as a process that is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import measure
from benchmarks.results import Run
from benchmarks.rows import ids_in

if TYPE_CHECKING:
    from benchmarks.emulator import EmulatorProcess
    from benchmarks.peer import Peer

_LONGEST_LINE = 2**16  # bytes, of a last line


def run_peer(peer: Peer, emulator: EmulatorProcess, limit: float) -> Run:
    """Run a peer once, for `limit` seconds at most, and look for the ids of the emulator."""
    emulator.forget_requests()
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        command = [sys.executable, "-I", "-S", measure.__file__, str(limit), str(out), str(err)]
        command += [*peer.command, emulator.url, emulator.key]
        took = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        stats = emulator.stats()
        ids = list(ids_in(out))
        if took["status"]:
            print(err.read_text()[-2000:], file=sys.stderr)
        last_line = _last_line_of(out)
    return Run(
        **took,
        requests=stats["requests"],
        most_in_flight=stats["most_in_flight"],
        rows=len(ids),
        different=len(emulator.ids.intersection(ids)),
        last_line=last_line,
    )


def _last_line_of(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _LONGEST_LINE, 0), os.SEEK_SET)
        return file.read().decode(errors="replace").strip().rpartition("\n")[2]
