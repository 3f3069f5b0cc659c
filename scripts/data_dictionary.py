"""Writes `docs/tables`, the data dictionary, from the schemas of the tap.

python -m scripts.data_dictionary
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.columns import Column, Table, tables
from scripts.release import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FOLDER = ROOT / "docs/tables"
HEADER = "<!-- Generated from tap_toloka/schemas: python -m scripts.data_dictionary -->\n"
HEAD = "| column | type | |\n|---|---|---|\n"
INDEX = """
# Tables

The table of each stream, with its columns as [target-postgres](../targets.md) creates them. The
properties of an object, or of the objects in an array, are listed below its column, as `owner.id`
or `tasks[].id`, with the type to cast them to: `(owner ->> 'myself')::boolean`. Dates are in UTC,
amounts in US dollars. target-postgres adds columns of its own, whose names begin with `_sdc_`.

For the columns of the [dbt models](../dbt.md), run `meltano invoke dbt-postgres:docs` and open
`transform/target/static_index.html`.

| table | rows |
|---|---|
"""


def pages() -> dict[Path, str]:
    """Return the text of each page by its path."""
    lines = (
        f"| [{table.name}]({table.name}.md) | {_cell(table.description)} |\n" for table in tables()
    )
    index = HEADER + INDEX + "".join(lines)
    return {
        FOLDER / "README.md": index,
        **{FOLDER / f"{table.name}.md": _page(table) for table in tables()},
    }


def _page(table: Table) -> str:
    keys = ", ".join(f"`{key}`" for key in table.keys)
    replication = f"`{table.replication_key}`" if table.replication_key else "none"
    selected = "yes" if table.selected else "no"
    return (
        f"{HEADER}\n# {table.name}\n\n{table.description}\n\n"
        f"- Key: {keys}\n"
        f"- Replication key: {replication}\n"
        f"- Selected by default: {selected}\n\n"
        f"{HEAD}{''.join(_lines(table.columns))}"
    )


def _lines(columns: Iterable[Column], within: str = "") -> Iterator[str]:
    for column in columns:
        path = f"{within}{column.name}"
        yield f"| `{path}` | `{column.type}` | {_cell(column.description)} |\n"
        inside = f"{path}[]." if column.type.endswith("[]") else f"{path}."
        yield from _lines(column.inner, inside)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    """Write all pages, and delete those of tables that are gone."""
    texts = pages()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.md"):
        if path not in texts:
            path.unlink()
    for path, text in texts.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
