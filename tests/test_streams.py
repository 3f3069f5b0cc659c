"""Each stream: all rows are printed once, as Toloka has them, and later runs print what is new."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from singer_sdk.exceptions import ConfigurationError

from tap_toloka.misfits import OWN_FIELDS
from tap_toloka.streams import STREAMS
from tests.expected_rows import (
    changes,
    emulator_of,
    emulator_with,
    finished_operation,
    in_order,
    printed,
)
from tests.filter_settings import as_parameter, every_filter, owners_in
from tests.runner import catalog_of, config_for, discovered, in_one_form, run_inside, without_blocks
from toloka_emulator import POOL_IDS, Emulator, make_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_toloka.client import TolokaStream
    from tests.runner import Run
    from toloka_emulator import Request

IN_ONE_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def streams(condition: Callable[[type[TolokaStream]], object]) -> pytest.MarkDecorator:
    """Parametrize a test with the streams that meet a condition."""
    wanted = [pytest.param(stream, id=stream.name) for stream in STREAMS if condition(stream)]
    return pytest.mark.parametrize("stream", wanted)


every_stream = streams(lambda _: True)
in_pages = streams(lambda stream: stream.page_cap > 1)
of_the_account = streams(lambda stream: stream.page_cap > 1 and stream.listed_by is None)
incremental = streams(lambda stream: stream.replication_key)


# What rows of the emulator hold nowhere: toloka-kit alone knows of it, or an older reference.
TRAITS = {"traits_all_of", "traits_any_of", "traits_none_of_any"}
NOT_EMULATED = {
    "pools": {"tier"},
    "tasks": TRAITS,
    "task_suites": {*TRAITS, "longitude", "latitude"},
    "app_batches": {"item_count"},
}


UNFINISHED = defaultdict[str, tuple[str, ...]](tuple, operations=("PENDING", "RUNNING"))
"""Statuses of rows that are read again in each run."""


def replication_value(stream: type[TolokaStream]) -> Callable[[dict[str, Any]], str]:
    """Return a function that computes the replication key of a row of the emulator."""

    def value(row: dict[str, Any]) -> str:
        names = stream.added_from or [str(stream.replication_key)]
        return max(in_one_form(row[name]) for name in names if row.get(name))

    return value


def changed(stream: type[TolokaStream], row: dict[str, Any], date: str) -> bool:
    """Return whether a printed row was created or changed after a date."""
    return max(changes(stream, row)) > date


def keys_of_a_later_run(
    stream: type[TolokaStream], emulator: Emulator, bookmark: str
) -> set[tuple[str, ...]]:
    """Return the keys of rows that a run prints if older ones have not changed without a date."""
    return {
        key_of(stream, row)
        for row in printed(stream, emulator)
        if (
            row[stream.change_dates[0]] > bookmark
            if stream.changes_without_date
            else changed(stream, row, bookmark)
            or row.get("status") in UNFINISHED[stream.name]
            or (stream.name == "app_batches" and not row.get("finished_at"))
        )
    }


def key_of(stream: type[TolokaStream], record: dict[str, Any]) -> tuple[str, ...]:
    """Return the key of a record, but for what differs from run to run."""
    return tuple(str(record[key]) for key in stream.primary_keys if key != "read_at")


def keys_of(stream: type[TolokaStream], run: Run) -> set[tuple[str, ...]]:
    """Return the keys of all records."""
    return {key_of(stream, record) for record in run.records}


def entry_of(stream: type[TolokaStream], catalog: dict[str, Any]) -> dict[str, Any]:
    """Return what a catalog says of a stream."""
    (entry,) = [entry for entry in catalog["streams"] if entry["stream"] == stream.name]
    assert isinstance(entry, dict)
    return entry


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a record without some fields."""
    return {name: value for name, value in record.items() if name not in names}


def requests_for(stream: type[TolokaStream], emulator: Emulator) -> list[Request]:
    """Return the requests for lists of a stream, and not for what these belong to."""
    pattern = "/api" + re.sub("{.*}", "[^/]+", stream.path)
    return [request for request in emulator.requests if re.fullmatch(pattern, request.path)]


@every_stream
def test_every_row_is_printed_once_with_all_its_fields(stream: type[TolokaStream]) -> None:
    with emulator_of(stream, 400, seed=3) as emulator:
        run = run_inside(config_for(emulator, batch_size=30), stream=stream.name)
        rows = printed(stream, emulator)
    assert len(rows) == (1 if stream.name == "requester" else 400)
    records = [without(record, "read_at") for record in run.records]
    assert in_order(stream, records) == rows
    if stream.id_order() is int and stream.page_cap > 1:
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
    (message,) = [m for m in run.messages if m["type"] == "SCHEMA"]
    assert message["key_properties"] == list(stream.primary_keys)
    assert message.get("bookmark_properties", []) == list(filter(None, [stream.replication_key]))


@streams(lambda stream: stream.name != "requester")
def test_the_rows_of_these_tests_have_all_fields(stream: type[TolokaStream]) -> None:
    with emulator_of(stream, 400, seed=4) as emulator:
        run = run_inside(config_for(emulator), stream=stream.name)
    fields = {name for record in run.records for name, value in record.items() if value is not None}
    missing = run.schema["properties"].keys() - fields - OWN_FIELDS.keys()
    assert missing <= NOT_EMULATED.get(stream.name, set())


@every_stream
def test_only_the_key_is_required_and_not_null(stream: type[TolokaStream]) -> None:
    def look_into(schema: dict[str, Any]) -> None:
        assert "null" in schema.get("type", ["null"])
        keywords = {"type", "format", "description", "properties", "items"}
        assert not schema.keys() - keywords
        # The tap checks nothing by this one; it tells the SDK to keep what has no properties.
        assert schema["description"]
        for inner in [*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])]:
            look_into(inner)

    entry = entry_of(stream, catalog_of())
    assert entry["schema"]["required"] == list(stream.primary_keys)
    for key in stream.primary_keys:
        assert entry["schema"]["properties"].pop(key)["type"] in {"string", "integer"}
    for schema in entry["schema"]["properties"].values():
        look_into(schema)


@in_pages
def test_a_page_is_no_larger_than_toloka_allows(stream: type[TolokaStream]) -> None:
    with emulator_of(stream, 3, seed=1) as emulator:
        for settings in ({}, {"batch_size": 99}, {"batch_size": 100_000}):
            run_inside(config_for(emulator, **settings), stream=stream.name)
        limits = [int(request.params["limit"]) for request in requests_for(stream, emulator)]
        usual = min(stream.page_size, stream.page_cap)
        assert limits[:: len(limits) // 3] == [usual, 99, stream.page_cap]
        assert emulator.tables[stream.name].resource.cap == stream.page_cap


@every_stream
def test_an_account_without_rows_is_no_error(stream: type[TolokaStream]) -> None:
    with Emulator() as emulator:
        run = run_inside(config_for(emulator), stream=stream.name)
    assert len(run.records) == (1 if stream.name == "requester" else 0)
    assert run.schema


@streams(lambda stream: stream.replication_key and stream.listed_by != "operation_id")
def test_a_second_run_reads_only_what_is_new(stream: type[TolokaStream]) -> None:
    rows = sorted(make_rows(stream.name, 60, seed=5), key=replication_value(stream))
    newest = replication_value(stream)(rows[39])
    early = [row for row in rows if replication_value(stream)(row) <= newest]
    with emulator_with(stream, early) as emulator:
        config = config_for(emulator)
        first = run_inside(config, stream=stream.name)
        bookmark = {"replication_key": stream.replication_key, "replication_key_value": newest}
        assert first.state is not None
        entry = {**first.state["bookmarks"][stream.name]}
        assert entry.pop("account")["requester_id"]
        assert bool(entry.pop("blocks", None)) == stream.changes_without_date
        assert entry == bookmark
        again = keys_of_a_later_run(stream, emulator, newest)
        second = run_inside(config, first.state, stream=stream.name)
        assert keys_of(stream, second) == again, "an operation is submitted first, finished later"
        assert second.state == first.state
        emulator.tables[stream.name].add(rows[len(early) :])
        new = keys_of_a_later_run(stream, emulator, newest)
        third = run_inside(config, second.state, stream=stream.name)
        assert keys_of(stream, third) == new > again
        assert len(third.records) == len(new), "each once"
        assert third.state != first.state


@streams(lambda stream: stream.listed_by == "operation_id")
def test_rows_of_an_operation_are_read_when_it_has_finished(stream: type[TolokaStream]) -> None:
    (type_, *_) = stream.types  # type: ignore[attr-defined]
    with emulator_of(stream, 60, seed=5) as emulator:
        first = run_inside(config_for(emulator), stream=stream.name)
        assert run_inside(config_for(emulator), first.state, stream=stream.name).records == []
        emulator.tables["operations"].add([finished_operation("0af-17", type_, -0.001)])
        row = {**printed(stream, emulator)[0], "operation_id": "0af-17"}
        emulator.tables[stream.name].add([without(row, "operation_finished")])
        third = run_inside(config_for(emulator), first.state, stream=stream.name)
        assert [record["operation_id"] for record in third.records] == ["0af-17"]


@incremental
def test_a_stream_without_state_starts_at_the_start_date(stream: type[TolokaStream]) -> None:
    with emulator_of(stream, 60, seed=6) as emulator:
        rows = printed(stream, emulator)
        start = max(changes(stream, sorted(rows, key=lambda r: str(max(changes(stream, r))))[30]))
        run = run_inside(config_for(emulator, start_date=start), stream=stream.name)
    wanted = [row for row in rows if max(changes(stream, row)) >= start]
    assert 0 < len(wanted) < len(rows)
    assert in_order(stream, run.records) == wanted


@every_stream
def test_a_full_table_is_read_whole_and_leaves_the_bookmark(stream: type[TolokaStream]) -> None:
    with emulator_of(stream, 20, seed=6) as emulator:
        first = run_inside(config_for(emulator), stream=stream.name)
        catalog = catalog_of(stream=stream.name, replication_method="FULL_TABLE")
        again = run_inside(config_for(emulator, start_date="2025-01-01"), first.state, catalog)
        assert keys_of(stream, again) == keys_of(stream, first)
        assert len(again.records) == len(first.records) > 0
        assert without_blocks(again.state) == without_blocks(first.state)


@every_stream
@pytest.mark.parametrize(
    "changes", [{"replication_key": "last_started"}, {"replication_method": "LOG_BASED"}], ids=str
)
def test_an_impossible_replication_is_refused(
    stream: type[TolokaStream], changes: dict[str, str]
) -> None:
    if stream.replication_key is None and "replication_key" in changes:
        changes = {**changes, "replication_method": "INCREMENTAL"}
    words = f"INCREMENTAL by '{stream.replication_key}'" if stream.replication_key else "FULL_TABLE"
    with Emulator() as emulator, pytest.raises(ConfigurationError, match=words):
        run_inside(config_for(emulator), catalog=catalog_of(stream=stream.name, **changes))


@incremental
def test_without_replication_in_the_catalog_that_of_the_stream_is_used(
    stream: type[TolokaStream],
) -> None:
    changes = {"replication_key": None, "replication_method": None}
    with emulator_of(stream, 5, seed=1) as emulator:
        catalog = catalog_of(stream=stream.name, **changes)
        run = run_inside(config_for(emulator), catalog=catalog)
    assert run.state is not None
    assert run.state["bookmarks"][stream.name]["replication_key"] == stream.replication_key


@every_stream
def test_a_catalog_with_other_key_properties_than_the_stream_has_is_refused(
    stream: type[TolokaStream],
) -> None:
    keys = list(stream.primary_keys)
    field = next(
        n
        for n in entry_of(stream, catalog_of(stream=stream.name))["schema"]["properties"]
        if n not in keys
    )
    for given in ([], None, ["nope"], [field], [*keys, field], keys * 2):
        catalog = catalog_of(stream=stream.name, key_properties=given)
        with Emulator() as emulator, pytest.raises(ConfigurationError) as error:
            run_inside(config_for(emulator), catalog=catalog)
        assert "`key_properties`" in str(error.value)
        assert f"They must be {keys}" in str(error.value)


@every_stream
def test_the_order_of_key_properties_does_not_matter(stream: type[TolokaStream]) -> None:
    keys = [*reversed(stream.primary_keys)]
    with Emulator() as emulator:
        run_inside(
            config_for(emulator), catalog=catalog_of(stream=stream.name, key_properties=keys)
        )


@every_stream
def test_a_catalog_without_a_key_is_refused(stream: type[TolokaStream]) -> None:
    for key in {*stream.primary_keys, *filter(None, [stream.replication_key])}:
        gone, deselected = (catalog_of(*path, stream=stream.name) for path in ([], [key]))
        del entry_of(stream, gone)["schema"]["properties"][key]
        for item in entry_of(stream, deselected)["metadata"]:
            if item["breadcrumb"] == ["properties", key]:
                item["metadata"]["inclusion"] = "available"
        with Emulator() as emulator:
            for catalog in (gone, deselected):
                with pytest.raises(ConfigurationError, match=f"deselects '{key}'"):
                    run_inside(config_for(emulator), catalog=catalog)


@in_pages
def test_every_filter_reaches_toloka(stream: type[TolokaStream]) -> None:
    setting = every_filter(stream.filters)
    with emulator_of(stream, 3, seed=1) as emulator:
        run_inside(config_for(emulator, filters={stream.name: setting}), stream=stream.name)
        request, *_ = requests_for(stream, emulator)
    path_or_parameter = {"pool_id": POOL_IDS[0]} if stream.listed_by == "pool_id" else {}
    assert request.params == {
        "sort": stream.id_field,
        "limit": str(min(stream.page_size, stream.page_cap)),
        **path_or_parameter,
        **{
            name: as_parameter(value)
            for name, value in setting.items()
            if name not in owners_in(stream.filters)
        },
    }


@every_stream
def test_a_filter_by_what_can_change_is_a_warning(
    stream: type[TolokaStream], caplog: pytest.LogCaptureFixture
) -> None:
    setting = every_filter(stream.filters)
    with Emulator() as emulator:
        config = config_for(emulator, filters={stream.name: setting}, detect_changes=False)
        run_inside(config, stream=stream.name)
    warned_of = re.findall(r"can change \((.*)\)", caplog.text)
    changing = [field for field, kind in stream.filters.kinds.items() if kind.changing]
    for field in changing:
        assert re.search(rf"\b{field}(,|_|$)", warned_of[0])
    assert bool(warned_of) == bool(changing)


@every_stream
def test_deselected_fields_are_neither_declared_nor_printed(stream: type[TolokaStream]) -> None:
    with emulator_of(stream, 40, seed=7) as emulator:
        rows = printed(stream, emulator)
        keys = {*stream.primary_keys, stream.replication_key}
        deselected = sorted({name for row in rows for name in row} - keys)[::2]
        catalog = catalog_of(*deselected, stream=stream.name)
        run = run_inside(config_for(emulator), catalog=catalog)
    assert deselected
    assert run.schema["properties"].keys().isdisjoint(deselected)
    records = [without(record, "read_at") for record in run.records]
    assert in_order(stream, records) == [without(row, *deselected) for row in rows]


@every_stream
def test_rows_are_printed_the_same_with_stream_maps_and_versions(
    stream: type[TolokaStream],
) -> None:
    key = stream.primary_keys[0]
    with emulator_of(stream, 100, seed=8) as emulator:
        settings: tuple[dict[str, Any], ...] = (
            {},
            {"stream_maps": {stream.name: {key: key}}},
            {"emit_activate_version_messages": True},
        )
        plain, looked, versioned = (
            run_inside(config_for(emulator, max_concurrency=1, **setting), stream=stream.name)
            for setting in settings
        )
    assert plain.records
    records, *others = (
        [list(without(record, "read_at").items()) for record in run.records]
        for run in (plain, looked, versioned)
    )
    assert others[1] == records
    assert [dict(record) for record in others[0]] == [dict(record) for record in records]
    states = [without_blocks(run.state) for run in (plain, looked, versioned)]
    assert states == [states[0]] * 3


@every_stream
def test_only_streams_of_one_request_a_page_are_selected_by_default(
    stream: type[TolokaStream],
) -> None:
    root = entry_of(stream, json.loads(discovered()))["metadata"][-1]["metadata"]
    assert root["selected-by-default"] == (stream.listed_by is None)
