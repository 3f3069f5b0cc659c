"""Whatever a Toloker or a requester can write is loaded, or named in one line."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from tests.bare_server import SETTINGS, Answer, Request, bare_server
from tests.expected_rows import stored
from tests.loads import without_nulls, without_own_columns
from tests.projects import LOAD_INTO_POSTGRES
from tests.runner import catalog_of, run_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database
    from tests.projects import Project

Json = dict[str, Any]

# As they stand in JSON.
TEXTS = [
    *(f"\\u{code:04x}" for code in range(0x20)),
    *(
        "\x7f",
        "\x80",
        "\x85",
        "\x9f",
        "\u2028",
        "\u2029",
        "\u202e",
        "\ufeff",
        "\ufffe",
        "\U0010ffff",
    ),
    *(r"\ud83d\ude00", r"nice \ud83d", r"\uDC00\uD800", r"\ud83d\ud83d\ude00", r"\\ud83d"),
    *(
        r"a\u0000b",
        r"\\u0000",
        r"\\\u0000",
        r"\\N",
        r"\\.",
        "NULL",
        "{}",
        r"\"",
        "",
        "\udcff",
        "猫🐈",
    ),
    "long " * 200_000,
]
OPEN = [
    *("-0", "-0.0", "1E5", "1e400", "1e4000", "1e-16383", "9223372036854775808", "9" * 4_300),
    *('{"":1}', '{"a":1,"a":2}', "[" * 200 + "]" * 200, f'{{"{"k" * 100_000}":1}}'),
    json.dumps({f"key {number}": number for number in range(5_000)}),
    *(f'{{"key {text}":["{text}",{{"{text}":null}}]}}' for text in TEXTS),
]
POOLS = [
    f'{{"id":"{number}","status":"OPEN","private_name":"{text}","filter":{{"{text}":"{text}"}}}}'
    for number, text in enumerate(TEXTS, 1)
]
DATES = '"created":"2020-09-01T13:00:00.000"'
ASSIGNMENTS = [
    *(
        f'{{"id":"0a--{number:03}","pool_id":"1",{DATES},"bonus_ids":["{text}"]}}'
        for number, text in enumerate(TEXTS)
    ),
    *(
        f'{{"id":"0b--{number:03}","pool_id":"1",{DATES},"reward":{number}.0,'
        f'"solutions":[null,{{"output_values":{{"a":{value}}}}}]}}'
        for number, value in enumerate(OPEN)
    ),
]


def page(*rows: str) -> bytes:
    """Make a page of all rows of a list; bytes that are not UTF-8 are escaped by Python."""
    return f'{{"items":[{",".join(rows)}],"has_more":false}}'.encode(errors="surrogateescape")


def account(pools: bytes, assignments: bytes) -> Callable[[Request], Answer]:
    """Answer with these pools, and these assignments in the first of them."""

    def answer(request: Request) -> Answer:
        if request.path.endswith("/requester"):
            return 200, b'{"id": "566ec2b0ff0deeaae5f9d500629de162"}'
        if request.path.endswith("/pools"):
            return 200, pools
        if request.path.endswith("/assignments") and request.params["pool_id"] == "1":
            return 200, assignments
        return 200, page()

    return answer


def in_table(row: str) -> Json:
    """Return a row as its columns have it."""
    decoded = json.loads(row, parse_float=Decimal)
    return {name: stored(value) for name, value in decoded.items() if name != "created"}


def test_whatever_people_write_is_in_postgres_row_for_row(
    project: Project, database: Database
) -> None:
    with bare_server(account(page(*POOLS), page(*ASSIGNMENTS))) as (url, _):
        done = project.meltano(
            *LOAD_INTO_POSTGRES,
            TAP_TOLOKA_TOKEN="key",
            TAP_TOLOKA_API_URL=url,
            TAP_TOLOKA__SELECT='["pools.*", "assignments.*"]',
            TARGET_POSTGRES_SQLALCHEMY_URL=database.url,
        )
    assert done.returncode == 0, done.stderr
    with database.connect(row_factory=dict_row) as connection:
        for stream, rows in (("pools", POOLS), ("assignments", ASSIGNMENTS)):
            query = SQL("SELECT * FROM tap_toloka.{}").format(Identifier(stream))
            found = {row["id"]: row for row in connection.execute(query)}
            assert len(found) == len(rows)
            for row in map(in_table, rows):
                loaded = without_nulls(without_own_columns(found[row["id"]]))
                assert {n: v for n, v in loaded.items() if n not in {"created", "updated"}} == row
    (nul,) = (pool for pool in POOLS if r"a\u0000b" in pool)
    assert f"pools: row {json.loads(nul)['id']}: NUL replaced by U+FFFD" in done.stderr
    assert re.search(r"assignments: row 0b--\d+ \(pool_id 1\): .* in `solutions`", done.stderr)
    assert len(re.findall("replaced by U.FFFD", done.stderr)) < 30


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        ('"solutions": [{"output_values": 7}]', {"solutions[0].output_values": 7}),
        (
            '"solutions": [{"output_values": {"a": 1e131072}}]',
            {"solutions[0].output_values.a": "1e131072"},
        ),
        ('"submitted": "soon"', {"submitted": "soon"}),
        (
            f'"solutions": {"[" * 100_000}{"]" * 100_000}',
            {"solutions": "[" * 100_000 + "]" * 100_000},
        ),
    ],
    ids=["type", "number", "date", "depth"],
)
def test_a_value_that_does_not_fit_is_kept_beside_its_row(row: str, kept: Json) -> None:
    good, odd = f'{{"id": "0a--1", {DATES}}}', f'{{"id": "0a--2", "pool_id": "1", {DATES}, {row}}}'
    with bare_server(account(page('{"id": "1"}'), page(good, odd))) as (url, requests):
        run = run_process(
            config={**SETTINGS, "api_url": url}, catalog=catalog_of(stream="assignments")
        )
    assert (run.status, run.ids) == (0, ["0a--1", "0a--2"]), run.log
    assert [record.get("_misfits") for record in run.records] == [None, kept]
    (warning,) = [line for line in run.log.splitlines() if "WARNING" in line]
    assert "assignments: row 0a--2 (pool_id 1): `" in warning
    assert "report this line" in warning
    assert len([one for one in requests if one.path.endswith("/assignments")]) == 1


@pytest.mark.parametrize(
    ("settings", "rows", "message"),
    [
        ({}, ['"created": "soon"'], r"row 0a--2 \(pool_id 1\) .*none of its dates"),
        ({}, [f'{DATES}, "pool_id": 1, "id": {{}}'], r"row {} .*`id` is {}, expected text"),
        (
            {"on_misfit": "fail"},
            [f'{DATES}, "solutions": [{{"output_values": 7}}]', f'{DATES}, "submitted": "soon"'],
            r"row 0a--2 .*`solutions\[0\]\.output_values` is 7.*; row 0a--3 .*`submitted` is .soon",
        ),
    ],
    ids=["no date", "key", "fail"],
)
def test_a_row_that_cannot_be_used_ends_the_run_at_once_and_is_named(
    settings: Json, rows: list[str], message: str
) -> None:
    good = f'{{"id": "0a--1", {DATES}}}'
    odd = [f'{{"id": "0a--{n}", "pool_id": "1", {row}}}' for n, row in enumerate(rows, 2)]
    with bare_server(account(page('{"id": "1"}'), page(good, *odd))) as (url, requests):
        run = run_process(
            config={**SETTINGS, "api_url": url, **settings},
            catalog=catalog_of(stream="assignments"),
        )
    assert run.status == 1
    assert run.records == []
    assert "Traceback" not in run.log
    assert re.search(rf"assignments .* failed because {message}", run.failure)
    assert len([one for one in requests if one.path.endswith("/assignments")]) == 1


def test_a_row_with_half_an_emoji_in_a_deselected_field_is_loaded() -> None:
    row = rf'{{"id": "0a--1", {DATES}, "solutions": [{{"a": "nice \ud83d"}}]}}'
    with bare_server(account(page('{"id": "1"}'), page(row))) as (url, _):
        run = run_process(
            config={**SETTINGS, "api_url": url},
            catalog=catalog_of("solutions", stream="assignments"),
        )
    assert (run.status, run.ids) == (0, ["0a--1"]), run.log
    assert "WARNING" not in run.log
