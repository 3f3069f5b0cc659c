"""Filters are what Toloka's lists take: judged in words beforehand, sent as Toloka writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from singer_sdk.exceptions import ConfigValidationError

from tap_toloka.filters import (
    BOUNDS,
    Choice,
    Choices,
    DateRange,
    Filters,
    Flag,
    Id,
    IdRange,
    Number,
    Owners,
    Text,
    TextRange,
    Texts,
)
from tap_toloka.streams import STREAMS
from tap_toloka.tap import TapToloka
from tests.expected_rows import emulator_of
from tests.filter_settings import every_filter, owners_in
from tests.runner import config_for, run_inside
from toloka_emulator import POOL_IDS

if TYPE_CHECKING:
    from collections.abc import Mapping

BY_NAME = {stream.name: stream for stream in STREAMS}
EARLY, LATE = "2024-01-01T00:00:00.000", "2024-06-01T00:00:00.000"

ALL = Filters(
    type=Choice("A", "B"),
    status=Choices("NEW", "OLD", changing=True),
    open=Flag(),
    user_id=Text(),
    tags=Texts(),
    name=TextRange(),
    skill_id=Id(),
    pool_id=Owners(int),
    app_id=Owners(str),
    overlap=Number(changing=True),
    id=IdRange(int),
    created=DateRange(),
    modified=DateRange(changing=True),
)
"""Filters of each kind."""

SETTING: dict[str, Any] = {
    "type": "B",
    "status": ["OLD", "NEW", "OLD"],
    "open": False,
    "user_id": "a1b0 №,",
    "tags": ["b", "a", "b"],
    "name_gte": "Ä",
    "skill_id": 12648,
    "pool_id": ["36502086", 999999, "0999999"],
    "app_id": ["b-1", "A1"],
    "overlap": 3,
    "overlap_lt": -4,
    "id_gt": "007",
    "created_gt": "2024-05-06",
    "modified_lte": "2024-05-06T07:08:09.1+03:00",
}
NORMAL = {
    "type": "B",
    "status": "NEW,OLD",
    "open": "false",
    "user_id": "a1b0 №,",
    "tags": "a,b",
    "name_gte": "Ä",
    "skill_id": "12648",
    "pool_id": "36502086,999999",
    "app_id": "A1,b-1",
    "overlap": "3",
    "overlap_lt": "-4",
    "id_gt": "7",
    "created_gt": "2024-05-06T00:00:00.000Z",
    "modified_lte": "2024-05-06T04:08:09.100Z",
}


def errors_of(setting: Mapping[str, Any]) -> list[str]:
    """Return what the tap says of `filters` before anything is requested."""
    try:
        TapToloka(config={"token": "x", "filters": setting})
    except ConfigValidationError as error:
        return list(error.errors)
    return []


# Of each kind one filter that a stream has, and what it cannot be.
WRONG: dict[str, tuple[str, str, tuple[Any, ...]]] = {
    "choices": ("operations", "type", ("POOL", "pool.open", "", ["POOL.OPEN"], 1, None)),
    "several": ("assignments", "status", ("ACCEPTED", ["DONE"], ["accepted"], [], [[]], None)),
    "flags": ("skills", "global", ("true", "", 1, 0, ["true"], None)),
    "texts": ("attachments", "assignment_id", ("", 17, True, ["a"], None)),
    "many": ("app_projects", "requester_ids", ("a", [], [""], [17], None)),
    "names": ("app_batches", "name_lt", ("", 17, ["a"], None)),
    "references": ("user_skills", "skill_id", ("", "s1", -1, "1.0", 1.5, True, ["1"], None)),
    "lists of numbers": ("tasks", "pool_id", ("1", 1, [], [""], ["x"], [-1], [1.5], [True], None)),
    "lists of texts": ("app_items", "app_project_id", ("a", [], [""], ["a_b"], [17], None)),
    "numbers": ("tasks", "overlap", ("3", "", 1.5, True, [3], None)),
    "ranges of numbers": ("task_suites", "overlap_gte", ("3", "", 1.5, True, [3], None)),
    "ids": ("pools", "id_gt", ("", "x", "0a", -1, "+1", "1_0", "٣", 1.5, True, [1], None)),
    "text ids": ("tasks", "id_lte", ("", "a_b", "a b", "a\n", 17, True, ["a"], None)),
    "other ids": ("aggregated_solutions", "task_id_lt", ("", "a_b", 17, None)),
    "dates": ("assignments", "accepted_gt", ("", "soon", "2024", "2024-02-30", 2024, ["x"], None)),
}
REFUSED = [
    pytest.param(stream, name, value, id=f"{kind}: {value!r}")
    for kind, (stream, name, values) in WRONG.items()
    for value in values
]


@pytest.mark.parametrize(("stream", "name", "value"), REFUSED)
def test_a_wrong_value_is_refused_by_the_name_of_its_filter(
    stream: str, name: str, value: Any
) -> None:
    assert name in BY_NAME[stream].filters.json_schema()["properties"]
    errors = errors_of({stream: {name: value}})
    assert errors
    for error in errors:
        assert stream in error
        assert name in error
        assert len(error.splitlines()) == 1


def test_a_number_is_sent_without_a_fraction() -> None:
    assert ALL.normal({"overlap": 3.0}) == {"overlap": "3"}


@pytest.mark.parametrize(
    ("stream", "name"),
    [
        ("pools", "id"),
        ("pools", "created"),
        ("pools", "project_id_gt"),
        ("tasks", "pool_id_gt"),
        ("tasks", "status"),
        ("app_projects", "name"),
        ("app_batches", "finished_gt"),
        ("aggregated_solutions", "id_gt"),
        ("operation_logs", "id_gt"),
        ("user_metadata", "user_id"),
        ("requester", "id_gt"),
        ("apps", "created_gt"),
    ],
)
def test_what_toloka_cannot_filter_by_is_refused(stream: str, name: str) -> None:
    (error,) = errors_of({stream: {name: "17"}})
    assert f"'{name}'" in error
    assert stream in error


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_each_filter_of_a_stream_is_a_setting_that_is_explained(stream: Any) -> None:
    schema = stream.filters.json_schema()
    Draft202012Validator.check_schema(schema)
    setting = every_filter(stream.filters)
    assert schema["properties"].keys() == setting.keys()
    assert errors_of({stream.name: setting}) == []
    for name, value in schema["properties"].items():
        assert name.rpartition("_")[0] in value["description"] or name in value["description"]
    assert "{" not in str([value["description"] for value in schema["properties"].values()])


def test_a_setting_has_one_form_however_it_is_written() -> None:
    assert ALL.normal(SETTING) == NORMAL
    assert ALL.normal({}) == {}
    shuffled = {name: SETTING[name] for name in sorted(SETTING, reverse=True)}
    assert [*ALL.normal(shuffled).items()] == [*ALL.normal(SETTING).items()], "as state keeps it"


@given(
    ids=st.lists(st.integers(0, 10**12), min_size=1),
    dice=st.randoms(use_true_random=False),
    as_text=st.booleans(),
)
def test_several_ids_are_the_same_in_any_order(ids: list[int], dice: Any, *, as_text: bool) -> None:
    written = [f"00{id_}" if as_text else id_ for id_ in [*ids, ids[0]]]
    dice.shuffle(written)
    normal = ALL.normal({"pool_id": written})["pool_id"]
    assert normal == ALL.normal({"pool_id": ids})["pool_id"]
    assert sorted(map(int, normal.split(","))) == sorted(set(ids))


@pytest.mark.parametrize(
    ("name", "value"), [("pool_id", ["x"]), ("skill_id", "x"), ("id_gt", "x"), ("created_lt", "x")]
)
def test_a_value_that_is_none_is_told_with_its_filter(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name}: 'x' is not a"):
        ALL.normal({name: value})


def test_all_filters_are_sent_but_those_that_choose_lists() -> None:
    expected = {name: value for name, value in NORMAL.items() if name not in owners_in(ALL)}
    expected["created_gt"] = "2024-05-06T00:00:00.000"
    expected["modified_lte"] = "2024-05-06T04:08:09.100"
    assert ALL.parameters(NORMAL) == expected


def test_what_singles_out_a_list_is_sent_beside_the_filters() -> None:
    sent = ALL.parameters({"pool_id": "1,2", "type": "A"}, {"pool_id": "2"})
    assert sent == {"pool_id": "2", "type": "A"}


dates = st.sampled_from([f"2024-0{month}-01T00:00:00.000Z" for month in range(1, 6)])


@given(st.sampled_from(BOUNDS), dates, dates)
def test_of_two_bounds_by_one_name_the_stricter_one_is_sent(
    bound: str, filtered: str, asked: str
) -> None:
    name = f"created_{bound}"
    (sent,) = ALL.parameters({name: filtered}, {name: asked}).values()
    passing = [f"2024-0{month}-01T00:00:00.000" for month in range(1, 6)]
    compare = {
        "gt": str.__gt__,
        "gte": str.__ge__,
        "lt": str.__lt__,
        "lte": str.__le__,
    }[bound]
    both = [d for d in passing if compare(d, filtered[:-1]) and compare(d, asked[:-1])]
    assert [date for date in passing if compare(date, sent)] == both


@given(st.permutations(BOUNDS), st.lists(dates, min_size=4, max_size=4))
def test_bounds_by_other_names_are_all_sent(bounds: list[str], values: list[str]) -> None:
    given_ = [(f"created_{bound}", date) for bound, date in zip(bounds, values, strict=True)]
    sent = ALL.parameters(dict(given_[:2]), dict(given_[2:]))
    assert sent == {name: date.removesuffix("Z") for name, date in given_}


def test_the_filters_that_a_row_can_come_to_pass_are_named() -> None:
    assert ALL.changing_in(NORMAL) == ["status", "overlap", "overlap_lt", "modified_lte"]
    assert ALL.changing_in({"type": "A", "created_gt": "2024-05-06T00:00:00.000Z"}) == []


# What goes out of a filter of each end of a date, before a bookmark that lies between the two.
@pytest.mark.parametrize(
    ("filters", "first", "others"),
    [
        ({"created_gt": EARLY}, {"created_gt": "B"}, {"created_gt": EARLY, "created_lte": "B"}),
        ({"created_gt": LATE}, {"created_gt": LATE}, {"created_gt": LATE, "created_lte": "B"}),
        (
            {"created_gte": EARLY},
            {"created_gt": "B", "created_gte": EARLY},
            {"created_gte": EARLY, "created_lte": "B"},
        ),
        ({"created_lte": EARLY}, {"created_gt": "B", "created_lte": EARLY}, {"created_lte": EARLY}),
        ({"created_lte": LATE}, {"created_gt": "B", "created_lte": LATE}, {"created_lte": "B"}),
        (
            {"created_lt": LATE},
            {"created_gt": "B", "created_lt": LATE},
            {"created_lt": LATE, "created_lte": "B"},
        ),
    ],
    ids=str,
)
def test_a_bookmark_makes_no_filter_looser(
    filters: dict[str, str], first: dict[str, str], others: dict[str, str]
) -> None:
    bookmark = "2024-03-01T00:00:00.000"
    setting = {**filters, "pool_id": [POOL_IDS[0]]}
    kept = {
        "replication_key": "updated",
        "replication_key_value": f"{bookmark}Z",
        "filters": BY_NAME["assignments"].filters.normal(setting),
    }
    with emulator_of(BY_NAME["assignments"], 3, seed=1) as emulator:
        config = config_for(emulator, filters={"assignments": setting}, max_concurrency=6)
        run_inside(config, {"bookmarks": {"assignments": kept}}, stream="assignments")
        asked = [dict(r.params) for r in emulator.requests if "pool_id" in r.params]
    plain = {"pool_id": POOL_IDS[0], "sort": "id", "limit": "1000"}
    in_place = [
        {name: bookmark if date == "B" else date for name, date in dates.items()}
        for dates in (first, *[others] * 5)
    ]
    changes = BY_NAME["assignments"].change_dates[1:]
    for params, name in zip(in_place[1:], changes, strict=True):
        params[f"{name}_gt"] = bookmark
    expected = [{**plain, **params} for params in in_place]
    assert sorted(map(sorted, map(dict.items, asked))) == sorted(
        map(sorted, map(dict.items, expected))
    )


def test_a_filter_by_another_date_is_as_strict_as_the_bookmark() -> None:
    setting = {"accepted_gt": LATE, "rejected_gt": EARLY, "pool_id": [POOL_IDS[0]]}
    kept = {
        "replication_key": "updated",
        "replication_key_value": "2024-03-01T00:00:00.000Z",
        "filters": BY_NAME["assignments"].filters.normal(setting),
    }
    with emulator_of(BY_NAME["assignments"], 3, seed=1) as emulator:
        config = config_for(emulator, filters={"assignments": setting}, max_concurrency=6)
        run_inside(config, {"bookmarks": {"assignments": kept}}, stream="assignments")
        asked = [dict(r.params) for r in emulator.requests if "pool_id" in r.params]
    assert [params["accepted_gt"] for params in asked] == [LATE] * 6
    march = "2024-03-01T00:00:00.000"
    assert sorted(params["rejected_gt"] for params in asked) == [*[EARLY] * 5, march]


@pytest.mark.parametrize(
    ("bounds", "empty"),
    [
        ({"id_gt": 5, "id_lt": "006"}, False),
        ({"id_gt": 9, "id_lt": 10}, False),
        ({"id_gte": 10, "id_lte": 10}, False),
        ({"id_gte": 10, "id_lt": 10}, True),
        ({"id_gt": 10, "id_lte": 9}, True),
        ({"overlap_gte": -4, "overlap_lt": -4}, True),
        ({"overlap_gt": -5, "overlap_lte": 3}, False),
        ({"created_gt": "2024-05-06", "created_lt": "2024-05-05T23:59:59.999"}, True),
        ({"created_gt": "2024-05-06T03:00:00+03:00", "created_lte": "2024-05-06"}, True),
        ({"created_gte": "2024-05-06", "modified_lt": "2024-05-06"}, False),
        ({"name_gt": "b", "name_lt": "a"}, False),
    ],
    ids=str,
)
def test_a_range_that_no_row_can_be_in_is_found(bounds: dict[str, Any], *, empty: bool) -> None:
    assert bool([*ALL.empty_ranges(ALL.normal(bounds))]) == empty


def test_no_range_is_empty_where_only_toloka_knows_the_order() -> None:
    assert errors_of({"apps": {"id_gt": "b", "id_lt": "A"}}) == []
    assert errors_of({"webhook_subscriptions": {"id_gt": "b", "id_lt": "A"}})


def test_a_filter_that_can_match_nothing_is_refused_with_its_name() -> None:
    (error,) = errors_of({"pools": {"id_gt": 5, "id_lte": 5}})
    assert error == "filters.pools: id_gt and id_lte leave nothing between them"
    (error,) = errors_of({"assignments": {"accepted_gt": "2999-01-01"}})
    assert error.startswith("filters.assignments.accepted_gt: 2999-01-01T00:00:00.000Z is in the ")
    assert errors_of({"assignments": {"accepted_lt": "2999-01-01"}}) == []
