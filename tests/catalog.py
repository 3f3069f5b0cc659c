"""The catalog as `catalog.txt` keeps it: a line for each stream and each field of its schema.

`python -m tests.catalog` writes the file anew, and names what breaks tables that are there already.
Then read what changed, and say so in CHANGELOG.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.runner import catalog_of_all

if TYPE_CHECKING:
    from collections.abc import Iterator

Facts = dict[str, str]
"""What is said of a stream, or of a field as `stream.field.inner` or `stream.field[]`."""

FILE = Path(__file__).with_name("catalog.txt")
_WIDTH = 60


def found() -> Facts:
    """Return the facts of the catalog that the tap discovers."""
    return {path: what for entry in catalog_of_all()["streams"] for path, what in _facts_of(entry)}


def kept() -> Facts:
    """Return the facts of the file."""
    lines = FILE.read_text().splitlines()
    return {path: what.strip() for path, _, what in (line.partition(" ") for line in lines)}


def keep(facts: Facts) -> None:
    """Write the file."""
    FILE.write_text("".join(f"{path:<{_WIDTH}} {what}\n" for path, what in facts.items()))


def breaking_changes(old: Facts, new: Facts) -> Iterator[str]:
    """Name what of a newer catalog does not fit tables that an older one made.

    Fields within fields are no columns of a table, and break nothing.
    """
    for path, what in old.items():
        stream, *fields = path.split(".")
        if stream not in new and fields:
            continue  # the stream was named
        if path not in new:
            if len(fields) < 2 and "[" not in path:
                yield f"{path} is gone"
        elif not fields:
            yield from _changed_keys(stream, what, new[path])
        elif len(fields) == 1 and "[" not in path and not _fits(what, new[path]):
            yield f"{path} is of another type"


def _changed_keys(stream: str, old: str, new: str) -> Iterator[str]:
    before, after = ([part.strip() for part in what.split(";")] for what in (old, new))
    if before[0] != after[0]:
        yield f"{stream} has another key"
    if before[1] != after[1]:
        yield f"{stream} has another replication key"


def _fits(old: str, new: str) -> bool:
    """Tell whether each value of an older type is one of a newer type."""
    (old_types, _, old_format), (new_types, _, new_format) = (
        what.partition(" as ") for what in (old, new)
    )
    before, after = {*old_types.split(", ")}, {*new_types.split(", ")}
    # PostgreSQL has arrays as such, but `jsonb` for what may also be something else.
    stays_array = after <= {"array", "null"} or not before <= {"array", "null"}
    return before <= after and old_format == new_format and stays_array


def _facts_of(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    method = entry["replication_method"]
    if entry.get("replication_key"):
        method += f" by {entry['replication_key']}"
    root = entry["metadata"][-1]["metadata"]
    selected = "selected" if root["selected-by-default"] else "not selected"
    yield entry["stream"], f"key {', '.join(entry['key_properties'])}; {method}; {selected}"
    for name, schema in entry["schema"]["properties"].items():
        yield from _facts_within(f"{entry['stream']}.{name}", schema)


def _facts_within(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    types = schema["type"]
    what = types if isinstance(types, str) else ", ".join(types)
    yield path, f"{what} as {schema['format']}" if "format" in schema else what
    for name, inner in schema.get("properties", {}).items():
        yield from _facts_within(f"{path}.{name}", inner)
    if "items" in schema:
        yield from _facts_within(f"{path}[]", schema["items"])


if __name__ == "__main__":
    new = found()
    for problem in breaking_changes(kept(), new):
        sys.stderr.write(f"Breaks tables that are there: {problem}\n")
    keep(new)
