"""A run that is stopped ends soon, between two lines, with the status of the signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from singer_sdk.singerlib import StateMessage

from tap_toloka.output import LineWriter
from tests.runner import (
    POOLS_PATH,
    REQUESTER_PATH,
    TAP,
    catalog_of,
    config_for,
    requests_for_rows,
    run_inside,
)
from toloka_emulator import Emulator, Fault, make_pool, make_pools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}
SOON = 20.0
"""Seconds, on a busy machine; what is waited for below lasts longer."""


@pytest.fixture(autouse=True)
def _default_signals() -> Iterator[None]:
    """Start processes as a shell does, also if the tests run in the background or under nohup."""
    before = {signum: signal.getsignal(signum) for signum in STATUS}
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the tap as a process whose output is to be read by the test."""
    started = []

    def start(
        config: dict[str, Any], state: Any = None, command: Sequence[str] = TAP, **env: str
    ) -> subprocess.Popen[bytes]:
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "catalog.json").write_text(json.dumps(catalog_of()))
        command = [
            *command,
            f"--config={tmp_path}/config.json",
            f"--catalog={tmp_path}/catalog.json",
        ]
        if state is not None:
            (tmp_path / "state.json").write_text(json.dumps(state))
            command += ["--state", str(tmp_path / "state.json")]
        started.append(
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONUNBUFFERED": "", **env},
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], Any]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("signum", STATUS)
def test_a_line_under_way_is_finished(
    signum: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, written = LineWriter(), bytearray()

    class File:
        """Takes a few bytes at a time, and is interrupted each time."""

        @staticmethod
        def write(data: memoryview) -> int:
            written.extend(data[:7])
            writer.stop(signum)
            return len(data[:7])

    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=File))
    with pytest.raises(SystemExit) as stopped:
        writer.write_message(StateMessage(value={"bookmarks": {}}))
    assert stopped.value.code == STATUS[signum]
    assert written == b'{"type":"STATE","value":{"bookmarks":{}}}\n'


@pytest.mark.parametrize("signum", STATUS)
def test_between_two_lines_it_ends_at_once(signum: signal.Signals) -> None:
    with pytest.raises(SystemExit) as stopped:
        LineWriter().stop(signum)
    assert stopped.value.code == STATUS[signum]


def test_ctrl_break_of_windows_ends_a_run_as_a_signal_does(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    as_there = (
        "import runpy, signal\n"
        "del signal.SIGHUP\n"
        "signal.SIGBREAK = signal.SIGUSR1  # which this system can send\n"
        "runpy.run_module('tests.no_dotenv', run_name='__main__', alter_sys=True)"
    )
    with Emulator(pools=make_pools(900)) as emulator:
        emulator.faults.add(Fault(delay=120, after=2, path=POOLS_PATH))
        config = config_for(emulator, max_concurrency=1)
        process = start(config, command=[sys.executable, "-c", as_there])
        assert process.stdout
        for _ in range(1 + 600):
            process.stdout.readline()
        process.send_signal(signal.SIGUSR1)
        (state,) = process.stdout
        assert process.wait(SOON) == 128 + signal.SIGUSR1
        emulator.faults.clear()
    assert "unfinished" in json.loads(state)["value"]["bookmarks"]["pools"]


@pytest.mark.parametrize("signum", STATUS)
@pytest.mark.parametrize("maps", [{}, {"pools": {"private_name": "private_name"}}], ids=str)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_slow_reader_gets_whole_lines(
    start: Callable[..., subprocess.Popen[bytes]],
    signum: signal.Signals,
    maps: Any,
    unbuffered: str,
) -> None:
    with Emulator(pools=make_pools(3000, seed=9)) as emulator:
        process = start(config_for(emulator, stream_maps=maps), PYTHONUNBUFFERED=unbuffered)
        assert process.stdout
        output = process.stdout.read(100_000)
        process.send_signal(signum)
        while chunk := process.stdout.read(4096):
            output += chunk
            time.sleep(0.005)
        assert process.wait(SOON) == STATUS[signum]
    assert output.endswith(b"}\n")
    messages = [json.loads(line) for line in output.splitlines()]
    records = [m["record"]["id"] for m in messages if m["type"] == "RECORD"]
    assert 10 < len(records) < 3000
    assert "STATE" not in {m["type"] for m in messages}


@pytest.mark.parametrize("signum", STATUS)
@pytest.mark.parametrize(
    "fault", [Fault(delay=120), Fault(status=503, headers={"Retry-After": "60"})], ids=str
)
@pytest.mark.parametrize("path", [REQUESTER_PATH, POOLS_PATH])
def test_no_wait_is_sat_out(
    start: Callable[..., subprocess.Popen[bytes]], signum: signal.Signals, fault: Fault, path: str
) -> None:
    with Emulator(pools=[make_pool("1", "2024-01-01T00:00:00")]) as emulator:
        state = run_inside(config_for(emulator)).state
        emulator.clear_requests()
        emulator.faults.add(msgspec.structs.replace(fault, path=path))
        process = start(config_for(emulator, timeout=120), state)
        wait_for(lambda: process.poll() is not None or path in {r.path for r in emulator.requests})
        time.sleep(0.3)
        process.send_signal(signum)
        output, log = process.communicate(timeout=SOON)
    assert process.returncode == STATUS[signum]
    if path == REQUESTER_PATH:
        assert output == b""
    else:
        assert json.loads(output.splitlines()[0])["value"] == state
    assert b"Traceback" not in log


COMMANDS = (
    [str(Path(sysconfig.get_path("scripts"), "tap-toloka"))],
    [sys.executable, "-m", "tap_toloka"],
)


@pytest.mark.parametrize("signum", STATUS)
@pytest.mark.parametrize("command", COMMANDS, ids=["script", "module"])
@pytest.mark.parametrize("imported", ["msgspec", "jsonschema", "tap_toloka.client"])
def test_a_signal_while_python_imports_ends_the_run_without_a_word(
    signum: signal.Signals, command: list[str], imported: str
) -> None:
    process = subprocess.Popen(
        [*command, "--about"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        text=True,
    )
    assert process.stderr
    for line in process.stderr:  # each module is named once it is imported
        if line.split("|")[-1].strip() == imported:
            break
    process.send_signal(signum)
    output, log = process.communicate(timeout=SOON)
    assert process.returncode == STATUS[signum]
    assert output == ""
    assert all(line.startswith("import time:") for line in log.splitlines()), log


def test_a_signal_while_the_tap_is_set_up_ends_the_run_without_a_word(tmp_path: Path) -> None:
    """Send it from within the SDK's constructor, whose own handlers would fail there."""
    code = (
        "import os, runpy, signal\n"
        "from tap_toloka.tap import TapToloka\n"
        "TapToloka.setup_mapper = lambda self: os.kill(os.getpid(), signal.SIGTERM)\n"
        "runpy.run_module('tap_toloka', run_name='__main__', alter_sys=True)"
    )
    (tmp_path / "config.json").write_text('{"token": "x"}')
    command = [sys.executable, "-c", code, "--config", str(tmp_path / "config.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SOON)
    assert done.returncode == STATUS[signal.SIGTERM]
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_hangup_that_is_ignored_stays_ignored(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    with Emulator(pools=make_pools(900, seed=10)) as emulator:
        process = start(config_for(emulator))
        assert process.stdout
        process.stdout.readline()  # the rest is more than a pipe holds
        process.send_signal(signal.SIGHUP)
        output, _ = process.communicate(timeout=SOON)
    assert process.returncode == 0
    assert output.count(b'"RECORD"') == 900


def test_the_next_run_loses_nothing(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    with Emulator(pools=make_pools(900, seed=10)) as emulator:
        emulator.faults.add(Fault(path=POOLS_PATH, delay=120, after=2))
        process = start(config_for(emulator, max_concurrency=1))
        assert process.stdout
        loaded = [process.stdout.readline() for _ in range(1 + 600)]
        wait_for(lambda: len(requests_for_rows(emulator)) == 3)
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=SOON)
        ids = {json.loads(line)["record"]["id"] for line in loaded[1:]}
        emulator.faults.clear()
        again = run_inside(config_for(emulator), json.loads(rest)["value"])
        assert ids | set(again.ids) == {row["id"] for row in emulator.pools.rows()}


def test_a_reader_that_went_away_is_told_in_one_line(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    with Emulator(pools=make_pools(900, seed=11)) as emulator:
        process = start(config_for(emulator))
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        log = process.stderr.read().decode()
        assert process.wait(SOON) == 1
    assert "failed because the target stopped reading" in log.splitlines()[-2]
    assert "0 of 1 stream read, 1 failed (pools)" in log.splitlines()[-1]
    assert "Traceback" not in log
    assert "Exception ignored" not in log
