"""Of every list each row arrives once, whole, as Toloka has it; and again only what is new."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from singer_sdk.exceptions import ConfigurationError

from tap_toloka.filters import BOUNDS, Filters
from tap_toloka.streams import STREAMS
from tests.emulator import Emulator, make_rows
from tests.runner import catalog_of, config_for, expected, in_one_form, run_inside

if TYPE_CHECKING:
    from tap_toloka.client import TolokaStream

IN_ONE_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

every_stream = pytest.mark.parametrize(
    "stream", [pytest.param(stream, id=stream.name) for stream in STREAMS]
)
streams_with_texts_as_ids = pytest.mark.parametrize(
    "stream",
    [pytest.param(s, id=s.name) for s in STREAMS if s.filters.id_order is str],
)


def emulator_of(stream: type[TolokaStream], count: int, seed: int) -> Emulator:
    """Make an emulator with rows of one list."""
    return Emulator(rows={stream.name: make_rows(stream.name, count, seed=seed)})


def all_filters(filters: Filters) -> dict[str, Any]:
    """Make a setting with each filter that there is."""
    id_ = "17" if filters.id_order is int else "0af-17"
    return {
        **{name: values[0] for name, values in filters.choices.items()},
        **{name: [*values[1:], values[1]] for name, values in filters.several.items()},
        **dict.fromkeys(filters.flags, True),
        **dict.fromkeys(filters.texts, "a1b0 №"),
        **dict.fromkeys(filters.references, 81776),
        **{f"{name}_{bound}": id_ for name in filters.ids for bound in BOUNDS},
        **{f"{name}_{bound}": "2024-05-06" for name in filters.dates for bound in BOUNDS},
    }


def as_parameter(value: Any) -> str:
    """Write the value of a filter as it is to go out."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(sorted({*value}))
    return "2024-05-06T00:00:00.000" if value == "2024-05-06" else str(value)


@every_stream
def test_every_row_arrives_once_with_all_it_has(stream: type[TolokaStream]) -> None:
    with emulator_of(stream, 400, seed=3) as emulator:
        run = run_inside(config_for(emulator, batch_size=30), stream=stream.name)
        rows = emulator.tables[stream.name].rows()
    printed = {record["id"]: record for record in run.records}
    assert len(printed) == len(run.records) == 400
    assert list(map(printed.get, (row["id"] for row in rows))) == list(map(expected, rows))
    if stream.filters.id_order is int:
        assert {len(row["id"]) for row in rows} == {6, 7}, "ids should cross a digit boundary"


@every_stream
def test_what_is_printed_fits_the_printed_schema(stream: type[TolokaStream]) -> None:
    with emulator_of(stream, 400, seed=4) as emulator:
        run = run_inside(config_for(emulator), stream=stream.name)
    properties = run.schema["properties"]
    dates = [name for name, value in properties.items() if value.get("format") == "date-time"]
    validator = Draft202012Validator(run.schema)
    for record in run.records:
        validator.validate(json.loads(json.dumps(record, default=float)))
        for name in dates:
            assert IN_ONE_FORM.fullmatch(record.get(name) or "2016-03-24T12:38:07.654Z")
    fields = {name for record in run.records for name, value in record.items() if value is not None}
    assert fields == properties.keys() - {"tier"}, "else the rows prove little"
    (message,) = [m for m in run.messages if m["type"] == "SCHEMA"]
    assert message["key_properties"] == ["id"]
    assert message["bookmark_properties"] == [stream.replication_key]


@every_stream
def test_only_the_key_is_required_and_not_null(stream: type[TolokaStream]) -> None:
    def look_into(schema: dict[str, Any]) -> None:
        assert "null" in schema.get("type", ["null"])
        assert not schema.keys() - {"type", "format", "description", "properties", "items"}
        assert schema["description"]
        for inner in [*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])]:
            look_into(inner)

    (entry,) = [e for e in catalog_of()["streams"] if e["stream"] == stream.name]
    assert entry["schema"]["required"] == ["id"]
    assert entry["schema"]["properties"].pop("id")["type"] == "string"
    for schema in entry["schema"]["properties"].values():
        look_into(schema)


@every_stream
def test_a_list_is_asked_for_as_much_as_it_gives_and_no_more(stream: type[TolokaStream]) -> None:
    with Emulator() as emulator:
        for settings in ({}, {"batch_size": 99}, {"batch_size": 1_000}):
            run_inside(config_for(emulator, **settings), stream=stream.name)
        asked = [int(request.params["limit"]) for request in emulator.requests]
        assert asked == [stream.page_cap, 99, stream.page_cap]
        assert emulator.tables[stream.name].resource.cap == stream.page_cap


@streams_with_texts_as_ids
def test_a_list_with_texts_as_ids_is_read_by_one_connection(stream: type[TolokaStream]) -> None:
    with emulator_of(stream, 50, seed=9) as emulator:
        run = run_inside(config_for(emulator, batch_size=20), stream=stream.name)
        ids = [row["id"] for row in emulator.tables[stream.name].rows()]
        asked = [
            (request.params["sort"], request.params.get("id_gt")) for request in emulator.requests
        ]
        assert run.ids == ids == sorted(ids)
        assert asked == [("id", None), ("id", ids[19]), ("id", ids[39])]
        between = {"id_gt": ids[4], "id_lte": ids[44]}
        config = config_for(emulator, batch_size=20, filters={stream.name: between})
        assert run_inside(config, stream=stream.name).ids == ids[5:45]


@every_stream
def test_an_account_without_rows_is_no_error(stream: type[TolokaStream]) -> None:
    with Emulator() as emulator:
        run = run_inside(config_for(emulator), stream=stream.name)
    assert run.records == []
    assert run.schema


@every_stream
def test_a_second_run_brings_only_what_is_new(stream: type[TolokaStream]) -> None:
    def date(row: dict[str, Any]) -> str:
        return in_one_form(row[str(stream.replication_key)])

    rows = sorted(make_rows(stream.name, 60, seed=5), key=date)
    newest = date(rows[39])
    with Emulator(rows={stream.name: [r for r in rows if date(r) <= newest]}) as emulator:
        config = config_for(emulator)
        first = run_inside(config, stream=stream.name)
        bookmark = {"replication_key": stream.replication_key, "replication_key_value": newest}
        assert first.state == {"bookmarks": {stream.name: bookmark}}
        second = run_inside(config, first.state, stream=stream.name)
        assert second.records == []
        assert second.state == first.state
        since = emulator.requests[-1].params[f"{stream.replication_key}_gt"]
        assert since == newest.removesuffix("Z")
        new = [row for row in rows if date(row) > newest]
        emulator.tables[stream.name].add(new)
        third = run_inside(config, second.state, stream=stream.name)
        assert sorted(third.ids) == sorted(row["id"] for row in new)
        assert third.state != first.state
        assert run_inside(config, third.state, stream=stream.name).records == []


@every_stream
def test_a_stream_without_state_begins_at_the_start_date(stream: type[TolokaStream]) -> None:
    with emulator_of(stream, 40, seed=6) as emulator:
        rows = emulator.tables[stream.name].rows()
        dates = {row["id"]: in_one_form(row[str(stream.replication_key)]) for row in rows}
        start = dates[rows[20]["id"]]
        run = run_inside(config_for(emulator, start_date=start), stream=stream.name)
    assert run.ids == [id_ for id_, date in dates.items() if date >= start]


@every_stream
def test_a_full_table_is_read_whole_and_leaves_the_bookmark(stream: type[TolokaStream]) -> None:
    with emulator_of(stream, 20, seed=6) as emulator:
        first = run_inside(config_for(emulator), stream=stream.name)
        catalog = catalog_of(stream=stream.name, replication_method="FULL_TABLE")
        again = run_inside(config_for(emulator, start_date="2025-01-01"), first.state, catalog)
        assert len(again.records) == 20
        assert again.state == first.state


@every_stream
@pytest.mark.parametrize(
    "changes", [{"replication_key": "last_started"}, {"replication_method": "LOG_BASED"}], ids=str
)
def test_a_replication_that_cannot_be_is_refused(
    stream: type[TolokaStream], changes: dict[str, str]
) -> None:
    words = f"INCREMENTAL by '{stream.replication_key}'"
    with Emulator() as emulator, pytest.raises(ConfigurationError, match=words):
        run_inside(config_for(emulator), catalog=catalog_of(stream=stream.name, **changes))


@every_stream
def test_every_filter_reaches_toloka(stream: type[TolokaStream]) -> None:
    setting = all_filters(stream.filters)
    with Emulator() as emulator:
        run_inside(config_for(emulator, filters={stream.name: setting}), stream=stream.name)
        (request,) = emulator.requests
    assert request.params == {
        "sort": "id",
        "limit": str(stream.page_cap),
        **{name: as_parameter(value) for name, value in setting.items()},
    }


@every_stream
def test_a_filter_by_what_can_change_is_warned_of(
    stream: type[TolokaStream], caplog: pytest.LogCaptureFixture
) -> None:
    setting = all_filters(stream.filters)
    with Emulator() as emulator:
        run_inside(config_for(emulator, filters={stream.name: setting}), stream=stream.name)
    warned_of = re.findall(r"can change \((.*)\)", caplog.text)
    for field in stream.filters.changing:
        assert re.search(rf"\b{field}(,|_|$)", warned_of[0])
    assert bool(warned_of) == bool(stream.filters.changing)


@every_stream
def test_what_is_deselected_is_neither_declared_nor_printed(stream: type[TolokaStream]) -> None:
    with emulator_of(stream, 40, seed=7) as emulator:
        rows = emulator.tables[stream.name].rows()
        free = {name for row in rows for name in row} - {"id", stream.replication_key}
        deselected = sorted(free)[::2]
        catalog = catalog_of(*deselected, stream=stream.name)
        run = run_inside(config_for(emulator), catalog=catalog)
    assert run.schema["properties"].keys().isdisjoint(deselected)
    assert run.records == [
        {name: value for name, value in expected(row).items() if name not in deselected}
        for row in rows
    ]


@every_stream
def test_rows_that_are_looked_into_print_the_same(stream: type[TolokaStream]) -> None:
    with emulator_of(stream, 100, seed=8) as emulator:
        settings: tuple[dict[str, Any], ...] = (
            {},
            {"stream_maps": {stream.name: {"id": "id"}}},
            {"emit_activate_version_messages": True},
        )
        plain, looked, versioned = (
            run_inside(config_for(emulator, **setting), stream=stream.name) for setting in settings
        )
    assert len(plain.records) == 100
    assert looked.records == plain.records
    assert versioned.records == plain.records
    assert [list(record) for record in versioned.records] == [list(r) for r in plain.records]
    assert looked.state == plain.state == versioned.state
