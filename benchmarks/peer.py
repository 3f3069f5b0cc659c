"""Who is measured, and the environment that each runs in."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
HERE = "."
"""The tap itself, in a file of requirements."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One that reads all pools.

    Attributes:
        title: What it is called in tables.
        folder: Where it is, below `benchmarks/peers`; its environment is named alike.
        script: What is run: it prints a line of JSON per pool.
        options: What it is given before the address and the key.
        library: Whether it is used from a program of one's own, rather than run as one.
    """

    title: str
    folder: str
    script: str = "read.py"
    options: tuple[str, ...] = ()
    library: bool = False

    @property
    def _sources(self) -> Path:
        return ROOT / "benchmarks" / "peers" / self.folder

    @property
    def _environment(self) -> Path:
        return ROOT / ".venv-bench" / self.folder

    @property
    def _python(self) -> str:
        return str(self._environment / "bin" / "python")

    @property
    def command(self) -> list[str]:
        """What runs it; the address and the key follow."""
        return [self._python, str(self._sources / self.script), *self.options]

    @property
    def packages(self) -> list[str]:
        """The packages that it was given, with their versions."""
        lines = (self._sources / "requirements.txt").read_text().split()
        ours = f"tap-toloka=={metadata.version('tap-toloka')}"
        return [ours if line == HERE else line for line in lines if line != "-e"]

    def install(self) -> None:
        """Build its environment, unless that was done already for the same requirements."""
        requirements = self._sources / "requirements.txt"
        wanted = requirements.read_text()
        if HERE in wanted.split():
            wanted += (ROOT / "pyproject.toml").read_text()
        stamp = self._environment / "requirements"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        create = [sys.executable, "-m", "venv", "--clear", str(self._environment)]
        subprocess.run(create, check=True)
        pip = [self._python, "-m", "pip", "install", "-qq", "--requirement"]
        subprocess.run([*pip, str(requirements)], cwd=ROOT, check=True)
        stamp.write_text(wanted)


TOLOKAS_PACE = ("--settings", '{"max_requests_per_second": 300}')
"""As fast as Toloka allows, where the answers take no time: the tap's default is a third of it."""

TAP, LOOP, PIPELINE = "tap-toloka", "bare-loop", "dlt-pipeline"
PEERS = {
    TAP: Peer(title="tap-toloka", folder="tap_toloka", options=TOLOKAS_PACE),
    LOOP: Peer(title="bare loop", folder="bare_loop", library=True),
    "toloka-kit": Peer(title="toloka-kit", folder="toloka_kit", library=True),
    "toloka-kit-async": Peer(
        title="toloka-kit, async", folder="toloka_kit", script="read_async.py", library=True
    ),
    "dlt": Peer(title="dlt rest_api", folder="dlt", library=True),
    PIPELINE: Peer(
        title="dlt rest_api, pipeline", folder="dlt", options=("--pipeline",), library=True
    ),
    "untuned-tap": Peer(title="untuned SDK tap", folder="untuned_tap"),
    "tap-rest-api-msdk": Peer(title="tap-rest-api-msdk", folder="tap_rest_api_msdk"),
    "airbyte-cdk": Peer(title="airbyte-cdk, declarative", folder="airbyte_cdk"),
}
