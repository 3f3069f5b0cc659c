"""Whatever Toloka sends in whichever field, every row is loaded, and no value is lost."""

from __future__ import annotations

import json
import logging
import random
import re
import string
import subprocess
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from scripts.plugin_definitions import settings_of
from tap_toloka.misfits import EXTRA, MISFITS
from tap_toloka.pages import as_objects
from tap_toloka.streams import STREAMS
from tests.docs_helpers import runs
from tests.loads import rows_in
from tests.runner import catalog_of_all, config_for, run_inside
from tests.test_targets import target_in
from toloka_emulator import Emulator, make_pool, make_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tap_toloka.client import TolokaStream
    from tests.databases import Database
    from tests.docs_helpers import Block
    from tests.projects import Project

Json = dict[str, Any]

every_stream = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)

ODD = [
    *("null", "true", "0", "-0.0", "7", "600.0", "6e2", "1.5", "9223372036854775808", "1e400"),
    *("1e131072", "1e-16384", "0e99999999999999999999", "9" * 5_000, "0." + "3" * 17_000),
    *('""', '"x"', '"true"', '"12"', '"1e5"', '"NaN"', '"2016-03-24 12:38:07,6 +0300"', '"soon"'),
    *('"2016-03-24T12:38:07.123456"', '"03/04/2016"', '"Thu, 24 Mar 2016 12:38:07 GMT"'),
    *("[]", "{}", '["x"]', '{"a":1e131072}', '[[{"b":[1e-16384]}]]', "[null]", '{"id":null}'),
    "[" * 300 + "]" * 300,
    "[" * 2_000 + "]" * 2_000,
]

encode = msgspec.json.Encoder(decimal_format="number").encode
decode = msgspec.json.Decoder(float_hook=str).decode


def mutated(row: Json, strict: set[str], dice: random.Random) -> Json:
    """Change some values of a row, at any depth, but for fields in which all has to fit."""
    row = json.loads(encode(row), parse_float=Decimal)
    for _ in range(dice.randrange(4)):
        names = sorted(row.keys() - strict)
        spoil(row, dice.choice(names) if names else "new", dice)
    return row


def spoil(within: Any, key: Any, dice: random.Random) -> None:
    """Change a value, or one within it."""
    value = within[key] if isinstance(within, list) else within.get(key)
    if value and isinstance(value, (list, dict)) and dice.random() < 0.8:
        inner = range(len(value)) if isinstance(value, list) else [*value, "new"]
        spoil(value, dice.choice(inner), dice)
    else:
        odd = msgspec.Raw(dice.choice(ODD).encode())
        within[key] = odd
        if isinstance(within, dict) and dice.random() < 0.2:
            within["".join(dice.choices(string.ascii_lowercase, k=4))] = odd


def strict_fields(stream: type[TolokaStream]) -> set[str]:
    """Return the fields of a stream in which all has to fit; the dates of `updated` are one."""
    dates = {"created"} if "updated" in stream.added_fields else set()
    return {*stream.primary_keys, *stream.recognized_by, stream.replication_key or "", *dates}


def rows_of(stream: type[TolokaStream], dice: random.Random, count: int) -> list[Json]:
    """Make rows of a stream, many of them odd."""
    strict = strict_fields(stream) | stream.added_fields
    rows = make_rows(stream.name, count, seed=dice.randrange(1_000))
    return [
        mutated({n: v for n, v in row.items() if n not in stream.added_fields}, strict, dice)
        for row in rows
    ]


def body_of(stream: type[TolokaStream], rows: list[Json]) -> bytes:
    """Make the body of a page."""
    return encode(rows if stream.rows_in is None else {stream.rows_in: rows, "has_more": False})


def read(stream: type[TolokaStream], rows: list[Json]) -> tuple[list[Json], int]:
    """Read rows as a run does; `number` and the like are filled in as it comes."""

    def compute(page: list[Any]) -> None:
        for number, row in enumerate(page):
            for name in stream.added_fields:
                setattr(row, name, number if name == "number" else "2024-01-01T00:00:00.000Z")

    reader = stream.reader(
        stream.known_properties(), logging.getLogger("test"), compute, on_misfit="keep"
    )
    return [*as_objects(reader.read(body_of(stream, rows)).rows)], reader.misfits


def value_at(record: Any, path: str) -> Any:
    """Return what is at a path; null if there is nothing."""
    for part in re.findall(r"[^.\[\]]+", path):
        if record is None:
            return None
        record = record[int(part)] if isinstance(record, list) else record.get(part)
    return record


def nulls(value: Any, path: str = "") -> set[str]:
    """Return the paths of all nulls."""
    if isinstance(value, dict):
        inside = [nulls(inner, f"{path}.{name}" if path else name) for name, inner in value.items()]
        return set[str]().union(*inside)
    if isinstance(value, list):
        return set[str]().union(*(nulls(inner, f"{path}[{n}]") for n, inner in enumerate(value)))
    return {path} if value is None else set()


@every_stream
def test_whatever_comes_every_row_fits_and_each_new_null_is_told(
    stream: type[TolokaStream], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    schema = {"type": "object", "properties": stream.known_properties()}
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    dice = random.Random(stream.name)  # noqa: S311
    told = 0
    for _ in range(15):
        sent = rows_of(stream, dice, 20)
        records, misfits = read(stream, sent)
        assert len(records) == len(sent)
        assert misfits == sum(len(record.get(MISFITS, ())) for record in records)
        told += misfits
        for row, record in zip(sent, records, strict=True):
            assert [error.message for error in validator.iter_errors(record)] == []
            held = plain(row)
            printed = {name: v for name, v in record.items() if name not in {MISFITS, EXTRA}}
            new = {path for path in nulls(printed) if value_at(held, path) not in (None, "")}
            assert new <= record.get(MISFITS, {}).keys()
            for path in record.get(MISFITS, {}):
                assert value_at(record, path) is None
            unknown = row.keys() - stream.known_properties().keys()
            assert record.get(EXTRA, {}).keys() == unknown
    assert told > 5


def plain(value: Any) -> Any:
    """Return a value without what Python cannot decode: numbers and nesting beyond its limits."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, msgspec.Raw):
        try:
            return decode(value)
        except (msgspec.ValidationError, RecursionError):
            return "cannot be decoded"
    return value


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_comes_every_row_is_in_postgres(
    installed: Project, database: Database, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311
    lines, expected = [], {}
    for entry in catalog_of_all()["streams"]:
        (stream,) = (one for one in STREAMS if one.name == entry["stream"])
        records, _ = read(stream, rows_of(stream, dice, 40))
        keys = [*stream.primary_keys]
        schema = {"type": "SCHEMA", "stream": stream.name, "schema": entry["schema"]}
        lines.append(encode({**schema, "key_properties": keys}))
        lines += [
            encode({"type": "RECORD", "stream": stream.name, "record": record})
            for record in records
        ]
        expected[stream.name] = {
            tuple(str(record[key]) for key in keys): record for record in records
        }
    config = {"sqlalchemy_url": database.url, "default_target_schema": f"odd{seed}"}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**settings_of("target-postgres"), **config}))
    command = [str(target_in(installed, "target-postgres")), "--config", str(file)]
    done = subprocess.run(command, input=b"\n".join(lines), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3_000:]
    for stream in STREAMS:
        rows = rows_in(database, f"odd{seed}", stream.name)
        assert len(rows) == len(expected[stream.name])
        if stream.name != "requester" and "operation_id" not in stream.primary_keys:
            for row in rows:
                record = expected[stream.name][tuple(row[key] for key in stream.primary_keys)]
                assert (row[MISFITS] or {}).keys() == record.get(MISFITS, {}).keys()


@runs("docs/errors.md#Values that do not fit")
def test_values_that_do_not_fit_can_be_found(
    installed: Project, database: Database, tmp_path: Path, blocks: list[Block]
) -> None:
    (block,) = blocks
    date = "2024-01-01T00:00:00"
    pools = [make_pool("1", date, priority=[1]), make_pool("2", date)]
    with Emulator(pools) as emulator:
        run = run_inside(config_for(emulator))
    config = {"sqlalchemy_url": database.url, "default_target_schema": "tap_toloka"}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**settings_of("target-postgres"), **config}))
    command = [str(target_in(installed, "target-postgres")), "--config", str(file)]
    subprocess.run(command, input=run.output, capture_output=True, check=True)
    with database.connect() as connection:
        found = connection.execute(block.text.encode()).fetchall()
    assert found == [("1", {"priority": [1]})]
