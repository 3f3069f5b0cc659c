"""What is printed fits the schema, has the digits that Toloka sent, and nothing else."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tap_toloka.errors import UnusableError
from tap_toloka.fitting import attribute_of
from tap_toloka.misfits import OWN_FIELDS, path_to, steps_of
from tap_toloka.pages import Page, PageReader, as_objects, greatest_date
from tap_toloka.rows import RowFields
from tests.expected_rows import stored

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
    *,
    unknown: list[str] | None = None,
    warnings: list[str] | None = None,
    rows_in: str | None = "items",
    on_misfit: Any = "keep",
    own: bool = False,
    **fields: Any,
) -> PageReader:
    """Make a reader that notes unknown fields and warnings in lists, with the tap's own fields."""
    of_schema: dict[str, Any] = {"printed": SCHEMA["properties"], "required": SCHEMA["required"]}
    options = {**of_schema, "hidden": {}, "dates": ["created"], **fields}
    if own:
        options |= {"printed": {**options["printed"], **OWN_FIELDS}, "added": [*OWN_FIELDS]}
    return PageReader(
        RowFields(**options),
        ([] if unknown is None else unknown).append,
        rows_in=rows_in,
        warn=([] if warnings is None else warnings).append,
        on_misfit=on_misfit,
    )


def rows_of(body: bytes, **options: Any) -> list[Any]:
    """Read the rows of a page."""
    return reader(**options).read(body).rows


def printed(body: bytes) -> str:
    """Read a page of one row and print it."""
    (row,) = rows_of(body)
    return msgspec.json.encode(row).decode()


def page(*rows: str) -> bytes:
    """Make the body of a page of these rows."""
    return body_of(*rows, rows_in="items")


def body_of(*rows: str, rows_in: str | None) -> bytes:
    """Make the body of an answer that holds these rows there."""
    array = f"[{', '.join(rows)}]"
    body = f'{{"{rows_in}": {array}, "has_more": false}}' if rows_in else array
    return body.encode(errors="surrogateescape")


def nested(levels: int) -> str:
    """Make an array within so many others."""
    return "[" * levels + "]" * levels


def with_free(value: str, id_: str = "1") -> str:
    """Make a row with this JSON in an open object."""
    return f'{{"id":"{id_}","free":{{"a":{value}}}}}'


@pytest.mark.parametrize(
    "digits",
    [
        "0",
        "0.070",
        "100.0",
        "1E-7",
        "1.50e+3",
        "123456789012345678901234567890.1",
        "-0.0",
        "1e-16383",
    ],
)
def test_money_keeps_the_digits_that_toloka_sent(digits: str) -> None:
    assert printed(page(f'{{"id":"1","reward":{digits}}}')) == f'{{"id":"1","reward":{digits}}}'


@pytest.mark.parametrize("value", ["false", "true", "0", "0.00", "null", '"0"'])
def test_a_field_may_take_numbers_and_others(value: str) -> None:
    kinds = {**SCHEMA["properties"], "mixed": {"type": ["number", "boolean", "string", "null"]}}
    row = f'{{"id":"1","mixed":{value}}}'
    (read,) = rows_of(page(row), printed=kinds)
    assert msgspec.json.encode(read).decode() == row


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


BIG = "9" * 5_000


@pytest.mark.parametrize(
    ("field", "sent", "path", "kept"),
    [
        ("reward", '"one"', "reward", "one"),
        ("reward", '"01"', "reward", "01"),
        ("reward", '" 1"', "reward", " 1"),
        ("reward", '"+1"', "reward", "+1"),
        ("reward", '"NaN"', "reward", "NaN"),
        ("reward", "1e400", "reward", Decimal("1E+400")),
        ("reward", "1e-16384", "reward", "1e-16384"),
        ("reward", "0e99999999999999999999", "reward", "0e99999999999999999999"),
        ("count", "1.5", "count", 1.5),
        ("count", '"1.5"', "count", "1.5"),
        ("count", '""', "count", ""),
        ("count", "1e30", "count", Decimal("1E+30")),
        ("count", "9223372036854775808", "count", 9223372036854775808),
        ("count", "-9223372036854775809", "count", -9223372036854775809),
        ("count", BIG, "count", BIG),
        ("count", f"[{BIG}]", "count", [BIG]),
        ("open", "1", "open", 1),
        ("open", '"True"', "open", "True"),
        ("free", '"text"', "free", "text"),
        ("free", "[]", "free", []),
        ("free", '{"a":[1e131072]}', "free.a[0]", "1e131072"),
        ("rules", '[{"from":[{"a":1e131072}]}]', "rules[0].from", [{"a": "1e131072"}]),
        ("rules", '[null,{"from":9223372036854775808}]', "rules[1].from", 9223372036854775808),
        ("rules", "[[]]", "rules[0]", []),
        ("rules", '[{"new":{"a":1e-16384}}]', "rules[0].new.a", "1e-16384"),
        ("created", '"soon"', "created", "soon"),
        ("created", '"03/04/2016"', "created", "03/04/2016"),
        ("created", "1458823087654", "created", 1458823087654),
        ("created", '"1458823087654"', "created", "1458823087654"),
        ("created", '"20160324"', "created", "20160324"),
        ("created", '"9999-12-31T23:59:59-05:00"', "created", "9999-12-31T23:59:59-05:00"),
        ("config", "5", "config", None),
        ("config", "null", "config", None),
    ],
)
@pytest.mark.parametrize("rows_in", ["items", None])
def test_what_does_not_fit_becomes_null_and_is_kept_by_its_path(
    field: str, sent: str, path: str, kept: Any, rows_in: str | None
) -> None:
    others = '{"id": "5", "new": 1}', '{"id": "6", "count": 1, "free": {"a": [1.5]}}'
    body = body_of(*others, f'{{"id":"7","open":true,"{field}":{sent}}}', rows_in=rows_in)
    warnings: list[str] = []
    one = reader(rows_in=rows_in, warnings=warnings, own=True)
    for _ in range(2):
        rows = [*as_objects(one.read(body).rows)]
        if kept is None:
            assert "_misfits" not in rows[2]
        else:
            assert rows[2]["_misfits"] == {path: kept}
            assert value_at(rows[2], path) is None
        assert rows[0] == {"id": "5", "_extra": {"new": 1}}
        assert rows[1] == {"id": "6", "count": 1, "free": {"a": [Decimal("1.5")]}}
    assert one.misfits == (0 if kept is None else 2)
    assert len(warnings) == min(one.misfits, 1), "once for each place"


def value_at(row: Any, path: str) -> Any:
    """Return what is at a path, as `rules[0].from`."""
    for part in re.findall(r"[^.\[\]]+", path):
        row = row[int(part)] if isinstance(row, list) else row[part]
    return row


@pytest.mark.parametrize(
    ("field", "sent", "printed_as"),
    [
        ("count", "600.0", "600"),
        ("count", "6e2", "600"),
        ("count", "1E5", "100000"),
        ("count", '"600"', "600"),
        ("count", '"-6.0e2"', "-600"),
        ("count", "-9223372036854775808.0", "-9223372036854775808"),
        ("reward", '"0.070"', "0.070"),
        ("open", '"true"', "true"),
        ("open", '"false"', "false"),
        ("text", "7.50", '"7.50"'),
        ("text", "1E5", '"1E5"'),
        ("text", BIG, f'"{BIG}"'),
        ("text", "true", '"true"'),
        ("created", '""', "null"),
        ("created", '"20160324T123807.654Z"', '"2016-03-24T12:38:07.654Z"'),
        ("created", '"2016-03-24 12:38:07,6547 +0300"', '"2016-03-24T09:38:07.654Z"'),
        ("created", '"2016-03-24T12:38:07+0300"', '"2016-03-24T09:38:07.000Z"'),
        ("created", '"Thu, 24 Mar 2016 12:38:07 GMT"', '"2016-03-24T12:38:07.000Z"'),
        ("rules", '[{"from":"5"}]', '[{"from":5}]'),
        ("config", "5", '"5"'),
    ],
)
@pytest.mark.parametrize("on_misfit", ["keep", "fail"])
def test_what_fits_without_loss_is_converted(
    field: str, sent: str, printed_as: str, on_misfit: Any
) -> None:
    known = {**SCHEMA["properties"], "text": {"type": ["string", "null"]}}
    one = reader(printed=known, own=True, on_misfit=on_misfit)
    row = f'{{"id":"1","{field}":{sent}}}' if field != "id" else f'{{"id":{sent}}}'
    for _ in range(2):
        (read,) = one.read(page(row)).rows
        assert json.loads(msgspec.json.encode(read), parse_float=str, parse_int=str) == {
            "id": "1",
            **json.loads(f'{{"{field}":{printed_as}}}', parse_float=str, parse_int=str),
        }
    assert one.misfits == 0


@pytest.mark.parametrize(
    ("row", "where"),
    [
        ('{"id": 7}', "row 7: `id` is 7, expected text"),
        ('{"id": null}', "row null: `id` is null, expected text"),
        ('{"id": 7.0}', "row 7.0: `id` is 7.0, expected text"),
        ('{"id": ["7"]}', "`id` is .*, expected text"),
        ('{"id": "7", "changed": "soon"}', "row 7: `changed` is .*soon.*, expected a date"),
        ('{"id": {"7\x7f[2K": 1}}', r"`id` is .*x7f\[2K"),
        ('{"id": ["%s"]}' % ("x" * 1_000), "xxx"),
    ],
)
@pytest.mark.parametrize("rows_in", ["items", None])
def test_a_key_that_does_not_fit_is_an_error_that_names_row_and_field(
    row: str, where: str, rows_in: str | None
) -> None:
    date = {"type": ["string", "null"], "format": "date-time"}
    known = {**SCHEMA["properties"], "changed": date}
    one = reader(
        rows_in=rows_in, printed=known, dates=["created", "changed"], strict=["changed"], own=True
    )
    with pytest.raises(UnusableError, match=where) as caught:
        one.read(body_of('{"id": "5", "new": 1}', row, rows_in=rows_in))
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


def test_on_misfit_fail_names_all_misfits_of_the_page_and_their_owner() -> None:
    rows = [f'{{"id": "{n}", "count": "x", "open": 1}}' for n in range(15)]
    with pytest.raises(UnusableError) as caught:
        reader(on_misfit="fail").read(page(*rows), {"operation_id": "5c"})
    text = str(caught.value)
    assert text.startswith("row 0 (operation_id 5c): `count` is")
    assert "row 0 (operation_id 5c): `open` is 1, expected true or false" in text
    assert "10 more" in text
    assert "`on_misfit`" in text


def test_warnings_of_many_places_come_to_an_end() -> None:
    warnings: list[str] = []
    kinds = {f"field{n}": {"type": ["integer", "null"]} for n in range(50)}
    row = json.dumps({"id": "1", **dict.fromkeys(kinds, "x")})
    one = reader(printed={"id": {"type": "string"}, **kinds}, warnings=warnings, own=True)
    one.read(page(row, row))
    assert one.misfits == 100
    assert len(warnings) == 21
    assert "not logged" in warnings[-1]


def test_rows_that_are_left_out_are_not_counted() -> None:
    one = reader(own=True)
    one.read(
        page('{"id": "1", "count": "x"}', '{"id": "2", "count": "x"}'), {}, lambda r: r.id < "2"
    )
    assert one.misfits == 1


def test_a_field_with_absurdly_many_misfits_is_kept_whole() -> None:
    key = "k" * 10_000
    value = {key: [Decimal("1e131072")] * 500}
    text = f'{{"{key}":[{",".join(["1e131072"] * 500)}]}}'
    (row,) = as_objects(rows_of(page(f'{{"id":"1","free":{text}}}'), own=True))
    assert row["free"] is None
    assert row["_misfits"] == {"free": {key: ["1e131072"] * len(value[key])}}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b"null",
        b'{"items": null}',
        b'{"items": [{"id": "1"}',
        b'{"items": [{"id": "1"}], "has_more": 1}',
        b'{"items": [{"id": "1", "count": "does not fit"}, {"id": "2"}], "has_mo',
        b'{"items": [{"id": "1", "count": "does not fit"}], "has_more": NaN}',
        b'{"items": [{"count": 1}], "has_more": false}',
        b'{"items": [null], "has_more": false}',
        b'{"items": [{"id": "1", "free": {"a": NaN}}], "has_more": false}',
        b'{"items": [{"id": "1", "free": {"a": -Infinity}}], "has_more": false}',
        b'{"items": [{"id": "1", "free": {"a": "\\x41"}}], "has_more": false}',
        b'{"items": [{"id": "1", "free": {"a": "\x00"}}], "has_more": false}',
        b'{"items": [{"id": "1", "free": {"a": \xff}}], "has_more": false}',
        b'{"items": [{"id": "1", "free": ' + b"[" * 100_000,
        page(with_free(nested(100_000)))[:-1],
    ],
)
def test_what_is_no_page_is_an_error_that_may_pass(body: bytes) -> None:
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
    assert {**json.loads(text), "created": None} == {**stored(row), "created": None}


@given(
    st.fixed_dictionaries(
        {"id": st.text(max_size=3)},
        optional={field: values | anything for field, values in fitting.items()}
        | {"new": anything},
    )
)
def test_whatever_comes_the_row_fits_the_schema(row: dict[str, Any]) -> None:
    (read,) = rows_of(page(json.dumps(row)), own=True)
    record = json.loads(msgspec.json.encode(read))
    Draft202012Validator(SCHEMA).validate(record)
    misfits, extra = record.pop("_misfits", {}), record.pop("_extra", {})
    assert extra == stored({name: value for name, value in row.items() if name == "new"})
    assert record.keys() == row.keys() - {"new"}
    for path in misfits:
        assert value_at(record, path) is None


@given(anything)
def test_a_field_of_all_types_may_hold_anything(value: Any) -> None:
    kinds = ["string", "number", "boolean", "object", "array", "null"]
    schema = {"type": kinds, "items": {"type": [kind for kind in kinds if kind != "array"]}}
    inner = {"type": "array", "items": {"type": "object", "properties": {"value": schema}}}
    row = {"id": "1", "errors": [{"value": value}]}
    fields = {"id": {"type": "string"}, "errors": inner}
    (read,) = rows_of(page(json.dumps(row)), printed=fields)
    assert json.loads(msgspec.json.encode(read)) == stored(row)


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


@pytest.mark.parametrize("name", ['a"b', "a\\b", "tab\tname", "\x00", "\u2028"])
def test_an_unknown_field_may_have_a_name_that_cannot_be_declared(name: str) -> None:
    unknown: list[str] = []
    one = reader(unknown=unknown)
    for _ in range(2):
        body = page(json.dumps({"id": "1", name: 5, "new": 1}))
        assert [*as_objects(one.read(body).rows)] == [{"id": "1"}]
    assert sorted(unknown) == sorted([name.replace("\0", "\ufffd"), "new"])


def test_however_many_fields_are_unknown_all_rows_are_read() -> None:
    unknown: list[str] = []
    one = reader(unknown=unknown)
    for number in range(500):
        body = page(json.dumps({"id": str(number), f"new {number}": 5, "count": 1}))
        assert [*as_objects(one.read(body).rows)] == [{"id": str(number), "count": 1}]
    assert unknown == [f"new {number}" for number in range(20)]


@pytest.mark.parametrize(
    ("sent", "kept", "misfits"),
    [
        ('"_extra": 5', {"_extra": 5}, None),
        (r'"\u005fextra": {"a": 1e131072}', {"_extra": {"a": None}}, {"_extra.a": "1e131072"}),
        ('"_misfits": "x", "new": 1', {"_misfits": "x", "new": 1}, None),
        ('"_misfits": {"count": 1}, "count": []', {"_misfits": {"count": 1}}, {"count": []}),
        (f'"_extra": {nested(2_000)}', {"_extra": None}, {"_extra": nested(2_000)}),
        ('"a\\"b": 1, "_extra": 2', {'a"b': 1, "_extra": 2}, None),
    ],
    ids=["extra", "escaped", "both", "misfits", "deep", "unnameable"],
)
def test_fields_of_the_tap_that_toloka_sends_are_unknown_fields(
    sent: str, kept: dict[str, Any], misfits: dict[str, Any] | None
) -> None:
    unknown: list[str] = []
    one = reader(unknown=unknown, own=True)
    for _ in range(2):
        first, row = as_objects(one.read(page('{"id": "0"}', f'{{"id": "1", {sent}}}')).rows)
        assert first == {"id": "0"}
        assert row["_extra"] == kept
        assert row.get("_misfits") == misfits
    assert sorted(unknown) == sorted(kept)


def test_an_unknown_field_may_be_named_as_an_attribute_of_another() -> None:
    fields = {name: 1 for other in ("a-b", "_misfits") for name in (other, attribute_of(other))}
    (row,) = as_objects(rows_of(page(json.dumps({"id": "1", **fields})), own=True))
    assert row == {"id": "1", "_extra": fields}


@pytest.mark.parametrize(
    ("free", "paths"),
    [
        ({"a.b": "!", "a": {"b": "!"}}, ['free["a.b"]', "free.a.b"]),
        ({"a": ["!"], "a[0]": "!"}, ["free.a[0]", 'free["a[0]"]']),
        ({"": "!", '"': "!", '["x"]': "!"}, ['free[""]', r'free["\""]', r'free["[\"x\"]"]']),
        ({"a b": "!", "\\": "!", "\n": "!"}, ["free.a b", "free.\\", "free.\n"]),
    ],
    ids=["dot", "index", "quotes", "plain"],
)
def test_values_are_kept_apart_whatever_their_keys_are(free: Any, paths: list[str]) -> None:
    row = json.dumps({"id": "1", "free": free, "free.a": free}).replace('"!"', "1e131072")
    (read,) = as_objects(rows_of(page(row), own=True))
    unknown = [path.replace("free", '["free.a"]', 1) for path in paths]
    assert read["_misfits"] == dict.fromkeys([*paths, *unknown], "1e131072")


@given(st.lists(st.text(min_size=0) | st.none()))
def test_a_path_tells_its_steps(steps: list[str | None]) -> None:
    path = "free"
    for number, step in enumerate(steps):
        path = f"{path}[{number}]" if step is None else path_to(step, path)
    assert [*steps_of(path)] == ["free", *steps]


def test_a_warning_tells_what_is_not_kept() -> None:
    warnings: list[str] = []
    number = {"type": ["integer", "null"]}
    one = reader(own=True, hidden={"level": number}, warnings=warnings)
    one.read(page('{"id": "1", "count": [], "level": []}'))
    reader(warnings=warnings).read(page('{"id": "1", "count": []}'))
    assert ["and kept in `_misfits`" in warning for warning in warnings] == [True, False, False]
    assert ["and not kept" in warning for warning in warnings] == [False, True, True]


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
    assert one.read(page(json.dumps({"id": "1", "other": 1, "count": "x"}))).rows[0].count is None
    (row,) = one.read(page(json.dumps({"id": "1", 'a"b': 1, "other": 1}))).rows
    assert [*as_objects([row])] == [{"id": "1"}]


# Each is what stands in a JSON text: a character, an escape sequence, or a part of one.
pieces = st.sampled_from(
    [
        *(r"\ud83d", r"\uD83D", r"\uDBFF", r"\ude00", r"\uDE00", r"\uDc00", r"\ud83d\ude00"),
        *(r"\u0000", r"\u0001", r"\u00e9", r"\uFFFD", r"\ufeff", r"\\", r"\"", r"\n", r"\/"),
        *("u0000", "ud83d", "uDE00", "a", "", "\x7f", "\x80", "é", "猫", "🐈", "\u2028", "\ufffe"),
    ]
)
json_texts = st.lists(pieces, max_size=8).map("".join)


@given(json_texts, json_texts, json_texts)
def test_of_any_text_only_what_cannot_be_stored_is_replaced(key: str, one: str, two: str) -> None:
    row = f'{{"id":"1","free":{{"{key}":["{one}",{{"{two}":"{key}"}}]}},"new{key}":"{two}"}}'
    sent = json.loads(row)
    text = printed(page(row))
    assert json.loads(text) == {"id": "1", "free": stored(sent["free"])}
    if stored(sent) == sent:
        assert row.startswith(text[:-1]), "all else stays as it came"


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (r"nice \ud83d", r"nice \ufffd"),
        (r"\uDC00\uD800", r"\ufffd\ufffd"),
        (r"\uD83D\ud83d\uDE00", r"\ufffd\ud83d\uDE00"),
        (r"\ud83d\n\ude00", r"\ufffd\n\ufffd"),
        (r"\\\ud83d \\ud83d \\\\\udc00", r"\\\ufffd \\ud83d \\\\\ufffd"),
        (r"\\ud83d\ude00", r"\\ud83d\ufffd"),
        (r"\u0000 \\u0000 \\\u0000", r"\ufffd \\u0000 \\\ufffd"),
    ],
)
def test_halves_and_nul_are_told_from_what_looks_like_them(sent: str, text: str) -> None:
    row = '{"id":"1","free":{"a":"?","?":[{"b":"?"}]}}'
    assert printed(page(row.replace("?", sent))) == row.replace("?", text)


@pytest.mark.parametrize(
    "sent", [b"\xff", b"\xed\xa0\xbd", b"\xed\xa0\xbd\xed\xb8\x80", b"\xf0\x9f\x90"]
)
def test_bytes_that_are_not_utf_8_are_replaced_however_deep(sent: bytes) -> None:
    row = '{"id":"1","free":{"猫?":[{"a":"?🐈"}]},"deselected":"?","rules":[{"new":"?"}]}'
    (read,) = rows_of(page(row).replace(b"?", sent), ignored=["deselected"])
    free, rules = {"猫\ufffd": [{"a": "\ufffd🐈"}]}, [{"new": "\ufffd"}]
    assert [*as_objects([read])] == [{"id": "1", "free": free, "rules": rules}]


def test_a_byte_order_mark_is_no_part_of_an_answer() -> None:
    assert printed(b"\xef\xbb\xbf" + page('{"id":"1"}')) == '{"id":"1"}'


@pytest.mark.parametrize(
    ("row", "warning"),
    [
        (r'{"id": "1", "free": {"a": ["\ud83d"]}}', "row 1: unpaired surrogate .* in `free`"),
        (r'{"id": "1", "free": {"\u0000": 1}}', "row 1: NUL replaced by U.FFFD in `free`"),
        (
            r'{"id": "1\u0000", "free": {"a": "\udc00\u0000"}, "pool_id": 7}',
            "row 1\ufffd \\(pool_id 7\\): NUL, unpaired surrogate .* in `id`, `free`",
        ),
        ('{"id": "1", "free": {"a": "\udcff"}}', "row 1: invalid UTF-8 replaced .* in `free`"),
    ],
)
@pytest.mark.parametrize("rows_in", ["items", None])
def test_a_row_is_named_in_which_something_was_replaced(
    row: str, warning: str, rows_in: str | None
) -> None:
    warnings: list[str] = []
    read = reader(warnings=warnings, rows_in=rows_in, ignored=["pool_id"]).read
    for _ in range(2):
        read(body_of(with_free(r'"\ufffd"', "0"), row, '{"id": "9"}', rows_in=rows_in))
    assert len(warnings) == 1, "once for each row"
    assert re.fullmatch(warning, warnings[0])


def test_each_row_is_named_for_what_was_replaced_in_it() -> None:
    warnings: list[str] = []
    texts = r'"\u0000"', '"\udcff"', r'"\udc00"', '"猫"'
    rows = (with_free(text, str(number)) for number, text in enumerate(texts))
    reader(warnings=warnings).read(page(*rows))
    assert [warning.partition(" replaced")[0] for warning in warnings] == [
        "row 0: NUL",
        "row 1: invalid UTF-8",
        "row 2: unpaired surrogate",
    ]


def test_nothing_is_said_of_what_is_replaced_in_fields_that_are_not_read() -> None:
    warnings: list[str] = []
    row = r'{"id":"1","new":"\u0000","old":{"\ud83d":"\ud83d"},"open\u0000":true}'
    assert [*as_objects(rows_of(page(row), warnings=warnings, ignored=["old"]))] == [{"id": "1"}]
    assert warnings == []


def test_of_many_rows_in_which_something_was_replaced_ten_are_named() -> None:
    warnings: list[str] = []
    read = reader(warnings=warnings).read
    for number in range(100):
        read(page(with_free(r'"\u0000"', str(number))))
    assert [warning.partition(":")[0] for warning in warnings[:10]] == [
        f"row {n}" for n in range(10)
    ]
    assert len(warnings) == 11
    assert "not logged" in warnings[10]


def test_rows_that_meltano_does_not_pass_on_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tap_toloka.notices._LARGE", 2 * 2**20)
    warnings: list[str] = []
    large = with_free(f'"{"x" * 2 * 2**20}"', "2")
    rows_of(page(with_free("1"), large), warnings=warnings)
    assert len(warnings) == 1
    assert warnings[0].startswith("row 2 is 2 MiB")


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "-0",
        "-0.0",
        "1.50",
        "1E5",
        "1e400",
        "1e131071",
        "1e-16383",
        "9" * 4_300,
        "0.%s1" % ("0" * 16_000),
    ],
)
def test_numbers_in_open_objects_keep_their_digits_if_they_can_be_stored(number: str) -> None:
    row = f'{{"id":"1","free":{{"a":[{{"b":{number}}}]}},"rules":[{{"value":{number}}}]}}'
    assert printed(page(row)) == row


@pytest.mark.parametrize(
    "number",
    [
        *("1e131072", "1E+131072", "1e-16384", "-1e-16384", "0e131072", "1e99999999999999999999"),
        *("1e-99999999999999999999", "9" * 4_301, "9" * 131_073 + ".0", "0." + "3" * 16_384),
    ],
)
def test_numbers_that_cannot_be_stored_are_kept_as_text(number: str) -> None:
    for row, path in (
        (with_free(f"[{number}]"), "free.a[0]"),
        (f'{{"id":"1","rules":[{{"value":{number}}}]}}', "rules[0].value"),
        (f'{{"id":"1","rules":[{{"new":{number}}}]}}', "rules[0].new"),
        (f'{{"id":"1","rules":[{{"amount":{number}}}]}}', "rules[0].amount"),
        (f'{{"id":"1","reward":{number}}}', "reward"),
        (f'{{"id":"1","new":{number}}}', "new"),
    ):
        amount = {"rules": rules_with(amount={"type": ["number", "null"]})}
        known = {**SCHEMA["properties"], **amount}
        (read,) = as_objects(rows_of(page(row), own=True, printed=known))
        assert read["_misfits"] == {path: number}


def rules_with(**kinds: Any) -> dict[str, Any]:
    """Return the schema of `rules` with further fields."""
    rules: dict[str, Any] = json.loads(json.dumps(SCHEMA["properties"]["rules"]))
    rules["items"]["properties"] |= kinds
    return rules


@pytest.mark.parametrize("rows_in", ["items", None])
def test_what_is_nested_too_deeply_is_kept_as_text(rows_in: str | None) -> None:
    text, deep = r'"]}\"[{"', nested(200_000)
    row = f'{{"other":{{"a":[{text}]}},"free":{{"a":{deep}}},"id":"7","rules":[],"new":{deep}}}'
    rows = '{"id":"5"}', row, with_free(f"[[{text}]]", "9"), '{"id": "2", "count": "x"}'
    warnings: list[str] = []
    one = reader(rows_in=rows_in, warnings=warnings, own=True)
    read = one.read(body_of(*rows, rows_in=rows_in), {"operation_id": "5c"})
    _, record, other, _ = as_objects(read.rows)
    assert (record["free"], record["rules"]) == (None, [])
    assert record["_misfits"] == {"free": f'{{"a":{deep}}}', "new": deep}
    assert record["_extra"] == {"other": {"a": [json.loads(text)]}, "new": None}
    assert other["free"] == {"a": [[json.loads(text)]]} or other["free"]["a"]
    assert warnings[0].startswith("row 7 (operation_id 5c): `new` is ") or "`free`" in warnings[0]


def test_a_key_that_is_nested_too_deeply_is_an_error() -> None:
    with pytest.raises(UnusableError, match="`id` is"):
        rows_of(page(f'{{"id": {nested(200_000)}}}'))


def test_what_is_too_deep_beside_the_rows_does_not_matter() -> None:
    body = f'{{"items": [{{"id": "1"}}], "more": {nested(200_000)}, "has_more": false}}'
    assert reader().read(body.encode()).ids == ["1"]


def test_what_is_read_is_not_nested_too_deeply_for_those_who_read_it_later() -> None:
    def decode_in_calls(line: bytes, calls: int = 60) -> Any:
        return decode_in_calls(line, calls - 1) if calls else json.dumps(json.loads(line))

    for levels in (*range(300, 1_100, 50), *range(840, 900)):
        (row,) = rows_of(page(with_free(nested(levels))), own=True)
        assert decode_in_calls(msgspec.json.encode(row))


@pytest.mark.parametrize("key", ["", "k" * 100_000])
def test_keys_within_a_row_may_be_empty_or_long_or_many_or_there_twice(key: str) -> None:
    many = ",".join(f'"{key}{number}":{number}' for number in range(50))
    free = f'{{"{key}":1,"{key}":2,{many}}}'
    row = f'{{"id":"1","free":{free},"rules":[{{"from":1,"from":2}}]}}'
    assert printed(page(row)) == row


def test_a_field_that_is_there_twice_counts_as_it_is_there_last() -> None:
    assert printed(page('{"id":"0","count":1,"id":"1","count":2}')) == '{"id":"1","count":2}'


def test_of_many_unknown_fields_in_a_page_some_are_named() -> None:
    found: list[str] = []
    warnings: list[str] = []
    row = json.dumps({"id": "1", **{f"new{number}": 1 for number in range(5_000)}})
    one = reader(unknown=found, warnings=warnings)
    assert [*as_objects(one.read(page(row)).rows)] == [{"id": "1"}]
    assert len(found) == 20
    assert warnings == ["further unknown fields are not logged"]
