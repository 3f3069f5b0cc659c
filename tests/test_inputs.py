"""Whatever the files of config, catalog and state hold, the run ends well or with one line."""

from __future__ import annotations

import copy
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from singer_sdk.exceptions import SingerSDKError

from tap_toloka.tap import TapToloka
from tests.runner import catalog_of, config_for, run_inside, run_process
from toloka_emulator import Emulator, make_pools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.runner import Run

TOKEN = "AQVN0123456789012345678.abcdefgh.SECRETSECRET"
CONFIG = {"token": TOKEN}
OPTIONS = ("config", "catalog", "state")

NO_OBJECTS: dict[str, bytes] = {
    "empty": b"",
    "cut": b"{",
    "array": b"[]",
    "string": b'"x"',
    "null": b"null",
    "number": b"5",
    "not a number": b'{"a": NaN}',
    "latin-1": '{"a": "é"}'.encode("latin-1"),
    "utf-16 that is cut": b"\xff\xfe{",
    "zeros": b"\0" * 10,
    "a deep array": b'{"a": ' + b"[" * 100_000,
    "a deep object": b'{"a": ' * 100_000,
    "deep and complete": b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}",
    "many digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "a huge exponent": b'{"a": 1e99999999999999999999}',
    "a key twice": b'{"a": 1, "a": 2}',
    "half a surrogate pair": b'{"a": "\\ud800"}',
}


def error_of(run: Run) -> str:
    """Return the one line of error of a run."""
    assert run.status == 1, run.log
    assert run.output == b""
    assert "Traceback" not in run.log
    (line,) = [line for line in run.log.splitlines() if "ERROR" in line]
    return line


def run_with(option: str, path: Path, *args: str) -> Run:
    """Run the tap with a file as one of its options."""
    config = None if option == "config" else CONFIG
    return run_process(*args, f"--{option}", str(path), config=config)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("kind", NO_OBJECTS)
def test_a_file_that_does_not_hold_an_object_is_one_line(
    option: str, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(NO_OBJECTS[kind])
    line = error_of(run_with(option, path))
    assert f"Invalid {option}: {path}: " in line
    assert len(line) < 300


@pytest.mark.parametrize("args", ["--discover", "--test"])
def test_a_config_that_is_not_an_object_is_one_line_in_all_modes(args: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(b"[]")
    assert "Invalid config: " in error_of(run_with("config", path, args))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_files_as_windows_writes_them_are_read(encoding: str, tmp_path: Path) -> None:
    with Emulator(pools=make_pools(3)) as emulator:
        given = {
            "config": config_for(emulator),
            "catalog": catalog_of(),
            "state": {"bookmarks": {"gone": {"name": "é"}}},
        }
        args = []
        for option, value in given.items():
            path = tmp_path / option
            path.write_text(json.dumps(value, ensure_ascii=False), encoding=encoding)
            args += [f"--{option}", str(path)]
        run = run_process(*args)
    assert (run.status, len(run.records)) == (0, 3), run.log
    assert run.state is not None
    assert run.state["bookmarks"]["gone"] == {"name": "é"}


@pytest.mark.parametrize("option", OPTIONS)
def test_a_file_that_cannot_be_read_is_one_line(option: str, tmp_path: Path) -> None:
    assert f"{tmp_path}: Is a directory" in error_of(run_with(option, tmp_path))
    missing = tmp_path / "missing.json"
    assert f"{missing}: No such file or directory" in error_of(run_with(option, missing))


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all files")
def test_a_file_that_may_not_be_read_is_one_line(option: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.touch(mode=0)
    assert f"{path}: Permission denied" in error_of(run_with(option, path))


@pytest.mark.parametrize(
    "text",
    [json.dumps(CONFIG), json.dumps({**CONFIG, "filters": "x" * 5_000}), TOKEN, TOKEN * 20],
    ids=["JSON", "long JSON", "a token", "a long name"],
)
@pytest.mark.parametrize(
    "args", [["--config"], ["--catalog"], ["--state"], []], ids=["config", "catalog", "state", "-"]
)
def test_what_is_given_in_place_of_the_name_of_a_file_is_not_repeated(
    text: str, args: list[str]
) -> None:
    run = run_process(*args, text)
    assert run.status
    assert "SECRETSECRET" not in run.log
    assert "Traceback" not in run.log
    if args and text.startswith("{"):
        assert f"{args[0]} takes the name of a file, not the JSON itself" in error_of(run)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"streams": {}}, "a list of `streams`"),
        ({"streams": [5]}, "a list of `streams`"),
        ({"streams": [{"stream": "pools"}]}, "no `tap_stream_id`"),
        ({"tap_stream_id": 5}, "no `tap_stream_id`"),
        ({"stream": "my_pools"}, "'my_pools'"),
        ({"key_properties": "id"}, "`key_properties`"),
        ({"key_properties": [5]}, "`key_properties`"),
        ({"replication_key": ["created"]}, "`replication_key`"),
        ({"replication_method": 5}, "`replication_method`"),
        ({"metadata": {}}, "`metadata`"),
        ({"metadata": [5]}, "`metadata`"),
        ({"metadata": [{"metadata": {}}]}, "`breadcrumb`"),
        ({"metadata": [{"breadcrumb": "properties", "metadata": {}}]}, "`breadcrumb`"),
        ({"metadata": [{"breadcrumb": [[]], "metadata": {}}]}, "`breadcrumb`"),
        ({"metadata": [{"breadcrumb": []}]}, "no object `metadata`"),
        ({"metadata": [{"breadcrumb": [], "metadata": {"selected": "false"}}]}, "`selected`"),
        (
            {"metadata": [{"breadcrumb": [], "metadata": {"table-key-properties": "id"}}]},
            "`table-key-properties`",
        ),
        ({"schema": []}, "`schema`"),
        ({"schema": {"properties": []}}, "`properties`"),
        ({"schema": {"properties": {"id": True}}}, "`schema`.id is not an object"),
        ({"schema": {"properties": {"id": None}}}, "the property 'id' is null"),
        ({"schema": {"properties": {"id": {"type": "strnig"}}}}, "'strnig'"),
        ({"schema": {"properties": {"id": {"type": ["string", 5]}}}}, "5"),
        ({"schema": {"properties": {"id": {"type": ["string", "string"]}}}}, "'string'"),
        ({"schema": {"properties": {"a": {"items": [5]}}}}, "`schema`.a[] is not an object"),
        ({"schema": {"required": 5}}, "`required`"),
        ({"schema": {"properties": {"a": {"anyOf": [None]}}}}, "`anyOf`"),
    ],
    ids=str,
)
def test_a_catalog_that_is_not_one_is_refused_with_what_is_wrong(
    change: dict[str, Any], named: str
) -> None:
    catalog: dict[str, Any] = catalog_of()
    if "streams" in change:
        catalog = change
    else:
        (entry,) = [entry for entry in catalog["streams"] if entry["tap_stream_id"] == "pools"]
        entry.update(change)
    with pytest.raises(SingerSDKError) as error:
        TapToloka(config=CONFIG, catalog=catalog)
    assert str(error.value).startswith("Invalid catalog: ")
    assert named in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_catalog_that_has_a_stream_twice_is_refused() -> None:
    catalog = catalog_of()
    catalog["streams"] *= 2
    with pytest.raises(SingerSDKError, match="twice"):
        TapToloka(config=CONFIG, catalog=catalog)


@pytest.mark.parametrize("key", ["stream", "replication_key", "replication_method"])
def test_null_in_a_catalog_is_as_if_it_were_not_there(key: str) -> None:
    catalog = catalog_of()
    (entry,) = [entry for entry in catalog["streams"] if entry["tap_stream_id"] == "pools"]
    entry[key] = None
    with Emulator(pools=make_pools(3)) as emulator:
        assert len(run_inside(config_for(emulator), catalog=catalog).records) == 3


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1.5, 10**30]),
    st.sampled_from(["", "x", "\x1b[31m", "string", "object", "array", "2026-01-01"]),
    st.sampled_from([[], [None], ["id"], {}, {"x": None}, {"type": "object"}, [{}]]),
)
NAMES = st.sampled_from(
    ["", "x", "selected", "partitions", "progress_markers", "items", "anyOf", "type", "bookmarks"]
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container in a JSON value with each of its keys or indices."""
    if isinstance(value, (dict, list)):
        for key in [*value] if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """Change a JSON value in one or two places."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        found = [*places(value)]
        container, key = draw(st.sampled_from(found)) if found else ({}, "")
        change = draw(st.sampled_from(["replace", "delete", "add"]))
        if change == "delete":
            container.pop(key, None) if isinstance(container, dict) else container.pop(key)
        elif change == "add" and isinstance(container, dict):
            container[draw(NAMES)] = copy.deepcopy(draw(JUNK))
        else:
            container[key] = copy.deepcopy(draw(JUNK))
    return value


def ends_well_or_with_an_error_of_its_own(**given: Any) -> None:
    """Run the tap up to the first request."""
    try:
        tap = TapToloka(**given)
        for stream in tap.streams.values():
            if stream.selected:
                stream._write_schema_message()
    except SingerSDKError as error:
        lines = [str(error), *getattr(error, "errors", [])]
        assert all(len(line.splitlines()) == 1 for line in lines)


STATE = {
    "bookmarks": {
        "pools": {
            "replication_key": "created",
            "replication_key_value": "2020-01-01T00:00:00.000Z",
            "filters": {"id_gt": "5"},
        },
        "gone": {
            "replication_key_value": "2020",
            "partitions": [{"context": {"a": 1}}],
            "progress_markers": {"Note": "x"},
        },
    }
}
ALL_SETTINGS = {
    **CONFIG,
    "filters": {"pools": {"status": "OPEN", "id_gt": 5}, "skills": {"name": "x"}},
    "start_date": "2020-01-01",
    "stream_maps": {"pools": {"private_name": "id", "__filter__": "True"}},
    "flattening_enabled": True,
    "flattening_max_depth": 2,
    "retry_quotas": ["MIN"],
    "batch_size": 5,
    "timeout": 5,
    "user_agent": "x",
    "stream_map_config": {"a": 1},
}
POOLS_ALONE = {
    "streams": [entry for entry in catalog_of()["streams"] if entry["stream"] == "pools"]
}
EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@EXAMPLES
@given(mutated(STATE))
def test_no_state_is_a_bug_of_the_tap(
    capsysbinary: pytest.CaptureFixture[bytes], state: Any
) -> None:
    ends_well_or_with_an_error_of_its_own(config=CONFIG, catalog=POOLS_ALONE, state=state)
    capsysbinary.readouterr()


@EXAMPLES
@given(mutated(POOLS_ALONE))
def test_no_catalog_is_a_bug_of_the_tap(
    capsysbinary: pytest.CaptureFixture[bytes], catalog: Any
) -> None:
    ends_well_or_with_an_error_of_its_own(config=CONFIG, catalog=catalog)
    capsysbinary.readouterr()


@EXAMPLES
@given(mutated(ALL_SETTINGS))
def test_no_config_is_a_bug_of_the_tap(
    capsysbinary: pytest.CaptureFixture[bytes], config: Any
) -> None:
    ends_well_or_with_an_error_of_its_own(config=config, catalog=POOLS_ALONE)
    capsysbinary.readouterr()
