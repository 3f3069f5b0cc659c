"""The emulator of Toloka as a process of its own, driven over HTTP."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import requests

from toloka_emulator import KEY, make_pools

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typing_extensions import Self


class EmulatorProcess:
    """Serves rows for as long as a `with` block runs.

    Args:
        module: What is run.
        options: What it is given.
        ids: The ids of the rows that are read.

    Attributes:
        url: Where it is.
        key: An API key that it accepts.
        ids: The ids of the rows that are read.
    """

    key = KEY

    def __init__(self, module: str, *options: str, ids: set[str]) -> None:
        self.ids = ids
        command = [sys.executable, "-m", module, *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline() if self._process.stdout else ""
        self.url = next(word for word in line.split() if word.startswith("http://"))
        self._session = requests.Session()

    @classmethod
    def with_pools(cls, count: int, latency: float = 0) -> Self:
        """Serve pools like Toloka's richest example; each answer takes `latency` seconds."""
        options = [f"--pools={count}", f"--latency={latency}"]
        return cls("toloka_emulator", *options, ids={pool["id"] for pool in make_pools(count)})

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

    def add_rows(self, name: str, rows: Iterable[object]) -> None:
        """Add rows to a list."""
        self._ask("POST", name, json=list(rows))

    def change_row(self, name: str, row_id: str, fields: Mapping[str, object]) -> None:
        """Set fields of a row of a list."""
        self._ask("PATCH", f"{name}/{row_id}", json=fields)

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
