"""The emulator full of assignments, as a process; ends on SIGTERM.

python -m benchmarks.serve POOLS ASSIGNMENTS UNTIL LATENCY
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
from datetime import datetime

from benchmarks.work import Work
from toloka_emulator import Emulator

REQUESTS_PER_SECOND = 300
"""As many as Toloka allows."""


def main() -> None:
    """Serve until a signal comes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    pools, assignments, until, latency = sys.argv[1:]
    work = Work(int(pools), int(assignments), datetime.fromisoformat(until))
    gc.disable()  # it would look at all rows again and again, and find nothing
    emulator = Emulator(
        work.pool_rows(),
        rows={"assignments": work.rows()},
        latency=float(latency),
        requests_per_second=REQUESTS_PER_SECOND,
    )
    gc.freeze()
    gc.enable()
    with emulator:
        sys.stdout.write(f"Emulator of Toloka at {emulator.url}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
