"""What is compared with Toloka's dates is Toloka's time, whatever this machine's clock says."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tap_toloka.clock import Clock, date_of, monotonic
from tap_toloka.dates import from_datetime
from tap_toloka.errors import RetryableError, TolokaError
from tests.bare_server import api_at, response
from tests.runner import POOLS_PATH, config_for, run_inside, run_process
from toloka_emulator import Emulator, Fault, make_pool, make_pools

if TYPE_CHECKING:
    from collections.abc import Iterator

MOMENT = datetime(2026, 11, 24, 8, 0, 0, 700_000, tzinfo=timezone.utc)


def headers(moment: datetime, **more: str) -> dict[str, str]:
    """Return the headers of an answer that was sent at a moment."""
    return {"Date": format_datetime(moment, usegmt=True), **more}


def toloka_now(emulator: Emulator, *, ago: float = 0) -> str:
    """Return a date so many seconds ago by the emulator's clock."""
    return from_datetime(emulator.date() - timedelta(seconds=ago))


def state_of(date: str, stream: str = "pools", key: str = "created") -> dict[str, Any]:
    """Return a state with a bookmark."""
    bookmark = {"replication_key": key, "replication_key_value": date}
    return {"bookmarks": {stream: bookmark}}


class TimeOfTests:
    """A machine whose clocks stand still until they are set."""

    def __init__(self) -> None:
        self.wall, self.ticks = MOMENT.timestamp(), 500.0

    def time(self) -> float:
        return self.wall

    def clock_gettime(self, _clock: int) -> float:
        return self.ticks


@pytest.fixture
def machine() -> Iterator[TimeOfTests]:
    """Let the test set the clocks of this machine."""
    machine = TimeOfTests()
    with patch("tap_toloka.clock.time", machine):
        yield machine


def test_until_an_answer_came_it_is_the_machines_clock(machine: TimeOfTests) -> None:
    clock = Clock()
    assert (clock.known, clock.whose) == (False, "this machine's clock")
    machine.ticks += 2
    machine.wall -= 3_600  # a step, which is not followed
    assert clock.now() == from_datetime(MOMENT + timedelta(seconds=2))
    assert clock.at(monotonic() - 60) == from_datetime(MOMENT - timedelta(seconds=58))


@pytest.mark.parametrize("step", [-3_600, 0, 3_600])
def test_moments_before_and_after_an_answer_are_in_tolokas_time(
    machine: TimeOfTests, step: float
) -> None:
    clock = Clock()
    began = monotonic()
    machine.ticks += 10
    machine.wall += step
    clock.hear(headers(MOMENT), monotonic())
    assert (clock.known, clock.whose) == (True, "Toloka's clock")
    whole = MOMENT.replace(microsecond=0)  # all that a `Date` holds
    assert clock.at(began) == from_datetime(whole - timedelta(seconds=10))
    machine.ticks += 5
    machine.wall += step
    assert clock.now() == from_datetime(whole + timedelta(seconds=5))


@given(
    delays=st.lists(st.floats(0, 100), min_size=1, max_size=20),
    ahead=st.integers(0, 20),
    moment=st.floats(-1_000, 3_000),
)
def test_it_is_never_later_than_the_truth(delays: list[float], ahead: int, moment: float) -> None:
    """Answers arrive late, and some come from a server whose clock is ahead."""
    with patch("tap_toloka.clock.time", TimeOfTests()):
        clock = Clock()
        for number, delay in enumerate(delays):
            sent = MOMENT + timedelta(seconds=number * 7)
            is_wrong = number == ahead and len(delays) > 1
            shown = sent + timedelta(days=is_wrong)
            clock.hear(headers(shown), 500 + number * 7 + delay)
        truth = MOMENT + timedelta(seconds=moment)
        assert clock.at(500 + moment) <= from_datetime(truth + timedelta(milliseconds=1))
        assert clock.at(500 + moment) >= from_datetime(truth - timedelta(seconds=101))


@pytest.mark.parametrize(
    "untrustworthy",
    [
        {},
        {"Date": ""},
        {"Date": "soon"},
        {"Date": "Mon, 99 Foo"},
        {"Date": "Mon, 01 Jan 99999 00:00:00 GMT"},
        {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"Date": "Fri, 01 Jan 2400 00:00:00 GMT"},
        {"Date": "Tue, 24 Nov 2026 08:00:00 +9999"},
        headers(MOMENT - timedelta(days=1), Age="0"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("machine")
def test_a_date_that_is_not_to_be_trusted_is_ignored(untrustworthy: dict[str, str]) -> None:
    clock = Clock()
    clock.hear(untrustworthy, 0)
    assert not clock.known
    clock.hear(headers(MOMENT), monotonic())
    clock.hear(untrustworthy, 0)
    assert clock.now() == from_datetime(MOMENT.replace(microsecond=0))


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000", "UTC"])
def test_a_date_is_utc(zone: str) -> None:
    found = date_of({"Date": f"Tue, 24 Nov 2026 08:00:00 {zone}"})
    assert found == MOMENT.replace(microsecond=0)


@pytest.mark.parametrize(
    ("difference", "said"),
    [(-3_600, "3600 s behind"), (-29, None), (0, None), (29, None), (90, "90 s ahead of")],
)
def test_a_difference_is_warned_of_once(
    machine: TimeOfTests, caplog: pytest.LogCaptureFixture, difference: int, said: str | None
) -> None:
    clock = Clock()
    machine.wall = int(machine.wall) + difference
    for _ in range(3):
        clock.hear(headers(MOMENT), monotonic())
    assert [said in line for line in caplog.messages if said] == [True] * bool(said)
    assert len(caplog.messages) == bool(said)


def test_threads_may_share_it() -> None:
    clock = Clock()
    moments = [MOMENT + timedelta(seconds=n) for n in range(50)]
    threads = [threading.Thread(target=clock.hear, args=(headers(m), 500)) for m in moments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.at(500) == from_datetime(MOMENT.replace(microsecond=0))


# In a run


def test_a_row_that_is_listed_late_is_read_though_the_machine_is_ahead() -> None:
    with Emulator(seconds_ahead=-90) as emulator:  # the machine is 90 s ahead of it
        emulator.pools.add([make_pool("1", toloka_now(emulator, ago=3600))])
        emulator.pools.add([make_pool("2", toloka_now(emulator, ago=5))])
        first = run_process(config=config_for(emulator))
        assert first.ids == ["1", "2"]
        emulator.pools.add([make_pool("3", toloka_now(emulator, ago=20))])
        assert "3" in run_process(config=config_for(emulator), state=first.state).ids
    assert first.log.count("ahead of Toloka's") == 1


@pytest.mark.parametrize("seconds_ahead", [-3_600, 0, 75, 3_600])
def test_the_bookmark_is_a_minute_behind_the_start_by_tolokas_clock(seconds_ahead: int) -> None:
    with Emulator(seconds_ahead=seconds_ahead) as emulator:
        emulator.pools.add([make_pool("1", toloka_now(emulator))])
        before = toloka_now(emulator, ago=62)
        run = run_inside(config_for(emulator))
        assert before < run.bookmark <= toloka_now(emulator, ago=60)
        again = run_inside(config_for(emulator), run.state)
    assert again.ids == ["1"], "no state is wrong because of the clock of this machine"


@pytest.mark.parametrize("seconds_ahead", [-3_600, 0, 3_600])
@pytest.mark.parametrize("stream", ["pools", "assignments"])
def test_a_bookmark_later_than_tolokas_now_is_refused_with_both_dates(
    seconds_ahead: int, stream: str
) -> None:
    with Emulator(seconds_ahead=seconds_ahead) as emulator:
        emulator.pools.add([make_pool("1", "2024-01-01T00:00:00", status="CLOSED")])
        future = toloka_now(emulator, ago=-5)
        key = "created" if stream == "pools" else "updated"
        now = toloka_now(emulator)[:-7]  # the minute; it may pass
        with pytest.raises(TolokaError, match=f"{stream}: .*{future}.*by Toloka's clock") as error:
            run_inside(config_for(emulator), state_of(future, stream, key), stream=stream)
        assert now[:13] in str(error.value).replace(future, "")


def test_a_bookmark_in_the_future_writes_neither_rows_nor_state() -> None:
    with Emulator(pools=[make_pool("1", "9998-01-01T00:00:00")]) as emulator:
        run = run_process(config=config_for(emulator), state=state_of("9997-01-01T00:00:00Z"))
    assert run.status == 1
    assert not run.records
    assert run.state == state_of("9997-01-01T00:00:00.000Z"), "as it was given"
    assert "Traceback" not in run.log
    assert "to an earlier date, or remove the stream from the state" in run.failure


def test_one_answer_with_an_old_date_does_not_make_a_bookmark_one_of_the_future() -> None:
    with Emulator(pools=make_pools(30, seed=1)) as emulator:
        emulator.pools.add([make_pool("1", toloka_now(emulator, ago=70))])
        first = run_inside(config_for(emulator))
        old = "Wed, 06 Jan 2021 12:00:00 GMT"
        emulator.faults.add(Fault(path=POOLS_PATH, headers={"Date": old}, times=1, after=1))
        config = config_for(emulator, batch_size=2, max_concurrency=1, lookback_days=9_999)
        again = run_inside(config, first.state)
        assert len(again.records) == 31
        assert again.bookmark == first.bookmark, "it does not go back"


def test_without_a_date_of_tolokas_a_bookmark_is_held_against_the_machines_clock() -> None:
    with Emulator() as emulator:
        emulator.faults.add(Fault(headers={"Date": "never"}, times=None))
        future = toloka_now(emulator, ago=-3600)
        with pytest.raises(TolokaError, match="by this machine's clock"):
            run_inside(config_for(emulator), state_of(future))


def test_a_bookmark_that_is_not_used_may_be_of_any_date() -> None:
    pools = [make_pool("1", "2024-01-01T00:00:00")]
    with Emulator(pools=pools) as emulator:
        config = config_for(emulator, filters={"pools": {"id_gt": "0"}})  # which it lacks
        run = run_inside(config, state_of("9997-01-01T00:00:00Z"))
    assert run.ids == ["1"]
    assert run.bookmark == "2024-01-01T00:00:00.000Z"


@pytest.mark.parametrize("seconds_ahead", [-3_600, 3_600])
def test_the_balance_was_read_at_tolokas_time(seconds_ahead: int) -> None:
    with Emulator(seconds_ahead=seconds_ahead) as emulator:
        before = toloka_now(emulator, ago=2)
        (record,) = run_inside(config_for(emulator), stream="requester").records
        assert before < record["read_at"] <= toloka_now(emulator)


@pytest.mark.parametrize("off", [-3_600, 0, 3_600])
def test_a_date_to_retry_after_is_compared_with_the_date_of_the_same_answer(off: int) -> None:
    sent = datetime.now(timezone.utc) + timedelta(seconds=off)
    until = format_datetime(sent + timedelta(seconds=45), usegmt=True)
    answer = response(503, Retry_After=until, Date=format_datetime(sent, usegmt=True))
    error = api_at("http://localhost").error_of(answer)
    assert isinstance(error, RetryableError)
    assert error.wait == 45


@pytest.mark.usefixtures("machine")
def test_without_a_date_of_its_own_it_is_compared_with_tolokas_now() -> None:
    api = api_at("http://localhost")
    toloka = MOMENT - timedelta(hours=1)
    api.clock.hear(headers(toloka), monotonic())
    until = format_datetime(toloka + timedelta(seconds=45), usegmt=True)
    error = api.error_of(response(503, Retry_After=until))
    assert isinstance(error, RetryableError)
    assert error.wait == 45


def test_an_answer_of_a_proxy_does_not_tell_the_time() -> None:
    with Emulator(pools=[make_pool("1", "2024-01-01T00:00:00")]) as emulator:
        long_ago = {"Date": "Tue, 24 Nov 2020 08:00:00 GMT"}
        emulator.faults.add(
            Fault(path=POOLS_PATH, status=408, headers={**long_ago, "Retry-After": "0"})
        )
        with patch("time.sleep"):
            run = run_inside(config_for(emulator), state_of("2021-01-01T00:00:00Z"))
    assert run.bookmark == "2024-01-01T00:00:00.000Z"
