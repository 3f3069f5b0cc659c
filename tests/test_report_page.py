"""The page that is made from the marts: it shows their numbers, and loads nothing."""

from __future__ import annotations

import html
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.sql import SQL, Identifier
from typing_extensions import override

from scripts.report import DAYS, LONGEST_NAME, MOST_ROWS, MOST_STUCK, STREAMS, write_report
from tests.projects import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import psycopg

    from tests.databases import Database
    from tests.loaded_account import LoadedAccount

Row = tuple[Any, ...]

TABLES = {
    "toloka__spend_by_day": "day date, rewards numeric, bonuses numeric, spend numeric",
    "toloka__pool_progress": (
        "pool_id text, pool text, project_id text, status text, expected_answers numeric,"
        " answers numeric, progress numeric, answers_per_hour numeric, hours_left numeric,"
        " forecast_end timestamp, as_of timestamp"
    ),
    "toloka__stuck_pools": (
        "pool_id text, pool text, quiet_since timestamp, last_submitted timestamp, active bigint"
    ),
    "toloka__toloker_quality": (
        "user_id text, answers bigint, golden_answers bigint, golden_accuracy numeric,"
        " majority_answers bigint, majority_agreement numeric"
    ),
    "toloka__rejection_rate": (
        "user_id text, reviewed bigint, accepted bigint, rejected bigint, rejection_rate numeric"
    ),
    "toloka__throughput_by_hour": (
        "project_id text, project text, hour integer, assignments bigint, answers numeric,"
        " tolokers bigint, days bigint, assignments_per_day numeric"
    ),
    "toloka__cost_per_label": (
        "pool_id text, pool text, project_id text, assignments bigint, labels numeric,"
        " cost numeric, cost_per_label numeric"
    ),
}
AS_OF = datetime(2026, 11, 24, 6, 30)  # noqa: DTZ001  # as the marts have it
NAMES = (
    "</script><script>document.title = 'broken'</script>",
    '<img src="https://example.com/1.png" onerror="alert(1)">',
    "<a href='https://example.com'>link</a> & <b>bold</b> &lt;",
    "{{ 7 * 7 }} {% raw %} ${7} `x`",
    "<!-- \\u003c \\ \" ' -->",
    "two\nlines\tand  spaces",
    "Разметка дорожных знаков — пул № 12 " * 9,
    "السؤال ‮رقم",  # noqa: PLE2502  # turns the text around
    "🧑‍🏫 🐈🐕",
    "Pool",
    "Pool",
    "",
    "  ",
    None,
)


@dataclass
class Part:
    """A section as a reader sees it."""

    title: str = ""
    paragraphs: list[str] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    lines: list[list[str]] = field(default_factory=list)
    figure: dict[str, Any] | None = None


class Page(HTMLParser):
    """What is on the page, and all attributes of its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.parts: defaultdict[str, Part] = defaultdict(Part)
        self.title = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.totals: list[str] = []
        self.styles = ""
        self._open: list[str] = []
        self._part = ""
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        part = self.parts[self._part]
        if tag == "section":
            self._part = dict(attrs)["id"] or ""
        elif tag == "p":
            part.paragraphs.append("")
        elif tag == "tr":
            part.lines.append([])
        elif tag == "td":
            part.lines[-1].append("")

    @override
    def handle_endtag(self, tag: str) -> None:
        while self._open.pop() != tag:
            pass
        if tag == "section":
            self._part = ""

    @override
    def handle_data(self, data: str) -> None:
        tag, part = self._open[-1] if self._open else "", self.parts[self._part]
        if tag == "h2":
            part.title += data
        elif tag == "p":
            part.paragraphs[-1] += data
        elif tag == "th":
            part.head.append(data)
        elif tag == "td":
            part.lines[-1][-1] += data
        elif tag in {"dt", "dd"}:
            self.totals.append(data)
        elif tag == "script" and self._part:
            part.figure = json.loads(data)
        elif tag == "style":
            self.styles += data
        elif tag == "title":
            self.title += data

    def lines(self, mart: str) -> list[list[str]]:
        return [line for line in self.parts[mart].lines if line]

    def traces(self, mart: str) -> list[dict[str, Any]]:
        figure = self.parts[mart].figure
        assert figure
        found: list[dict[str, Any]] = figure["data"]
        return found

    def texts(self, mart: str) -> list[str]:
        """Return the labels of bars, as plotly.js shows them: it takes text for HTML."""
        figure = self.parts[mart].figure
        assert figure
        return [html.unescape(label["text"]) for label in figure["layout"]["annotations"]]


def page_of(database: Database, path: Path, marts: Mapping[str, Sequence[Row]]) -> Page:
    """Fill the marts that are given, and read the page that is made of them."""
    with database.connect() as connection:
        connection.execute('CREATE SCHEMA "its Marts"')
        connection.execute("SET search_path TO \"its Marts\"; SET TIME ZONE 'Asia/Tokyo'")
        for name, rows in marts.items():
            connection.execute(f"CREATE TABLE {name} ({TABLES[name]})".encode())
            insert(connection, name, rows)
        write_report(connection, path / "report.html", marts, emulated=False)
    return Page((path / "report.html").read_text(encoding="utf-8"))


def insert(connection: psycopg.Connection[Any], name: str, rows: Sequence[Row]) -> None:
    for row in rows:
        values = SQL(", ").join(SQL("%s") for _ in row)
        connection.execute(SQL("INSERT INTO {} VALUES ({})").format(Identifier(name), values), row)


def pool(number: int, name: str | None = "Pool", **facts: Any) -> Row:
    """Make a row of toloka__pool_progress."""
    row = {
        "pool_id": str(number),
        "pool": name,
        "project_id": "1",
        "status": "OPEN",
        "expected_answers": Decimal(1200),
        "answers": Decimal(300),
        "progress": Decimal("0.250"),
        "answers_per_hour": Decimal("12.50"),
        "hours_left": Decimal("72.0"),
        "forecast_end": AS_OF + timedelta(days=3),
        "as_of": AS_OF,
    }
    return (*{**row, **facts}.values(),)


def test_the_spend_of_each_day_is_shown_and_days_without_any_as_zero(
    database: Database, tmp_path: Path
) -> None:
    first, last = date(2026, 8, 1), date(2026, 11, 22)
    days = [first, *(last - timedelta(days=2 * number) for number in range(40))]
    rows: list[Row] = [
        (day, Decimal(number) / 4, Decimal(number) / 8, Decimal(3 * number) / 8)
        for number, day in enumerate(days, start=4000)
    ]
    page = page_of(database, tmp_path, {"toloka__spend_by_day": rows})
    part = page.parts["toloka__spend_by_day"]
    assert part.head == ["Day", "Rewards", "Bonuses", "Spend"]
    newest = sorted(rows, reverse=True)[:MOST_ROWS]
    assert page.lines("toloka__spend_by_day") == [
        [day.isoformat(), *(f"${amount:,.2f}" for amount in amounts)] for day, *amounts in newest
    ]
    assert part.paragraphs[-1] == f"Latest days: {MOST_ROWS} of 41."
    rewards, bonuses = page.traces("toloka__spend_by_day")
    shown = [(last - timedelta(days=ago)).isoformat() for ago in range(DAYS)][::-1]
    assert rewards["x"] == bonuses["x"] == shown
    for place, trace in enumerate((rewards, bonuses), start=1):
        amounts = {row[0].isoformat(): float(row[place]) for row in rows}
        assert trace["y"] == [amounts.get(day, 0) for day in shown]
    in_30_days = sum(row[3] for row in rows if row[0] > last - timedelta(days=30))
    assert page.totals[:2] == ["Spend in 30 days", f"${in_30_days:,.2f}"]


def test_open_pools_are_shown_with_their_progress_and_the_stuck_ones_are_marked(
    database: Database, tmp_path: Path
) -> None:
    ends = [AS_OF + timedelta(days=day) for day in range(9)]
    pools = [pool(number, f"Pool {number}", forecast_end=end) for number, end in enumerate(ends)]
    pools.append(pool(20, "Closed", status="CLOSED", forecast_end=None))
    unknown = dict.fromkeys(("expected_answers", "answers", "progress", "forecast_end"))
    pools.append(pool(21, "Unknown", **unknown))
    pools += [pool(number, f"Stuck {number}", forecast_end=None) for number in range(30, 38)]
    quiet = [AS_OF - timedelta(days=number) for number in range(30, 38)]
    stuck = [(str(n), f"Stuck {n}", at, None, 0) for n, at in enumerate(quiet, start=30)]
    marts = {"toloka__pool_progress": pools[::-1], "toloka__stuck_pools": stuck}
    page = page_of(database, tmp_path, marts)
    part, lines = page.parts["toloka__pool_progress"], page.lines("toloka__pool_progress")
    longest = [f"Stuck {number}" for number in range(37, 37 - MOST_STUCK, -1)]
    soonest = [*(f"Pool {number}" for number in range(9)), "Unknown"]
    assert [line[0] for line in lines] == [*longest, *soonest]
    values = ["25.0%", "300", "1,200", "12.50"]
    assert lines[0] == ["Stuck 37", *values, "-", f"{quiet[-1]:%Y-%m-%d %H:%M}"]
    assert lines[6] == ["Pool 1", *values, "2026-11-25 06:30", "-"]
    assert lines[-1] == ["Unknown", "-", "-", "-", "12.50", "-", "-"]
    assert "8 of 18 open pools are stuck (orange)." in part.paragraphs
    assert part.paragraphs[-1].endswith(f": {MOST_ROWS} of 18.")
    whole, done = page.traces("toloka__pool_progress")
    assert whole["x"] == [1] * MOST_ROWS
    assert done["x"] == [0 if line[0] == "Unknown" else 0.25 for line in lines]
    colors = done["marker"]["color"]
    assert len({*colors[:MOST_STUCK]}) == len({*colors[MOST_STUCK:]}) == 1
    assert colors[0] != colors[-1]
    labels = page.texts("toloka__pool_progress")
    assert labels[::2] == [line[0] for line in lines]
    assert labels[1] == "25% · stuck since Oct 18"
    assert labels[2 * MOST_STUCK + 1] == "25% · ends Nov 24"
    assert page.totals[2:4] == ["Open pools", "18"]
    assert "As read at 2026-11-24 06:30 UTC." in page.parts[""].paragraphs[0]
    marked = [facts.get("class") == "bad" for tag, facts in page.tags if tag == "tr"][1:]
    assert marked == [True] * MOST_STUCK + [False] * (MOST_ROWS - MOST_STUCK)


def test_the_quality_of_each_toloker_is_shown_and_the_bad_ones_are_marked(
    database: Database, tmp_path: Path
) -> None:
    good = [(f"good {n:02}", 100 + n, 40, Decimal("0.9"), 50, Decimal("0.95")) for n in range(20)]
    bad = ("bad", 5000, 10, Decimal("0.699"), 1200, Decimal("0.500"))
    unsure = ("unsure", 30, 9, Decimal("0.111"), 6, Decimal("0.200"))
    newcomer = ("newcomer", 3, 0, None, 2, Decimal("1.000"))
    rates = [("bad", 50, 40, 10, Decimal("0.200"))]
    quality = [newcomer, *good[::-1], unsure, bad]
    marts: dict[str, Sequence[Row]] = {
        "toloka__toloker_quality": quality,
        "toloka__rejection_rate": rates,
    }
    page = page_of(database, tmp_path, marts)
    lines = page.lines("toloka__toloker_quality")
    assert lines[0] == ["bad", "5,000", "10", "69.9%", "1,200", "50.0%", "50", "10", "20.0%"]
    assert lines[1] == ["good 19", "119", "40", "90.0%", "50", "95.0%", "-", "-", "-"]
    assert len(lines) == MOST_ROWS
    assert page.parts["toloka__toloker_quality"].paragraphs[-1].endswith(f": {MOST_ROWS} of 23.")
    dots = [
        (group["name"], *dot)
        for group in page.traces("toloka__toloker_quality")
        for dot in zip(group["text"], group["x"], group["y"], group["customdata"], strict=True)
    ]
    assert sorted(dots) == sorted(
        (
            "accuracy below 70%" if row is bad else "Tolokers",
            *(row[0], float(row[3]), float(row[5]), row[1]),
        )
        for row in quality
        if row[3] is not None and row[5] is not None
    )
    assert page.totals[4:6] == ["Tolokers", "23"]


def test_throughput_is_shown_by_project_and_hour(database: Database, tmp_path: Path) -> None:
    rows = [
        (str(project), f"Project {project % 17}", hour, *counts, Decimal(counts[0]) / 8)
        for project in range(18)
        for hour in range(24)
        for counts in [(project * 100 + hour * project % 7, 2345 + hour, 3, 8)]
    ]
    page = page_of(database, tmp_path, {"toloka__throughput_by_hour": rows})
    (heat,) = page.traces("toloka__throughput_by_hour")
    assert heat["x"] == [*range(24)]
    busiest = [*range(17, 17 - MOST_ROWS, -1)]
    assert heat["z"] == [
        [float(row[7]) for row in rows if row[0] == str(project)] for project in busiest
    ]
    assert [texts[0] for texts in heat["text"]] == [
        f"Project {project % 17}" for project in busiest
    ]
    first = max(rows, key=lambda row: (row[3], -row[2]))
    assert page.lines("toloka__throughput_by_hour")[0] == [
        *("Project 0", f"{first[2]:02}:00", f"{first[3]:,}", f"{first[4]:,}", "3", "8"),
        f"{first[7]:,}",
    ]
    labels = page.texts("toloka__throughput_by_hour")
    assert labels == [f"Project {project % 17}" for project in busiest]


def test_the_cost_per_label_is_shown_of_the_pools_with_the_highest_cost(
    database: Database, tmp_path: Path
) -> None:
    rows = [
        (str(n), f"Pool {n}", "1", n, Decimal(1000 * n), Decimal(n), Decimal(n % 3) / 1000)
        for n in range(1, 31)
    ]
    page = page_of(database, tmp_path, {"toloka__cost_per_label": rows})
    shown = rows[: -MOST_ROWS - 1 : -1]
    assert page.lines("toloka__cost_per_label") == [
        [row[1], str(row[3]), f"{row[4]:,}", f"${row[5]}.00", f"${row[6]:.5f}"] for row in shown
    ]
    whole, each = page.traces("toloka__cost_per_label")
    assert each["x"] == [float(row[6]) for row in shown]
    assert whole["x"] == [0.002] * MOST_ROWS
    assert page.totals[6:] == ["Accepted labels", f"{sum(row[4] for row in rows):,}"]


@pytest.fixture
def hostile(database: Database, tmp_path: Path) -> Page:
    """Make a page on which all names come from somebody who means harm."""
    projects = [
        (f"{place}{name}", name, hour, 5, 5, 5, 1, Decimal(5))
        for place, name in enumerate(NAMES)
        for hour in range(24)
    ]
    users = [(f"{n}{name}", 10, 10, Decimal(n) / 20, 10, 1) for n, name in enumerate(NAMES)]
    costs = [(str(1000 + n), name, "1", 1, 1, Decimal(99 - n), 1) for n, name in enumerate(NAMES)]
    marts = {
        "toloka__spend_by_day": [(AS_OF.date(), 0, 0, 0)],
        "toloka__pool_progress": [pool(1000 + n, name) for n, name in enumerate(NAMES)],
        "toloka__stuck_pools": [],
        "toloka__toloker_quality": users,
        "toloka__rejection_rate": [],
        "toloka__throughput_by_hour": projects,
        "toloka__cost_per_label": costs,
    }
    return page_of(database, tmp_path, marts)


def test_names_are_shown_as_they_are_but_in_one_line_and_never_too_long(hostile: Page) -> None:
    def fits(shown: str, name: str | None, number: int, longest: int) -> bool:
        name = " ".join((name or "").split()) or str(number)
        start, _, end = shown.partition("…")
        if "…" not in shown:
            return shown == name and len(name) <= longest
        return name.startswith(start) and name.endswith(end) and len(shown) == longest

    for mart in ("toloka__pool_progress", "toloka__cost_per_label"):
        names = [line[0] for line in hostile.lines(mart)]
        labels, notes = hostile.texts(mart)[::2], hostile.texts(mart)[1::2]
        room = 48 - max(map(len, notes))
        hovered = [html.unescape(text) for text in hostile.traces(mart)[1]["hovertext"]]
        assert len(names) == len(labels) == len(hovered) == len(NAMES)
        for place, name in enumerate(NAMES):
            assert fits(names[place], name, 1000 + place, LONGEST_NAME)
            assert fits(labels[place], name, 1000 + place, room)
            assert fits(hovered[place], name, 1000 + place, 90)
    (heat,) = hostile.traces("toloka__throughput_by_hour")
    assert len(heat["z"]) == len(NAMES)
    assert len(hostile.traces("toloka__toloker_quality")[1]["text"]) == len(NAMES)


def test_nothing_from_outside_becomes_markup(hostile: Page) -> None:
    tags = {tag for tag, _ in hostile.tags}
    assert not tags & {"img", "a", "b", "link", "iframe", "base", "object", "form"}
    assert not [name for _, facts in hostile.tags for name in facts if name.startswith("on")]
    assert hostile.title == "Toloka"
    scripts = [facts for tag, facts in hostile.tags if tag == "script"]
    assert scripts == [{"type": "application/json"}] * 5 + [{}] * 2
    for part in hostile.parts.values():
        # What plotly.js would take for markup.
        for text in texts_in(part.figure):
            assert not re.search("<(?!br>|extra></extra>$|/extra>$)", text), text


def texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in texts_in(each)]


def test_the_page_loads_nothing(hostile: Page) -> None:
    loading = {"src", "href", "srcset", "data", "action", "poster", "background"}
    assert not [facts for _, facts in hostile.tags if facts.keys() & loading]
    assert not re.search(r"@import|url\(", hostile.styles)
    assert not any("url(" in (facts.get("style") or "") for _, facts in hostile.tags)
    (policy,) = [
        facts["content"] or ""
        for tag, facts in hostile.tags
        if tag == "meta" and facts.get("http-equiv") == "Content-Security-Policy"
    ]
    allowed = {source for rule in policy.split(";") for source in rule.split()[1:]}
    assert policy.startswith("default-src 'none'")
    assert allowed == {"'none'", "'unsafe-inline'", "data:", "blob:"}


def test_the_page_is_read_by_phones_and_aloud(hostile: Page) -> None:
    found = [facts for _, facts in hostile.tags]
    assert {"lang": "en"} in found
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in found
    assert [tag for tag, _ in hostile.tags if tag in {"h1", "h2"}] == ["h1"] + ["h2"] * 5
    charts = [facts for facts in found if facts.get("role") == "img"]
    assert len(charts) == 5
    assert all(facts["aria-label"] for facts in charts)
    heads = [facts for tag, facts in hostile.tags if tag == "th"]
    assert heads
    assert all(facts["scope"] == "col" for facts in heads)


@pytest.mark.parametrize("mart", STREAMS)
def test_a_section_whose_mart_is_not_there_says_how_to_get_it(
    database: Database, tmp_path: Path, mart: str
) -> None:
    marts: dict[str, list[Row]] = {name: [] for name in TABLES if name != mart}
    page = page_of(database, tmp_path, marts)
    parts = {name: part for name, part in page.parts.items() if name}
    assert len(parts) == 5
    for name, part in parts.items():
        _, note = part.paragraphs
        if name != mart:
            assert note == "There is nothing to show yet."
            continue
        assert note.startswith(f"There is no {mart}. ")
        for stream in STREAMS[mart]:
            assert f"toloka__using_{stream}: true" in note
    assert not any(part.figure or part.lines for part in parts.values())
    assert page.totals[1::2] == [
        "-" if mart == name else shown
        for name, shown in {
            "toloka__spend_by_day": "$0.00",
            "toloka__pool_progress": "0",
            "toloka__toloker_quality": "0",
            "toloka__cost_per_label": "0",
        }.items()
    ]


@pytest.mark.parametrize("mart", STREAMS)
def test_the_vars_that_a_section_names_are_those_by_which_dbt_builds_its_mart(mart: str) -> None:
    text = (REPOSITORY / f"transform/models/marts/{mart}.sql").read_text()
    config, _, _ = text.partition(") }}")
    assert {*re.findall(r"var\('toloka__using_(\w+)'\)", config)} == {*STREAMS[mart]}


def test_a_page_of_what_dbt_builds_shows_all_of_it(marts: LoadedAccount, tmp_path: Path) -> None:
    with marts.database.connect() as connection:
        connection.execute("SET search_path TO toloka")
        write_report(connection, tmp_path / "report.html", STREAMS, emulated=False)
        counts = {
            name: connection.execute(query).fetchall()[0][0]
            for name, query in {
                "toloka__spend_by_day": "SELECT count(*) FROM toloka__spend_by_day",
                "toloka__pool_progress": (
                    "SELECT count(*) FROM toloka__pool_progress WHERE status = 'OPEN'"
                ),
                "toloka__toloker_quality": "SELECT count(*) FROM toloka__toloker_quality",
                "toloka__throughput_by_hour": "SELECT count(*) FROM toloka__throughput_by_hour",
                "toloka__cost_per_label": "SELECT count(*) FROM toloka__cost_per_label",
            }.items()
        }
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    for name, count in counts.items():
        part = page.parts[name]
        assert part.figure
        assert part.paragraphs[-1].endswith(f": {MOST_ROWS} of {count:,}.")
        assert len(page.lines(name)) == MOST_ROWS
    assert any(line[3] != "-" for line in page.lines("toloka__toloker_quality"))
    assert any(line[5] != "-" for line in page.lines("toloka__pool_progress"))


def test_a_page_without_any_mart_is_a_page(database: Database, tmp_path: Path) -> None:
    page = page_of(database, tmp_path, {})
    assert page.totals[1::2] == ["-"] * 4
    assert all(part.title for name, part in page.parts.items() if name)


def test_progress_that_is_not_known_says_which_stream_tells_it(
    database: Database, tmp_path: Path
) -> None:
    facts = {"expected_answers": None, "answers": None, "progress": None, "forecast_end": None}
    marts = {"toloka__pool_progress": [pool(1, **facts), pool(2, status="CLOSED")]}
    page = page_of(database, tmp_path, marts)
    part = page.parts["toloka__pool_progress"]
    assert "toloka__using_tasks: true" in part.paragraphs[1]
    assert page.texts("toloka__pool_progress") == ["Pool", "unknown"]
