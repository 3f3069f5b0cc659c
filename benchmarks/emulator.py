"""The emulator of Toloka as a process of its own, driven over HTTP."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import requests

from toloka_emulator import KEY, OPEN_POOLS, make_large_account, make_pools

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

    from toloka_emulator import Json

_encode = msgspec.json.Encoder(decimal_format="number").encode


class EmulatorProcess:
    """Serves rows for as long as a `with` block runs.

    Args:
        options: What the emulator is given.
        rows: The rows that are read, as it makes them.

    Attributes:
        url: Where it is.
        key: The API key that it accepts.
        ids: The ids of the rows that are read.
    """

    key = KEY

    def __init__(self, *options: str, rows: Iterable[Json]) -> None:
        command = [sys.executable, "-m", "toloka_emulator", *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.ids = {row["id"] for row in rows}
        line = self._process.stdout.readline() if self._process.stdout else ""
        self.url = next(word for word in line.split() if word.startswith("http://"))
        self._session = requests.Session()

    @classmethod
    def with_pools(cls, count: int, latency: float = 0) -> Self:
        """Serve pools like Toloka's richest example; each answer takes `latency` seconds."""
        return cls(f"--pools={count}", f"--latency={latency}", rows=make_pools(count))

    @classmethod
    def with_assignments(
        cls, pools: int, assignments: int, latency: float, open_pools: int = OPEN_POOLS
    ) -> Self:
        """Serve pools with so many assignments each, which are what is read."""
        rows = make_large_account(pools, assignments, open_pools)["assignments"]
        size = ("--large", str(pools), str(assignments), f"--open={open_pools}")
        return cls(*size, f"--latency={latency}", rows=rows)

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
        self._ask("POST", "faults", data=_encode(fields))

    def add_rows(self, name: str, rows: list[Json]) -> None:
        """Add rows to a list."""
        self._ask("POST", name, data=_encode(rows))

    def change_row(self, name: str, row_id: str, fields: Json) -> None:
        """Set fields of a row of a list."""
        self._ask("PATCH", f"{name}/{row_id}", data=_encode(fields))

    def stats(self) -> dict[str, int]:
        """Return how many `requests` there were since they were forgotten, `most_in_flight`."""
        stats: dict[str, int] = self._ask("GET", "stats").json()
        return stats

    def page(self, name: str, **params: object) -> str:
        """Return the body of the first page of a list, in order of id."""
        headers = {"Authorization": f"ApiKey {self.key}"}
        query = {"sort": "id", **{field: str(value) for field, value in params.items()}}
        url = f"{self.url}/api/v1/{name}"
        response = self._session.get(url, params=query, headers=headers, timeout=60)
        response.raise_for_status()
        return response.text

    def _ask(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        url = f"{self.url}/_emulator/{path}"
        response = self._session.request(method, url, timeout=60, **kwargs)
        response.raise_for_status()
        return response
