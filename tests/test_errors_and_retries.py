"""What goes wrong on the way is tried again if that can help, and else told in one line."""

from __future__ import annotations

import itertools
import json
import logging
import socket
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tap_toloka import api as toloka_api
from tap_toloka import hiding
from tap_toloka.api import TolokaApi, with_jitter
from tap_toloka.errors import RetryableError, TolokaError
from tap_toloka.tap import TapToloka
from tests.bare_server import response
from tests.runner import (
    POOLS_PATH,
    catalog_of,
    config_for,
    no_waiting,
    requests_for_rows,
    run_inside,
    run_process,
)
from toloka_emulator import Emulator, Fault, make_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_toloka.errors import Response

POOLS = [make_pool(str(id_), "2024-01-01T00:00:00") for id_ in range(1, 8)]
IDS = [row["id"] for row in POOLS]


@pytest.fixture
def emulator() -> Any:
    """Serve seven pools."""
    with Emulator(pools=POOLS) as emulator:
        yield emulator


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """Do not wait before retries, and give how long it would have been."""
    with no_waiting() as waits:
        yield waits


@pytest.mark.parametrize(
    "fault",
    [
        *[Fault(status=status) for status in (408, 429, 500, 502, 503, 504)],
        Fault(status=502, body="<html>Bad Gateway</html>", headers={"Content-Type": "text/html"}),
        Fault(reset=True),
        Fault(cut=True),
        Fault(body="<html>Maintenance</html>"),
        Fault(body=""),
        Fault(body={}),
        Fault(body=[]),
        Fault(body={"items": [], "has_more": None}),
        Fault(body={"items": {}, "has_more": False}),
        Fault(body={"items": [{"status": "OPEN"}], "has_more": False}),
        Fault(has_more="true"),
        Fault(has_more=None),
        Fault(without_has_more=True),
        Fault(without_items=True),
        Fault(quota="MIN"),
    ],
    ids=str,
)
def test_what_may_pass_is_tried_again_and_nothing_is_lost(
    emulator: Emulator, waits: list[float], fault: Fault
) -> None:
    emulator.faults.add(msgspec.structs.replace(fault, path=POOLS_PATH, times=2, after=1))
    run = run_inside(config_for(emulator, batch_size=3, max_concurrency=1))
    assert run.ids == IDS
    # An open connection may have been closed by the server: that is not waited for.
    assert len(waits) == (1 if fault.reset else 2)
    assert len(requests_for_rows(emulator)) == 3 + 2
    assert run.bookmark


@pytest.mark.parametrize(
    "fault",
    [
        *[Fault(path=POOLS_PATH, status=status, times=None) for status in (429, 500, 503)],
        Fault(path=POOLS_PATH, body={}, times=None),
    ],
    ids=str,
)
def test_a_run_that_gives_up_says_why_in_one_line(emulator: Emulator, fault: Fault) -> None:
    emulator.faults.add(fault)
    run = run_process(config=config_for(emulator, max_retries=1))
    assert run.status == 1
    assert run.state is None
    assert "Traceback" not in run.log
    assert emulator.key not in run.log
    assert run.failure.endswith("giving up after 2 attempts")
    assert "Toloka" in run.failure
    assert len(requests_for_rows(emulator)) == 2


def test_a_run_without_anyone_to_talk_to_says_so_in_one_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        run = run_process(config={"token": "x.SECRET", "api_url": address, "max_retries": 0})
    assert run.status == 1
    assert "Connection refused" in run.failure
    assert "Traceback" not in run.log
    assert "SECRET" not in run.log


def test_silence_is_not_waited_for_longer_than_the_timeout(emulator: Emulator) -> None:
    emulator.faults.add(Fault(delay=30))
    began = time.monotonic()
    with pytest.raises(TolokaError, match="timed out"):
        run_inside(config_for(emulator, timeout=1, max_retries=0))
    assert time.monotonic() - began < 25


@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 413, 415, 418, 501])
def test_what_will_not_pass_is_not_tried_again(emulator: Emulator, status: int) -> None:
    emulator.faults.add(Fault(path=POOLS_PATH, status=status))
    with pytest.raises(TolokaError, match=f"Toloka answered {status}"):
        run_inside(config_for(emulator))
    assert len(requests_for_rows(emulator)) == 1


def test_a_refused_key_is_told_with_what_to_check(emulator: Emulator) -> None:
    token = "AQVNwrongwrongwrongwro.x.SECRET"
    run = run_process(config={**config_for(emulator), "token": token})
    assert run.status == 1
    last = run.failure
    assert "401 AUTHENTICATION_ERROR" in last
    assert "`environment`" in last
    assert "production and sandbox have separate keys" in last
    assert emulator.url in last
    assert "SECRET" not in run.log
    assert len(emulator.requests) == 1


@pytest.mark.parametrize(
    ("settings", "asked"), [({}, "PRODUCTION"), ({"environment": "SANDBOX"}, "SANDBOX")]
)
def test_a_refused_key_is_told_with_the_environment_that_was_asked(
    settings: dict[str, str], asked: str
) -> None:
    assert f"({asked})" in str(api(**settings).error_of(response(401)))


def test_what_toloka_says_of_an_error_is_passed_on(emulator: Emulator) -> None:
    body = {
        "request_id": "req-17",
        "code": "VALIDATION_ERROR",
        "message": "The request\nis bad.",
        "payload": {"project_id": {"code": "VALUE_NOT_ALLOWED", "message": "no such project"}},
    }
    emulator.faults.add(Fault(path=POOLS_PATH, status=400, body=body))
    run = run_process(config=config_for(emulator))
    last = run.failure
    assert run.status == 1
    for said in ("400 VALIDATION_ERROR", "The request is bad", "no such project", "req-17"):
        assert said in last


def test_an_unknown_shared_account_is_refused_as_toloka_says(emulator: Emulator) -> None:
    with pytest.raises(TolokaError, match="403 ACCESS_DENIED"):
        run_inside(config_for(emulator, account_id="someone"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_token_is_not_sent_on_by_a_redirect(emulator: Emulator, status: int) -> None:
    with Emulator() as other:
        location = f"{other.url}/api/v1/pools"
        emulator.faults.add(Fault(status=status, headers={"Location": location}))
        with pytest.raises(TolokaError, match="not followed"):
            run_inside(config_for(emulator))
        assert not other.requests


@pytest.mark.parametrize(
    ("settings", "quota", "waited_for"),
    [
        ({}, "MIN", 60),
        ({"retry_quotas": ["MIN", "HOUR"]}, "HOUR", 60 * 60),
        ({"retry_quotas": ["DAY"]}, "DAY", 24 * 60 * 60),
    ],
)
def test_a_quota_is_waited_for_if_the_settings_want_it(
    emulator: Emulator,
    waits: list[float],
    settings: dict[str, Any],
    quota: Any,
    waited_for: int,
) -> None:
    emulator.faults.add(Fault(path=POOLS_PATH, quota=quota, after=1))
    assert run_inside(config_for(emulator, batch_size=3, max_concurrency=1, **settings)).ids == IDS
    (waited,) = waits
    assert waited_for <= waited <= waited_for * 1.25


@pytest.mark.parametrize(
    ("settings", "quota"), [({}, "HOUR"), ({}, "DAY"), ({"retry_quotas": []}, "MIN")]
)
def test_another_quota_ends_the_run_and_is_named(
    emulator: Emulator, settings: dict[str, Any], quota: Any
) -> None:
    emulator.faults.add(Fault(path=POOLS_PATH, quota=quota))
    with pytest.raises(TolokaError, match=f"Quota {quota} is exhausted.*retry_quotas"):
        run_inside(config_for(emulator, **settings))
    assert len(requests_for_rows(emulator)) == 1


def api(**settings: Any) -> TolokaApi:
    """Make a client of Toloka that is not used for requests."""
    return TapToloka(config={"token": "x", **settings}).api


def waits_after(*answers: Response | None) -> list[float]:
    """Return how long is waited after each of a row of failures, without jitter."""
    errors = [api().error_of(a) if a is not None else RetryableError("") for a in answers]
    seconds = toloka_api.waits()
    next(seconds)
    return [seconds.send(error) for error in errors]


def test_waits_grow_and_outlast_the_quota_of_a_minute() -> None:
    seconds = waits_after(*[None] * 5)
    assert seconds == [2, 4, 8, 16, 32]
    assert sum(seconds) > 60
    assert max(waits_after(*[None] * 100)) == 64


def test_waits_grow_and_are_never_shorter_than_toloka_asks() -> None:
    in_a_while = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=90))
    long_ago = format_datetime(datetime.now(timezone.utc) - timedelta(days=1))
    assert waits_after(
        response(503, Retry_After="17"),
        response(503, Retry_After="0"),
        response(503, Retry_After=long_ago),
        response(429, b'{"payload": {"interval": "MIN"}}', Retry_After="3"),
        response(429, b'{"payload": {"interval": "MIN"}}'),
    ) == [17, 4, 8, 16, 60]
    error = api(retry_quotas=["HOUR"]).error_of(response(503, Retry_After=in_a_while))
    assert isinstance(error, RetryableError)
    assert 85 < error.wait <= 90


@pytest.mark.parametrize(
    "odd", ["", "soon", "-1", "1.5", "inf", "Mon, 99 Foo", "٣x", "Mon, 01 Jan 99999 00:00:00 GMT"]
)
def test_an_odd_retry_after_is_no_obstacle(odd: str) -> None:
    assert waits_after(response(503, Retry_After=odd)) == [2]


@pytest.mark.parametrize(
    ("settings", "asked", "waited_for"),
    [
        ({}, "60", True),
        ({}, "61", False),
        ({}, "9" * 5000, False),
        ({"retry_quotas": []}, "60", True),
        ({"retry_quotas": ["HOUR"]}, "3600", True),
        ({"retry_quotas": ["MIN", "HOUR"]}, "3601", False),
        ({"retry_quotas": ["DAY"]}, "86400", True),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_no_wait_is_longer_than_the_quotas_that_may_be_waited_for(
    settings: dict[str, Any], asked: str, status: int, *, waited_for: bool
) -> None:
    error = api(**settings).error_of(response(status, Retry_After=asked))
    assert isinstance(error, RetryableError) == waited_for


def test_waits_are_jittered_upwards_only() -> None:
    seconds = [with_jitter(8) for _ in range(100)]
    assert all(8 <= wait <= 10 for wait in seconds)
    assert len(set(seconds)) > 90
    assert with_jitter(0) == 0


def test_each_try_is_logged_with_its_cause(
    emulator: Emulator, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    emulator.faults.add(Fault(status=503, headers={"Retry-After": "7"}, times=2))
    with caplog.at_level(logging.WARNING):
        run_inside(config_for(emulator))
    lines = [record.getMessage() for record in caplog.records if "retrying in" in record.message]
    assert len(lines) == len(waits) == 2
    for line, number in zip(lines, itertools.count(1), strict=False):
        assert "503" in line
        assert f"({number} of 5)" in line


def test_no_log_shows_the_token_whatever_happens(emulator: Emulator) -> None:
    emulator.faults.add(Fault(path=POOLS_PATH, status=500, body=f"you sent {emulator.key}"))
    refused = {"code": "X", "message": f"bad {emulator.key}"}
    emulator.faults.add(Fault(path=POOLS_PATH, status=400, body=refused))
    run = run_process(config=config_for(emulator), env={"TAP_TOLOKA_LOGLEVEL": "DEBUG"})
    assert run.status == 1
    assert "bad ***" in run.log
    assert emulator.key not in run.log + run.output.decode()


@pytest.mark.parametrize(
    "location", ["http://[", "/elsewhere", "https://me:SECRET@evil.example/x", ""]
)
def test_an_odd_redirect_is_told_without_what_it_may_hide(
    emulator: Emulator, location: str
) -> None:
    emulator.faults.add(Fault(path=POOLS_PATH, status=302, headers={"Location": location}))
    with pytest.raises(TolokaError, match=r"pools: .*(302|redirect)") as error:
        run_inside(config_for(emulator))
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize("body", ["[" * 100_000, '{"items": [' + '{"filter":' * 100_000])
def test_what_is_cut_off_is_a_broken_answer_however_deep(
    emulator: Emulator, waits: list[float], body: str
) -> None:
    emulator.faults.add(Fault(path=POOLS_PATH, body=body))
    emulator.faults.add(Fault(path=POOLS_PATH, status=500, body=body))
    assert run_inside(config_for(emulator)).ids == IDS
    assert len(waits) == 2


def test_a_proxy_is_not_told_what_goes_to_this_machine(emulator: Emulator) -> None:
    with Emulator() as proxy:
        run = run_process(
            config=config_for(emulator), env={"HTTP_PROXY": proxy.url, "http_proxy": proxy.url}
        )
    assert run.ids == IDS


def test_no_handler_of_the_log_gets_the_token(emulator: Emulator, tmp_path: Any) -> None:
    emulator.faults.add(Fault(status=400, body={"code": "X", "message": f"bad {emulator.key}"}))
    file = tmp_path / "log"
    (tmp_path / "logging.yml").write_text(
        f"""
        version: 1
        disable_existing_loggers: false
        formatters: {{json: {{(): singer_sdk.logging.StructuredFormatter}}}}
        handlers:
          file: {{class: logging.FileHandler, filename: {file}}}
          json: {{class: logging.StreamHandler, formatter: json}}
        loggers: {{tap-toloka: {{handlers: [file, json]}}}}
        root: {{level: INFO, handlers: [json]}}
        """
    )
    config = tmp_path / "logging.yml"
    run = run_process(config=config_for(emulator), env={"SINGER_SDK_LOG_CONFIG": str(config)})
    assert "bad ***" in file.read_text()
    assert emulator.key not in file.read_text() + run.log


def test_a_netrc_of_the_machine_does_not_change_who_asks(emulator: Emulator, tmp_path: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password pass\n")
    run = run_process(config=config_for(emulator), env={"NETRC": str(netrc)})
    assert run.ids == IDS


ESCAPES = "\x1b]0;owned\x07\x1b[2J\r\n\x9b31m\u202e\ud83d"


@pytest.mark.parametrize(
    "fault",
    [
        {"body": {"code": f"C{ESCAPES}"}},
        {"body": {"code": "C", "message": f"M{ESCAPES}"}},
        {"body": {"code": "C", "request_id": f"R{ESCAPES}"}},
        {"body": {"code": "C", "payload": {ESCAPES: ESCAPES}}},
        {"status": 302, "headers": {"Location": "https://evil\x9b31m.example/"}},
    ],
    ids=str,
)
def test_nothing_that_a_server_says_acts_on_the_terminal(
    emulator: Emulator, fault: dict[str, Any]
) -> None:
    body = json.dumps(fault["body"]) if "body" in fault else ""
    emulator.faults.add(Fault(**{"path": POOLS_PATH, "status": 400, **fault, "body": body}))
    run = run_process(config=config_for(emulator))
    assert run.status == 1
    assert "Toloka answered" in run.failure
    assert all(line.isprintable() for line in run.log.split("\n"))


def test_an_error_is_one_line_whatever_it_quotes() -> None:
    error = str(TolokaError(f"begins{ESCAPES} \n ends"))
    assert error.isprintable()
    assert error.startswith("begins\\x1b]0;owned")
    assert error.endswith("\\ud83d ends")


@pytest.mark.parametrize("text", ["long " * 1_000_000, "x" * 5_000_000])
@pytest.mark.parametrize("part", ["code", "message", "request_id", "payload"])
def test_a_long_error_is_shortened_in_the_middle(text: str, part: str) -> None:
    body = {"code": "CODE", "message": "what is wrong", part: text}
    error = str(api().error_of(response(401, json.dumps(body).encode())))
    assert len(error) < 1_000
    assert error.startswith("Toloka answered 401")
    assert error.endswith("separate keys")
    assert "…" in error


def test_no_part_of_a_token_is_left_where_a_message_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = "AQVNsecretsecretsecretse.x.SECRET"
    monkeypatch.setattr(hiding, "_secrets", {})
    hiding.hide(token)
    hidden, error_of = 0, api().error_of
    for before in range(500):
        message = f"{'a' * (before % 2)} {'a ' * (before // 2)}{token} {'b ' * 400}"
        body = json.dumps({"code": "C", "message": message}).encode()
        error = str(error_of(response(400, body)))
        hidden += "***" in error
        assert "AQVN" not in error
        assert "SECRET" not in error
    assert 0 < hidden < 500


def test_names_of_the_server_do_not_act_on_the_terminal_either(emulator: Emulator) -> None:
    row = {"id": "1", "created": "2024-01-01T00:00:00", f"field{ESCAPES[:-1]}": 1}
    emulator.faults.add(Fault(path=POOLS_PATH, body={"items": [row], "has_more": False}))
    run = run_process(config=config_for(emulator))
    assert run.status == 0
    assert "unknown field" in run.log
    assert all(line.isprintable() for line in run.log.split("\n"))


def test_an_operation_with_an_odd_id_does_not_act_on_the_terminal(emulator: Emulator) -> None:
    odd_id = "op\x1b[2J\x9b31m\u202e"
    odd = {"id": odd_id, "type": "TASK.BATCH_CREATE", "status": "SUCCESS"}
    lately = (datetime.now(timezone.utc) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
    dates = {"submitted": lately, "finished": lately}
    page = {"items": [{**odd, **dates, "parameters": {}}], "has_more": False}
    emulator.faults.add(Fault(path="*/operations", params={"type": odd["type"]}, body=page))
    run = run_process(config=config_for(emulator), catalog=catalog_of(stream="operation_logs"))
    assert "Skipping operation_logs" in run.log
    assert all(line.isprintable() for line in run.log.split("\n"))
