"""A plugin of pytest that keeps the user who runs the tests out of them.

Before any test, conftest or fixture is imported, it takes away what could lead to the user's
Toloka account, databases or settings:

- all environment variables but those in `KEPT`: `TAP_TOLOKA_*`, `TARGET_*`, `MELTANO_*` and `PG*`
  go, and with them proxies, the SDK's configuration of logs, and so on;
- the home directory, with `.netrc`, `.pgpass`, `.pg_service.conf` and `.config/meltano`: an empty
  one stands in for it, on Windows too;
- the `.env` of this repository, see `no_dotenv`. Meltano and `make run` read the `.env` of their
  project; tests run them in copies of this one that have none.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.no_dotenv import ignore_dotenv

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = (
    *("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_*", "PYENV_*"),  # programs
    *("TMPDIR", "TOLOKA_KIT_PYTHON"),
    *("LANG", "LC_*", "TZ", "TERM", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "USER", "LOGNAME"),
    *("CI", "GITHUB_ACTIONS", "PYTEST_*", "HYPOTHESIS_*"),
    *("SYSTEMROOT", "COMSPEC", "PATHEXT", "TEMP", "TMP"),  # Windows
)
"""Patterns of the variables that tests and all that they start can see."""

INSTALLING = (
    *("PIP_*", "UV_*", "NETRC", "SSL_CERT_*", "*_CA_BUNDLE", "NIX_SSL_CERT_FILE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
"""Patterns of the variables that nothing but the installation of packages can see."""

installing = pytest.StashKey[dict[str, str]]()
"""Variables to install packages with: where from, by which proxy, with which certificates."""

shared_folder = pytest.StashKey[Path]()
"""A folder of this session of pytest and its workers, removed at its end."""


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Isolate this process. Workers of pytest-xdist inherit the environment, and keep it."""
    ignore_dotenv()
    if "PYTEST_XDIST_WORKER" in os.environ:
        early_config.stash[shared_folder] = Path.home().parent
        return
    early_config.stash[installing] = _variables_for_installing(os.environ)
    # Not within pytest's own folder: where tests run as root, PostgreSQL runs as another user, and
    # each session of pytest that begins takes the right to enter that folder from all others.
    folder = Path(tempfile.mkdtemp(prefix="tap-toloka-tests-"))
    early_config.stash[shared_folder] = folder
    kept = {name: value for name, value in os.environ.items() if matches(name, KEPT)}
    (folder / "home").mkdir()
    os.environ.clear()
    os.environ.update(kept, HOME=str(folder / "home"), USERPROFILE=str(folder / "home"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Send the variables to a worker: not in its environment, which its processes inherit."""
    node.workerinput["installing"] = node.config.stash[installing]


def pytest_configure(config: pytest.Config) -> None:
    """Keep what the controller has sent to this worker."""
    if hasattr(config, "workerinput"):
        config.stash[installing] = config.workerinput["installing"]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder when all workers have ended."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[shared_folder], ignore_errors=True)


def _variables_for_installing(environment: Mapping[str, str]) -> dict[str, str]:
    """Return them, with the paths of what uv finds in the home directory by itself."""
    found = {name: value for name, value in environment.items() if matches(name, INSTALLING)}
    home = Path.home()
    config_folder = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    cache_folder = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    files = {"NETRC": home / ".netrc", "UV_CONFIG_FILE": config_folder / "uv/uv.toml"}
    found = {name: str(path) for name, path in files.items() if path.exists()} | found
    return {"UV_CACHE_DIR": str(cache_folder / "uv")} | found


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a name matches one of the patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
