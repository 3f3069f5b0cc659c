"""Runs one command and tells, as a line of JSON, what it took.

    python -I -S measure.py SECONDS OUT ERR COMMAND...

SECONDS is when the command is killed; OUT and ERR are the files that its output goes to. This is
a process of its own, and a small one, since the peak memory that the kernel tells of a child is
never less than that of the process it was started from.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


def main() -> None:
    """Run the command of the arguments."""
    limit, out, err, *command = sys.argv[1:]
    with Path(out).open("wb") as stdout, Path(err).open("wb") as stderr:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
        )
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, float(limit))
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        signal.setitimer(signal.ITIMER_REAL, 0)
    result = {
        "status": os.waitstatus_to_exitcode(status),
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * MAXRSS_UNIT,
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
