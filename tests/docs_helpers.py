"""What tests of README.md and docs/ share: their code blocks, tables and links, and a shell."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tap_toloka.tap import TapToloka

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for path in (*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"))
)
PAGES_OF_EXAMPLES = sorted(
    path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("examples/*/README.md")
)
"""Their code blocks need an orchestrator, or a cluster."""
BOUNDS = ("gt", "gte", "lt", "lte")


# Blocks


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        page: The file, from the root of the repository.
        heading: The nearest heading above.
        language: What follows the opening fence.
        text: All lines between the fences.
    """

    page: str
    heading: str
    language: str
    text: str


def blocks_of(page: str) -> Iterator[Block]:
    """Give the code blocks of a page, in their order."""
    heading, language = "", None
    lines: list[str] = []
    for line in (REPOSITORY / page).read_text().splitlines(keepends=True):
        if fence := re.match(r" *(?:```|~~~)(.*)", line):
            if language is None:
                language, lines = fence[1].strip(), []
            else:
                yield Block(page, heading, language, "".join(lines))
                language = None
        elif language is not None:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()
    assert language is None, f"{page} ends within a block"


covered: set[Block] = set()
"""The blocks that tests run."""


def runs(*places: str) -> Callable[..., Any]:
    """Let a test run all code blocks of some places: it gets them as `blocks`.

    Args:
        *places: Pages, or headings of pages as `README.md#Settings`.
    """
    found = [block for place in places for block in _blocks_at(*place.split("#"))]
    covered.update(found)
    return pytest.mark.parametrize("blocks", [found], ids=[",".join(places)])


def _blocks_at(page: str, heading: str | None = None) -> list[Block]:
    return [block for block in blocks_of(page) if heading in (None, block.heading)]


# A shell


@dataclass(frozen=True)
class Shell:
    """A shell in a folder, as the reader of a page has one.

    Attributes:
        folder: Where commands run.
        variables: What is in the environment beside the usual.
    """

    folder: Path
    variables: Mapping[str, str]

    def run(self, text: str, **variables: str) -> str:
        """Run commands, each of them successfully, and return what they print.

        The text is run as it is. The shell stops at the first command that fails.
        """
        done = self.attempt(text, **variables)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def attempt(self, text: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run commands to their end, successfully or not."""
        return subprocess.run(
            ["/bin/bash", "-e", "-c", text],
            cwd=self.folder,
            env={**os.environ, "NO_COLOR": "1", **self.variables, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )


def copy_of_repository(folder: Path) -> Path:
    """Copy the files of this repository, as a clone has them."""
    made = (".git", ".venv*", ".meltano", ".run", ".env", ".*_cache", ".hypothesis", "__pycache__")
    return Path(shutil.copytree(REPOSITORY, folder, ignore=shutil.ignore_patterns(*made)))


# A database


def row_counts(url: str, schema: str = "tap_toloka") -> dict[str, int]:
    """Return how many rows each table of a schema has.

    Args:
        url: The address of the database, for libpq.
        schema: The schema.
    """
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]
        ).fetchall()
        count = SQL("SELECT count(*) FROM {}")
        return {
            name: connection.execute(count.format(Identifier(schema, name))).fetchall()[0][0]
            for (name,) in found
        }


# Tables


def tables(page: str) -> Iterator[list[list[str]]]:
    """Give the tables of a page as rows of cells, the titles first."""
    text = (REPOSITORY / page).read_text()
    for found in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        head, _, *rows = (
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in found.splitlines()
        )
        yield [head, *rows]


def rows_of_tables(page: str, *titles: str) -> list[list[str]]:
    """Return the rows of all tables whose titles begin so."""
    return [row for head, *rows in tables(page) if head[: len(titles)] == [*titles] for row in rows]


def filters_table() -> str:
    """Print the table of docs/filters.md, from the settings of the tap."""
    settings = TapToloka.config_jsonschema["properties"]["filters"]["properties"]
    rows = [
        "| stream | by value | by range |\n",
        "|---|---|---|\n",
        *(_filters_row(name, filters["properties"]) for name, filters in settings.items()),
    ]
    return "".join(rows)


def _filters_row(stream: str, filters: Mapping[str, Any]) -> str:
    names = [name.rpartition("_")[0] for name in filters if name.endswith("_gt")]
    ranges = [name for name in names if all(f"{name}_{bound}" in filters for bound in BOUNDS)]
    in_ranges = {f"{name}_{bound}" for name, bound in itertools.product(ranges, BOUNDS)}
    values = [_values(name, kind) for name, kind in filters.items() if name not in in_ranges]
    by_range = ", ".join(f"`{name}`" for name in ranges)
    return f"| `{stream}` | {'; '.join(values)} | {by_range} |\n".replace("  ", " ")


def _values(name: str, kind: Mapping[str, Any]) -> str:
    several = kind["type"] == "array"
    of = kind["items"] if several else kind
    words = {"boolean": " (true or false)", "integer": " (integer)"}
    told = " (array)" if several else words.get(str(of["type"]), "")
    enum = f": {', '.join(of['enum'])}" if "enum" in of else ""
    return f"`{name}`{told}{enum}"


# Links


def anchors_of(page: str) -> set[str]:
    """Return the anchors that GitHub makes of the headings of a page."""
    anchors, seen = set(), Counter[str]()
    for heading in _headings(page):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        anchors.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return anchors


def links_of(page: str) -> list[str]:
    """Return where the links of a page lead, code left out."""
    text = re.sub(r"`[^`\n]*`(?!\])", "", _without_blocks(page))
    return re.findall(r"\]\(([^)\s]+)\)", text)


def _headings(page: str) -> list[str]:
    return re.findall(r"^#+ +(.+?) *$", _without_blocks(page), flags=re.MULTILINE)


def _without_blocks(page: str) -> str:
    text = (REPOSITORY / page).read_text()
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
