"""What is shipped, and what no file of the repository may hold."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.projects import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

# Whoever owns the repository: tests do not see its user's configuration of git.
LIST_FILES = ("git", "-c", "safe.directory=*", "ls-files")
# In parts, so that this file passes too.
UNWANTED = ("pypi" + ".org", "python" + "hosted.org", "../" + "shared")


def test_the_wheel_holds_the_whole_tap_and_nothing_else(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*build, tmp_path], cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.iterdir()
    shipped = set(zipfile.ZipFile(wheel).namelist())
    package = {
        path.relative_to(REPOSITORY).as_posix()
        for path in REPOSITORY.glob("tap_toloka/**/*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {"tap_toloka/py.typed", "tap_toloka/schemas/pools.json"} <= package
    assert {name for name in shipped if ".dist-info/" not in name} == package


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="needs git to list the files")
def test_no_file_names_a_package_registry_or_a_path_outside_of_the_repository() -> None:
    listed = subprocess.run(
        [*LIST_FILES, "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    files = [path for name in listed if name and (path := REPOSITORY / name).is_file()]
    found = [
        f"{path.relative_to(REPOSITORY)}: {unwanted}"
        for path in files
        for unwanted in UNWANTED
        if unwanted in path.read_text(errors="replace")
    ]
    assert files
    assert found == []
