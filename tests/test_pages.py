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

from tap_toloka.pages import Page, PageReader, RowFields, as_objects, greatest_date

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
        "config": {
            "type": ["string", "object", "array", "null"],
            "items": {"type": ["object", "string", "null"]},
        },
        "rules": {
            "type": ["array", "null"],
            "items": {
                "type": ["object", "null"],
                "properties": {"from": {"type": ["integer", "null"]}, "value": {}},
            },
        },
    },
}


def reader(
    *, unknown: list[str] | None = None, rows_in: str | None = "items", **fields: Any
) -> PageReader:
    """Make a reader that notes unknown fields in a list."""
    of_schema: dict[str, Any] = {"printed": SCHEMA["properties"], "required": SCHEMA["required"]}
    return PageReader(
        RowFields(**{**of_schema, "hidden": {}, "dates": ["created"], **fields}),
        ([] if unknown is None else unknown).append,
        rows_in=rows_in,
    )


def rows_of(body: bytes, **options: Any) -> list[Any]:
    """Read the rows of a page."""
    return reader(**options).read(body).rows


def printed(body: bytes) -> str:
    """Read a page of one row and print it."""
    (row,) = rows_of(body)
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
    rows = b'{"id": "1", "tier": "x", "new": {}}, {"id": "2", "tier": 1}'
    body = b'{"items": [%b], "has_more": true}' % rows
    for _ in range(2):
        assert read(body) == Page(read(body).rows, ["1", "2"], has_more=True)
        assert [*as_objects(read(body).rows)] == [{"id": "1"}, {"id": "2"}]
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
        ('{"id": "1", "config": 5}', "config"),
        ('{"id": "1", "config": [5]}', "config"),
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
    rows = rows_of(body.replace(b"%b", ROW), unknown=unknown, rows_in=rows_in)
    assert [msgspec.json.encode(row) for row in rows] == [AS_PRINTED] * count
    assert unknown == ["new"] * count


def test_rows_of_a_bare_array_keep_their_order() -> None:
    rows = rows_of(b'[{"id": "2"}, {"id": "1"}, {"id": "2"}]', rows_in=None)
    assert [row.id for row in rows] == ["2", "1", "2"]


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
    "config": st.text(max_size=5) | objects | st.lists(st.none() | st.text(max_size=5) | objects),
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


@given(anything)
def test_a_field_of_all_types_may_hold_anything(value: Any) -> None:
    kinds = ["string", "number", "boolean", "object", "array", "null"]
    schema = {"type": kinds, "items": {"type": [kind for kind in kinds if kind != "array"]}}
    inner = {"type": "array", "items": {"type": "object", "properties": {"value": schema}}}
    row = {"id": "1", "errors": [{"value": value}]}
    fields = {"id": {"type": "string"}, "errors": inner}
    (read,) = rows_of(page(json.dumps(row)), printed=fields)
    assert json.loads(msgspec.json.encode(read)) == row


def test_what_is_no_utf_8_is_an_error_however_deep() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        reader().read(page('{"id": "1", "free": {"a": ["?"]}}').replace(b"?", b"\xff\xfe"))


def test_letters_of_many_bytes_may_stand_anywhere() -> None:
    for before in range(5):
        text = "x" * before + "猫🐈ж" * 20_000
        (row,) = rows_of(page(json.dumps({"id": "1", "free": {"a": text}}, ensure_ascii=False)))
        assert json.loads(bytes(row.free)) == {"a": text}


def test_whole_decoding_gives_the_same_row() -> None:
    body = page('{"id":"1","created":"2020-09-01T13:00","reward":0.070,"free":{"a":[1E-7]}}')
    rows = rows_of(body)
    encoder = msgspec.json.Encoder(decimal_format="number")
    assert [encoder.encode(row) for row in as_objects(rows)] == [msgspec.json.encode(rows[0])]


def test_the_greatest_date_passes_over_rows_without_one() -> None:
    rows = rows_of(
        b'{"items": [{"id": "1", "created": "2020-09-01T13:00:07"}, {"id": "2", "created": null},'
        b' {"id": "3"}, {"id": "4", "created": "2020-09-01T13:00:07.6"}], "has_more": false}'
    )
    assert greatest_date(rows, "created") == "2020-09-01T13:00:07.600Z"
    assert greatest_date(rows[1:3], "created") == ""


@pytest.mark.parametrize(
    "name", ["global", "a-b", "", "имя", "__init__", "__class__", "_x", "field_1", "1"]
)
def test_a_field_may_have_any_name(name: str) -> None:
    row = {"id": "1", name: 5}
    body = page(json.dumps(row))
    known = {"printed": {**SCHEMA["properties"], name: {"type": ["integer", "null"]}}}
    unknown: list[str] = []
    assert [*as_objects(rows_of(body, **known))] == [row]
    assert [*as_objects(rows_of(body, unknown=unknown))] == [{"id": "1"}]
    assert [*as_objects(rows_of(body, unknown=unknown, ignored=[name]))] == [{"id": "1"}]
    assert unknown == [name]


def test_ignored_fields_may_hold_anything_and_are_not_unknown() -> None:
    unknown: list[str] = []
    body = page('{"id": "1", "old": {"a": [1]}}')
    (row,) = rows_of(body, unknown=unknown, ignored=["old", "older"])
    assert [*as_objects([row])] == [{"id": "1"}]
    assert unknown == []


def test_added_fields_are_computed_from_fields_that_are_not_printed() -> None:
    def compute(rows: list[Any]) -> None:
        for row in rows:
            row.twice = 2 * row.size

    text = {"type": ["string", "null"]}
    fields = RowFields(
        printed={"id": {"type": "string"}, "twice": {}, "owner": text},
        required=["id"],
        added={"twice", "owner"},
        hidden={"size": {"type": ["integer"]}},
    )
    reader = PageReader(fields, lambda _: None, compute=compute)
    body = page('{"id": "1", "size": 17, "twice": "sent"}')
    (row,) = reader.read(body, {"owner": 'x"y', "not printed": "z"}).rows
    assert [*as_objects([row])] == [{"id": "1", "twice": 34, "owner": 'x"y'}]


@pytest.mark.parametrize("rows", ["", '{"id": "1"}'])
@pytest.mark.parametrize("more", ["true", "false"])
def test_a_page_says_whether_there_are_more(rows: str, more: str) -> None:
    read = reader().read(b'{"items": [%b], "has_more": %b}' % (rows.encode(), more.encode()))
    assert (len(read.rows), read.has_more) == (bool(rows), more == "true")


def test_a_value_within_a_field_that_does_not_fit_is_named_with_its_field() -> None:
    with pytest.raises(ValueError, match=r"from` of the field 'rules'"):
        rows_of(page('{"id": "1", "rules": [{"from": "1"}]}'))


@pytest.mark.parametrize("name", ['a"b', "a\\b", "tab\tname", "\x00", "\u2028"])
def test_an_unknown_field_may_have_a_name_that_cannot_be_declared(name: str) -> None:
    unknown: list[str] = []
    one = reader(unknown=unknown)
    for _ in range(2):
        body = page(json.dumps({"id": "1", name: 5, "new": 1}))
        assert [*as_objects(one.read(body).rows)] == [{"id": "1"}]
    assert sorted(unknown) == sorted([name, "new"])


def test_however_many_fields_are_unknown_all_rows_are_read() -> None:
    unknown: list[str] = []
    one = reader(unknown=unknown)
    for number in range(500):
        body = page(json.dumps({"id": str(number), f"new {number}": 5, "count": 1}))
        assert [*as_objects(one.read(body).rows)] == [{"id": str(number), "count": 1}]
    assert unknown[:2] == ["new 0", "new 1"]
    assert 100 < len(unknown) <= 200


def test_an_empty_date_is_an_error() -> None:
    with pytest.raises(ValueError, match="'' is not a date"):
        rows_of(page('{"id": "1", "created": ""}'))


def test_an_added_field_that_toloka_sends_is_not_lost_when_another_is_unknown() -> None:
    fields = RowFields(printed={"id": {"type": "string"}, "owner": {}}, added={"owner"}, hidden={})
    unknown: list[str] = []
    one = PageReader(fields, unknown.append)
    body = page('{"id": "1", "owner": "sent", "new": 1}')
    for _ in range(2):
        (row,) = one.read(body, {"owner": "ours"}).rows
        assert [*as_objects([row])] == [{"id": "1", "owner": "ours"}]
    assert unknown == ["new"]


def test_a_name_that_cannot_be_declared_is_no_obstacle_later_on() -> None:
    one = reader()
    one.read(page(json.dumps({"id": "1", 'a"b': 1})))
    with pytest.raises(ValueError, match="count"):
        one.read(page(json.dumps({"id": "1", "other": 1, "count": "x"})))
    (row,) = one.read(page(json.dumps({"id": "1", 'a"b': 1, "other": 1}))).rows
    assert [*as_objects([row])] == [{"id": "1"}]
