"""The emulator of Toloka as a process of its own, driven over HTTP."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import requests

from tests.emulator import make_pools
from tests.emulator.api import KEY

if TYPE_CHECKING:
    from typing_extensions import Self


class EmulatorProcess:
    """Serves pools like Toloka's richest example, for as long as a `with` block runs.

    Args:
        pools: How many there are.
        latency: Seconds that each answer takes.

    Attributes:
        url: Where it is.
        key: An API key that it accepts.
        ids: The ids of its pools.
    """

    key = KEY

    def __init__(self, pools: int, latency: float = 0) -> None:
        self.ids = {pool["id"] for pool in make_pools(pools)}
        command = [sys.executable, "-m", "tests.emulator", f"--pools={pools}"]
        command.append(f"--latency={latency}")
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline() if self._process.stdout else ""
        self.url = next(word for word in line.split() if word.startswith("http://"))
        self._session = requests.Session()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._session.close()
        self._process.terminate()
        self._process.communicate()

    def forget_requests(self) -> None:
        """Forget all requests so far."""
        self._ask("DELETE", "requests")

    def forget_faults(self) -> None:
        """Let nothing go wrong any more."""
        self._ask("DELETE", "faults")

    def add_fault(self, **fields: object) -> None:
        """Let something go wrong; the fields are those of `Fault`."""
        self._ask("POST", "faults", json=fields)

    def stats(self) -> dict[str, int]:
        """Return how many `requests` there were since they were forgotten, `most_in_flight`."""
        stats: dict[str, int] = self._ask("GET", "stats").json()
        return stats

    def page(self) -> str:
        """Return the body of the first page."""
        headers = {"Authorization": f"ApiKey {self.key}"}
        url = f"{self.url}/api/v1/pools?sort=id&limit=300"
        return self._session.get(url, headers=headers, timeout=60).text

    def _ask(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        url = f"{self.url}/_emulator/{path}"
        response = self._session.request(method, url, timeout=60, **kwargs)
        response.raise_for_status()
        return response
