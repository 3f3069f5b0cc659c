"""Modules import downwards only, and stay small enough to be read at a sitting."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tap_toloka

PACKAGE = Path(tap_toloka.__file__).parent
LAYERS = (
    "__main__",
    "merge_states",
    "tap",
    "command",
    "catalog",
    "settings",
    "variables",
    "files",
    "streams",
    "streams.apps",
    "streams.operations",
    "streams.users",
    "streams.assignments",
    "streams.attachments",
    "streams.tasks",
    "streams.pool_by_pool",
    "streams.trainings",
    "streams.pools",
    "streams.messages",
    "streams.projects",
    "streams.requester",
    "streams.webhooks",
    "client",
    "passes",
    "progress",
    "fingerprints",
    "remaining",
    "report",
    "account",
    "records",
    "maps",
    "lists",
    "fetch",
    "api",
    "connection",
    "pages",
    "rows",
    "misfits",
    "decoding",
    "notices",
    "filters",
    "output",
    "layout",
    "bodies",
    "fitting",
    "state",
    "shards",
    "splitting",
    "parallel",
    "errors",
    "clock",
    "dates",
    "hiding",
    "signals",
    "schemas",
)
"""Each imports only from those after it, also for type checking."""

WITHOUT_SDK = (
    "api",
    "connection",
    "fetch",
    "pages",
    "rows",
    "misfits",
    "decoding",
    "notices",
    "layout",
    "bodies",
    "fitting",
    "shards",
    "splitting",
    "parallel",
    "errors",
    "clock",
    "state",
    "progress",
    "fingerprints",
    "remaining",
    "account",
)
MOST_LINES_OF_A_CLASS, MOST_LINES_OF_A_FUNCTION = 300, 40


def name_of(path: Path) -> str:
    """Return the name of a module within the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
del MODULES[""]  # the package itself is empty


def imports_of(module: str) -> set[str]:
    """Return the modules of the package that a module imports anywhere."""
    found = set()
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("tap_toloka") for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            package, _, name = (node.module or "").partition(".")
            if package == "tap_toloka":
                found |= {name} if name else {alias.name for alias in node.names}
    return found


def test_every_module_has_its_layer() -> None:
    assert set(LAYERS) == MODULES.keys()


@pytest.mark.parametrize("module", LAYERS)
def test_imports_point_downwards_only(module: str) -> None:
    below = LAYERS[LAYERS.index(module) + 1 :]
    assert imports_of(module) <= set(below)


def test_no_class_and_no_function_is_too_long_to_read() -> None:
    most = {ast.ClassDef: MOST_LINES_OF_A_CLASS, ast.FunctionDef: MOST_LINES_OF_A_FUNCTION}
    long = [
        f"{module}.{node.name}: {lines} lines"
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.ClassDef, ast.FunctionDef))
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > most[type(node)]
    ]
    assert long == []


@pytest.mark.parametrize("module", WITHOUT_SDK)
def test_what_reads_toloka_does_not_need_the_singer_sdk(module: str) -> None:
    code = f"import sys, tap_toloka.{module}; print('singer_sdk' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
