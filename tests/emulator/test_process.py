"""The emulator as a process, driven over HTTP."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.emulator.helpers import ids
from toloka_emulator import KEY, OPEN_POOLS, RESOURCES, make_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

AUTHORIZED = {"Authorization": f"ApiKey {KEY}"}


@contextlib.contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the emulator as a process, and give it and its address once it is ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "toloka_emulator", *options],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            ready = re.match(r"Emulator of Toloka at (http://127\.0\.0\.1:[0-9]+) ", line)
            assert ready, line
            yield process, ready[1]
        finally:
            process.kill()


def test_a_process_is_driven_over_http() -> None:
    options = ("--pools", "20", "--rows", "5", "--act-under", "a")
    with running(*options) as (_, url), requests.Session() as session:
        own = url + "/_emulator"
        for name in RESOURCES.keys() - {"pools"}:
            count = 1 if name == "requester" else 5
            assert len(session.get(f"{own}/{name}").json()) == count

        def pools(**params: object) -> requests.Response:
            headers = {**AUTHORIZED, "X-Act-Under-Account-ID": "a"}
            query = {name: str(value) for name, value in params.items()}
            return session.get(f"{url}/api/v1/pools", params=query, headers=headers)

        assert [row["id"] for row in session.get(f"{own}/pools").json()] == ids(pools(sort="id"))

        row = make_pool("17", "2026-01-01T00:00:00", reward_per_assignment=0.5)
        assert session.post(f"{own}/pools?visible_in=0.2", json=[row]).status_code == 201
        assert ids(pools(id_lte=17)) == []
        time.sleep(0.2)
        assert ids(pools(id_lte=17)) == ["17"]
        assert session.patch(f"{own}/pools/17", json={"status": "LOCKED"}).status_code == 204
        assert "17" in ids(pools(status="LOCKED"))
        twice = session.post(f"{own}/pools", json=[row])
        assert (twice.status_code, "17" in twice.text) == (400, True)

        fault = {"status": 503, "times": None, "headers": {"Retry-After": "7"}}
        assert session.post(f"{own}/faults", json=fault).status_code == 201
        assert pools().headers["Retry-After"] == "7"
        assert session.post(f"{own}/faults", json={"statos": 503}).status_code == 400
        session.delete(f"{own}/faults")
        session.post(f"{own}/faults", json={"has_more": None})
        assert pools().json()["has_more"] is None

        logged = session.get(f"{own}/requests").json()
        assert logged[0]["params"] == [["sort", "id"]]
        assert ["X-Act-Under-Account-ID", "a"] in logged[0]["headers"]
        stats = session.get(f"{own}/stats").json()
        assert 1 <= stats.pop("most_in_a_second") <= len(logged)
        assert stats == {"requests": len(logged), "most_in_flight": 1}
        session.delete(f"{own}/requests")
        assert session.get(f"{own}/stats").json()["requests"] == 0


def test_a_process_starts_with_an_account_and_reaches_rows_within_parents() -> None:
    with running("--account", "10", "200") as (_, url), requests.Session() as session:
        own = url + "/_emulator"
        session.headers.update(AUTHORIZED)
        pool = session.get(f"{own}/pools").json()[0]
        path = f"{url}/api/v1/assignments?pool_id={pool['id']}"
        assert session.get(path).json()["items"]
        assert session.delete(f"{own}/pools/{pool['id']}").status_code == 204
        assert session.get(path).status_code == 404
        assert session.delete(f"{own}/pools/{pool['id']}").status_code == 400

        solution = session.get(f"{own}/aggregated_solutions").json()[0]
        operation_id, task_id = solution["operation_id"], solution["task_id"]
        path = f"{own}/aggregated_solutions/{operation_id}/{task_id}"
        assert session.patch(path, json={"confidence": 0.125}).status_code == 204
        answer = session.get(
            f"{url}/api/v1/aggregated-solutions/{operation_id}?task_id_lte={task_id}"
        )
        assert '"confidence":0.125' in answer.text
        another = {**solution, "task_id": "another"}
        assert session.post(f"{own}/aggregated_solutions", json=[another]).status_code == 201
        assert session.post(f"{own}/aggregated_solutions", json=[another]).status_code == 400

        logged = session.get(f"{own}/operation_logs").json()[0]["operation_id"]
        path = f"{url}/api/v1/operations/{logged}/log"
        assert session.get(path).json()[0]["success"] is True
        assert session.delete(f"{own}/operation_logs/{logged}").status_code == 204
        assert session.get(path).json()["code"] == "OPERATION_LOGS_ARCHIVED"


def test_a_process_starts_with_a_large_account() -> None:
    with running("--large", "25", "10") as (_, url):
        rows = requests.get(f"{url}/api/v1/pools?limit=300", headers=AUTHORIZED, timeout=10).json()
        assigned = requests.get(f"{url}/_emulator/assignments", timeout=10).json()
    assert sum(row["status"] == "OPEN" for row in rows["items"]) == OPEN_POOLS
    assert len(assigned) == 250


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_ends_at_once_though_a_request_waits(number: signal.Signals) -> None:
    with running("--latency", "60") as (process, url), ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(requests.get, f"{url}/api/v1/pools", headers=AUTHORIZED)
        deadline = time.monotonic() + 10
        while not requests.get(f"{url}/_emulator/requests", timeout=10).json():
            assert time.monotonic() < deadline
        process.send_signal(number)
        rest, errors = process.communicate(timeout=10)  # seconds: long before the answer is due
        assert (process.returncode, rest, errors) == (0, "", "")
        assert isinstance(waiting.exception(), requests.ConnectionError)
