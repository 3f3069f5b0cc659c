"""Runs Meltano from an orchestrator: logs as they come, clear errors, no process left behind.

For Airflow, Dagster and the like to import; needs nothing but Python. Environment variables:

- `MELTANO_PROJECT_ROOT`: the folder of the Meltano project;
- `MELTANO`: the executable, by default `meltano` in the `PATH`;
- `MELTANO_ENVIRONMENT` (by default `dev`), `TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA` (`tap_toloka`),
  `TAP_TOLOKA_MAX_REQUESTS_PER_SECOND` (100): as in Meltano, but they win over `meltano.yml` and
  `.env`, and so do these defaults.

Between the task and Meltano there is a watchdog: this file as a script. When the task is gone, also
if it was killed, the watchdog stops the tap, which writes a checkpoint, lets the target load what
was read, and ends whatever is left. That needs Linux; elsewhere it ends all at once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BY_SHARDS = (
    *("assignments", "tasks", "task_suites", "attachments", "operation_logs"),
    *("app_batches", "app_items", "user_metadata", "aggregated_solutions"),
)
"""The streams that shards load side by side; all others, those of the account, come before. The
last one is not split: shard 1 reads it, and may have to wait for its quota."""

SECONDS_TO_LOAD = 240
"""How long a run that is stopped may take to load what the tap has read."""

SECONDS_TO_TERMINATE = 15
"""How long Meltano may then take to end on SIGTERM."""

CREATE_TABLES = """
catalog=$(mktemp) && trap 'rm "$catalog"' EXIT &&
"$0" "$@" invoke --no-install --dump=catalog tap-toloka >"$catalog" &&
schemas=$("$0" "$@" invoke --no-install tap-toloka --catalog="$catalog" --test=schema) &&
printf '%s\\n' "$schemas" | "$0" "$@" invoke --no-install target-postgres
"""

PROC = Path("/proc")
OF_STREAM = re.compile(r"\w+ failed because ")
LEVELS = {"DEBUG": 10, "INFO": 20, "WARN": 30, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
MOST_PLAIN_LINES = 15  # are told if a run fails without a line that has a level


class MeltanoError(Exception):
    """Meltano failed; the text is what the tap, the loader, Meltano or dbt said last."""


# What a nightly run consists of


def account_run(count: int, logger: logging.Logger, *, full_refresh: bool = False) -> None:
    """Create the tables of all selected streams, and load those of the account.

    They belong to the first of so many shards, and are in its state.

    Nothing else may run at that time: shards that create a table at once fail, and so do processes
    of Meltano that migrate its database at once.

    Raises:
        MeltanoError: If it fails.
    """
    # Each night, as a new version of the tap may add columns.
    _run(["sh", "-c", CREATE_TABLES, *_meltano()], logger, {})
    selection = [f"--exclude={name}" for name in BY_SHARDS]
    _load(1, count, selection, logger, full_refresh=full_refresh)


def shard_run(
    number: int, count: int, logger: logging.Logger, *, full_refresh: bool = False
) -> None:
    """Load one of so many shards of the other selected streams.

    Args:
        number: Which shard, from 1.
        count: How many there are. To change it, merge their states: see docs/scaling.md.
        logger: What takes the lines of the run.
        full_refresh: Whether to read all rows again.

    Raises:
        MeltanoError: If it fails.
    """
    selection = [f"--select={name}" for name in BY_SHARDS]
    # Toloka's limit is one for the account, so shards divide it among them.
    rate = int(_setting("TAP_TOLOKA_MAX_REQUESTS_PER_SECOND", "100"))
    env = {"TAP_TOLOKA_MAX_REQUESTS_PER_SECOND": str(max(1, rate // count))}
    _load(number, count, selection, logger, full_refresh=full_refresh, **env)


def _load(
    number: int,
    count: int,
    selection: list[str],
    logger: logging.Logger,
    *,
    full_refresh: bool,
    **env: str,
) -> None:
    # Not `meltano run`: it has one place for the files of all runs, so two at once mix them up.
    # The schema is in the state ID, as bookmarks of one schema say nothing about another one.
    run_meltano(
        *("el", "tap-toloka", "target-postgres", "--no-install", *selection),
        f"--state-id={_environment()}:tap-toloka-to-target-postgres:{_schema()}"
        f":shard-{number}-of-{count}",
        *(["--full-refresh"] if full_refresh else []),
        env={"TAP_TOLOKA_SHARD": f"{number}/{count}", **env},
        logger=logger,
    )


def run_dbt(command: str, logger: logging.Logger) -> None:
    """Run a command of `dbt-postgres` on the tables: `build` or `freshness`.

    Raises:
        MeltanoError: If it fails.
    """
    env = {"DBT_LOG_FORMAT": "json", **_database_for_dbt()}
    run_meltano("invoke", "--no-install", f"dbt-postgres:{command}", env=env, logger=logger)


def _database_for_dbt() -> dict[str, str]:
    """Return the connection that target-postgres is given in parts, as dbt takes no URL."""
    url = urlsplit(os.environ.get("TARGET_POSTGRES_SQLALCHEMY_URL", ""))
    query = dict(parse_qsl(url.query))
    parts = {
        "HOST": query.get("host") or url.hostname,  # the former is the folder of a socket
        "PORT": str(url.port or "") or os.environ.get("TARGET_POSTGRES_PORT"),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "DATABASE": unquote(url.path[1:]),
        "SSL_MODE": query.get("sslmode"),
    }
    found = {f"DBT_POSTGRES_{name}": part for name, part in parts.items() if part}
    return {**found, **({"PGSSLROOTCERT": root} if (root := query.get("sslrootcert")) else {})}


def _environment() -> str:
    return _setting("MELTANO_ENVIRONMENT", "dev")


def _schema() -> str:
    return _setting("TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA", "tap_toloka")


def _setting(name: str, default: str) -> str:
    return os.environ.get(name) or default


# Meltano


def run_meltano(*args: str, logger: logging.Logger, env: Mapping[str, str] | None = None) -> None:
    """Run Meltano, and log its lines and those of its plugins as they come.

    Any exception that interrupts it stops the run, and is raised when that has ended.

    Args:
        args: What follows on its command line.
        logger: What takes the lines, at their level.
        env: Variables beside those of this process.

    Raises:
        MeltanoError: If it fails.
    """
    _run([*_meltano(), *args], logger, env or {})


def _meltano() -> list[str]:
    return [_setting("MELTANO", "meltano"), "--log-format=json"]


def _run(command: list[str], logger: logging.Logger, env: Mapping[str, str]) -> None:
    ours = {
        "MELTANO_ENVIRONMENT": _environment(),
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": _schema(),
        "NO_COLOR": "1",
    }
    lines = _Lines(logger)
    with subprocess.Popen(  # noqa: S603  # our own commands
        [sys.executable, __file__, *command],
        cwd=_setting("MELTANO_PROJECT_ROOT", "."),
        env={**os.environ, **ours, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # what is sent to the task does not reach Meltano
    ) as watchdog:
        assert watchdog.stdin is not None  # noqa: S101  # they are pipes
        assert watchdog.stdout is not None  # noqa: S101
        try:
            lines.take(watchdog.stdout)
        except BaseException:
            logger.warning("Stopping Meltano: what the tap has read is loaded")
            watchdog.stdin.close()
            lines.take(watchdog.stdout)
            raise
    if watchdog.returncode:
        raise MeltanoError(lines.why_failed() or f"Meltano ended with status {watchdog.returncode}")


class _Lines:
    """Logs the lines of a run, and keeps those that say why it failed."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._errors: list[tuple[str, str]] = []  # who logged it, and what
        self._plain: list[str] = []

    def take(self, lines: Iterable[str]) -> None:
        """Log lines as they come, until there are no more."""
        for line in lines:
            try:
                name, level, text = _parsed(json.loads(line))
            except (ValueError, LookupError, TypeError):  # a traceback, for one
                self._logger.info("%s", line.rstrip())
                self._plain = [*self._plain[1 - MOST_PLAIN_LINES :], line.rstrip()]
                continue
            if text:
                self._logger.log(level, "%s: %s", name, text)
            if text and level >= logging.ERROR:
                self._errors.append((name, text))

    def why_failed(self) -> str:
        """Return what the tap, the target and dbt said of it, else Meltano, else the last lines."""
        tap = self._errors_of("tap-")
        # A line for each stream that failed, and the last one: the total, or why it did not begin.
        streams = [error for error in tap[:-1] if OF_STREAM.match(error)]
        target, dbt = self._errors_of("target-"), self._errors_of("dbt")
        found = [*streams, *tap[-1:], *target[-1:], *dbt]
        if not found:  # the first line, as further ones say where to ask
            found = [error.partition("\n")[0] for error in self._errors_of("meltano")[-1:]]
        return "\n".join(found or self._plain)

    def _errors_of(self, name: str) -> list[str]:
        return [text for logged_by, text in self._errors if logged_by.startswith(name)]


def _parsed(entry: dict[str, Any]) -> tuple[str, int, str]:
    """Return who logged an entry, its level, and its text."""
    if "info" in entry:
        return "dbt", LEVELS[entry["info"]["level"].upper()], entry["info"]["msg"].strip()
    return entry.get("name", "meltano"), LEVELS[entry["level"].upper()], entry["event"]


# The watchdog: a process between the task and Meltano, in a session of their own


def main() -> None:
    """Run Meltano until it ends, or stop it when whoever holds our stdin has gone."""
    command = sys.argv[1:]
    try:
        meltano = subprocess.Popen(  # noqa: S603  # as above
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        sys.exit(f"Cannot start Meltano: {error}. Set MELTANO to the path of the program")

    def stop_when_left() -> None:
        sys.stdin.read()
        _stop(meltano, is_load="el" in command)

    threading.Thread(target=stop_when_left, daemon=True).start()
    assert meltano.stdout is not None  # noqa: S101  # it is a pipe
    for line in meltano.stdout:
        # If nobody reads them any more, they are read all the same: else Meltano would hang.
        with contextlib.suppress(BrokenPipeError):
            os.write(sys.stdout.fileno(), line)
    status = meltano.wait()
    sys.exit(status if status >= 0 else 128 - status)


def _stop(meltano: subprocess.Popen[bytes], *, is_load: bool) -> None:
    """End a run; this process ends with Meltano, and with it this function.

    On SIGTERM the tap writes a checkpoint and ends. The target then loads what is left, and Meltano
    saves the checkpoint, which it would not if it got the signal itself.
    """
    stopped: set[int] = set()
    deadline = time.monotonic() + SECONDS_TO_LOAD
    while is_load and PROC.is_dir() and time.monotonic() < deadline:
        taps = _taps_below(meltano.pid)  # also one that starts only now
        for tap in taps - stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(tap, signal.SIGTERM)
        stopped |= taps
        time.sleep(0.5)
    meltano.terminate()
    time.sleep(SECONDS_TO_TERMINATE)
    os.killpg(0, signal.SIGKILL)  # this process, too


def _taps_below(parent: int) -> set[int]:
    """Return the children of a process that are taps."""
    found = set()
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            _, _, fields = (folder / "stat").read_text().rpartition(")")
            if (
                int(fields.split()[1]) == parent
                and b"bin/tap-" in (folder / "cmdline").read_bytes()
            ):
                found.add(int(folder.name))
    return found


if __name__ == "__main__":
    main()
