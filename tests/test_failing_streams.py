"""A stream that fails costs its own rows only; what all streams would meet ends the run."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import msgspec
import pytest

from tap_toloka.errors import TolokaError
from tap_toloka.signals import STOPPING
from tap_toloka.streams.pools import Pools
from tap_toloka.tap import TapToloka
from tests.expected_rows import whole_account
from tests.runner import (
    TAP,
    Run,
    catalog_of_all,
    config_for,
    no_waiting,
    run_inside,
    run_process,
    wait_until,
)
from toloka_emulator import Emulator, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SELECTED = ("app_projects", "pools", "projects", "skills", "webhook_subscriptions")
SKILLS = "/api/v1/skills"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Serve an account with some rows of each stream."""
    with Emulator(rows=whole_account(20, seed=2)) as emulator:
        yield emulator


def catalog() -> dict[str, Any]:
    """Return a catalog with a few streams selected."""
    found = catalog_of_all()
    for entry in found["streams"]:
        entry["metadata"][-1]["metadata"]["selected"] = entry["stream"] in SELECTED
    return found


def streams_in(run: Run) -> set[str]:
    """Return the streams that there are records of."""
    return {message["stream"] for message in run.messages if message["type"] == "RECORD"}


def summary(run: Run) -> dict[str, str]:
    """Return the lines of the summary, from their level on, by stream."""
    *_, last = run.log.splitlines()
    assert re.search(r"\d of \d streams read", last)
    lines = [line.split(" | ", 1)[1] for line in run.log.splitlines()[-1 - len(SELECTED) : -1]]
    return {line.split(" | ")[2].split()[0]: line for line in lines}


def ended(run: Run) -> str:
    """Return the last line, without the time that the run took."""
    return re.sub(r", [\d.]+ s$", "", run.log.splitlines()[-1].split(" | ")[-1])


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=403, times=None),
        Fault(status=404, body="<html>Not found</html>", times=None),
        Fault(status=400, times=None),
        Fault(status=500, times=None),
        Fault(body={}, times=None),
        Fault(quota="MIN", times=None),
    ],
    ids=str,
)
@pytest.mark.parametrize("failing", ["app_projects", "skills"])
def test_the_other_streams_are_read_and_the_run_fails_at_its_end(
    emulator: Emulator, fault: Fault, failing: str
) -> None:
    state = {"bookmarks": {failing: {"replication_key_value": "2020-01-01T00:00:00.000Z"}}}
    path = f"*/{failing.replace('_', '-')}"
    emulator.faults.add(msgspec.structs.replace(fault, path=path))
    config = config_for(emulator, max_retries=0, retry_quotas=[])
    with no_waiting():
        run = run_inside(config, state, catalog(), may_fail=True)
    assert run.status == 1
    assert streams_in(run) == {*SELECTED} - {failing}
    assert run.state is not None
    assert run.state["bookmarks"].keys() == {*SELECTED}
    bookmarks = run.state["bookmarks"]
    assert bookmarks[failing]["replication_key_value"] == "2020-01-01T00:00:00.000Z"
    emulator.faults.clear()
    again = run_inside(config, state, catalog())
    assert again.state is not None
    assert {**bookmarks, failing: again.state["bookmarks"][failing]} == again.state["bookmarks"]


def test_the_log_ends_with_what_became_of_each_stream(emulator: Emulator) -> None:
    emulator.faults.add(Fault(path=SKILLS, status=403, times=None))
    state = {"bookmarks": {"pools": {"replication_key_value": "2020-01-01T00:00:00.000Z"}}}
    run = run_process(config=config_for(emulator), state=state, catalog=catalog())
    lines = summary(run)
    assert list(lines) == ["app_projects", "pools", "projects", "webhook_subscriptions", "skills"]
    for name, line in lines.items():
        assert line.startswith("ERROR " if name == "skills" else "INFO ")
        count = sum(m["type"] == "RECORD" and m["stream"] == name for m in run.messages)
        assert re.search(rf" {count} rows  +\d requests?  +[\d.]+ s  ", line)
        assert run.state is not None
        bookmark = run.state["bookmarks"].get(name, {}).get("replication_key_value")
        assert (f"bookmark {bookmark} (moved)" if bookmark else "no bookmark") in line
    assert "failed because Toloka answered 403" in lines["skills"]
    assert lines["skills"].endswith(
        "To leave it out, set `selected` of skills to false in the catalog"
    )
    assert ended(run) == f"4 of 5 streams read, 1 failed (skills), {len(run.records)} rows"
    assert run.status == 1
    assert "Traceback" not in run.log


def test_a_run_without_failures_ends_with_the_same_summary(emulator: Emulator) -> None:
    run = run_process(config=config_for(emulator), catalog=catalog())
    assert run.status == 0
    assert list(summary(run)) == [*SELECTED]
    assert ended(run) == f"5 of 5 streams read, {len(run.records)} rows"
    assert not re.search("ERROR|WARNING", run.log)
    again = run_process(config=config_for(emulator), state=run.state, catalog=catalog())
    assert "(unchanged)" in summary(again)["pools"]


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_run_in_which_all_streams_fail_is_no_success(emulator: Emulator, status: int) -> None:
    for name in SELECTED:
        path = f"*/{name.replace('_', '-')}"
        emulator.faults.add(Fault(path=path, status=status, times=None))
    run = run_process(config=config_for(emulator, max_retries=0), catalog=catalog())
    assert run.status == 1
    assert run.records == []
    assert ended(run) == f"0 of 5 streams read, 5 failed ({', '.join(SELECTED)}), 0 rows"


FATAL = [
    Fault(status=401, times=None),
    Fault(quota="DAY", times=None),
    Fault(quota="HOUR", times=None),
    Fault(status=429, headers={"Retry-After": "7200"}, times=None),
    Fault(status=302, headers={"Location": "https://elsewhere"}, times=None),
]


@pytest.mark.parametrize("fault", FATAL, ids=str)
def test_what_two_streams_in_a_row_meet_ends_the_run(emulator: Emulator, fault: Fault) -> None:
    for path in ("/api/v1/pools", "/api/v1/projects"):
        emulator.faults.add(msgspec.structs.replace(fault, path=path))
    run = run_process(config=config_for(emulator), catalog=catalog())
    assert run.status == 1
    assert streams_in(run) == {"app_projects"}
    assert [request.path for request in emulator.requests][-1] == "/api/v1/projects"
    lines = summary(run)
    assert "failed because Toloka answered" in lines["pools"]
    for name in ("skills", "webhook_subscriptions"):
        assert lines[name].startswith("WARNING ")
        assert lines[name].endswith(f"{name:21}  not read")
    count = len(run.records)
    failed = "1 of 5 streams read, 2 failed (pools, projects), 2 not read"
    assert ended(run) == f"{failed}, {count} rows"


@pytest.mark.parametrize("fault", FATAL, ids=str)
def test_what_one_stream_alone_meets_does_not_end_the_run(emulator: Emulator, fault: Fault) -> None:
    """Some lists have quotas of their own, and an API may not take a key that others take."""
    emulator.faults.add(msgspec.structs.replace(fault, path="/api/v1/pools"))
    run = run_process(config=config_for(emulator), catalog=catalog())
    assert run.status == 1
    assert streams_in(run) == {*SELECTED} - {"pools"}


@pytest.mark.parametrize("fault", FATAL[:3], ids=str)
def test_what_the_first_request_of_all_meets_ends_the_run_at_once(
    emulator: Emulator, fault: Fault
) -> None:
    emulator.faults.add(fault)
    run = run_process(config=config_for(emulator), catalog=catalog())
    assert run.status == 1
    assert run.output == b""
    assert len(emulator.requests) == 1


def test_a_server_that_never_answered_is_not_tried_for_each_stream() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        config = {"token": "x", "api_url": address, "max_retries": 0}
        run = run_process(config=config, catalog=catalog())
    assert run.status == 1
    assert "Connection refused" in run.failure
    assert "retrying" not in run.log
    assert run.log.count("Connection refused") == 1


def test_a_server_that_went_away_may_come_back(emulator: Emulator) -> None:
    emulator.faults.add(Fault(path="/api/v1/pools", reset=True, times=None))
    run = run_process(config=config_for(emulator, max_retries=0), catalog=catalog())
    assert run.status == 1
    assert streams_in(run) == {*SELECTED} - {"pools"}


def test_a_bug_in_one_stream_leaves_its_traceback_and_the_other_streams(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> Any:
        msg = "a bug"
        raise LookupError(msg)

    with patch.object(Pools, "listings", fail):
        run = run_inside(config_for(emulator), catalog=catalog(), may_fail=True)
    assert run.status == 1
    assert streams_in(run) == {*SELECTED} - {"pools"}
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.exc_info
    assert record.exc_info[0] is LookupError
    assert "pools failed because of a bug in the tap" in caplog.text


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, SystemExit, OSError])
def test_what_is_not_of_a_stream_is_not_taken_for_its_failure(
    emulator: Emulator, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with (
        patch.object(Pools, "listings", side_effect=error),
        pytest.raises(TolokaError if error is OSError else error),
    ):
        TapToloka(config=config_for(emulator), catalog=catalog()).run()
    assert emulator.requests[-1].path == "/api/app/v0/app-projects"
    assert "skills                 not read" in caplog.messages
    if error is not OSError:
        assert caplog.messages[-1].startswith(f"Stopped by {error.__name__}: 1 of 5 streams read, ")


@pytest.mark.parametrize("signum", STOPPING)
def test_a_run_that_is_stopped_ends_with_a_summary(
    emulator: Emulator, signum: signal.Signals, tmp_path: Path
) -> None:
    emulator.faults.add(Fault(path="/api/v1/projects", delay=120))
    for name, value in (("config", config_for(emulator)), ("catalog", catalog())):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    signals = {number: signal.getsignal(number) for number in STOPPING}
    for number in STOPPING:  # as a shell does
        signal.signal(number, signal.SIG_DFL)
    try:
        with (tmp_path / "output").open("wb") as output:
            process = subprocess.Popen(
                [*TAP, "--config=config.json", "--catalog=catalog.json"],
                cwd=tmp_path,
                stdout=output,
                stderr=subprocess.PIPE,
            )
    finally:
        for number, handler in signals.items():
            signal.signal(number, handler)
    with process:
        wait_until(lambda: [r.path for r in emulator.requests][-1:] == ["/api/v1/projects"])
        process.send_signal(signum)
        _, log = process.communicate(timeout=20)
    run = Run((tmp_path / "output").read_bytes(), log.decode(), process.returncode)
    assert run.status == 128 + signum
    lines = summary(run)
    assert [*lines] == ["app_projects", "pools", "projects", "skills", "webhook_subscriptions"]
    assert lines["projects"].startswith("WARNING ")
    assert lines["projects"].endswith("interrupted")
    assert lines["skills"].endswith("not read")
    assert ended(run) == (
        f"Stopped by {signum.name}: 2 of 5 streams read, 1 interrupted, 2 not read, "
        f"{len(run.records)} rows"
    )


def test_a_full_disk_ends_the_run_in_words(emulator: Emulator, tmp_path: Path) -> None:
    for name, value in (("config", config_for(emulator)), ("catalog", catalog())):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    command = [*TAP, "--config=config.json", "--catalog=catalog.json"]
    with open("/dev/full", "wb") as full:  # noqa: PTH123  # a device
        done = subprocess.run(
            command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert done.returncode == 1
    log = done.stderr.decode()
    assert "failed because the output cannot be written: No space left on device" in log
    assert "0 of 5 streams read, 1 failed (app_projects), 4 not read" in log.splitlines()[-1]
    assert "Traceback" not in log
