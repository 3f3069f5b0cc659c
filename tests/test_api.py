"""One request: where it goes, what it says of itself, when it is sent again. Against bare HTTP."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.errors import RefusedError, TolokaError
from tap_toloka.parallel import StoppedError
from tests.bare_server import api_at, bare_server
from tests.runner import no_waiting

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """Do not wait before retries, and give how long it would have been."""
    with no_waiting() as waits:
        yield waits


def test_a_request_has_its_path_its_parameters_and_who_sends_it() -> None:
    with bare_server(lambda _: (200, b"[1, 2]")) as (url, requests):
        api = api_at(f"{url}/toloka/", account_id="requester-1")
        assert api.get("/v1/pools", {"sort": "id", "name": "a,b №"}, json.loads) == [1, 2]
    (request,) = requests
    assert request.path == "/toloka/api/v1/pools"
    assert request.params == {"sort": "id", "name": "a,b №"}
    assert request.headers["Authorization"] == "ApiKey key"
    assert request.headers["X-Act-Under-Account-ID"] == "requester-1"
    assert request.headers["User-Agent"] == "us/1"


def test_a_body_that_cannot_be_read_is_requested_again(
    waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    bodies = iter([b"<html>", b"[", b"[3]"])
    with bare_server(lambda _: (200, next(bodies))) as (url, requests):
        assert api_at(url).get("/v1/pools", {}, json.loads) == [3]
    assert len(requests) == 3
    assert len(waits) == 2
    assert [line.split(":")[0] for line in caplog.messages] == ["/v1/pools"] * 2


def test_after_the_last_retry_the_error_says_what_was_wrong(waits: list[float]) -> None:
    with bare_server(lambda _: (200, b"<html>")) as (url, requests):
        match = "response from Toloka: Expecting value.*; giving up after 3 attempts"
        with pytest.raises(TolokaError, match=match):
            api_at(url).get("/v1/pools", {}, json.loads)
    assert len(requests) == 3
    assert len(waits) == 2


@pytest.mark.parametrize(
    ("status", "body", "gone"),
    [
        (404, {"code": "OPERATION_LOGS_ARCHIVED"}, True),
        (400, {"code": "OPERATION_LOGS_ARCHIVED"}, True),
        (410, {"code": "RESULTS_EXPIRED"}, True),
        (404, {"code": "DOES_NOT_EXIST"}, False),
        (400, {"code": "DOES_NOT_EXIST"}, False),
        (404, {"code": "ENTITY_DOES_NOT_EXIST"}, False),
        (403, {"code": "ACCESS_DENIED"}, False),
        (409, {"code": "CONFLICT_STATE"}, False),
        (409, {"code": "INAPPROPRIATE_STATUS"}, False),
        (404, {}, None),
        (404, {"code": "ROUTE_NOT_FOUND"}, None),
        (404, {"code": "does_not_exist"}, None),
        (404, {"code": 404}, None),
        (404, {"error": {"code": "DOES_NOT_EXIST"}}, None),
        (404, [{"code": "DOES_NOT_EXIST"}], None),
        (403, {"code": "Forbidden"}, None),
        (403, {"code": "ACCOUNT_MUST_BE_IDENTIFIED"}, None),
        (403, "<html>", None),
        (409, {"code": "CONFLICT"}, None),
        (410, {"code": "GONE"}, None),
        (400, {"code": "VALIDATION_ERROR"}, None),
        (401, {"code": "ACCESS_DENIED"}, None),
        (302, {}, None),
    ],
)
def test_only_toloka_itself_refuses_a_list(status: int, body: Any, *, gone: bool | None) -> None:
    with bare_server(lambda _: (status, json.dumps(body).encode())) as (url, requests):
        with pytest.raises(TolokaError) as error:
            api_at(url).get("/v1/pools", {}, json.loads)
        assert len(requests) == 1
    assert isinstance(error.value, RefusedError) == (gone is not None)
    assert getattr(error.value, "gone", None) is gone


def test_once_it_is_stopped_no_request_goes_out() -> None:
    stopped = threading.Event()
    stopped.set()
    with bare_server(lambda _: (200, b"[]")) as (url, requests):
        with pytest.raises(StoppedError):
            api_at(url).get("/v1/pools", {}, json.loads, stopped)
        assert requests == []


def test_a_429_slows_down_all_threads() -> None:
    statuses = iter([429])
    with bare_server(lambda _: (next(statuses, 200), b"")) as (url, requests):
        api = api_at(url)
        limited = threading.Thread(target=api.get, args=("/v1/pools", {}, len))
        other = threading.Thread(target=api.get, args=("/v1/skills", {}, len))
        limited.start()
        while not requests:
            time.sleep(0.01)
        time.sleep(0.2)
        other.start()
        time.sleep(0.5)
        assert len(requests) == 1, "the other one waits as well"
        limited.join()
        other.join()
    assert sorted(request.path for request in requests[1:]) == ["/api/v1/pools", "/api/v1/skills"]
