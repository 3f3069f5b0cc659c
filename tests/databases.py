"""Databases in the PostgreSQL that tests start."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
from psycopg.types.json import set_json_loads


@dataclass(frozen=True)
class Database:
    """A database of one test.

    Attributes:
        url: Its address, as target-postgres wants it: with the driver that can COPY.
    """

    url: str

    @classmethod
    def create(cls, server: psycopg.Connection, name: str) -> Database:
        """Create an empty database."""
        server.execute(f"CREATE DATABASE {name}".encode())
        return cls.named(server, name)

    @classmethod
    def named(cls, server: psycopg.Connection, name: str) -> Database:
        """Return a database that is there."""
        return cls(f"postgresql+psycopg://postgres:@/{name}?host={server.info.host}")

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """Connect to it; numbers within JSON come out as Decimal, with all their digits."""
        connection = psycopg.connect(self.url.replace("+psycopg", ""), **options)
        set_json_loads(partial(json.loads, parse_float=Decimal), connection)
        return connection
