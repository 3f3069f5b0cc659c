"""What is printed fits the schema, has the digits that Toloka sent, and nothing else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tap_toloka.rows import RowReader, as_objects, greatest_date

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "created": {"type": ["string", "null"], "format": "date-time"},
        "reward": {"type": ["number", "null"]},
        "count": {"type": ["integer", "null"]},
        "open": {"type": ["boolean", "null"]},
        "free": {"type": ["object", "null"]},
        "rules": {
            "type": ["array", "null"],
            "items": {
                "type": ["object", "null"],
                "properties": {"from": {"type": ["integer", "null"]}, "value": {}},
            },
        },
    },
}


def reader(*, unknown: list[str] | None = None, rows_in: str | None = "items") -> RowReader:
    """Make a reader that notes unknown fields in a list."""
    return RowReader(SCHEMA, ["created"], ([] if unknown is None else unknown).append, rows_in)


def printed(body: bytes) -> str:
    """Read a page of one row and print it."""
    (row,) = reader().read(body)
    return msgspec.json.encode(row).decode()


def page(row: str) -> bytes:
    """Make the body of a page of one row."""
    return b'{"items": [%b], "has_more": false}' % row.encode()


@pytest.mark.parametrize(
    "digits", ["0", "0.070", "100.0", "1E-7", "1.50e+3", "123456789012345678901234567890.1", "-0.0"]
)
def test_money_keeps_the_digits_that_toloka_sent(digits: str) -> None:
    assert printed(page(f'{{"id":"1","reward":{digits}}}')) == f'{{"id":"1","reward":{digits}}}'


def test_text_comes_out_as_it_came() -> None:
    row = r'{"id":"1","free":{"имя":"\"\\\n\u0416 猫 🐈","deep":[{"a":[1,2.50,null]}]}}'
    assert printed(page(row)) == row


def test_a_row_is_one_line_however_toloka_breaks_its_own() -> None:
    text = printed(page('{"id": "1",\n "free":\r\n {"a":\n 1.50,\t"b": "x\\ny"}}'))
    assert len(text.splitlines()) == 1
    assert json.loads(text) == {"id": "1", "free": {"a": 1.5, "b": "x\ny"}}


def test_dates_come_out_in_the_one_form() -> None:
    assert printed(page('{"id":"1","created":"2020-09-01T13:00"}')) == (
        '{"id":"1","created":"2020-09-01T13:00:00.000Z"}'
    )
    assert printed(page('{"id":"1","created":null}')) == '{"id":"1","created":null}'


def test_unknown_fields_are_left_out_and_named_once() -> None:
    unknown: list[str] = []
    read = reader(unknown=unknown).read
    body = b'{"items": [{"id": "1", "tier": "x", "new": {}}, {"id": "2", "tier": 1}]}'
    assert [row.keys() for row in read(body)] == [{"id"}, {"id"}]
    read(body)
    assert sorted(unknown) == ["new", "tier"]


@pytest.mark.parametrize(
    ("row", "where"),
    [
        ('{"id": 1}', "id"),
        ('{"id": null}', "id"),
        ('{"created": null}', "id"),
        ('{"id": "1", "reward": "0.1"}', "reward"),
        ('{"id": "1", "count": 1.5}', "count"),
        ('{"id": "1", "open": "true"}', "open"),
        ('{"id": "1", "free": "text"}', "free"),
        ('{"id": "1", "free": []}', "free"),
        ('{"id": "1", "rules": [{"from": "1"}]}', "rules"),
        ('{"id": "1", "rules": [[]]}', "rules"),
        ('{"id": "1", "created": "soon"}', "soon"),
        ('{"id": "1", "created": 5}', "created"),
        ('{"id": "1", "created": "9999-12-31T23:59:59-05:00"}', "9999-12-31"),
    ],
)
def test_what_does_not_fit_the_schema_is_an_error_that_names_it(row: str, where: str) -> None:
    with pytest.raises(ValueError, match=where):
        reader().read(page(row))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[]", b"null", b'{"items": null}', b'{"items": [{"id": "1"}']
)
def test_what_is_no_page_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # msgspec says what is wrong, in its words
        reader().read(body)


ROW = b'{"id":"1","created":"2020-09-01T13:00","reward":0.070,"new":{}}'
AS_PRINTED = b'{"id":"1","created":"2020-09-01T13:00:00.000Z","reward":0.070}'


@pytest.mark.parametrize(
    ("rows_in", "body", "count"),
    [
        ("items", b'{"items": [%b], "has_more": false}', 1),
        ("content", b'{"content": [%b], "items": 5, "has_more": false}', 1),
        ("content", b'{"content": [], "has_more": false}', 0),
        (None, b"[%b]", 1),
        (None, b"\n [ ]\n", 0),
        (None, b"%b", 1),
        (None, b" \r\n%b\n", 1),
    ],
)
def test_rows_are_read_from_where_the_list_has_them(
    rows_in: str | None, body: bytes, count: int
) -> None:
    unknown: list[str] = []
    rows = reader(unknown=unknown, rows_in=rows_in).read(body.replace(b"%b", ROW))
    assert [msgspec.json.encode(row) for row in rows] == [AS_PRINTED] * count
    assert unknown == ["new"] * count


def test_rows_of_a_bare_array_keep_their_order() -> None:
    rows = reader(rows_in=None).read(b'[{"id": "2"}, {"id": "1"}, {"id": "2"}]')
    assert [bytes(row["id"]) for row in rows] == [b'"2"', b'"1"', b'"2"']


@pytest.mark.parametrize(
    ("rows_in", "body"),
    [
        ("content", b'{"items": [{"id": "1"}]}'),
        ("content", b'{"content": {"id": "1"}}'),
        ("content", b'{"content": null}'),
        ("content", b'[{"id": "1"}]'),
        (None, b""),
        (None, b"null"),
        (None, b'"text"'),
        (None, b"17"),
        (None, b"<html>"),
        (None, b"{}"),
        (None, b"[{}]"),
        (None, b"[null]"),
        (None, b'[["id"]]'),
        (None, b'{"items": [{"id": "1"}], "has_more": false}'),
        (None, b'{"id": "1"} {"id": "2"}'),
        (None, b'[{"id": "1"}'),
        (None, b'[{"id": 1}]'),
        (None, b'{"id": "1", "count": "2"}'),
        (None, b'{"id": "1", "created": "soon"}'),
    ],
)
def test_what_is_not_where_the_list_has_it_is_an_error(rows_in: str | None, body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # msgspec says what is wrong, in its words
        reader(rows_in=rows_in).read(body)


numbers = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
objects = st.dictionaries(st.text(max_size=3), anything)
fitting: dict[str, st.SearchStrategy[Any]] = {
    "created": st.sampled_from(["2020-09-01T13:00", "2020-09-01T13:00:07.6"]),
    "reward": numbers,
    "count": st.integers(-(2**60), 2**60),
    "open": st.booleans(),
    "free": objects,
    "rules": st.lists(
        st.none()
        | st.fixed_dictionaries({}, optional={"from": st.integers(0, 9), "value": anything})
    ),
}


@given(
    st.fixed_dictionaries(
        {"id": st.text(max_size=3)},
        optional={field: st.none() | values for field, values in fitting.items()},
    )
)
def test_a_row_that_fits_the_schema_is_read(row: dict[str, Any]) -> None:
    text = printed(page(json.dumps(row)))
    assert {**json.loads(text), "created": None} == {**row, "created": None}


@given(
    st.fixed_dictionaries(
        {"id": st.text(max_size=3) | anything},
        optional={field: values | anything for field, values in fitting.items()}
        | {"new": anything},
    )
)
def test_a_row_that_is_read_fits_the_schema(row: dict[str, Any]) -> None:
    with contextlib.suppress(ValueError):
        text = printed(page(json.dumps(row)))
        Draft202012Validator(SCHEMA).validate(json.loads(text))
        assert json.loads(text).keys() == row.keys() - {"new"}


def test_what_is_no_utf_8_is_an_error_however_deep() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        reader().read(page('{"id": "1", "free": {"a": ["?"]}}').replace(b"?", b"\xff\xfe"))


def test_letters_of_many_bytes_may_stand_anywhere() -> None:
    for before in range(5):
        text = "x" * before + "猫🐈ж" * 20_000
        (row,) = reader().read(
            page(json.dumps({"id": "1", "free": {"a": text}}, ensure_ascii=False))
        )
        assert json.loads(bytes(row["free"])) == {"a": text}


def test_whole_decoding_gives_the_same_row() -> None:
    body = page('{"id":"1","created":"2020-09-01T13:00","reward":0.070,"free":{"a":[1E-7]}}')
    rows = reader().read(body)
    encoder = msgspec.json.Encoder(decimal_format="number")
    assert [encoder.encode(row) for row in as_objects(rows)] == [msgspec.json.encode(rows[0])]


def test_the_greatest_date_passes_over_rows_without_one() -> None:
    rows = reader().read(
        b'{"items": [{"id": "1", "created": "2020-09-01T13:00:07"}, {"id": "2", "created": null},'
        b' {"id": "3"}, {"id": "4", "created": "2020-09-01T13:00:07.6"}]}'
    )
    assert greatest_date(rows, "created") == "2020-09-01T13:00:07.600Z"
    assert greatest_date(rows[1:3], "created") == ""
