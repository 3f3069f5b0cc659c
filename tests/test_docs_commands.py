"""What README.md and docs/ say besides Meltano works word for word: make, psql, plain Singer."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tap_toloka.errors import TolokaError
from tap_toloka.report import HowFar, RunReport, StreamReport, why_failed
from tap_toloka.streams import STREAMS
from tests import isolation
from tests.docs_helpers import REPOSITORY, Block, Shell, copy_of_repository, row_counts, runs
from tests.pool_streams import date_params, open_pool, requests_for, serve
from tests.runner import config_for, requests_for_rows, run_inside, run_process
from toloka_emulator import Emulator, Fault, make_account, make_pool, make_pools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database
    from tests.projects import Project

DEFAULT = {stream.name for stream in STREAMS if stream.selected_by_default}


# The log


@runs("docs/errors.md#Errors and retries", "docs/errors.md#The last lines")
def test_the_log_looks_as_shown(
    blocks: list[Block], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    how_far, summary = (block.text.removesuffix("\n") for block in blocks)
    monkeypatch.setenv("MELTANO_EXTRACTOR_NAME", "tap-toloka")
    denied = TolokaError("Toloka answered 403 ACCESS_DENIED: Access denied")
    denied.status = 403
    down = TolokaError("Toloka answered 503 Service Unavailable; giving up after 6 attempts")
    times = [0.0]

    def read(name: str, rows: int, requests: int, seconds: float) -> StreamReport:
        one = StreamReport(name, logging.getLogger("tests.docs"), lambda: times[0])
        with one.reading():
            times[0] += seconds
        one.rows, one.requests = rows, requests
        return one

    streams: list[StreamReport] = []
    moved, unchanged, kept = (
        {"replication_key_value": f"2026-11-{moment}Z"}
        for moment in ("24T12:18:20.315", "24T08:32:14.922", "23T09:00:00.000")
    )
    before = {"user_bonuses": unchanged, "assignments": kept}
    run = RunReport(streams, before, lambda: times[0])
    streams += [read("app_projects", 0, 0, 0.04), read("assignments", 4_000, 41, 71.3)]
    for one, error in zip(streams, (denied, down), strict=True):
        one.failure, one.complete = why_failed(one.name, error, is_bug=False), False
    streams += [read("pools", 63, 1, 0.1), read("requester", 1, 1, 0.02)]
    streams += [read("user_bonuses", 0, 1, 0.04)]
    after = {**before, "pools": moved, "assignments": {**kept, "unfinished": {}}}
    lines = [*run.lines(after), (logging.ERROR, run.total())]
    shown = [f"{logging.getLevelName(level):8} {line}" for level, line in lines]
    assert "\n".join(shown) == summary

    assignments = StreamReport("assignments", logging.getLogger("tests.docs"), lambda: times[0])
    with caplog.at_level(logging.INFO), assignments.reading():
        assignments.page(0, HowFar(667, 2_003, "pool_id"))
        times[0] += 29
        assignments.page(412_000, HowFar(812, 2_003, "pool_id"))
    assert caplog.messages == [how_far]


# In a clone


@pytest.fixture
def clone(project: Project) -> Iterator[Shell]:
    """Return a shell in a clone in which make has installed everything."""
    folder = project.root
    venv = folder / ".venv"
    # The environment of these tests stands in for one of its own, which takes minutes to install.
    venv.mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != "installed":
            (venv / part.name).symlink_to(part)
    for stamp in (venv / "installed", folder / ".meltano/installed"):
        stamp.touch()
    yield Shell(folder, {})
    for link in venv.iterdir():
        link.unlink()
    venv.rmdir()


@runs("README.md#Try it")
def test_the_two_commands_and_psql_work(blocks: list[Block], clone: Shell) -> None:
    commands, shown, psql = blocks
    run, test = commands.text.splitlines()
    assert shown.language == "text"
    too_early = clone.attempt("make psql")
    assert too_early.returncode != 0
    assert "make psql: nothing has been loaded yet" in too_early.stderr
    printed = clone.run(run)
    # Of the three streams that are shown: the same titles, and values of the same form.
    title, *rows = shown.text.splitlines()
    printed_title, *printed_rows = printed.partition("\n\n")[2].partition("\n\n")[0].splitlines()
    assert title.split() == printed_title.split()
    by_name = {row.split()[0]: row for row in printed_rows}
    for row in rows:
        assert form_of(row) == form_of(by_name[row.split()[0]])
    # This test is a part of `make test`: here it is only asked what it would do.
    planned = clone.run(test, MAKEFLAGS="-n")
    for part in ("ruff check", "ruff format", "mypy", "pytest"):
        assert part in planned
    counted, progress = clone.run(psql.text).split("\n\n", 1)
    assert re.search(r"^ OPEN +\| +\d+$", counted, flags=re.MULTILINE)
    assert "forecast_end" in progress
    failed = clone.attempt('make psql SQL="SELECT 1/0"')
    assert failed.returncode != 0
    assert "division by zero" in failed.stderr


def form_of(row: str) -> list[str]:
    """Return the words of a row, with `0` for each number."""
    return [re.sub(r"\d[\d,]*", "0", word) for word in row.split()]


# Plain Singer


@pytest.fixture
def beside(tmp_path: Path, pytestconfig: pytest.Config) -> Shell:
    """Return a shell in a folder next to a clone; uv installs tools below it."""
    copy_of_repository(tmp_path / "tap-toloka")
    folder, tools = tmp_path / "folder", tmp_path / "tools"
    for made in (folder, tools / "bin"):
        made.mkdir(parents=True)
    (tools / "bin/uv").symlink_to(Path(sys.executable).with_name("uv"))
    (tools / "bin/python3").symlink_to(sys.executable)
    variables = {
        **pytestconfig.stash[isolation.installing],
        "PATH": f"{tools / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "UV_TOOL_DIR": str(tools),
        "UV_TOOL_BIN_DIR": str(tools / "bin"),
        "UV_PYTHON": sys.executable,
    }
    return Shell(folder, variables)


@runs("docs/singer.md")
def test_plain_singer_commands_load_and_keep_state(
    blocks: list[Block], beside: Shell, database: Database
) -> None:
    install, configure, check, select, load = blocks
    again = load.text.splitlines()[-1]
    url = database.url.replace("+psycopg", "")
    rows = make_account(pools=20, assignments=100, seed=1, now=datetime.now(timezone.utc))
    with Emulator(rows=rows) as emulator:
        variables = {
            "TAP_TOLOKA_TOKEN": emulator.key,
            "TAP_TOLOKA_API_URL": emulator.url,
            "TARGET_POSTGRES_SQLALCHEMY_URL": database.url,
        }
        shell = Shell(beside.folder, {**beside.variables, **variables})
        shell.run(install.text)
        shell.run(configure.text)
        shell.run(check.text)
        assert select.language == "python"
        shell.run(f"python3 - <<'PYTHON'\n{select.text}PYTHON")

        # The first run, without a state.
        shell.run(load.text)
        counts = row_counts(url)
        assert counts.keys() == DEFAULT - {"trainings"} | {"assignments"}
        for name in counts.keys() - {"requester"}:
            assert counts[name] == len(emulator.tables[name].rows())
        first = state_in(shell)
        assert {*counts} - {"apps", "requester"} <= first["bookmarks"].keys()

        # The second one reads what is new.
        emulator.pools.add([make_pool("40000000", now())])
        emulator.clear_requests()
        shell.run(again)
        assert row_counts(url)["pools"] == counts["pools"] + 1
        bookmark = first["bookmarks"]["pools"]["replication_key_value"].removesuffix("Z")
        (request,) = [
            r
            for r in emulator.requests
            if r.path == "/api/v1/pools" and "status" not in r.params and "created_gt" in r.params
        ]
        assert request.params["created_gt"] == bookmark
        second = state_in(shell)

        # A tap that fails leaves the bookmarks of what it had read by then.
        emulator.pools.add([make_pool("40000001", now())])
        emulator.faults.add(Fault(path="/api/v1/user-skills", status=403, times=None))
        failed = shell.attempt(again)
        assert failed.returncode == 1
        assert row_counts(url)["pools"] == counts["pools"] + 2
        assert state_in(shell)["bookmarks"].keys() == second["bookmarks"].keys()

        # A target that fails prints no state: the old one stays.
        before = state_in(shell)
        failed = shell.attempt(
            again, TARGET_POSTGRES_SQLALCHEMY_URL=f"{database.url}&dbname=missing"
        )
        assert failed.returncode != 0
        assert state_in(shell) == before


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def state_in(shell: Shell) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((shell.folder / "state.json").read_text())
    return state


@runs("docs/singer.md")
def test_the_target_of_plain_singer_is_set_up_as_in_meltano(blocks: list[Block]) -> None:
    (text,) = re.findall(r"(?s)postgres\.json <<'EOF'\n(.+?)EOF", blocks[1].text)
    (loader, _) = yaml.safe_load((REPOSITORY / "meltano.yml").read_text())["plugins"]["loaders"]
    values = {setting["name"]: setting.get("value") for setting in loader["settings"]}
    for name, value in json.loads(text).items():
        expected = "tap_toloka" if name == "default_target_schema" else values[name]
        assert value == expected
    assert f"'{loader['pip_url']}'" in blocks[0].text


def test_the_sample_config_filters_nothing_once_the_key_is_in_it() -> None:
    sample = json.loads((REPOSITORY / "sample_config.json").read_text())
    with Emulator(make_pools(400, seed=1)) as emulator:
        config = {**sample, "token": emulator.key, "api_url": emulator.url}
        run = run_process(config=config)
        assert run.status == 0, run.log
        assert len(run.ids) == 400
        for request in requests_for_rows(emulator):
            assert request.params.keys() <= {"sort", "limit", "id_gt", "id_lte"}


# JSON


@runs("docs/incremental.md#Bookmarks")
def test_the_state_that_is_shown_is_one(blocks: list[Block]) -> None:
    (state,) = blocks
    with Emulator(make_pools(20)) as emulator:
        run_inside(config_for(emulator, detect_changes=False), json.loads(state.text))
        dates = {date for request in emulator.requests for date in date_params(request).values()}
    assert dates == {"2024-05-06T08:00:00.000"}


@runs("docs/incremental.md#Changes without a date")
def test_the_pages_that_are_shown_are_read_one_by_one(blocks: list[Block]) -> None:
    (state,) = (json.loads(block.text) for block in blocks)
    with Emulator(make_pools(20)) as emulator:
        first = run_inside(config_for(emulator)).state
        assert first
        signature, _, _ = first["bookmarks"]["pools"]["blocks"][0].partition(" ")
        _, _, bookmark = state["bookmarks"]["pools"]["blocks"][0].partition(" ")
        state["bookmarks"]["pools"]["blocks"][0] = f"{signature} {bookmark}"
        emulator.clear_requests()
        run_inside(config_for(emulator), state)
        older = [r.params for r in emulator.requests if "created_lte" in r.params]
    assert {(params.get("id_gt"), params.get("id_lte")) for params in older} == {
        (None, "36502"),
        ("36502", "37110"),
        ("37110", None),
    }


@runs("docs/incremental.md#Interrupted runs")
def test_what_a_run_left_that_is_shown_is_read_and_then_what_is_new(blocks: list[Block]) -> None:
    (state,) = blocks
    pools = [open_pool(pool) for pool in ("36501", "36502", "36510")]
    with serve(pools, []) as emulator:
        config = config_for(emulator, max_concurrency=1)
        run_inside(config, json.loads(state.text), stream="assignments")
        requests = [(r.params["pool_id"], r.params.get("id_gt")) for r in requests_for(emulator)]
    left, new = ["36510"], ["36501", "36502", "36510"]
    assert requests == [
        ("36502", "0000008e96--6638a1b2c3d4e5f6a7b8c9d0"),
        *((pool, None) for pool in [*left, *new]),
    ]


@runs("docs/incremental.md#Skipped lists")
def test_the_skipped_lists_that_are_shown_are_read_from_their_dates(blocks: list[Block]) -> None:
    (state,) = blocks
    pools = [open_pool(pool) for pool in ("36501", "36502", "36510")]
    with serve(pools, []) as emulator:
        config = config_for(emulator, max_concurrency=12)  # so that pools are read by date
        run_inside(config, json.loads(state.text), stream="assignments")
        requests = requests_for(emulator)
    dates = {
        pool: {
            date
            for r in requests
            if r.params["pool_id"] == pool
            for date in date_params(r).values()
        }
        for pool in ("36501", "36502", "36510")
    }
    assert dates == {
        "36501": {"2024-05-06T08:00:00.000"},
        "36502": {"2024-05-01T08:00:00.000"},
        "36510": set(),
    }


@runs("docs/filters.md")
def test_the_filters_that_are_shown_are_applied(blocks: list[Block]) -> None:
    (filters,) = blocks
    pools = [
        make_pool("1", "2024-01-01T00:00:00", project_id="81776"),
        make_pool("2", "2023-12-31T20:59:59", project_id="81776"),
        make_pool("3", "2024-01-01T00:00:00", project_id="74175"),
        make_pool("36502086", "2024-01-01T00:00:00", project_id="1"),
    ]
    with Emulator(pools) as emulator:
        config = config_for(emulator, **json.loads(filters.text))
        assert run_inside(config).ids == ["1"]
        for name, path, read in (
            ("assignments", "assignments", {"1", "2", "3"}),
            ("tasks", "tasks", {"36502086"}),
        ):
            emulator.clear_requests()
            run_inside(config, stream=name)
            asked = [r for r in emulator.requests if r.path == f"/api/v1/{path}"]
            assert {request.params["pool_id"] for request in asked} == read
