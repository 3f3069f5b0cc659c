"""The log of a run says how far it is, and at last what became of each stream."""

from __future__ import annotations

import contextlib
import logging
import re
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_toloka.errors import TolokaError
from tap_toloka.report import HowFar, RunReport, StreamReport, counted, why_failed
from tests.runner import config_for, run_inside
from toloka_emulator import Emulator, make_account

LOGGER = logging.getLogger("tests.report")

SUMMARY = """\
pools      1,234 rows   1 request    1.0 s  bookmark 2024-02-01T00:00:00.000Z (moved)
skills         3 rows  12 requests   0.0 s  no bookmark                                    \
2 values did not fit the schema
apps           0 rows   0 requests   0.0 s  no bookmark                                    \
the next run reads the rest; interrupted
trainings  not read
tasks          0 rows   0 requests  70.0 s  bookmark 2024-01-01T00:00:00.000Z (unchanged)  \
failed because Toloka answered 500"""


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    """Return a clock that stands still."""
    return Time()


def stream(name: str, time: Time) -> StreamReport:
    return StreamReport(name, LOGGER, time)


def test_a_line_says_how_far_a_stream_is(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    report = stream("assignments", time)
    with caplog.at_level(logging.INFO), report.reading():
        report.page(2_000, HowFar(3, 2_003, "pool_id"))
        time.now += 29
        report.page(410_000, HowFar(812, 2_003, "pool_id"))
    assert caplog.messages == [
        "assignments: 812 of 2,003 pools, 412,000 rows, 14,200 rows/s, less than a minute left"
    ]


@pytest.mark.parametrize(
    ("listed_by", "what"),
    [
        ("pool_id", "2 of 5 pools"),
        ("operation_id", "2 of 5 operations"),
        ("app_project_id", "2 of 5 app projects"),
        ("user_id", "2 of 5 Tolokers"),
        (None, "about 40 %"),
    ],
)
def test_it_is_counted_by_what_there_are_lists_for(listed_by: str | None, what: str) -> None:
    assert str(HowFar(2, 5, listed_by)) == what


def test_what_is_not_known_is_not_shown(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    report = stream("assignments", time)
    with caplog.at_level(logging.INFO), report.reading():
        report.request()
        time.now += 12
        report.request()  # its pools are being listed
        time.now += 12
        report.page(1)
    assert caplog.messages == [
        "assignments: 0 rows, 2 requests",
        "assignments: 1 row, 2 requests",
    ]


def test_there_is_a_line_every_ten_seconds_and_every_minute_after_five(
    time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    report = stream("tasks", time)
    when: list[int] = []
    with caplog.at_level(logging.INFO), report.reading():
        for second in range(900):
            time.now += 1
            report.request()
            report.page(10, HowFar(second, 900, "pool_id"))
            if len(caplog.messages) > len(when):
                when.append(second + 1)
    assert when == [*range(10, 301, 10), *range(360, 900, 60), 900]


def test_a_short_stream_has_no_such_line(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    report = stream("tasks", time)
    with caplog.at_level(logging.INFO), report.reading():
        for _ in range(9):
            time.now += 1
            report.page(10)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("seconds", "done", "left"),
    [
        (10, 5, None),  # half a percent: by chance the slowest, or the fastest
        (60, 200, "about 4 min left"),
        (60, 10, "about 1 h 39 min left"),
        (6_000, 100, "about 15 h left"),
        (60, 600, "less than a minute left"),
        (60, 1_000, None),
        (60, 1_100, None),  # of new pools meanwhile
        (60, 0, None),
    ],
)
def test_the_time_left_is_told_by_what_this_run_has_read(
    time: Time, caplog: pytest.LogCaptureFixture, seconds: float, done: int, left: str | None
) -> None:
    report = stream("tasks", time)
    with caplog.at_level(logging.INFO), report.reading():
        report.page(1, HowFar(0, 1_000, "pool_id"))
        time.now += seconds
        report.page(100_000, HowFar(done, 1_000, "pool_id"))
    (line,) = caplog.messages
    assert line.endswith(f", {left}" if left else "rows/s")


def test_what_an_earlier_run_has_read_does_not_count_for_the_time_left(
    time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    report = stream("tasks", time)
    with caplog.at_level(logging.INFO), report.reading():
        report.page(1, HowFar(900, 1_000, "pool_id"))
        time.now += 60
        report.page(1, HowFar(920, 1_000, "pool_id"))
        report.page(1, HowFar(1, 100, "pool_id"))  # a second pass, for what is new
        time.now += 60
        report.page(1, HowFar(26, 100, "pool_id"))
    first, second = caplog.messages
    assert first.endswith("about 4 min left")
    assert second.endswith("about 3 min left")


@given(
    st.lists(
        st.tuples(
            st.floats(0, 10_000), st.integers(0, 10**6), st.integers(-5, 300), st.integers(-1, 200)
        )
    ),
    st.sampled_from([None, "pool_id"]),
)
def test_no_line_is_absurd(pages: list[tuple[float, int, int, int]], listed_by: str | None) -> None:
    time, logged = Time(), []
    logger = logging.Logger("any")  # noqa: LOG001  # not shared
    logger.addHandler(handler := logging.Handler())
    handler.emit = lambda record: logged.append(record.getMessage())  # type: ignore[method-assign]
    report = StreamReport("tasks", logger, time)
    with report.reading():
        for seconds, rows, done, total in pages:
            time.now += seconds
            report.page(rows, HowFar(done, total, listed_by))
    for line in logged:
        assert "nan" not in line
        assert "inf" not in line
        assert "/s, -" not in line
        assert all(int(percent) < 100 for percent in re.findall(r"about (-?\d+) %", line))
        assert line.startswith("tasks: ")


def test_a_run_tells_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tap_toloka.report._OFTEN", 0)
    caplog.set_level(logging.INFO)
    account = make_account(pools=20, assignments=300, seed=1, now=datetime.now(timezone.utc))
    with Emulator(rows=account) as emulator:
        run = run_inside(config_for(emulator, batch_size=10), stream="assignments")
        lines = [line for line in caplog.messages if line.startswith("assignments: ")]
        assert len(run.records) == 300
        assert lines[-1].startswith("assignments: 25 of 25 pools, 300 rows, ")
        assert any(re.search(r": \d+ of 25 pools, .* left", line) for line in lines)

        caplog.clear()
        run_inside(config_for(emulator, batch_size=10, max_concurrency=2), stream="operations")
        lines = [line for line in caplog.messages if line.startswith("operations: ")]
        shares = [int(line.split()[2]) for line in lines if ": about " in line]
        assert shares == sorted(shares)
        assert shares  # how many depends on when the greatest ID is known


def summary(reports: list[StreamReport], time: Time) -> RunReport:
    before = {
        "pools": {"replication_key_value": "2024-01-01T00:00:00.000Z"},
        "tasks": {"replication_key_value": "2024-01-01T00:00:00.000Z"},
    }
    return RunReport(reports, before, time)


def test_the_summary_has_a_line_for_each_stream_and_a_last_one_for_all(time: Time) -> None:
    names = ("pools", "tasks", "skills", "apps", "trainings")
    pools, tasks, skills, apps, _ = reports = [stream(name, time) for name in names]
    run = summary(reports, time)
    with pools.reading():
        pools.request()
        pools.page(1_234)
        time.now += 1
    with contextlib.suppress(TolokaError), tasks.reading():
        time.now += 70
        raise TolokaError("")  # noqa: EM101
    tasks.failure = "Toloka answered 500"
    with skills.reading():
        skills.requests = 12
        skills.page(3)
        skills.misfits = 2
    with contextlib.suppress(SystemExit), apps.reading():
        raise SystemExit
    now = {
        "apps": {"unfinished": {}},
        "trainings": {"unfinished": {}},
        "pools": {"replication_key_value": "2024-02-01T00:00:00.000Z"},
        "tasks": {"replication_key_value": "2024-01-01T00:00:00.000Z"},
    }
    levels, lines = zip(*run.lines(now), strict=True)
    assert "\n".join(lines) == SUMMARY
    assert [logging.getLevelName(level) for level in levels] == (
        ["INFO", "INFO", "WARNING", "WARNING", "ERROR"]
    )
    assert run.total("SIGTERM") == (
        "Stopped by SIGTERM: 2 of 5 streams read, 1 failed (tasks), 1 interrupted, 1 not read, "
        "1,237 rows, 71.0 s"
    )


def test_the_summary_of_no_stream_is_one_line(time: Time) -> None:
    run = summary([], time)
    assert list(run.lines({})) == []
    assert run.total() == "0 of 0 streams read, 0 rows, 0.0 s"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BrokenPipeError(32, "Broken pipe"), "the target stopped reading"),
        (OSError(28, "No space left on device"), "cannot be written: No space left on device"),
        (KeyError("x"), "a bug in the tap, with the traceback above: KeyError: 'x'"),
    ],
)
def test_a_failure_that_is_not_of_toloka_is_told_in_words(error: Exception, said: str) -> None:
    assert said in why_failed("pools", error, is_bug=isinstance(error, KeyError))


@pytest.mark.parametrize("status", [403, 404])
def test_what_toloka_refuses_is_told_with_how_to_leave_it_out(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = TolokaError("Toloka answered")
    error.stream, error.status = "apps", status
    monkeypatch.delenv("MELTANO_EXTRACTOR_NAME", raising=False)
    assert why_failed("apps", error, is_bug=False) == (
        "Toloka answered. To leave it out, set `selected` of apps to false in the catalog"
    )
    monkeypatch.setenv("MELTANO_EXTRACTOR_NAME", "tap-toloka--sandbox")
    assert why_failed("apps", error, is_bug=False) == (
        "Toloka answered. To leave it out, run `meltano select --exclude tap-toloka--sandbox apps "
        "'*'`"
    )


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_000, "1,000 rows")]
)
def test_things_are_counted_as_one_says_it(number: int, words: str) -> None:
    assert counted(number, "row") == words
