"""The signals that end a run, and the exit status of a run that one of them ended."""

from __future__ import annotations

import signal
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable

STOPPING: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
)
"""Windows has no SIGHUP, and alone has SIGBREAK: Ctrl-Break."""


def on_stop(handler: Callable[[int], object]) -> None:
    """Call a handler, with the number of the signal, when a signal is to end the run.

    Those that follow are ignored: a shell and a supervisor may both send one, and the run is about
    to note what it has read. A SIGHUP that is ignored, as under `nohup`, stays ignored.
    """

    def handle(signum: int, _frame: object) -> None:
        for other in STOPPING:
            signal.signal(other, signal.SIG_IGN)
        handler(signum)

    for signum in STOPPING:
        if signum.name != "SIGHUP" or signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, handle)


def exit_status(signum: int) -> int:
    """Return the exit status of a run that a signal ended, as shells have it."""
    return 128 + signum


def name_of_stop(error: BaseException) -> str:
    """Return what stopped a run: the signal if `exit_status` was for one, else the error."""
    for signum in STOPPING if isinstance(error, SystemExit) else ():
        if error.code == exit_status(signum):  # type: ignore[attr-defined]  # it has one
            return signum.name
    return type(error).__name__
