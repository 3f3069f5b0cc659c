"""Copies of this Meltano project, which share their plugins."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts.run import MELTANO

REPOSITORY = Path(__file__).parents[1]
LOAD_INTO_POSTGRES = ("run", "tap-toloka", "target-postgres")


def copy_sources(source: Path, target: Path) -> None:
    """Copy a project without what was made in it: environments, state, databases, `.env`."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*", "__pycache__"))


@dataclass(frozen=True)
class Project:
    """A copy of this project in a folder of its own.

    Attributes:
        root: The folder.
        installing: Variables to install packages with, beside those of this process.
    """

    root: Path
    installing: dict[str, str]

    def copy(self, root: Path) -> Project:
        """Copy it as it was before its first run, with links to its plugins."""
        project = Project(root, self.installing)
        copy_sources(self.root, root)
        for environment in self.root.glob(".meltano/*/*/venv"):
            link = root / environment.parent.relative_to(self.root)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(environment.parent)
        return project

    def install(self, *plugins: str) -> None:
        """Let Meltano install plugins."""
        done = self._run([MELTANO, "install", *plugins], **self.installing)
        assert done.returncode == 0, done.stderr

    def meltano(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run Meltano to its end, successful or not; its log is on stderr."""
        return self._run([MELTANO, *arguments], **env)

    def _run(self, command: list[str], **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.root,
            env={**os.environ, "NO_COLOR": "1", **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
