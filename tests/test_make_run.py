"""`make run` without what the Makefile installs before it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from meltano.core.plugin.singer.catalog import MetadataRule, select_metadata_rules

from scripts import run
from scripts.printed import SHOWN
from tap_toloka.streams.assignments import Assignments
from toloka_emulator import (
    NEW_POOLS,
    Emulator,
    Fault,
    account_after,
    account_of_next_run,
    make_pools,
)

if TYPE_CHECKING:
    from tests.databases import Database
    from tests.projects import Project
    from toloka_emulator import Account, Json

FULL_TABLES = {"requester", "apps"}
DATES = {*Assignments.change_dates, "finished", "last_started", "last_stopped"}
RUN = [sys.executable, "-m", "scripts.run"]


def make_run(project: Project) -> subprocess.CompletedProcess[str]:
    return subprocess.run(RUN, cwd=project.root, capture_output=True, text=True, check=False)


def still_running(project: Project) -> list[str]:
    """Find processes that were started in the project, or with a file of it."""
    return [
        str(process.info)
        for process in psutil.process_iter(["pid", "cwd", "cmdline"])
        if process.info["cwd"] == str(project.root)
        or str(project.root) in " ".join(process.info["cmdline"] or [])
    ]


def summary(output: str) -> dict[str, list[str]]:
    """Return the columns of the summary by stream: rows read, new, in total, and the bookmark."""
    _, _, rest = output.partition("\n\n  stream ")
    lines = rest.partition("\n\n")[0].splitlines()[1:]
    return {name: columns for name, *columns in map(str.split, lines)}


@dataclass(frozen=True)
class TwoRuns:
    """A first and a second run.

    Attributes:
        outputs: What they printed.
        accounts: The account that each of them read.
        still_running: Processes that were left after them.
    """

    outputs: list[str]
    accounts: list[Account]
    still_running: list[str]


@pytest.fixture(scope="module")
def two_runs(installed: Project, shared: Path) -> TwoRuns:
    """Run twice, for all tests that only look at the results."""
    project, outputs = installed.copy(shared / f"two_runs_{os.getpid()}"), []
    for _ in range(2):
        done = make_run(project)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    kept = json.loads((project.root / ".run/emulator.json").read_text())
    moments = [datetime.fromisoformat(text) for text in kept]
    accounts = [account_after(moments[:runs]) for runs in (1, 2)]
    return TwoRuns(outputs, accounts, still_running(project))


def test_the_first_run_loads_everything_and_the_second_only_what_is_new(two_runs: TwoRuns) -> None:
    old, new = two_runs.accounts
    at_first, later = map(summary, two_runs.outputs)
    usual = [name.removesuffix(".*") for name in run.usual_streams()]
    assert list(at_first) == list(later) == sorted({*usual, "assignments", "tasks"})
    for name, (read, added, in_all, bookmark) in at_first.items():
        assert read == added == in_all == f"{len(old[name]):,}"
        assert (bookmark == "-") == (name in FULL_TABLES)
        if name in FULL_TABLES:
            continue
        *columns, next_bookmark = later[name]
        ids = {row["id"] for row in old[name]}
        fresh = [row for row in new[name] if row["id"] not in ids]
        there = {*map(without_undated_changes, old[name])}
        changed = [row for row in new[name] if without_undated_changes(row) not in there]
        changed = [row for row in changed if row["id"] in ids]
        assert bool(fresh) == (name in {"pools", "assignments", "tasks"})
        # What finished, started or was edited after the latest was created is read again.
        if name not in {"operations", "pools", "trainings", "skills"}:
            assert columns[0] == str(len(fresh) + len(changed))
        assert columns[1:] == [str(len(fresh)), f"{len(new[name]):,}"]
        assert next_bookmark > bookmark if fresh else next_bookmark == bookmark
    assert two_runs.still_running == []


def test_a_run_prints_three_reports(two_runs: TwoRuns) -> None:
    rows = two_runs.accounts[1]
    *answers, report = two_runs.outputs[1].split("\n\n")[-4:]
    page = Path(report.split()[1].removeprefix("file://").removesuffix(":")).read_text()
    assert "The rows are made up by the emulator of Toloka." in page
    titles = [answer.partition("\n")[0] for answer in answers]
    for (name, (title, _)), printed in zip(SHOWN.items(), titles, strict=True):
        assert printed.startswith(f"{title} ({name}, ")
    spend, cost, stuck = (answer.splitlines()[2:] for answer in answers)
    assert len(spend) == len(cost) == 10
    day = spend[1].split()[0]  # the last that is over
    rewards = [row["reward"] for row in rows["assignments"] if row.get("accepted", "")[:10] == day]
    assert Decimal(spend[1].split()[1]) == sum(rewards)
    (pool,) = [pool for pool in rows["pools"] if pool["id"] == cost[0].split()[0]]
    assert Decimal(cost[0].split()[-1]) == pool["reward_per_assignment"] / 5
    statuses = {pool["id"]: pool["status"] for pool in rows["pools"]}
    assert {statuses[line.split()[0]] for line in stuck} == {"OPEN"}


def without_undated_changes(row: Json) -> str:
    """Print a row without what changes of it as Tolokers take it, which has no date."""
    return repr({key: value for key, value in row.items() if key != "remaining_overlap"})


def test_the_emulated_account_changes_from_run_to_run(tmp_path: Path) -> None:
    file = tmp_path / "emulator.json"
    now = datetime(2026, 3, 1, tzinfo=timezone.utc)
    account_of_next_run(file, now)
    before = account_of_next_run(file, now + timedelta(hours=1))
    after = account_of_next_run(file, now + timedelta(days=3))
    # The clock may stand still, or go back.
    again = account_of_next_run(file, now + timedelta(days=3))
    moments = [datetime.fromisoformat(text) for text in json.loads(file.read_text())]
    assert moments == sorted(set(moments))
    assert account_after(moments[:3]) == after
    for old, new, moment in ((before, after, moments[1]), (after, again, moments[2])):
        date = moment.replace(tzinfo=None).isoformat(timespec="milliseconds")
        for name, rows in new.items():
            there = {*map(without_undated_changes, old[name])}
            for row in rows:
                dates = [value for key, value in row.items() if key in DATES]
                assert without_undated_changes(row) in there or max(dates) > date
    pools = {pool["id"] for pool in again["pools"]} - {pool["id"] for pool in before["pools"]}
    assert len(pools) == 2 * NEW_POOLS
    recent = {row["pool_id"] for row in again["assignments"] if row["created"] > date}
    assert len(recent) > 15  # pools that are worked on stay so, also when nobody looks for days


def test_no_row_is_so_young_that_the_next_run_reads_it_again(tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    account_of_next_run(tmp_path / "emulator.json", now)
    rows = account_of_next_run(tmp_path / "emulator.json", now + timedelta(minutes=1))
    minute_ago = now.replace(tzinfo=None).isoformat()
    for name in ("assignments", "pools", "user_bonuses", "operations"):
        dates = [value for row in rows[name] for key, value in row.items() if key in DATES]
        assert max(dates) <= minute_ago


def test_a_run_reads_the_account_and_fills_the_database_that_the_env_file_names(
    project: Project, database: Database
) -> None:
    with Emulator(make_pools(20)) as emulator:
        (project.root / ".env").write_text(
            f"TAP_TOLOKA_TOKEN={emulator.key}\n"
            f"TAP_TOLOKA_API_URL={emulator.url}\n"
            "TAP_TOLOKA__SELECT='[\"pools.*\"]'\n"
            f"TARGET_POSTGRES_SQLALCHEMY_URL={database.url}\n"
        )
        done = make_run(project)
    assert done.returncode == 0, done.stderr
    assert 'Streams     TAP_TOLOKA__SELECT=["pools.*"]\n' in done.stdout
    ((name, columns),) = summary(done.stdout).items()
    assert (name, columns[:3]) == ("pools", ["20", "20", "20"])
    assert (
        "toloka__spend_by_day): not built, as streams that it needs are not selected\n"
        in done.stdout
    )
    with database.connect() as connection:
        (count,) = connection.execute("SELECT count(*) FROM tap_toloka.pools").fetchall()[0]
    assert count == 20
    assert not (project.root / ".run/postgres").exists()


PATTERNS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "!"]),
    st.sampled_from(["tasks", "task*", "pools", "*"]),
    st.sampled_from(["", ".*", ".id"]),
)


@given(st.lists(PATTERNS, max_size=4))
def test_dbt_is_told_of_the_streams_that_meltano_selects(patterns: list[str]) -> None:
    rules = select_metadata_rules(patterns)
    settings = {"TAP_TOLOKA__SELECT": json.dumps(patterns)}
    told = json.loads(run.for_dbt(settings)["DBT_POSTGRES_VARS"])
    for stream in ("tasks", "task_suites", "pools", "apps"):
        *_, last = [None, *MetadataRule.matching(rules, stream, [])]
        assert told[f"toloka__using_{stream}"] == bool(last and last.value)


def test_variables_of_dbt_that_are_set_are_kept_beside_those_of_streams() -> None:
    settings = {
        "TAP_TOLOKA__SELECT": '["pools.*", "assignments.*"]',
        "DBT_POSTGRES_VARS": '{"toloka__throughput_days": 7, "toloka__using_pools": false}',
    }
    told = json.loads(run.for_dbt(settings)["DBT_POSTGRES_VARS"])
    names = ("throughput_days", "using_pools", "using_assignments", "using_tasks")
    assert [told[f"toloka__{name}"] for name in names] == [7, False, True, False]
    with pytest.raises(run.StepError, match="DBT_POSTGRES_VARS has to be an object"):
        run.for_dbt({**settings, "DBT_POSTGRES_VARS": "7"})


def test_dbt_gets_the_parts_of_an_address_but_not_those_that_are_set() -> None:
    address = "postgresql+psycopg://me:p%40%24s@db.example.com/toloka?sslmode=verify-full"
    settings = {
        "TAP_TOLOKA__SELECT": "[]",
        "TARGET_POSTGRES_SQLALCHEMY_URL": f"{address}&sslrootcert=/certs/root.pem",
        "DBT_POSTGRES_USER": "reader",
    }
    parts = run.for_dbt(settings)
    del parts["DBT_POSTGRES_VARS"]
    assert parts == {
        "DBT_POSTGRES_HOST": "db.example.com",
        "DBT_POSTGRES_PASSWORD": "p@$s",
        "DBT_POSTGRES_DATABASE": "toloka",
        "DBT_POSTGRES_SSL_MODE": "verify-full",
        "PGSSLROOTCERT": "/certs/root.pem",
    }


def test_of_dbt_its_errors_are_shown_and_not_the_warnings_after_them() -> None:
    failure = [
        "Completed with 1 error, 0 partial successes, and 1 warning:\n",
        "Failure in test unique_toloka__rejection_rate_user_id (models/marts/marts.yml)\n",
        "  Got 2 results, configured to fail if != 0\n",
    ]
    warnings = ["Warning in test relationships_toloka (models/staging/staging.yml)\n"] * 20
    shown = run.why_failed("".join(["Running with dbt\n"] * 20 + failure + warnings))
    assert shown.splitlines(keepends=True)[:3] == failure
    assert len(shown.splitlines()) == run.MOST_LINES
    parsing = ["Encountered an error:\n", "Parsing Error\n", "Run completed\n"]
    assert run.why_failed("".join(["Running with dbt\n"] * 20 + parsing)) == "".join(parsing)


def test_a_run_that_fails_shows_why(project: Project) -> None:
    (project.root / ".env").write_text("TAP_TOLOKA_TOKEN=a key\n")
    done = make_run(project)
    assert done.returncode == 1
    assert "token: it holds a space" in done.stderr
    *_, last = done.stderr.splitlines()
    assert last.startswith("make run: meltano run failed with status 1, see ")
    assert still_running(project) == []


def test_a_postgres_that_does_not_start_is_an_error_in_one_line(project: Project) -> None:
    (project.root / ".run").mkdir()
    (project.root / ".run/postgres").write_text("no folder")
    done = make_run(project)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("make run: the embedded PostgreSQL did not start, see ")
    assert still_running(project) == []


def test_ctrl_c_leaves_nothing_running_and_the_next_run_works(project: Project) -> None:
    terminal, its_stdout = pty.openpty()
    with subprocess.Popen(RUN, cwd=project.root, stdout=its_stdout) as process:
        os.close(its_stdout)
        shown = ""
        while "streams, app_projects" not in shown and "streams, assignments" not in shown:
            shown += re.sub(r"\x1b\[[\d;]*m", "", os.read(terminal, 65_536).decode())
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
    shown = os.read(terminal, 65_536).decode()
    os.close(terminal)
    assert "\x1b[?25h" in shown, "the cursor is there again"
    assert still_running(project) == []
    again = make_run(project)
    assert again.returncode == 0, again.stdout + again.stderr
    assert summary(again.stdout)["pools"][2] == "63"


def test_a_run_in_which_a_stream_fails_shows_why(project: Project, database: Database) -> None:
    with Emulator(make_pools(20)) as emulator:
        emulator.faults.add(Fault(path="*/skills", status=403, times=None))
        (project.root / ".env").write_text(
            f"TAP_TOLOKA_TOKEN={emulator.key}\n"
            f"TAP_TOLOKA_API_URL={emulator.url}\n"
            'TAP_TOLOKA__SELECT=\'["pools.*", "skills.*"]\'\n'
            f"TARGET_POSTGRES_SQLALCHEMY_URL={database.url}\n"
        )
        done = make_run(project)
    assert done.returncode == 1
    why, total, last = done.stderr.splitlines()
    assert " skills " in why
    assert "failed because Toloka answered 403" in why
    assert "1 of 2 streams read, 1 failed (skills), 20 rows" in total
    assert last.startswith("make run: meltano run failed with status 1, see ")
