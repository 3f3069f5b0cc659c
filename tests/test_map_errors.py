"""A stream map that is wrong is one line with its stream and what is wrong, at any time."""

from __future__ import annotations

import re
from typing import Any

import pytest
from singer_sdk.exceptions import ConfigValidationError, SingerSDKError

from tap_toloka.tap import TapToloka
from tests.runner import catalog_of, config_for, run_process
from toloka_emulator import Emulator, make_pools

NO_EXPRESSIONS = ("", " ", "1 +", "x = 1", "id; id", "\0", "(" * 500 + ")" * 500)


@pytest.mark.parametrize(
    ("stream_maps", "line"),
    [
        *(({"pools": {"a": text}}, "pools.a: ") for text in NO_EXPRESSIONS),
        ({"pools": {"__filter__": "1 +"}}, "pools.__filter__: '1 +' is not an expression: "),
        ({"pools": {"__filter__": 5}}, "pools.__filter__: it must be text"),
        ({"pools": {"a": 5}}, "pools.a: it must be text"),
        ({"pools": {"a": []}}, "pools.a: it must be text"),
        ({"pools": {"__else__": 5}}, "pools.__else__: it can be '__NULL__'"),
        ({"pools": {"__key_properties__": "id"}}, "pools.__key_properties__: it must be a list"),
        ({"pools": {"__key_properties__": 5}}, "pools.__key_properties__: it must be a list"),
        ({"pools": {"__alias__": 5}}, "pools.__alias__: it is not a name"),
        ({"pools": 5}, "pools: it is not an object"),
        ({"pools": []}, "pools: it is not an object"),
        ({"__else__": 5}, "__else__: it can be '__NULL__'"),
        ({"__else__": {}}, "__else__: it can be '__NULL__'"),
        ({"pols": {}}, "pols: there is no stream 'pols'; valid are requester, "),
        ({"x": {"__source__": 5}}, "x: there is no stream 5"),
    ],
    ids=str,
)
def test_a_stream_map_that_cannot_be_one_is_refused_by_name(
    stream_maps: dict[str, Any], line: str
) -> None:
    with pytest.raises(ConfigValidationError) as error:
        TapToloka(config={"token": "x", "stream_maps": stream_maps})
    (found,) = error.value.errors
    assert found.startswith(f"stream_maps.{line}")
    assert len(found) < 500


@pytest.mark.parametrize(
    "stream_maps",
    [
        {"pools": {"id": None}},
        {"pools": {"__key_properties__": ["nope"]}},
        {"pools": {"__alias__": "1/0"}},
        {"pools": {"__alias__": "5x"}},
    ],
    ids=str,
)
def test_a_stream_map_that_does_not_fit_its_stream_is_one_line(stream_maps: Any) -> None:
    run = run_process(config={"token": "x y", "stream_maps": stream_maps}, catalog=catalog_of())
    assert run.status == 1
    assert "Traceback" not in run.log
    (_,) = [line for line in run.log.splitlines() if "ERROR" in line]


def test_flattening_that_cannot_be_is_an_error_of_its_own() -> None:
    config = {"token": "x", "flattening_enabled": True, "flattening_max_depth": 3}
    with pytest.raises(SingerSDKError, match="Duplicate column name"):
        TapToloka(config={**config, "flattening_max_key_length": 1})


@pytest.mark.parametrize(
    ("field", "expression", "cause"),
    [
        ("a", "1/0", "ZeroDivisionError: division by zero"),
        ("a", "record['nope']", "KeyError: 'nope'"),
        ("a", "nope", "NameNotDefined: 'nope' is not defined"),
        ("a", "id + 1", "TypeError: "),
        ("a", "int(private_name)", "ValueError: "),
        ("a", "id.nope", "AttributeDoesNotExist: "),
        ("a", "9**9**9", "NumberTooHigh: "),
        ("a", "(lambda: 1)()", "FeatureNotAvailable: "),
        ("__filter__", "1/0", "ZeroDivisionError: "),
    ],
)
def test_a_stream_map_that_fails_with_a_row_is_one_line_with_stream_and_expression(
    field: str, expression: str, cause: str
) -> None:
    with Emulator(pools=make_pools(3)) as emulator:
        config = config_for(emulator, stream_maps={"pools": {field: expression}})
        run = run_process(config=config)
        test = run_process("--test", config=config)
    assert run.status == test.status == 1
    assert "Traceback" not in run.log + test.log
    for line in (run.failure, next(x for x in test.log.splitlines() if cause in x)):
        assert "ERROR" in line
        assert "pools" in line
        assert cause in line
        assert f"(in {field!r}: {expression!r})" in line


def test_a_mapped_value_that_cannot_be_printed_is_one_line() -> None:
    with Emulator(pools=make_pools(3)) as emulator:
        config = config_for(emulator, stream_maps={"pools": {"a": "'\\ud800'"}})
        run = run_process(config=config)
    assert run.status == 1
    assert "Traceback" not in run.log
    assert re.search(r"because row \d+ could not be transformed: UnicodeEncodeError", run.failure)
