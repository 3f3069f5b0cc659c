"""README.md and docs/ say what the tap does, and each of their code blocks is run by a test."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.misfits import OWN_FIELDS
from tap_toloka.streams import STREAMS
from tests import (  # they say what they run
    test_dbt,  # noqa: F401
    test_docs_commands,  # noqa: F401
    test_docs_meltano,  # noqa: F401
    test_docs_scheduling,  # noqa: F401
    test_misfits,  # noqa: F401
    test_targets,  # noqa: F401
)
from tests.docs_helpers import (
    PAGES,
    PAGES_OF_EXAMPLES,
    REPOSITORY,
    anchors_of,
    blocks_of,
    covered,
    filters_table,
    links_of,
    rows_of_tables,
)
from tests.runner import catalog_of_all, config_for, run_inside, run_process
from toloka_emulator import Emulator, make_pool, make_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

# Blocks and links


def test_each_code_block_is_run_by_a_test() -> None:
    # Those of this page are run by tests/test_joins.py, which takes one in each language.
    elsewhere = [*blocks_of("docs/streams.md")]
    assert [block.language for block in elsewhere] == ["mermaid", "sql"]
    blocks = {block for page in PAGES for block in blocks_of(page)}
    assert len(blocks) > 20
    assert blocks - covered - {*elsewhere} == set()


@pytest.mark.parametrize("page", [*PAGES, *PAGES_OF_EXAMPLES])
def test_relative_links_lead_to_a_file_and_a_heading(page: str) -> None:
    folder = (REPOSITORY / page).parent
    for link in links_of(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (folder / path).resolve() if path else REPOSITORY / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(target.relative_to(REPOSITORY).as_posix()), link


def test_each_page_can_be_reached_from_the_readme() -> None:
    linked = {
        (REPOSITORY / page).parent.joinpath(link.partition("#")[0]).resolve()
        for page in PAGES
        for link in links_of(page)
        if not link.startswith("https://")
    }
    for page in PAGES:
        assert page == "README.md" or REPOSITORY / page in linked, page


# Streams


def test_the_readme_names_each_stream_and_how_many_rows_a_request_brings() -> None:
    table = rows_of_tables("README.md", "streams")
    rows = [(re.findall(r"`(\w+)`", streams), cost) for streams, cost in table]
    usual = {stream.name for stream in STREAMS if stream.selected_by_default}
    named = [name for names, _ in rows for name in names]
    assert sorted(named) == sorted(stream.name for stream in STREAMS)
    assert {*named[: len(usual)]} == usual
    assert {*(name for names, _ in rows[:8] for name in names)} == usual
    for names, cost in rows[:8]:
        for stream in STREAMS:
            if stream.name in names:
                size = min(stream.page_size, stream.page_cap)
                is_whole = stream.changes_without_date or stream.replication_key is None
                which = "rows" if is_whole else "new rows"
                assert cost == (f"1 per {size:,} {which}" if size > 1 else "1")


def test_the_page_of_streams_names_the_keys_of_each() -> None:
    rows = rows_of_tables("docs/streams.md", "stream", "rows", "key", "replication key")
    ordered = sorted(STREAMS, key=lambda stream: not stream.selected_by_default)
    assert [row[0] for row in rows] == [f"`{stream.name}`" for stream in ordered]
    for stream, (_, _, keys, replication_key, cost) in zip(ordered, rows, strict=True):
        assert re.findall(r"\w+", keys) == [*stream.primary_keys]
        assert replication_key.strip("`") == (stream.replication_key or "")
        if stream.selected_by_default:
            assert cost == f"{min(stream.page_size, stream.page_cap):,}"


def test_the_fields_that_the_tap_adds_are_named() -> None:
    told = {
        (stream, field)
        for fields, streams, _ in rows_of_tables("docs/streams.md", "field", "stream")
        for stream in re.findall(r"\w+", streams)
        for field in re.findall(r"\w+", fields)
    }
    added = {(stream.name, field) for stream in STREAMS for field in stream.added_fields}
    assert told == added | {("all", field) for field in OWN_FIELDS}


def test_what_can_change_unseen_is_told_of_each_stream() -> None:
    rows = rows_of_tables("docs/incremental.md", "stream", "unseen changes")
    told = " ".join(row[0] for row in rows)
    assert sorted(re.findall(r"\w+", told)) == sorted(["all", *(s.name for s in STREAMS)])


def test_the_dates_by_which_changes_are_found_are_those_of_the_streams() -> None:
    table = rows_of_tables("docs/incremental.md", "stream", "changes are found by")
    told = {
        stream: {*re.findall(r"\w+", dates)}
        for streams, dates in table
        for stream in re.findall(r"\w+", streams)
    }
    of_streams = {
        # The first date is that of a new row, unless it is the only one.
        stream.name: {*stream.change_dates[1:]} or {*stream.change_dates} - {"created"}
        for stream in STREAMS
        if stream.listed_by != "operation_id" and not stream.changes_without_date
    }
    assert told == {name: dates for name, dates in of_streams.items() if dates}


def test_the_filters_of_each_stream_are_those_that_the_tap_takes() -> None:
    page = (REPOSITORY / "docs/filters.md").read_text()
    (table,) = re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE)

    def parts(text: str) -> list[list[set[str]]]:
        rows = (line.split("|")[1:-1] for line in text.splitlines())
        return [[{*re.split(r"[;:,] ", cell.strip())} for cell in row] for row in rows]

    assert parts(table) == parts(filters_table()), filters_table()


def test_what_shards_deal_out_is_told_of_each_stream() -> None:
    rows = rows_of_tables("docs/scaling.md", "streams", "split by")
    told = {name: by for names, by, _ in rows for name in re.findall(r"`(\w+)`", names)}
    owners = {
        "pool_id": "pool",
        "app_project_id": "app project",
        "operation_id": "operation",
        "user_id": "Toloker",
    }
    assert told == {
        stream.name: owners[stream.listed_by or ""] for stream in STREAMS if stream.sharded
    }


# Costs


def account_of_the_example() -> dict[str, list[Json]]:
    """Make the account that docs/streams.md tells the requests of."""
    long_ago, later = "2020-01-01T00:00:00", "2020-03-01T00:00:00"
    now = datetime.now(timezone.utc)
    lately = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
    statuses = ["OPEN"] * 20 + ["CLOSED"] * 230 + ["ARCHIVED"] * 50
    pools = [
        make_pool(
            str(1_000 + number),
            long_ago,
            status=status,
            last_started=long_ago,
            last_stopped=None if status == "OPEN" else later,
        )
        for number, status in enumerate(statuses)
    ]
    closed = {"status": "CLOSED", "last_started": long_ago, "last_stopped": later}
    trainings = [{**make_pool(str(2_000 + n), long_ago), **closed} for n in range(10)]
    owners = [pool for pool in pools for _ in range(100)]
    rows = [
        {
            "id": f"{int(pool['id']):010x}--{number:024x}",
            "pool_id": pool["id"],
            "created": lately if pool["status"] == "OPEN" else long_ago,
        }
        for number, pool in enumerate(owners)
    ]
    assignments = [{**row, "user_id": f"{n % 200:032x}"} for n, row in enumerate(rows)]
    attachments = [
        {**row, "details": {"pool_id": row["pool_id"], "assignment_id": row["id"]}}
        for row in rows[:100]
    ]
    operation = {"id": "a1", "type": "POOL.OPEN", "status": "SUCCESS"}
    usual = (stream.name for stream in STREAMS if stream.selected_by_default)
    return {
        **{name: list(make_rows(name, 1)) for name in usual},
        "pools": pools,
        "trainings": trainings,
        "tasks": [{**row, "input_values": {}} for row in rows],
        "task_suites": [{**row, "tasks": []} for row in rows],
        "assignments": assignments,
        "attachments": attachments,
        "operations": [{**operation, "submitted": lately, "finished": lately}],
        "skills": [{"id": "1", "name": "language", "global": True, "created": long_ago}],
    }


@pytest.fixture(scope="module")
def example() -> Iterator[Emulator]:
    """Serve the account of the example."""
    with Emulator(rows=account_of_the_example(), requests_per_second=None) as emulator:
        yield emulator


COSTS = rows_of_tables("docs/streams.md", "streams", "requests of the first run")


@pytest.mark.parametrize(("streams", "first", "later"), COSTS, ids=[row[0] for row in COSTS])
def test_runs_take_as_many_requests_as_is_told(
    example: Emulator, streams: str, first: str, later: str
) -> None:
    usual = {stream.name for stream in STREAMS if stream.selected_by_default}
    names = usual if "default" in streams else {streams.strip("`")}
    catalog = catalog_of_all()
    for entry in catalog["streams"]:
        entry["metadata"][-1]["metadata"]["selected"] = entry["stream"] in names
    state: Json | None = None
    for told in (first, later):
        example.clear_requests()
        run = run_inside(config_for(example), state, catalog)
        assert f"{len(example.requests) - 1:,}" == told, "and the one that tells the account"
        state = run.state


def test_the_readme_tells_the_same_costs() -> None:
    costs = {streams: (first, later) for streams, first, later in COSTS}
    readme = " ".join((REPOSITORY / "README.md").read_text().split())
    first, later = costs["the 13 default streams"]
    runs = (f"{int(first) + 1} requests in the first run", f"{int(later) + 1} in later ones")
    assert f"the default streams take {' and '.join(runs)}" in readme
    first, later = costs["`assignments`"]
    assert f"`assignments` adds {first} and {later}" in readme


# Settings


def test_the_readme_names_each_setting_and_its_default() -> None:
    about = json.loads(run_process("--about", "--format=json").output)
    sdk = {"stream_maps", "stream_map_config", "faker_config"}
    settings = {
        name: told
        for name, told in about["settings"]["properties"].items()
        if name not in sdk and not name.startswith("flattening_")
    }
    rows = {row[0].strip("`"): row[1] for row in rows_of_tables("README.md", "setting", "default")}
    assert rows.keys() == settings.keys()
    for name, default in rows.items():
        usual = settings[name].get("default")
        if name not in {"token", "user_agent"}:
            shown = usual if isinstance(usual, str) else json.dumps(usual)
            assert default.strip("`") == ("" if usual is None else shown)


def test_the_settings_of_the_target_that_are_told_are_those_of_meltano_yml() -> None:
    definition = (REPOSITORY / "meltano-plugins/target-postgres.yml").read_text()
    for setting, value, _ in rows_of_tables("docs/targets.md", "setting", "value"):
        name, shown = setting.strip("`"), value.strip("`")
        assert f"- name: {name}\n  kind: boolean\n  value: {shown}\n" in definition
