"""No schema, key or replication key changes unseen: `tests/snapshots` has the catalog's entries.

To renew them: `python -m tests.test_snapshots`; then read what changed, and say so in CHANGELOG.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.runner import catalog_of

SNAPSHOTS = Path(__file__).with_name("snapshots")


def entries() -> dict[str, dict[str, Any]]:
    """Return the entry of each stream, without the metadata of fields, which the SDK derives."""
    catalog = catalog_of()
    for entry in catalog["streams"]:
        (of_the_stream,) = [item for item in entry["metadata"] if not item["breadcrumb"]]
        del of_the_stream["metadata"]["selected"]
        entry["metadata"] = [of_the_stream]
    return {entry["stream"]: entry for entry in catalog["streams"]}


def test_the_catalog_is_as_the_snapshots_have_it() -> None:
    snapshots = {path.stem: json.loads(path.read_text()) for path in SNAPSHOTS.glob("*.json")}
    found = entries()
    assert found.keys() == snapshots.keys()
    for name, entry in found.items():
        assert entry == snapshots[name], f"{name}: see tests/test_snapshots.py"


if __name__ == "__main__":
    for name, entry in entries().items():
        text = json.dumps(entry, indent=2, ensure_ascii=False)
        (SNAPSHOTS / f"{name}.json").write_text(f"{text}\n")
