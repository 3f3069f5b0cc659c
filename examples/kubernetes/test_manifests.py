"""The manifests fit the API of Kubernetes, and what their pods run works."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from scripts.run import MELTANO
from tests.loads import rows_in
from tests.projects import REPOSITORY

if TYPE_CHECKING:
    from examples.nights import Nights

FOLDER = Path(__file__).parent
MANIFESTS = sorted(FOLDER.glob("*.yaml"))
VALIDATE = REPOSITORY / ".venv-kubernetes/bin/kubernetes-validate"


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: str(path.name))
def test_a_manifest_fits_the_schema_of_the_api(manifest: Path) -> None:
    command: list[str | Path] = [VALIDATE, "--strict", manifest]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def container_of(name: str) -> dict[str, Any]:
    """Return the container of a manifest, of a Job or of a CronJob."""
    spec = yaml.safe_load((FOLDER / name).read_text())["spec"]
    job = spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec
    (container,) = job["template"]["spec"]["containers"]
    return dict(container)


def test_pods_load_the_account_or_a_shard_of_it(nights: Nights, tmp_path: Path) -> None:
    secret = {
        **nights.variables,
        "PATH": f"{Path(MELTANO).parent}{os.pathsep}{os.environ['PATH']}",
        "TAP_TOLOKA__SELECT": json.dumps(["pools.*", "assignments.*"]),
    }
    script = nights.project.root / "meltano.sh"
    script.symlink_to("examples/meltano.sh")
    for name in ("tables.yaml", "cronjob.yaml", "shards.yaml"):
        container = container_of(name)
        env = {one["name"]: one["value"] for one in container["env"]}
        env["HOME"] = str(tmp_path)
        done = subprocess.run(
            [part.replace("/project", str(nights.project.root)) for part in container["command"]],
            cwd=nights.project.root,
            env={**os.environ, **secret, **env, "JOB_COMPLETION_INDEX": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if name == "tables.yaml":
            assert rows_in(nights.database, "tap_toloka", "pools") == []
            assert nights.emulator.requests == []
    whole = nights.project.meltano("state", "get", "dev:tap-toloka-to-target-postgres")
    bookmarks = json.loads(whole.stdout)["singer_state"]["bookmarks"]
    assert bookmarks.keys() == {"pools", "assignments"}
    assert "shard" not in bookmarks["assignments"]
    shard = nights.state("shard-2-of-3")
    assert shard.keys() == {"assignments"}
    assert shard["assignments"]["shard"] == "2/3"
