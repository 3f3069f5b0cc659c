"""Runs the tap: as the process that Meltano starts, or inside the test's own, which is faster."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import requests

from tap_toloka.errors import TolokaError
from tap_toloka.output import LineWriter
from tap_toloka.parallel import Pace
from tap_toloka.tap import TapToloka

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toloka_emulator import Emulator, Request

DATE = re.compile(r"[0-9-]{10}T[0-9]{2}:[0-9]{2}[0-9:.]*Z?")
POOLS_PATH, REQUESTER_PATH = "/api/v1/pools", "/api/v1/requester"
TAP = [sys.executable, "-m", "tests.no_dotenv"]
"""The command `tap-toloka`, which finds no `.env`."""


@dataclass(frozen=True)
class Run:
    """What a run of the tap left behind."""

    output: bytes
    log: str = ""
    status: int = 0

    @property
    def failure(self) -> str:
        """The line that says why the run failed: of the summary, or the last one without it."""
        lines = self.log.splitlines()
        return next((x for x in lines if re.search(r"\d s  .*failed because", x)), lines[-1])

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The Singer messages in their order; numbers with a fraction as Decimal."""
        return [json.loads(line, parse_float=Decimal) for line in self.output.splitlines()]

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of the one stream."""
        (schema,) = [m["schema"] for m in self.messages if m["type"] == "SCHEMA"]
        assert isinstance(schema, dict)
        return schema

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records of all streams."""
        return [m["record"] for m in self.messages if m["type"] == "RECORD"]

    @property
    def ids(self) -> list[str]:
        """The ids of the records."""
        return [record["id"] for record in self.records]

    @property
    def state(self) -> dict[str, Any] | None:
        """The last state, which the next run would be given."""
        states = [m["value"] for m in self.messages if m["type"] == "STATE"]
        return states[-1] if states else None

    @property
    def bookmark(self) -> Any:
        """The bookmark of pools in the last state."""
        assert self.state is not None
        return self.state["bookmarks"]["pools"].get("replication_key_value")


def without_blocks(state: Any) -> Any:
    """Return a state without what was printed of compared rows, which depends on many settings."""
    bookmarks = {
        name: {key: value for key, value in entry.items() if key != "blocks"}
        for name, entry in state["bookmarks"].items()
    }
    return {**state, "bookmarks": bookmarks}


def config_for(emulator: Emulator, **settings: Any) -> dict[str, Any]:
    """Return a config for the tap that reads from the emulator, as fast as Toloka allows it."""
    ours = {"token": emulator.key, "api_url": emulator.url, "max_requests_per_second": 300}
    return {**ours, **settings}


def run_process(
    *args: str,
    config: Mapping[str, Any] | str | None = None,
    state: Any = None,
    catalog: Mapping[str, Any] | str | None = None,
    env: Mapping[str, str] | None = None,
) -> Run:
    """Run the tap as a process of its own; without arguments and a catalog it reads pools."""
    if catalog is None and not args:
        catalog = catalog_of()
    with tempfile.TemporaryDirectory() as folder:
        command = [*TAP, *args]
        for option, value in (("config", config), ("state", state), ("catalog", catalog)):
            if value is not None:
                path = Path(folder, f"{option}.json")
                path.write_text(value if isinstance(value, str) else json.dumps(value))
                command += [f"--{option}", str(path)]
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            timeout=120,
            cwd=folder,
            env={**os.environ, **(env or {})},
        )
    return Run(done.stdout, done.stderr.decode(), done.returncode)


def run_inside(
    config: Mapping[str, Any],
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
    *,
    stream: str = "pools",
    may_fail: bool = False,
) -> Run:
    """Run the tap in this process; what goes wrong is raised, or is status 1 if it may fail.

    Without a catalog it reads the one stream. Of a catalog it gets the selected streams alone: the
    SDK takes a third of the time of a short run to look at the others.
    """
    catalog = catalog or catalog_of(stream=stream)
    selected = [e for e in catalog["streams"] if e["metadata"][-1]["metadata"].get("selected")]
    output, status = io.BytesIO(), 0
    with contextlib.redirect_stdout(io.TextIOWrapper(output, write_through=True)) as stdout:
        tap = TapToloka(
            config=dict(config),
            state=json.loads(json.dumps(state or {})),
            catalog={**catalog, "streams": selected},
        )
        try:
            tap.run()
        except TolokaError as error:
            if not may_fail:
                reports = [stream.report for stream in tap.streams.values()]  # type: ignore[attr-defined]
                why = [f"{one.name}: {one.failure}" for one in reports if one.failure]
                raise TolokaError("; ".join(why) or str(error)) from error
            status = 1
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        stdout.flush()
        return Run(output.getvalue(), status=status)


@contextlib.contextmanager
def stopped_after(writes: int, signum: int = signal.SIGTERM) -> Iterator[None]:
    """Let a run in this process be stopped by a signal that arrives during this write, from 1.

    A write is of up to 20 rows, or one other message.
    """
    numbers = itertools.count(1)
    write = LineWriter._write

    def write_and_stop(writer: LineWriter, lines: bytes) -> None:
        with writer.uninterrupted():
            write(writer, lines)
            if next(numbers) == writes:
                writer.stop(signum)

    with patch.object(LineWriter, "_write", write_and_stop):
        yield


@contextlib.contextmanager
def no_waiting(*, rate_limit: bool = True) -> Iterator[list[float]]:
    """Let runs in this process not wait before they try again; give how long they would have.

    Args:
        rate_limit: Whether they still keep to `max_requests_per_second`.
    """
    waits: list[float] = []
    with contextlib.ExitStack() as patches:
        patches.enter_context(patch("time.sleep", waits.append))
        patches.enter_context(patch.object(Pace, "pause"))
        if not rate_limit:
            patches.enter_context(patch.object(Pace, "wait"))
        yield waits


def catalog_of(*deselected: str, stream: str = "pools", **changes: Any) -> dict[str, Any]:
    """Return the discovered catalog with one stream selected.

    Args:
        *deselected: Paths of fields that are deselected, as `owner` or `owner.id`.
        stream: Which stream.
        **changes: Values for its entry, as `replication_method="FULL_TABLE"`.
    """
    catalog: dict[str, Any] = json.loads(discovered())
    for entry in catalog["streams"]:
        entry["metadata"][-1]["metadata"]["selected"] = entry["stream"] == stream
    (entry,) = [entry for entry in catalog["streams"] if entry["stream"] == stream]
    entry.update(changes)
    for path in deselected:
        crumbs = [crumb for name in path.split(".") for crumb in ("properties", name)]
        for item in entry["metadata"]:
            if item["breadcrumb"] == crumbs:
                item["metadata"]["selected"] = False
    return catalog


def catalog_of_all() -> dict[str, Any]:
    """Return the discovered catalog with all streams selected."""
    catalog: dict[str, Any] = json.loads(discovered())
    for entry in catalog["streams"]:
        entry["metadata"][-1]["metadata"]["selected"] = True
    return catalog


@functools.cache
def discovered() -> str:
    """Return the catalog that the tap discovers."""
    return TapToloka(config={}, validate_config=False).catalog_json_text


def requests_for_rows(emulator: Emulator) -> list[Request]:
    """Return the requests but for the one of each run that tells whose account it is."""
    return [request for request in emulator.requests if request.path != REQUESTER_PATH]


def expected(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as the tap is to print it, from the row as the emulator holds it."""
    return {
        field: in_one_form(value) if isinstance(value, str) and DATE.fullmatch(value) else value
        for field, value in row.items()
    }


def in_one_form(text: str) -> str:
    """Fill up a date of Toloka's."""
    text = text.removesuffix("Z")
    if len(text) == len("2020-09-01T13:00"):
        text += ":00"
    seconds, _, fraction = text.partition(".")
    return f"{seconds}.{fraction:0<3}Z"


def bare_response(body: bytes) -> requests.Response:
    """Make a response that nobody sent."""
    response = requests.Response()
    response.status_code, response._content = 200, body  # there is no public way
    return response


def threads_of_tap() -> list[threading.Thread]:
    """Return the threads of this process that the tap has started."""
    return [thread for thread in threading.enumerate() if thread.name == "toloka"]


def wait_until(condition: Callable[[], Any]) -> None:
    """Wait until something is so, at most 20 seconds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
