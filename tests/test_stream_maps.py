"""What is made of rows on their way out does not change what is read, nor how far."""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tap_toloka.records import is_narrower, retyped
from tap_toloka.streams.pools import Pools
from tests.bare_server import bare_server
from tests.runner import catalog_of, config_for, expected, run_inside, run_process, without_blocks
from toloka_emulator import Emulator, make_pool, make_pools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Row = dict[str, Any]
POOLS = list(make_pools(700, seed=9))
"""Three pages; some rows have no owner, or no reward."""

MAPS: dict[str, tuple[Row, Callable[[Row], Row]]] = {
    "renamed": (
        {"title": "private_name", "private_name": "__NULL__"},
        lambda row: {"title": row["private_name"], "private_name": None},
    ),
    "hashed": (
        {"hash": "md5(record.get('private_name', ''))", "private_name": None},
        lambda row: {
            "hash": hashlib.md5(row["private_name"].encode(), usedforsecurity=False).hexdigest(),
            "private_name": None,
        },
    ),
    "an object as text": (
        {"owner": "json.dumps(owner)"},
        lambda row: {"owner": json.dumps(row.get("owner"))},
    ),
    "a text with a NUL, which no target can store": (
        {"private_name": "private_name + '\\u0000'"},
        lambda row: {"private_name": row["private_name"] + "\ufffd"},
    ),
    "the key as a number": ({"id": "int(id)"}, lambda row: {"id": int(row["id"])}),
    "an amount as text": (
        {"reward_per_assignment": "str(reward_per_assignment)"},
        lambda row: {"reward_per_assignment": str(row.get("reward_per_assignment"))},
    ),
    "without the replication key": ({"created": None}, lambda _row: {"created": None}),
    "another key": (
        {"new_id": "md5(id)", "id": None, "__key_properties__": ["new_id"]},
        lambda row: {
            "new_id": hashlib.md5(row["id"].encode(), usedforsecurity=False).hexdigest(),
            "id": None,
        },
    ),
    "only what is named": (
        {"id": "id", "priority": "priority", "__else__": None},
        lambda row: {
            **dict.fromkeys(row),
            "id": row["id"],
            "priority": row.get("priority"),
        },
    ),
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Serve the pools."""
    with Emulator(POOLS) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def plain(emulator: Emulator) -> Any:
    """Return the state after a run without maps."""
    return without_blocks(run_inside(config_for(emulator)).state)


def without_nulls(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}


@pytest.mark.parametrize("name", MAPS)
def test_a_map_changes_records_and_neither_what_is_read_nor_the_bookmark(
    name: str, emulator: Emulator, plain: Any
) -> None:
    stream_map, mapped = MAPS[name]
    emulator.clear_requests()
    run = run_inside(config_for(emulator, stream_maps={"pools": stream_map}))
    rows = [expected(row) for row in emulator.pools.rows()]
    wanted = [without_nulls({**row, **mapped(row)}) for row in rows]

    def order(record: Row) -> str:
        return json.dumps(record, sort_keys=True, default=str)

    found = [without_nulls(record) for record in run.records]
    assert sorted(found, key=order) == sorted(wanted, key=order)
    assert without_blocks(run.state) == plain
    assert set(run.records[0]) <= run.schema["properties"].keys()
    again = run_inside(config_for(emulator, stream_maps={"pools": stream_map}), run.state)
    assert len(again.records) < 30


def test_a_map_that_filters_sees_fields_that_it_removes(emulator: Emulator, plain: Any) -> None:
    maps = {"pools": {"__filter__": "record.get('status') == 'OPEN'", "status": None}}
    run = run_inside(config_for(emulator, stream_maps=maps))
    opened = {row["id"] for row in emulator.pools.rows() if row["status"] == "OPEN"}
    assert {*run.ids} == opened
    assert 0 < len(opened) < len(POOLS)
    assert without_blocks(run.state) == plain


def test_a_map_for_all_streams_needs_no_stream_to_be_selected(emulator: Emulator) -> None:
    maps = {"*": {"loaded_by": "'meltano'"}}
    run = run_process(config=config_for(emulator, stream_maps=maps))
    assert run.status == 0, run.log
    assert {record["loaded_by"] for record in run.records} == {"meltano"}
    assert len(run.records) == len(POOLS)


@pytest.mark.parametrize(
    ("stream_map", "message"),
    [
        ({"one": "nothing"}, "'nothing' is not defined"),
        ({"cost": "reward_per_assignment * 1.1"}, "write float(...) around amounts"),
    ],
    ids=str,
)
def test_a_map_that_fails_is_one_line_that_names_stream_row_and_error(
    stream_map: Row, message: str
) -> None:
    pool = make_pool(
        "81", "2024-01-01T00:00:00", private_name="a name", reward_per_assignment=0.05, priority=1
    )
    with Emulator([pool]) as emulator:
        run = run_process(config=config_for(emulator, stream_maps={"pools": stream_map}))
    assert run.status == 1
    assert "Traceback" not in run.log
    last = run.failure
    assert "because row 81 could not be transformed" in last
    assert message in last
    assert run.records == []
    assert run.state is None


def catalog_declaring(**properties: Row) -> Row:
    """Return a catalog that declares other schemas for fields of pools, as Meltano's `schema`."""
    catalog = catalog_of()
    (pools,) = [entry for entry in catalog["streams"] if entry["stream"] == "pools"]
    pools["schema"]["properties"] |= properties
    return catalog


TEXT = {"type": ["string", "null"]}


@pytest.mark.parametrize(
    ("name", "declared", "converted"),
    [
        ("reward_per_assignment", TEXT, str),
        ("reward_per_assignment", {"type": ["string", "number", "null"]}, lambda value: value),
        ("priority", TEXT, str),
        ("priority", {"type": "number"}, lambda value: value),
        ("id", {"type": "integer"}, int),
        ("project_id", {"type": ["integer", "null"]}, int),
        ("may_contain_adult_content", TEXT, lambda value: str(value).lower()),
        ("owner", TEXT, lambda value: json.dumps(value, separators=(",", ":"))),
        (
            "owner",
            {"type": ["object", "null"], "properties": {"id": TEXT, "myself": TEXT}},
            lambda value: {**value, "myself": str(value["myself"]).lower()},
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, (str, dict)) else "",
)
def test_values_are_printed_in_the_type_that_the_catalog_declares(
    emulator: Emulator, plain: Any, name: str, declared: Row, converted: Callable[[Any], Any]
) -> None:
    catalog = catalog_declaring(**{name: declared})
    run = run_inside(config_for(emulator), catalog=catalog)
    rows = [expected(row) for row in emulator.pools.rows()]
    for row in rows:
        if row.get(name) is not None:
            row[name] = converted(row[name])
    assert run.records == rows
    assert any(row.get(name) is not None for row in rows)
    assert without_blocks(run.state) == plain
    assert run.schema["properties"][name] == declared


def test_a_value_that_no_declared_type_can_hold_is_kept_aside(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    declared = {"type": ["object", "null"], "properties": {"myself": {"type": ["integer", "null"]}}}
    catalog = catalog_declaring(private_name={"type": ["boolean", "null"]}, owner=declared)
    run = run_inside(config_for(emulator), catalog=catalog)
    sent = {row["id"]: row for row in emulator.pools.rows()}
    assert len(run.records) == len(sent)
    for record in run.records:
        row, kept = sent[record["id"]], record.get("_misfits", {})
        assert row.get("private_name") in {record["private_name"], kept.get("private_name")}
        assert kept.get("owner.myself") == (row.get("owner") or {}).get("myself")
    assert len([one for one in caplog.messages if "report this line" in one]) == 2


def test_with_on_misfit_fail_such_a_value_is_one_line_at_once(emulator: Emulator) -> None:
    emulator.clear_requests()
    catalog = catalog_declaring(private_name={"type": "integer"})
    run = run_process(config=config_for(emulator, on_misfit="fail"), catalog=catalog)
    assert run.status == 1
    assert "Traceback" not in run.log
    assert "retrying" not in run.log
    expected = r"because row \d+: `private_name` is .*, expected integer in the catalog"
    assert re.search(expected, run.failure)


@pytest.mark.parametrize("key", ["id", "created"])
def test_a_key_that_no_declared_type_can_hold_is_one_line_at_once(
    emulator: Emulator, key: str
) -> None:
    run = run_process(
        config=config_for(emulator), catalog=catalog_declaring(**{key: {"type": "boolean"}})
    )
    assert run.status == 1
    assert f"`{key}` is " in run.failure


@pytest.mark.parametrize(
    ("field", "sent", "declared", "path"),
    [
        ("priority", "bad", {"type": "integer"}, "priority"),
        ("private_name", "text", {"type": "integer"}, "private_name"),
        (
            "owner",
            {"myself": "bad"},
            {"type": ["object", "null"], "properties": {"myself": {"type": "boolean"}}},
            "owner.myself",
        ),
        (
            "metadata",
            {"a": [{"b.c": []}]},
            {"properties": {"a": {"items": {"properties": {"b.c": {"type": ["integer"]}}}}}},
            'metadata.a[0]["b.c"]',
        ),
    ],
    ids=["not ours", "not the catalog's", "inside", "within a list"],
)
def test_null_stands_for_no_value_where_the_catalog_has_no_null(
    field: str, sent: Any, declared: Row, path: str
) -> None:
    pool = make_pool("1", "2024-01-01T00:00:00", **{field: sent})
    with Emulator([pool]) as emulator:
        catalog = catalog_declaring(**{field: declared})
        run = run_process(config=config_for(emulator), catalog=catalog)
    assert run.status == 1
    assert run.records == []
    assert f"row 1: `{path}` is " in run.failure
    assert re.search(r"expected (integer|boolean) in the catalog\. Add `null`", run.failure)


@pytest.mark.parametrize("value", ["1e999999999999999999999", "9" * 5_000])
@pytest.mark.parametrize(
    "settings",
    [
        {"flattening_enabled": True, "flattening_max_depth": 1},
        {"stream_maps": {"pools": {"one": "1"}}},
    ],
    ids=["flat", "map"],
)
def test_numbers_that_cannot_be_looked_into_are_kept_as_text(value: str, settings: Row) -> None:
    body = b'{"items": [{"id": "81", "created": "2024-01-01T00:00:00", "owner": {"new": %b}}],'
    body += b' "has_more": false, "id": "the requester, too"}'
    with bare_server(lambda _request: (200, body % value.encode())) as (url, _):
        run = run_process(config={"token": "a.b.c", "api_url": url, **settings})
    assert run.status == 0, run.log
    kept = run.records[0]["_misfits"]
    assert (json.loads(kept) if isinstance(kept, str) else kept) == {"owner.new": value}


def test_flattening_says_nothing_of_objects_that_are_null(caplog: pytest.LogCaptureFixture) -> None:
    pools = [make_pool("1", "2024-01-01T00:00:00", owner=None, filter=None)]
    with Emulator(pools) as emulator:
        run_inside(config_for(emulator, flattening_enabled=True, flattening_max_depth=2))
    assert "unknown" not in caplog.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(-99, 99, places=3),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_text_can_hold_every_value(value: Any) -> None:
    found = retyped(value, TEXT, "x", [])
    assert found is None or isinstance(found, str)
    if found is not None and not isinstance(value, str):
        assert json.loads(found, parse_float=Decimal) == value


@given(JSON, st.sampled_from([{}, {"type": ["object", "array", "null"], "items": {}}]))
def test_what_fits_is_not_touched(value: Any, declared: Row) -> None:
    if not declared or isinstance(value, (list, dict)):
        assert retyped(value, declared, "x", []) == value


@given(st.integers() | st.decimals(-99, 99, places=3))
def test_numbers_survive_the_way_into_text_and_back(number: Any) -> None:
    text = retyped(number, TEXT, "x", [])
    if abs(number) < 10**90:
        assert retyped(text, {"type": "number"}, "x", []) == number


@pytest.mark.parametrize("text", ["", "one", "1.5", "NaN", "Infinity", "1e999999999", "0x1"])
def test_text_that_is_no_integer_is_not_taken_for_one(text: str) -> None:
    misfits: list[Any] = []
    assert retyped(text, {"type": ["integer", "null"]}, "x", misfits) is None
    assert misfits == [("x", text, "integer")]


def test_our_own_schema_is_never_narrower_than_itself() -> None:
    for name, schema in Pools.known_properties().items():
        assert not is_narrower(schema, schema), name
        assert not is_narrower(schema, {}), name


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"stream_maps": {"pools": {"copy": "id"}}},
    ],
    ids=["plain", "map"],
)
@pytest.mark.parametrize("deselected", [[], ["owner.myself"]], ids=["", "deselected"])
def test_unknown_fields_are_kept_at_any_depth(
    caplog: pytest.LogCaptureFixture, settings: Row, deselected: list[str]
) -> None:
    owner = {"id": "x", "myself": True, "new": [1]}
    pool = make_pool("1", "2024-01-01T00:00:00", priority={"a": 1}, owner=owner, latest={"b": [2]})
    with Emulator([pool]) as emulator:
        run = run_inside(config_for(emulator, **settings), catalog=catalog_of(*deselected))
    (record,) = run.records
    del owner["myself"]
    record["owner"].pop("myself", None)
    assert record["owner"] == owner
    assert record["_extra"] == {"latest": {"b": [2]}}
    assert record["_misfits"] == {"priority": {"a": 1}}
    assert "pools: unknown field 'latest' (not in the schema) is kept in `_extra`" in caplog.text


def test_flattening_keeps_unknown_fields_of_objects_in_extra(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = make_pool("1", "2024-01-01T00:00:00", owner={"id": "x", "new": [1]}, latest=2)
    settings = {"flattening_enabled": True, "flattening_max_depth": 1}
    with Emulator([pool]) as emulator:
        flat = run_inside(config_for(emulator, **settings))
        assert "Ignoring" not in caplog.text
        without = run_inside(config_for(emulator, **settings), catalog=catalog_of("_extra"))
    assert flat.records[0]["owner__id"] == without.records[0]["owner__id"] == "x"
    assert json.loads(flat.records[0]["_extra"]) == {"latest": 2, "owner.new": [1]}
    assert flat.records[0].keys() <= flat.schema["properties"].keys()
    assert "Ignoring unknown field 'owner__new' in pools" in caplog.text
    assert "unknown field 'latest' (not in the schema) is ignored" in caplog.text


@pytest.mark.parametrize("declared", [{}, {"type": ["string", "null"]}], ids=["", "as text"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"flattening_enabled": True, "flattening_max_depth": 3}],
    ids=["", "flat"],
)
def test_nothing_within_a_deselected_object_is_printed(declared: Row, settings: Row) -> None:
    view_spec = {"type": "tb", "new": "private", "settings": {"new": "private"}}
    project = {"id": "1", "task_spec": {"new": "public", "view_spec": view_spec}}
    catalog = catalog_of("task_spec.view_spec", stream="projects")
    if declared:
        (entry,) = (one for one in catalog["streams"] if one["stream"] == "projects")
        entry["schema"]["properties"]["task_spec"]["type"] = declared["type"]
    with Emulator(rows={"projects": [project]}) as emulator:
        run = run_inside(config_for(emulator, **settings), catalog=catalog, stream="projects")
    printed = json.dumps(run.records)
    assert "public" in printed
    assert "private" not in printed


def test_misfits_of_what_is_deselected_within_a_field_are_not_printed() -> None:
    pool = make_pool("1", "2024-01-01T00:00:00", priority=[], owner={"id": {}, "myself": {}})
    with Emulator([pool]) as emulator:
        run = run_inside(config_for(emulator), catalog=catalog_of("owner.id"))
    assert run.records[0]["_misfits"] == {"priority": [], "owner.myself": {}}


def test_a_misfit_that_holds_what_is_deselected_is_not_printed() -> None:
    pool = make_pool("1", "2024-01-01T00:00:00", priority=[], owner=[{"id": "private"}])
    with Emulator([pool]) as emulator:
        run = run_inside(config_for(emulator), catalog=catalog_of("owner.id"))
    assert run.records[0]["_misfits"] == {"priority": []}


def test_flattening_keeps_unknown_fields_apart_whatever_they_are_named() -> None:
    pool = make_pool("1", "2024-01-01T00:00:00", owner={"id": "x", "q": 1, "q.r": 2})
    settings = {"flattening_enabled": True, "flattening_max_depth": 1}
    with Emulator([{**pool, "owner.q": 3}]) as emulator:
        run = run_inside(config_for(emulator, **settings))
    assert json.loads(run.records[0]["_extra"]) == {
        "owner.q": 1,
        'owner["q.r"]': 2,
        '["owner.q"]': 3,
    }


def test_values_that_no_declared_type_can_hold_are_kept_apart_whatever_the_keys() -> None:
    number = {"type": ["integer", "null"]}
    fields = {"a.b": number, "a": {"properties": {"b": number}}}
    declared = {"type": ["object", "null"], "properties": fields}
    pool = make_pool("1", "2024-01-01T00:00:00", metadata={"a.b": [1], "a": {"b": [2]}})
    with Emulator([pool]) as emulator:
        run = run_inside(config_for(emulator), catalog=catalog_declaring(metadata=declared))
    assert run.records[0]["_misfits"] == {'metadata["a.b"]': [1], "metadata.a.b": [2]}


def test_without_the_column_values_that_do_not_fit_are_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = make_pool("1", "2024-01-01T00:00:00", priority=[])
    with Emulator([pool]) as emulator:
        run = run_inside(config_for(emulator), catalog=catalog_of("_misfits"))
    assert "_misfits" not in run.records[0]
    assert run.records[0]["priority"] is None
    assert (
        "`priority` is [], expected an integer of 64 bits: set to null, and not kept" in caplog.text
    )
