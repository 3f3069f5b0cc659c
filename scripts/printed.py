"""What `make run` prints of the database: the first rows of marts, in columns."""

from __future__ import annotations

import itertools
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from psycopg.sql import SQL

if TYPE_CHECKING:
    from collections.abc import Container

    import psycopg

# The marts that are printed: a title and a query for each.
SHOWN = {
    "toloka__spend_by_day": (
        "Spend by day",
        """
        SELECT day, round(rewards, 2) AS rewards, round(bonuses, 2) AS bonuses,
            round(spend, 2) AS spend
        FROM toloka__spend_by_day
        ORDER BY day DESC
        """,
    ),
    "toloka__cost_per_label": (
        "Cost per accepted label, by pool",
        """
        SELECT pool_id, pool, assignments, labels, round(cost, 2) AS cost, cost_per_label
        FROM toloka__cost_per_label
        ORDER BY cost_per_label DESC, toloka__cost_per_label.cost DESC, pool_id
        """,
    ),
    "toloka__stuck_pools": (
        "Stuck pools",
        """
        SELECT pool_id, pool, quiet_since, last_submitted, active
        FROM toloka__stuck_pools
        ORDER BY quiet_since, pool_id
        """,
    ),
}
MOST_SHOWN = 10  # rows of each


def answer(database: psycopg.Connection, name: str, built: Container[str]) -> str:
    """Return the title and the first rows of a mart."""
    title, query = SHOWN[name]
    if name not in built:
        return f"{title} ({name}): not built, as streams that it needs are not selected\n"
    cursor = database.execute(SQL(query))
    rows = cursor.fetchall()
    count = f"{len(rows)} rows"
    shown = f"first {MOST_SHOWN} of {count}" if len(rows) > MOST_SHOWN else count
    head = [column.name.replace("_", " ") for column in cursor.description or ()]
    return f"{title} ({name}, {shown})\n{table(head, rows[:MOST_SHOWN])}"


def table(head: list[str], rows: list[tuple[object, ...]]) -> str:
    """Format rows in columns: numbers right-aligned, everything else left-aligned."""
    right = [
        any(isinstance(value, (int, Decimal)) for value in column)
        for column in zip(*rows, strict=True)
    ]
    cells = [head, *([cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in itertools.zip_longest(line, widths, right)
        )
        for line in cells
    )
    return "".join(f"  {line.rstrip()}\n" for line in lines)


def cell(value: object) -> str:
    """Return a value as text in one line."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(" ", timespec="minutes")
    if isinstance(value, str):  # may span several lines
        return " ".join(value.split())
    return value.isoformat() if isinstance(value, date) else f"{value:,}"
