"""Settings are judged before anything is requested, and what is wrong is named in one line."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.exceptions import ConfigValidationError

from tap_toloka.streams import STREAMS
from tap_toloka.tap import TapToloka
from tests.expected_rows import whole_account
from tests.runner import TAP, catalog_of, config_for, requests_for_rows, run_inside, run_process
from toloka_emulator import Emulator, Fault, make_pool, make_pools

API_KEY = "AQVN0123456789012345678.abcdefgh.SECRETSECRET"
OAUTH_TOKEN = "AQAD-SECRETSECRET012345678901234567890"

FILTERS = {
    "status": "CLOSED",
    "project_id": "81776",
    **{f"id_{bound}": "17" for bound in ("gt", "gte")},
    **{f"id_{bound}": "19" for bound in ("lt", "lte")},
    **{f"{date}_gt": "2024-05-06" for date in ("created", "last_started")},
    **{f"{date}_gte": "2024-05-06" for date in ("created", "last_started")},
    **{f"{date}_lt": "2024-05-07" for date in ("created", "last_started")},
    **{f"{date}_lte": "2024-05-07" for date in ("created", "last_started")},
}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"tokn": "x"}, "tokn"),
        ({"token": None}, "token"),
        ({"token": ""}, "token"),
        ({"token": f"ApiKey {API_KEY}"}, "token"),
        ({"token": f"{API_KEY}\n"}, "token"),
        ({"token": "ключ"}, "token"),
        ({"token": 123456789}, "token"),
        ({"token_type": "Bearer"}, "Bearer"),
        ({"environment": "STAGING"}, "STAGING"),
        ({"account_id": "a\r\nX-Evil: 1"}, "account_id"),
        ({"user_agent": "tap\n"}, "user_agent"),
        ({"api_url": "http://toloka.dev"}, "api_url"),
        ({"api_url": "http://10.0.0.1:80"}, "api_url"),
        ({"api_url": "ftp://127.0.0.1"}, "api_url"),
        ({"api_url": "toloka.dev"}, "api_url"),
        ({"api_url": "https://"}, "api_url"),
        ({"api_url": "https://me:pass@toloka.dev"}, "api_url"),
        ({"api_url": "https://toloka.dev?a=b"}, "api_url"),
        ({"api_url": "https://toloka.dev:port"}, "api_url"),
        ({"api_url": "https://toloka.dev?"}, "api_url"),
        ({"api_url": "https://toloka.dev/api/v1"}, "api_url"),
        ({"api_url": "https://toloka.dev/api/"}, "api_url"),
        ({"start_date": "yesterday"}, "start_date"),
        ({"start_date": 20240101}, "start_date"),
        ({"filters": {"pool": {}}}, "pool"),
        ({"filters": {"pools": {"statsu": "OPEN"}}}, "statsu"),
        ({"filters": {"pools": {"status": "DONE"}}}, "DONE"),
        ({"filters": {"pools": {"status": ["OPEN"]}}}, "status"),
        ({"filters": {"pools": {"id_gt": "abc"}}}, "filters.pools.id_gt: 'abc'"),
        ({"filters": {"pools": {"id_gt": -5}}}, "filters.pools.id_gt: '-5'"),
        ({"filters": {"operations": {"id_gt": "a_b"}}}, "filters.operations.id_gt: 'a_b'"),
        ({"filters": {"operations": {"id_gt": 17}}}, "filters.operations.id_gt"),
        ({"filters": {"message_threads": {"folder": "INBOX"}}}, "folder"),
        ({"filters": {"message_threads": {"folder": []}}}, "folder"),
        ({"filters": {"message_threads": {"folder_ne": ["SENT"]}}}, "SENT"),
        ({"filters": {"skills": {"global": "yes"}}}, "global"),
        ({"filters": {"skills": {"name": ""}}}, "name"),
        ({"filters": {"user_bonuses": {"user_id": 17}}}, "user_id"),
        ({"filters": {"pools": {"project_id": "p1"}}}, "filters.pools.project_id: 'p1'"),
        ({"filters": {"pools": {"created_lt": "2024-13-01"}}}, "filters.pools.created_lt"),
        ({"filters": {"pools": {"last_started_gte": "2024"}}}, "filters.pools.last_started_gte"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": max(stream.page_cap for stream in STREAMS) + 1}, "batch_size"),
        ({"batch_size": "300"}, "batch_size"),
        ({"lookback_days": -1}, "lookback_days"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 10**30}, "timeout"),
        ({"max_retries": -1}, "max_retries"),
        ({"retry_quotas": ["WEEK"]}, "WEEK"),
        ({"retry_quotas": "MIN"}, "retry_quotas"),
        ({"batch_config": {}}, "batch_config"),
    ],
    ids=str,
)
def test_a_bad_setting_is_refused_by_name(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigValidationError) as error:
        TapToloka(config={"token": API_KEY, **settings})
    assert any(named in line for line in error.value.errors), error.value.errors
    assert all(len(line.splitlines()) == 1 for line in error.value.errors)


@pytest.mark.parametrize(
    "settings",
    [
        {"account_id": None, "filters": None, "batch_size": None, "start_date": None},
        {"api_url": "http://localhost:80"},
        {"api_url": "http://127.0.0.2"},
        {"api_url": "http://[::1]:8000"},
        {"api_url": "https://proxy.example/toloka/"},
        {"start_date": "2024-01-01"},
        {"start_date": "2024-01-01T00:00:00+03:00"},
        {"filters": {"pools": FILTERS}},
        {"filters": {"pools": {"id_gt": 17, "project_id": 81776}}},
        {"retry_quotas": []},
        {"retry_quotas": ["MIN", "HOUR", "DAY"]},
        {"max_retries": 0, "lookback_days": 0, "timeout": 1, "batch_size": 1},
    ],
    ids=str,
)
def test_a_good_setting_is_taken(settings: dict[str, Any]) -> None:
    TapToloka(config={"token": API_KEY, **settings})


def test_a_bad_setting_is_a_line_a_status_and_no_request() -> None:
    with Emulator() as emulator:
        run = run_process(config=config_for(emulator, filters={"pools": {"id_gt": "abc"}}))
        assert not emulator.requests
    assert run.status == 1
    assert run.output == b""
    assert "filters.pools.id_gt: 'abc' is not an id" in run.log
    assert "Traceback" not in run.log


@pytest.mark.parametrize("token", [API_KEY, [API_KEY], {"key": API_KEY}, f"{API_KEY}\n"], ids=str)
def test_no_setting_however_wrong_shows_the_token(token: Any) -> None:
    run = run_process(
        config={"token": token, "environment": "STAGING"},
        env={"TAP_TOLOKA_LOGLEVEL": "DEBUG"},
    )
    assert run.status == 1
    assert "SECRETSECRET" not in run.log


def test_settings_can_come_from_the_environment() -> None:
    with Emulator() as emulator:
        run = run_process(
            "--config=ENV",
            catalog=catalog_of(),
            env={
                "TAP_TOLOKA_TOKEN": emulator.key,
                "TAP_TOLOKA_API_URL": emulator.url,
                "TAP_TOLOKA_BATCH_SIZE": "7",
                "TAP_TOLOKA_FILTERS": json.dumps({"pools": {"status": "OPEN"}}),
                "TAP_TOLOKA_RETRY_QUOTAS": '["MIN", "HOUR"]',
            },
        )
        (request,) = requests_for_rows(emulator)
    assert run.status == 0, run.log
    assert request.params["limit"] == "7"
    assert request.params["status"] == "OPEN"


def test_the_sample_config_is_taken_and_shows_the_settings() -> None:
    sample = json.loads(Path(__file__).parent.with_name("sample_config.json").read_text())
    TapToloka(config={**sample, "token": API_KEY})
    built_in = {
        "stream_maps",
        "stream_map_config",
        "faker_config",
        "emit_activate_version_messages",
    }
    shown = {name for name in TapToloka.config_jsonschema["properties"] if "flatten" not in name}
    assert sample.keys() == shown - built_in


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({"token": API_KEY}, f"ApiKey {API_KEY}"),
        ({"token": OAUTH_TOKEN}, f"OAuth {OAUTH_TOKEN}"),
        ({"token": API_KEY, "token_type": "OAuth"}, f"OAuth {API_KEY}"),
        ({"token": OAUTH_TOKEN, "token_type": "ApiKey"}, f"ApiKey {OAUTH_TOKEN}"),
        ({"token": "a.b.c"}, "OAuth a.b.c"),
        ({"token": f"{'x' * 22}.b"}, f"OAuth {'x' * 22}.b"),
        ({"token": f"{'x' * 24}.b.c"}, f"ApiKey {'x' * 24}.b.c"),
        ({"token": f"{'x' * 25}.b.c"}, f"OAuth {'x' * 25}.b.c"),
    ],
)
def test_the_token_is_sent_as_its_type_or_its_shape_says(
    settings: dict[str, Any], header: str
) -> None:
    with Emulator() as emulator:
        run = run_process(config={"api_url": emulator.url, **settings})
        (request,) = emulator.requests
    assert request.headers["Authorization"] == header
    assert run.status == 1


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "https://toloka.dev/api"),
        ({"environment": "SANDBOX"}, "https://sandbox.toloka.dev/api"),
        ({"api_url": "https://x.example/a/"}, "https://x.example/a/api"),
    ],
)
def test_the_environment_or_the_address_is_asked(settings: dict[str, Any], address: str) -> None:
    assert TapToloka(config={"token": API_KEY, **settings}).api.url == address


def test_a_shared_account_and_a_user_agent_are_sent_along() -> None:
    with Emulator(accounts=["requester-1"]) as emulator:
        run_inside(config_for(emulator, account_id="requester-1", user_agent="us/1"))
        run_inside(config_for(emulator))
        shared, own = requests_for_rows(emulator)
    assert shared.headers["X-Act-Under-Account-ID"] == "requester-1"
    assert shared.headers["User-Agent"] == "us/1"
    assert "X-Act-Under-Account-ID" not in own.headers
    assert own.headers["User-Agent"] == f"tap-toloka/{TapToloka.plugin_version}"


def test_dates_of_filters_reach_toloka_in_utc() -> None:
    with Emulator() as emulator:
        filters = {"created_gt": "2024-01-01T00:30:00+03:00", "created_lt": "2025-01-01T00:00:00Z"}
        run_inside(config_for(emulator, filters={"pools": filters}))
        (request,) = requests_for_rows(emulator)
    assert request.params["created_gt"] == "2023-12-31T21:30:00.000"
    assert request.params["created_lt"] == "2025-01-01T00:00:00.000"


@pytest.mark.parametrize("args", [["--discover"], ["--about"], ["--help"], ["--version"]], ids=str)
def test_what_asks_nothing_of_toloka_needs_no_token(args: list[str]) -> None:
    run = run_process(*args)
    assert run.status == 0
    assert run.output


def test_about_tells_the_settings_as_json_and_as_markdown() -> None:
    about = json.loads(run_process("--about", "--format=json").output)
    assert about["settings"]["required"] == ["token"]
    assert about["settings"]["properties"]["token"]["secret"] is True
    assert "batch" not in about["capabilities"]
    # As when Windows writes it to a file.
    markdown = run_process("--about", "--format=markdown", env={"PYTHONIOENCODING": "cp1252"})
    assert b"| token" in markdown.output


def test_the_connection_test_tells_of_each_stream_whether_it_can_be_read() -> None:
    with Emulator(rows=whole_account(20, seed=2)) as emulator:
        good = run_process("--test", config=config_for(emulator))
        emulator.faults.add(Fault(path="/api/v1/skills", status=403, times=None))
        emulator.faults.add(Fault(path="/api/v1/assignments", status=403, times=None))
        part = run_process("--test", config=config_for(emulator))
        bad = run_process("--test", config={**config_for(emulator), "token": OAUTH_TOKEN})
    assert good.status == 0
    assert "ERROR" not in good.log
    rows = Counter(m["stream"] for m in good.messages if m["type"] == "RECORD")
    assert set(rows.values()) == {1}
    first_has_none = {"operation_logs", "app_batches", "app_items"}
    assert rows.keys() | first_has_none == {stream.name for stream in STREAMS}
    for stream in STREAMS:
        assert f"{stream.name} can be read" in good.log
    assert good.state is None
    unreadable = {"skills", "assignments", "user_metadata"}
    for stream in STREAMS:
        can = "cannot" if stream.name in unreadable else "can"
        assert f"{stream.name} {can} be read" in part.log
    assert part.status == 1
    assert "3 streams cannot be read: assignments, skills, user_metadata" in part.log
    assert "403" in part.log
    assert bad.status == 1
    (line,) = [line for line in bad.log.splitlines() if "ERROR" in line]
    assert "Toloka answered 401" in line
    assert "Traceback" not in part.log + bad.log


def test_the_connection_test_costs_few_requests_and_needs_no_rows() -> None:
    pools = make_pools(5_000, seed=1)
    with Emulator(pools=pools) as emulator:
        full = run_process("--test", config=config_for(emulator))
        assert full.status == 0
        asked = Counter(request.path for request in emulator.requests)
        assert max(asked.values()) <= 30, "of the seventeen pages that the list of pools has"
    with Emulator() as emulator:
        empty = run_process("--test", config=config_for(emulator))
    assert (empty.status, empty.state) == (0, None)
    assert "pools can be read" in empty.log
    assert "assignments not tested: the account has no pool_id yet" in empty.log


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"tokn": "x"}, "unknown setting 'tokn'; valid are token, token_type, environment, "),
        ({"filters": {"pool": {}}}, "filters: unknown stream 'pool'; valid are requester, "),
        (
            {"filters": {"pools": {"statsu": "OPEN", "x": 1}}},
            "filters.pools: unknown filter 'statsu', 'x'; valid are status, project_id, id_gt",
        ),
        ({"filters": {"pools": {"status": "DONE"}}}, "filters.pools.status: 'DONE' is not one of "),
        ({"environment": "STAGING"}, "environment: 'STAGING' is not one of ['PRODUCTION', "),
        (
            {"start_date": "2999-01-01"},
            "start_date: 2999-01-01T00:00:00.000Z is in the future by this machine's clock (2",
        ),
        ({"filters": {"pools": {"created_gte": "2999-01-01"}}}, "filters.pools.created_gte: 2999-"),
        ({"lookback_days": "30"}, "lookback_days: '30' is not of type 'integer'"),
    ],
    ids=str,
)
def test_a_bad_setting_is_told_with_what_it_can_be(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigValidationError) as error:
        TapToloka(config={"token": API_KEY, **settings})
    (found,) = error.value.errors
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("variable", "value", "kind"),
    [
        ("LOOKBACK_DAYS", "abc", "an integer"),
        ("TIMEOUT", "1.5", "an integer"),
        ("SKIP_SETTLED_POOLS", "nope", "true or false"),
        ("EMIT_ACTIVATE_VERSION_MESSAGES", "y", "true or false"),
        ("BATCH_SIZE", "fifty", "an integer"),
        ("SKIP_SETTLED_POOLS", "banana", "true or false"),
        ("RETRY_QUOTAS", '["MIN"', "a JSON array"),
        ("FILTERS", '{"pools": ' * 10_000, "a JSON object"),
        ("FILTERS", "{'pools': {}}", "a JSON object"),
        ("FILTERS", "[]", "a JSON object"),
        ("STREAM_MAPS", "x", "a JSON object"),
        ("LOOKBACK_DAYS", "--5", "an integer"),
        ("BATCH_SIZE", "9" * 5_000, "an integer"),
    ],
)
def test_a_variable_that_does_not_hold_its_setting_is_one_line(
    variable: str, value: str, kind: str
) -> None:
    env = {"TAP_TOLOKA_TOKEN": API_KEY, f"TAP_TOLOKA_{variable}": value}
    run = run_process("--config=ENV", catalog=catalog_of(), env=env)
    assert run.status == 1
    assert run.output == b""
    errors = [line for line in run.log.splitlines() if "ERROR" in line]
    (line,) = [line for line in errors if "Config validation failed" not in line]
    assert f"TAP_TOLOKA_{variable}: {repr(value)[:60]}" in line
    assert len(line) < 400
    assert kind in line
    assert "Traceback" not in run.log


SETTINGS = [name for name in TapToloka.config_jsonschema["properties"] if name != "token"]


@pytest.mark.parametrize("blank", ["", " \t"])
def test_a_blank_variable_is_a_setting_that_is_not_there(blank: str) -> None:
    env = {f"TAP_TOLOKA_{name.upper()}": blank for name in SETTINGS}
    with Emulator(pools=make_pools(5)) as emulator:
        run = run_process(
            "--config=ENV", config=config_for(emulator), catalog=catalog_of(), env=env
        )
    assert (run.status, len(run.records)) == (0, 5), run.log


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_text_in_a_config_is_a_setting_that_is_not_there(name: str, blank: str) -> None:
    config = TapToloka(config={"token": API_KEY, name: blank}).config
    assert config == TapToloka(config={"token": API_KEY, name: None}).config


def test_a_variable_that_is_no_setting_is_a_warning() -> None:
    env = {
        "TAP_TOLOKA_LOOKBACK_DYAS": "SECRETSECRET",
        "TAP_TOLOKA_SANDBOX_XY": "SECRETSECRET",
        "tap_toloka_token": "SECRETSECRET",
    }
    of_meltano = {"TAP_TOLOKA__SELECT": "[]", "TAP_TOLOKA__LOAD_SCHEMA": "x"}
    of_the_sdk = {"TAP_TOLOKA_LOGLEVEL": "DEBUG"}
    with Emulator() as emulator:
        run = run_process(config=config_for(emulator), env={**env, **of_meltano, **of_the_sdk})
        good = run_process(config=config_for(emulator), env={**of_meltano, **of_the_sdk})
    assert (run.status, good.status) == (0, 0)
    (line,) = [line for line in run.log.splitlines() if "WARNING" in line]
    assert "TAP_TOLOKA_LOOKBACK_DYAS (did you mean TAP_TOLOKA_LOOKBACK_DAYS?)" in line
    assert "tap_toloka_token (did you mean TAP_TOLOKA_TOKEN?)" in line
    assert "TAP_TOLOKA_SANDBOX_XY" in line
    assert "SECRETSECRET" not in run.log
    assert "WARNING" not in good.log


@pytest.mark.parametrize("env", [{"TAP_TOLOKA_LOGLEVEL": "LOUD"}, {"SINGER_SDK_LOG_CONFIG": "/"}])
def test_a_wrong_configuration_of_logs_is_one_line(env: dict[str, str]) -> None:
    run = run_process("--about", env=env)
    assert run.status == 1
    assert len(run.log.splitlines()) == 1
    assert next(iter(env)) in run.log


def test_an_error_shows_no_value_whole_that_is_too_long() -> None:
    for settings in ({"batch_size": 10**900}, {"environment": "x" * 5_000}, {"x" * 5_000: 1}):
        with pytest.raises(ConfigValidationError) as error:
            TapToloka(config={"token": API_KEY, **settings})
        assert all(len(line) < 1_500 for line in error.value.errors)


@pytest.mark.parametrize("value", ["true", "TRUE", "1", "yes", "on", "false", "0", "No", "off"])
def test_a_boolean_variable_may_be_written_in_several_ways(value: str) -> None:
    env = {
        "TAP_TOLOKA_TOKEN": API_KEY,
        "TAP_TOLOKA_SKIP_SETTLED_POOLS": value,
        "TAP_TOLOKA_API_URL": "http://127.0.0.1:1",
        "TAP_TOLOKA_MAX_RETRIES": "0",
    }
    run = run_process("--config=ENV", catalog=catalog_of(), env=env)
    assert "refused" in run.failure, "it got as far as the first request"


def test_about_names_the_filters_of_each_stream() -> None:
    lines = run_process("--about").output.decode().splitlines()
    told = dict(line[4:].split(": ", 1) for line in lines[lines.index("Filters by stream:") + 1 :])
    assert told == {
        stream.name: ", ".join(stream.filters.json_schema()["properties"])
        for stream in STREAMS
        if stream.filters.kinds
    }


@pytest.mark.parametrize("stream", ["pools", "assignments", "app_items"])
def test_filters_that_match_nothing_are_a_warning(
    stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    project = {"pools": "project_id", "assignments": "project_id", "app_items": "app_project_id"}
    chosen = {project[stream]: 999 if stream == "pools" else ["999"]}
    with Emulator(rows=whole_account(5, seed=1)) as emulator:
        for start_date, words in ((None, ""), ("2015-01-01", " since 2015-01-01T00:00:00.000Z")):
            config = config_for(emulator, filters={stream: chosen}, start_date=start_date)
            assert run_inside(config, stream=stream).records == []
            (line,) = [m for m in caplog.messages if "=999" in m or " for 999." in m]
            if stream == "pools":
                assert line.startswith(
                    f"No rows of pools match its filters{words}: project_id=999."
                )
            else:
                assert line.startswith(f"`filters.{stream}.{project[stream]}`: nothing found")
            caplog.clear()
        run_inside(config_for(emulator), stream=stream)
    assert "match its filters" not in caplog.text


def test_other_filters_than_those_of_the_bookmark_are_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bookmark = {"replication_key": "created", "replication_key_value": "2024-01-01T00:00:00Z"}
    state = {"bookmarks": {"pools": bookmark}}
    with Emulator(pools=make_pools(5)) as emulator:
        run_inside(config_for(emulator), state)
        assert "starting over" not in caplog.text
        run_inside(config_for(emulator, filters={"pools": {"id_gt": 5}}), state)
    line = "Filters of pools changed since the last run: starting over, reading from the "
    assert f"{line}beginning" in caplog.messages


def test_the_connection_test_says_nothing_bad_of_a_stream_that_can_be_read() -> None:
    with Emulator(rows=whole_account(5, seed=1)) as emulator:
        emulator.faults.add(Fault(path="/api/v1/pools", status=403, times=None))
        run = run_process("--test", config=config_for(emulator))
    assert "unhandled error" not in run.log
    errors = [line for line in run.log.splitlines() if "ERROR" in line]
    unreadable = [stream.name for stream in STREAMS if f"{stream.name} cannot be read" in run.log]
    assert "pools" in unreadable
    assert "webhook_subscriptions" not in unreadable, "the last one"
    assert len(errors) == len(unreadable) + 1, "one line each, and one that names them all"


@pytest.mark.parametrize("quotas", ["MIN,HOUR", "MIN", '["MIN", "HOUR"]'])
def test_quotas_in_a_variable_may_be_written_with_commas(quotas: str) -> None:
    env = {"TAP_TOLOKA_TOKEN": API_KEY, "TAP_TOLOKA_RETRY_QUOTAS": quotas}
    unreachable = {"TAP_TOLOKA_API_URL": "http://127.0.0.1:1", "TAP_TOLOKA_MAX_RETRIES": "0"}
    run = run_process("--config=ENV", catalog=catalog_of(), env={**env, **unreachable})
    assert "refused" in run.failure, "it got as far as the first request"


@pytest.mark.parametrize("variable", ["FILTERS", "ENVIRONMENT", "LOOKBACK_DAYS", "RETRY_QUOTAS"])
def test_no_variable_however_wrong_shows_the_token(variable: str) -> None:
    env = {"TAP_TOLOKA_TOKEN": API_KEY, f"TAP_TOLOKA_{variable}": API_KEY}
    run = run_process("--config=ENV", catalog=catalog_of(), env=env)
    assert run.status == 1
    assert "SECRETSECRET" not in run.log
    assert "Traceback" not in run.log


@pytest.mark.parametrize("host", ["a..b", "a b", ".", "-a", f"{'a' * 64}.b", "[::1", "a_b!"])
def test_an_address_without_a_possible_host_is_refused(host: str) -> None:
    with pytest.raises(ConfigValidationError) as error:
        TapToloka(config={"token": API_KEY, "api_url": f"https://{host}"})
    (line,) = error.value.errors
    assert line.startswith("api_url: ")


@pytest.mark.parametrize("args", [["--discover"], ["--test"]], ids=str)
def test_a_reader_that_stops_reading_is_one_line(args: list[str], tmp_path: Path) -> None:
    with Emulator(rows=whole_account(20, seed=2)) as emulator:
        config = tmp_path / "config.json"
        config.write_text(json.dumps(config_for(emulator)))
        command = shlex.join([*TAP, *args, "--config", str(config)])
        # What is printed is more than a pipe holds, so the tap notices.
        shell = f"({command}; echo status $? >&2) | sleep 0"
        done = subprocess.run(
            ["/bin/bash", "-c", shell], capture_output=True, text=True, check=False
        )
    log = done.stderr
    assert "Traceback" not in log
    assert "status 1" in log
    assert (
        len(
            [
                line
                for line in log.splitlines()
                if "ERROR" in line and "the target stopped reading" in line
            ]
        )
        == 1
    )


@pytest.mark.parametrize("args", [["--about"], ["--help"], ["--discover"], ["--test"], []], ids=str)
@pytest.mark.parametrize(
    ("stdout", "words"),
    [
        (">&-", "Standard output is closed"),
        ("1</dev/null", "Bad file descriptor"),
        pytest.param(
            ">/dev/full",
            "No space left",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full"),
        ),
    ],
)
def test_a_standard_output_that_takes_nothing_is_one_line(
    args: list[str], stdout: str, words: str, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    shell = f"{shlex.join([*TAP, f'--config={config}', *args])} {stdout}"
    with Emulator() as emulator:
        config.write_text(json.dumps(config_for(emulator)))
        for unbuffered in ("", "1"):
            done = subprocess.run(
                ["/bin/bash", "-c", shell],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            )
            assert done.returncode == 1
            assert "Exception ignored" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
    assert len(lines) == 1 or "0 of 13 streams read, 1 failed" in lines.pop()
    assert words in lines[-1]
    assert "Traceback" not in done.stderr


def test_a_refused_list_is_not_told_as_a_filter_that_matches_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Emulator(pools=[make_pool("1", "2024-01-01T00:00:00", status="OPEN")]) as emulator:
        emulator.faults.add(Fault(path="/api/v1/assignments", status=403, times=None))
        config = config_for(emulator, filters={"user_metadata": {"pool_id": [1]}})
        run = run_inside(config, stream="user_metadata")
    assert run.records == []
    assert "Skipping assignments of pool 1: " in caplog.text
    assert "match its filters" not in caplog.text


def test_a_field_of_our_own_that_toloka_sends_is_not_unknown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = make_pool("1", "2024-01-01T00:00:00", status="OPEN")
    date = {"created": "2024-01-01T00:00:00", "updated": "2023-01-01T00:00:00"}
    row = {"id": "0000000001--0", "pool_id": "1", "user_id": "a", **date}
    with Emulator(rows={"pools": [pool], "assignments": [row]}) as emulator:
        for stream in ("assignments", "user_metadata"):
            run = run_inside(config_for(emulator), stream=stream, may_fail=True)
            if stream == "assignments":
                assert run.records[0]["updated"] == "2024-01-01T00:00:00.000Z"
    assert "unknown field" not in caplog.text
