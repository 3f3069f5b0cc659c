"""The page that `make run` writes from the marts: one file that needs no network.

The charts are drawn by plotly.js, which is part of the file. They fit the width of a phone and show
numbers on hover. Below each chart is a table of its numbers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from plotly.offline import get_plotlyjs
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from scripts import charts, printed

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    import psycopg

Row = dict[str, Any]
Marts = dict[str, "list[Row] | None"]
"""The rows of each mart, or None if dbt has not built it."""

MOST_ROWS = 15  # in a table, and bars in a chart
MOST_STUCK = 5  # stuck pools that come before the others
MOST_DOTS = 1_000
DAYS = 60
DAYS_OF_TOTAL = 30
LEAST_ACCURACY, LEAST_GOLDEN = 0.7, 10
"""A Toloker with at least that many golden answers and a lower accuracy is highlighted."""

# The marts that the page shows, and the streams that dbt needs to build each.
STREAMS = {
    "toloka__spend_by_day": ("assignments", "user_bonuses"),
    "toloka__pool_progress": ("assignments", "pools", "requester"),
    "toloka__stuck_pools": ("assignments", "pools"),
    "toloka__toloker_quality": ("assignments", "pools"),
    "toloka__rejection_rate": ("assignments",),
    "toloka__throughput_by_hour": ("assignments", "pools", "projects", "requester"),
    "toloka__cost_per_label": ("assignments", "pools"),
}
LONGEST_NAME = 60  # characters, in a table
_FORMS = {
    **dict.fromkeys(("rewards", "bonuses", "spend", "cost"), "${:,.2f}"),
    "cost_per_label": "${:,.5f}",
    "hour": "{:02}:00",
    **dict.fromkeys(("progress", "golden_accuracy"), "{:.1%}"),
    **dict.fromkeys(("majority_agreement", "rejection_rate"), "{:.1%}"),
}
_BAD = f"accuracy below {LEAST_ACCURACY:.0%}"


@dataclass
class Section:
    """A section of the page: a heading, what it shows and how that is counted, a chart, a table.

    Attributes:
        mart: The mart that it shows.
        title: Its heading.
        text: What it shows, and how that is counted.
        order: Which rows of the table come first.
        columns: The columns of the table by their headings; the first holds text, others numbers.
        notes: Further remarks, such as why there is nothing to show.
        figure: The chart.
        lines: The first rows of the table, formatted.
        marked: Which of these are highlighted.
        count: How many rows there are in total.
    """

    mart: str
    title: str
    text: str
    order: str
    columns: Mapping[str, str]
    notes: list[str] = field(default_factory=list)
    figure: charts.Figure | None = None
    lines: list[list[str]] = field(default_factory=list)
    marked: list[bool] = field(default_factory=list)
    count: int = 0

    def rows(self, marts: Marts) -> list[Row]:
        """Return the rows of its mart, and note why there are none."""
        rows = marts[self.mart]
        if rows is None:
            needed = " and ".join(f"toloka__using_{stream}: true" for stream in STREAMS[self.mart])
            self.notes.append(f"There is no {self.mart}. To build it, set the dbt vars {needed}.")
        elif not rows:
            self.notes.append("There is nothing to show yet.")
        return rows or []

    def tabulate(self, rows: Sequence[Row]) -> list[Row]:
        """Fill the table with the first of the rows, and return these."""
        shown, self.count = rows[:MOST_ROWS], len(rows)
        self.lines = [
            [_cell(column, row.get(column)) for column in self.columns.values()] for row in shown
        ]
        return [*shown]


def write_report(
    database: psycopg.Connection, path: Path, built: Container[str], *, emulated: bool
) -> None:
    """Write the page.

    Args:
        database: A connection whose search path names the schema of the marts.
        path: Where the page goes.
        built: The marts that are up to date.
        emulated: Whether the rows come from the emulator, which the page then says.
    """
    marts = {name: _read(database, name) if name in built else None for name in STREAMS}
    makers = (_spend, _progress, _quality, _throughput, _cost)
    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    ).get_template("report.html.j2")
    as_of = max((row["as_of"] for row in marts["toloka__pool_progress"] or []), default=None)
    page = template.render(
        as_of=as_of and _cell("as_of", as_of),
        emulated=emulated,
        totals=_totals(marts, as_of),
        sections=[make(marts) for make in makers],
        plotly=get_plotlyjs(),
    )
    path.write_text(page, encoding="utf-8")


def _read(database: psycopg.Connection, mart: str) -> list[Row]:
    with database.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SQL("SELECT * FROM {}").format(Identifier(mart))).fetchall()


def _totals(marts: Marts, as_of: datetime | None) -> list[tuple[str, str]]:
    """Return the names and values of the key figures; a dash if the mart was not built."""

    def total(mart: str, values: Iterable[Any], form: str = "{:,}") -> str:
        return "-" if marts[mart] is None else form.format(sum(values))

    spend = marts["toloka__spend_by_day"] or []
    last = as_of.date() if as_of else max((row["day"] for row in spend), default=date.min)
    recent = (row["spend"] for row in spend if 0 <= (last - row["day"]).days < DAYS_OF_TOTAL)
    pools = marts["toloka__pool_progress"] or []
    labels = (row["labels"] for row in marts["toloka__cost_per_label"] or [])
    tolokers = (1 for _ in marts["toloka__toloker_quality"] or [])
    is_open = (row["status"] == "OPEN" for row in pools)
    return [
        (f"Spend in {DAYS_OF_TOTAL} days", total("toloka__spend_by_day", recent, "${:,.2f}")),
        ("Open pools", total("toloka__pool_progress", is_open)),
        ("Tolokers", total("toloka__toloker_quality", tolokers)),
        ("Accepted labels", total("toloka__cost_per_label", labels)),
    ]


# Sections


def _spend(marts: Marts) -> Section:
    section = Section(
        "toloka__spend_by_day",
        "Spend by day",
        "Rewards on the day an assignment was accepted, bonuses on the day they were paid. Days "
        f"are in UTC; the chart covers {DAYS} days, up to the latest day with any spend.",
        "Latest days",
        {"Day": "day", "Rewards": "rewards", "Bonuses": "bonuses", "Spend": "spend"},
    )
    rows = sorted(section.rows(marts), key=lambda row: row["day"], reverse=True)
    if rows:
        by_day = {row["day"]: row for row in rows}
        first = max(rows[-1]["day"], rows[0]["day"] - timedelta(DAYS - 1))
        days = [first + timedelta(days) for days in range((rows[0]["day"] - first).days + 1)]
        amounts = {
            name.capitalize(): [float(by_day[day][name]) if day in by_day else 0 for day in days]
            for name in ("rewards", "bonuses")
        }
        section.figure = charts.stacks([day.isoformat() for day in days], amounts)
    section.tabulate(rows)
    return section


def _progress(marts: Marts) -> Section:
    section = Section(
        "toloka__pool_progress",
        "Pool progress",
        "Answers submitted or accepted, as a share of those expected: the overlap of all tasks "
        "except control tasks. The forecast assumes the pace of the last day.",
        f"Open pools: the {MOST_STUCK} stuck longest, then by forecast end, other stuck ones last",
        {
            "Pool": "pool",
            "Progress": "progress",
            "Answers": "answers",
            "Expected": "expected_answers",
            "Per hour": "answers_per_hour",
            "Forecast end": "forecast_end",
            "Quiet since": "quiet_since",
        },
    )
    quiet = {row["pool_id"]: row["quiet_since"] for row in marts["toloka__stuck_pools"] or []}
    rows = _open_pools(section.rows(marts), quiet)
    if marts[section.mart] and not rows:
        section.notes.append("No pool is open.")
    if rows and all(row["progress"] is None for row in rows):
        section.notes.append(
            "To see how many answers are expected, select the stream tasks and set the dbt var "
            "toloka__using_tasks: true."
        )
    if stuck := sum(row["quiet_since"] is not None for row in rows):
        section.notes.append(f"{stuck:,} of {len(rows):,} open pools are stuck (orange).")
    if shown := section.tabulate(rows):
        section.marked = [row["quiet_since"] is not None for row in shown]
        section.figure = charts.bars(
            [row["pool"] for row in shown],
            [_outlook(row) for row in shown],
            [float(row["progress"] or 0) for row in shown],
            section.marked,
            whole=1,
        )
    return section


def _open_pools(rows: list[Row], quiet: Mapping[str, datetime]) -> list[Row]:
    """Return open pools, with `quiet_since` of those that are stuck, in the order of the table."""
    pools = [
        {**_named(row, "pool"), "quiet_since": quiet.get(row["pool_id"])}
        for row in rows
        if row["status"] == "OPEN"
    ]
    stuck = [row for row in pools if row["quiet_since"]]
    stuck.sort(key=lambda row: (row["quiet_since"], row["pool_id"]))
    going = [row for row in pools if not row["quiet_since"]]
    going.sort(key=lambda row: row["pool_id"])
    going.sort(key=lambda row: row["forecast_end"] or datetime.max)  # noqa: DTZ901  # as those are
    return stuck[:MOST_STUCK] + going + stuck[MOST_STUCK:]


def _outlook(row: Row) -> str:
    """Return the label of a pool: its progress, and when it got stuck or will end."""
    progress = "unknown" if row["progress"] is None else f"{row['progress']:.0%}"
    if quiet := row["quiet_since"]:
        return f"{progress} · stuck since {quiet:%b} {quiet.day}"
    if end := row["forecast_end"]:
        return f"{progress} · ends {end:%b} {end.day}"
    return progress


def _quality(marts: Marts) -> Section:
    section = Section(
        "toloka__toloker_quality",
        "Quality per Toloker",
        "Accuracy is the average correctness of answers to golden (control) tasks, agreement the "
        "share of other answers that match the majority. Each dot is a Toloker with both; larger "
        "dots have more answers.",
        "Lowest accuracy first, Tolokers with few golden answers last",
        {
            "Toloker": "user_id",
            "Answers": "answers",
            "Golden": "golden_answers",
            "Accuracy": "golden_accuracy",
            "Compared": "majority_answers",
            "Agreement": "majority_agreement",
            "Reviewed": "reviewed",
            "Rejected": "rejected",
            "Rejection rate": "rejection_rate",
        },
    )
    reviews = {row["user_id"]: row for row in marts["toloka__rejection_rate"] or []}
    rows = [{**reviews.get(row["user_id"], {}), **row} for row in section.rows(marts)]
    rows.sort(key=_by_quality)
    section.marked = [_is_bad(row) for row in section.tabulate(rows)]
    both = [row for row in rows if None not in (row["golden_accuracy"], row["majority_agreement"])]
    both.sort(key=lambda row: -row["answers"])
    if both:
        groups: dict[str, list[charts.Dot]] = {"Tolokers": [], _BAD: []}
        for row in both[:MOST_DOTS]:
            shares = float(row["golden_accuracy"]), float(row["majority_agreement"])
            group = groups[_BAD if _is_bad(row) else "Tolokers"]
            group.append((row["user_id"], *shares, row["answers"]))
        section.figure = charts.dots(groups, "accuracy", "agreement")
    elif rows:
        section.notes.append("No Toloker has both an accuracy and an agreement yet.")
    return section


def _by_quality(row: Row) -> tuple[Any, ...]:
    few = row["golden_answers"] < LEAST_GOLDEN
    accuracy = 1 if row["golden_accuracy"] is None else row["golden_accuracy"]
    return few, accuracy, -row["answers"], row["user_id"]


def _is_bad(row: Row) -> bool:
    few, accuracy, *_ = _by_quality(row)
    return not few and bool(accuracy < LEAST_ACCURACY)


def _throughput(marts: Marts) -> Section:
    section = Section(
        "toloka__throughput_by_hour",
        "Throughput by hour",
        "Submitted assignments by project and hour of the day (UTC) over the last four weeks, "
        "averaged over the days on which the project had any.",
        "Busiest hours",
        {
            "Project": "project",
            "Hour": "hour",
            "Assignments": "assignments",
            "Answers": "answers",
            "Tolokers": "tolokers",
            "Days": "days",
            "Assignments a day": "assignments_per_day",
        },
    )
    rows = [_named(row, "project") for row in section.rows(marts)]
    rows.sort(key=lambda row: (-row["assignments"], row["project_id"], row["hour"]))
    section.tabulate(rows)
    totals: Counter[str] = Counter()
    for row in rows:
        totals[row["project_id"]] += row["assignments"]
    names = {row["project_id"]: row["project"] for row in rows}
    by_hour = {(row["project_id"], row["hour"]): row["assignments_per_day"] for row in rows}
    busiest = [project for project, _ in totals.most_common(MOST_ROWS)]
    if busiest:
        section.figure = charts.heat(
            [names[project] for project in busiest],
            [[float(by_hour[project, hour]) for hour in range(24)] for project in busiest],
            "assignments a day",
        )
    return section


def _cost(marts: Marts) -> Section:
    section = Section(
        "toloka__cost_per_label",
        "Cost per label",
        "Rewards of accepted assignments, without bonuses, divided by the tasks in them; control "
        "tasks count as labels.",
        "Pools with the highest cost",
        {
            "Pool": "pool",
            "Assignments": "assignments",
            "Labels": "labels",
            "Cost": "cost",
            "Cost per label": "cost_per_label",
        },
    )
    rows = [_named(row, "pool") for row in section.rows(marts)]
    rows.sort(key=lambda row: (-row["cost"], row["pool_id"]))
    if shown := section.tabulate(rows):
        each = [row["cost_per_label"] for row in shown]
        section.figure = charts.bars(
            [row["pool"] for row in shown],
            [_cell("cost_per_label", cost) for cost in each],
            [*map(float, each)],
            [False] * len(shown),
            whole=float(max(each)) or 1,
        )
    return section


def _named(row: Row, what: str) -> Row:
    """Put the id of a pool or a project in place of a name that is missing or blank."""
    name = row[what] or ""
    return {**row, what: name if name.strip() else row[f"{what}_id"]}


def _cell(column: str, value: object) -> str:
    """Return a value, formatted for its column."""
    if value is not None and (form := _FORMS.get(column)):
        return form.format(value)
    if isinstance(value, str):
        return charts.shortened(value, LONGEST_NAME)
    return printed.cell(value)
