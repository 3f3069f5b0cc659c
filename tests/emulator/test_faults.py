"""Faults on demand, and the log of requests."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.emulator.helpers import few_pools, get, ids, refusal
from toloka_emulator import Emulator, Fault


def test_a_fault_hits_so_many_requests_after_so_many(emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=503, times=2, after=1, headers={"Retry-After": "1"}))
    answers = [get(emulator) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 503, 503, 200]
    refusal(answers[1], 503, "REMOTE_SERVICE_UNAVAILABLE")
    assert answers[1].headers["Retry-After"] == "1"


def test_a_fault_may_last_until_it_is_cleared(emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=500, times=None))
    for _ in range(5):
        refusal(get(emulator), 500, "INTERNAL_ERROR")
    emulator.faults.clear()
    assert get(emulator).status_code == 200


def test_faults_come_one_after_another(emulator: Emulator) -> None:
    for status in (500, 502, 504, 408):
        emulator.faults.add(Fault(status=status))
    answered = [get(emulator).status_code for _ in range(5)]
    assert answered == [500, 502, 504, 408, 200]


def test_a_fault_may_pick_requests_by_path_and_parameters(emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=500, times=None, path="/api/v1/pools/*"))
    emulator.faults.add(Fault(status=502, times=None, params={"sort": "id", "id_gt": "*5"}))
    assert get(emulator).status_code == 200
    assert get(emulator, "/api/v1/pools/999999").status_code == 500
    assert get(emulator, sort="id", id_gt="17").status_code == 200
    assert get(emulator, sort="-id", id_gt="15").status_code == 200
    assert get(emulator, sort="id").status_code == 200
    assert get(emulator, sort="id", id_gt="15").status_code == 502


def test_a_quota_that_ran_out_names_its_interval(emulator: Emulator) -> None:
    emulator.faults.add(Fault(quota="HOUR"))
    assert refusal(get(emulator), 429, "TOO_MANY_REQUESTS") == {"interval": "HOUR"}


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({}, b"{}"),
        ([], b"[]"),
        (None, b"null"),
        ('{"items":', b'{"items":'),
        ("<html>нет</html>", "<html>нет</html>".encode()),
        (b"\xff\xfe", b"\xff\xfe"),
    ],
)
def test_a_body_may_be_anything(emulator: Emulator, body: object, sent: bytes) -> None:
    emulator.faults.add(Fault(body=body, headers={"content-type": "text/html"}))
    emulator.faults.add(Fault(body=body, status=502))
    answer = get(emulator)
    assert (answer.status_code, answer.content) == (200, sent)
    assert answer.headers["Content-Type"] == "text/html"
    answer = get(emulator)
    assert (answer.status_code, answer.content) == (502, sent)


def test_redirects(emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=302, headers={"Location": "/elsewhere"}))
    answer = get(emulator)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/elsewhere")


@pytest.mark.parametrize("has_more", [True, None, "yes", 1])
def test_has_more_may_be_anything(emulator: Emulator, has_more: object) -> None:
    emulator.faults.add(Fault(has_more=has_more))
    answer = get(emulator, sort="id", limit=6)
    assert len(ids(answer)) == 6
    assert answer.text.endswith(f',"has_more":{json.dumps(has_more)}}}')


def test_a_list_may_come_without_has_more_or_empty_though_there_is_more(emulator: Emulator) -> None:
    emulator.faults.add(Fault(without_has_more=True))
    assert get(emulator, sort="id", limit=6).json().keys() == {"items"}
    emulator.faults.add(Fault(without_items=True))
    assert get(emulator, sort="id", limit=2).json() == {"items": [], "has_more": True}


def test_a_delay_makes_an_answer_late(emulator: Emulator) -> None:
    emulator.faults.add(Fault(delay=0.3, params={"limit": "1"}))
    with ThreadPoolExecutor(1) as thread:
        late = thread.submit(get, emulator, limit=1)
        while not emulator.requests:
            time.sleep(0.001)
        get(emulator)
        assert not late.done()
    first, second = emulator.requests
    assert first.ended is not None
    assert second.ended is not None
    assert second.ended < first.ended >= first.started + 0.3


def test_a_reset_breaks_the_connection_before_any_answer(emulator: Emulator) -> None:
    emulator.faults.add(Fault(reset=True))
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        get(emulator)
    assert emulator.requests[0].status is None
    assert get(emulator).status_code == 200


def test_a_cut_breaks_the_connection_within_the_body(emulator: Emulator) -> None:
    whole = len(get(emulator).content)
    emulator.faults.add(Fault(cut=True))
    with pytest.raises(requests.exceptions.ChunkedEncodingError) as broken:
        get(emulator)
    half = whole // 2
    assert f"{half} bytes read, {whole - half} more expected" in str(broken.value)
    assert get(emulator).status_code == 200


def test_logs_every_request_to_the_api(emulator: Emulator) -> None:
    before = time.monotonic()
    get(emulator, sort="id", created_gt="2026-01-01T00:00:00")
    get(emulator, "/api/v1/nothing?a=1&a=2&b=")
    requests.get(emulator.url + "/_emulator/stats", timeout=10)
    first, second = emulator.requests
    assert (first.method, first.path, first.status) == ("GET", "/api/v1/pools", 200)
    assert dict(first.params) == {"sort": "id", "created_gt": "2026-01-01T00:00:00"}
    assert first.headers["authorization"] == f"ApiKey {emulator.key}"
    assert first.ended is not None
    assert before <= first.started <= first.ended <= second.started <= time.monotonic()
    assert second.status == 404
    assert list(second.params.items()) == [("a", "1"), ("a", "2"), ("b", "")]
    emulator.clear_requests()
    assert emulator.requests == []


def test_counts_what_waits_at_once_and_what_comes_within_a_second() -> None:
    with Emulator(few_pools(), latency=0.5) as emulator, ThreadPoolExecutor(8) as threads:
        assert [len(ids(answer)) for answer in threads.map(get, [emulator] * 8)] == [6] * 8
        assert emulator.most_in_flight == 8
        assert emulator.log.most_in_a_second == 8
        emulator.clear_requests()
        assert emulator.log.most_in_a_second == 0
        get(emulator)
        assert emulator.most_in_flight == 1
        time.sleep(1)
        get(emulator)
        assert emulator.log.most_in_a_second == 1
