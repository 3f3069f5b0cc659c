"""What the SDK promises of every tap holds for this one, and what this one takes from the SDK."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.mapper import CustomStreamMap
from singer_sdk.pagination import BaseAPIPaginator
from singer_sdk.plugin_base import PluginBase
from singer_sdk.testing import SuiteConfig, TapTestRunner, get_tap_test_class

from tap_toloka.client import TolokaStream
from tap_toloka.streams import STREAMS
from tap_toloka.tap import TapToloka
from tests.expected_rows import whole_account
from tests.runner import Run, catalog_of_all, config_for, run_inside
from toloka_emulator import POOL_IDS, Emulator, make_pool

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Serve rows of all streams that have all fields."""
    emulator = Emulator(rows=whole_account(60, seed=15))
    emulator.pools.add([make_pool("2000001", "2024-01-01T00:00:00", tier="default")])
    # Fields that no reference has, and that toloka-kit reads: `tier`, traits, places.
    traits = {"traits_all_of": ["a"], "traits_any_of": ["b"], "traits_none_of_any": ["c"]}
    row = {"pool_id": POOL_IDS[0], "created": "2024-01-01T00:00:00", **traits}
    place = {"latitude": 55.75, "longitude": 37.62}
    emulator.tables["tasks"].add([{"id": "00000f41c4--0", **row}])
    emulator.tables["task_suites"].add([{"id": "00000f41c4--0", **place, **row}])
    with emulator:
        yield emulator


SUITE = SuiteConfig(max_records_limit=None)

# The SDK builds this class when tests are collected; it needs the streams, and requests nothing.
_StandardTests: Any = get_tap_test_class(
    TapToloka,
    config={"token": "none"},
    catalog=catalog_of_all(),
    suite_config=SUITE,
    parse_env_config=False,
)


# Rows that Toloka documents have neither values that do not fit nor unknown fields.
@pytest.mark.filterwarnings(
    r"ignore:Fields in transformed catalog but not in records"
    r". \(\{'_(misfits|extra)'(, '_(misfits|extra)')?\}\)"
)
class TestStandard(_StandardTests):  # type: ignore[misc]
    """The SDK's own tests, for each stream and each field."""

    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls, emulator: Emulator) -> TapTestRunner:
        """Read all streams from the emulator, once."""
        runner = TapTestRunner(
            TapToloka,
            config=config_for(emulator),
            catalog=catalog_of_all(),
            suite_config=SUITE,
            parse_env_config=False,
        )
        runner.sync_all()
        return runner


@pytest.fixture(scope="module")
def run(emulator: Emulator) -> Run:
    """Read all streams."""
    return run_inside(config_for(emulator), catalog=catalog_of_all())


def test_no_primary_key_comes_twice(run: Run) -> None:
    """Look at what the SDK's own test misses: it compares generators."""
    keys = {stream.name: stream.primary_keys for stream in STREAMS}
    records = [(m["stream"], m["record"]) for m in run.messages if m["type"] == "RECORD"]
    found = [(name, *(record[key] for key in keys[name])) for name, record in records]
    assert len(set(found)) == len(found) > 60 * len(STREAMS) / 2
    assert {name for name, *_ in found} == keys.keys()


def test_the_last_state_has_no_progress_markers_at_any_depth(run: Run) -> None:
    """Look at what the SDK's own test misses: it looks at the top only."""
    assert run.state is not None
    incremental = {stream.name for stream in STREAMS if stream.replication_key}
    bookmarks = run.state["bookmarks"]
    assert bookmarks.keys() == {stream.name for stream in STREAMS}
    for name in bookmarks.keys() - incremental:
        assert bookmarks[name].keys() == {"account"}
    compared = {stream.name for stream in STREAMS if stream.changes_without_date}
    for name in incremental:
        keys = {"replication_key", "replication_key_value", "account"}
        assert bookmarks[name].keys() == {*keys, *({"blocks"} if name in compared else ())}


def test_streams_share_their_connections(
    emulator: Emulator, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    tap = TapToloka(config=config_for(emulator, max_concurrency=4), catalog=catalog_of_all())
    tap.sync_all()
    assert capsysbinary.readouterr().out
    pools = tap.api._connections._adapter.poolmanager.pools
    (pool,) = [pools[key] for key in pools.keys()]  # noqa: SIM118  # it is no mapping
    assert 1 <= pool.num_connections <= 4 < len(STREAMS) < pool.num_requests


def private_names_of(function: object) -> set[str]:
    """Return the private attributes of `self` that a function uses."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.startswith("_")
    }


def test_the_loop_of_the_sdk_is_still_the_one_that_was_replaced() -> None:
    """Fail when `Stream._sync_records` changes: then read it, and see what ours has to learn."""
    assert private_names_of(Stream._sync_records) == {
        "_check_max_record_limit",
        "_finalize_state",
        "_get_state_partition_context",
        "_increment_stream_state",
        "_process_record",
        "_write_record_message",
        "_write_starting_replication_value",
        "_write_state_message",
    }
    assert str(inspect.signature(Stream._sync_records)) == str(
        inspect.signature(TolokaStream._sync_records)
    ).replace("Context", "types.Context").replace(
        "Generator[Record, None, None]", "t.Generator[dict, t.Any, t.Any]"
    )
    assert "self._sync_records(context=context)" in inspect.getsource(Stream.sync)


def test_the_sdk_evaluates_expressions_where_the_error_of_a_map_looks_for_them() -> None:
    assert {"expr", "property_name"} <= {*inspect.signature(CustomStreamMap._eval).parameters}


def test_no_private_method_of_the_sdk_is_used_and_one_is_replaced() -> None:
    of_the_sdk = set(dir(Stream))
    used = {name for name in private_names_of(TolokaStream) & of_the_sdk if name[1] != "_"}
    assert used == set()
    replaced = {name for name in vars(TolokaStream).keys() & of_the_sdk if name[0] == "_"}
    assert {name for name in replaced if name[1] != "_" and "abc" not in name} == {"_sync_records"}


def test_the_sdk_knows_the_paginator_as_one_of_its_own() -> None:
    tap = TapToloka(config={"token": "x", "filters": {"pools": {"id_gt": 17}}})
    paginator = tap.streams["pools"].get_new_paginator()  # type: ignore[attr-defined]
    assert isinstance(paginator, BaseAPIPaginator)
    assert paginator.current_value == "17"


def overridden(ours: type, of_the_sdk: type) -> set[str]:
    """Return the methods of the SDK that a class of ours replaces."""
    methods = {
        name
        for name, value in vars(ours).items()
        if inspect.isroutine(value) and not name.startswith("__")
    }
    return methods & set(dir(of_the_sdk))


def test_nothing_else_of_the_sdk_is_overridden() -> None:
    """Name all overrides; each says in a comment what it is for, and the SDK calls each."""
    assert overridden(TolokaStream, Stream) == {
        "apply_catalog",
        "get_records",  # abstract
        "get_replication_key_signpost",
        "schema",  # a descriptor of the SDK
        "_sync_records",
    }
    assert overridden(TapToloka, Tap) == {
        "cb_config",
        "cb_test",
        "discover_streams",
        "get_singer_command",
        "invoke",
        "load_state",
        "print_about",
        "setup_mapper",
        "_setup_signal_handlers",
    }
    assert "_env_var_config" in vars(TapToloka).keys() & vars(PluginBase).keys()


def test_a_stream_is_a_handful_of_facts() -> None:
    """Name all that is more; each says why in a comment or a docstring of its own."""
    code = {
        (stream.__name__, name)
        for stream in STREAMS
        for name, value in vars(stream).items()
        if inspect.isfunction(value)
    }
    assert code == {
        ("Requester", "compute_fields"),
        ("UserMetadata", "listings"),
        ("Assignments", "compute_fields"),
        ("OperationLogs", "compute_fields"),
        ("Operations", "changed_since"),
        ("AppBatches", "changed_since"),
    }
