"""MeltanoLabs' target-postgres, which reads lines and writes JSON columns with msgspec.

Settings, tables and values are the same. It takes about half of the CPU time, most of which
goes into reading JSON, into writing it again for each object of a row, and into arrays. What is
replaced here are the reader of messages, how a connector writes JSON, the type of arrays, and the
order of UPDATE and INSERT: places that the SDK and the target have for that.
"""

from __future__ import annotations

import gc
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from singer_sdk.contrib.msgspec import MsgSpecReader
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TEXT
from target_postgres.connector import PostgresConnector
from target_postgres.sinks import PostgresSink
from target_postgres.target import TargetPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Numbers are read as Decimal, and keep their digits.
_encode = msgspec.json.Encoder(decimal_format="number").encode


def _as_json(value: object) -> str:
    return _encode(value).decode()


def _as_text(value: str) -> str:
    return value


class FastArray(ARRAY[Any]):
    """An array of objects or texts, written as PostgreSQL reads it; psycopg takes long for that."""

    cache_ok = True

    def bind_processor(self, dialect: Any) -> Callable[[Any], Any]:  # noqa: ANN401
        """Return what turns an array into a value for COPY or INSERT."""
        usual: Any = super().bind_processor(dialect)
        kind, write = (dict, _as_json) if isinstance(self.item_type, JSONB) else (str, _as_text)

        def process(value: Any) -> Any:  # noqa: ANN401
            if type(value) is not list or any(type(item) is not kind for item in value):
                return usual(value)
            items = (write(item).replace("\\", "\\\\").replace('"', '\\"') for item in value)
            return "{" + ",".join([f'"{item}"' for item in items]) + "}"

        return process


class FastConnector(PostgresConnector):
    """Writes JSON columns with msgspec, and arrays as text."""

    def serialize_json(self, obj: object) -> str:
        """Return the JSON of an object or array."""
        return _as_json(obj)

    @cached_property
    def jsonschema_to_sql(self) -> Any:  # noqa: ANN401
        """What finds the type of a column."""
        types = super().jsonschema_to_sql
        types.register_type_handler("array", self._type_of_array)
        return types

    def _type_of_array(self, schema: dict[str, Any]) -> Any:  # noqa: ANN401
        found = self._handle_array_type(schema)
        item = getattr(found, "item_type", None)
        return FastArray(item) if isinstance(item, (JSONB, TEXT)) else found


class FastSink(PostgresSink):
    """Loads one stream with `FastConnector`, and updates before it inserts."""

    connector_class = FastConnector

    def upsert(
        self,
        from_table: sa.Table,
        to_table: sa.Table,
        schema: dict[str, Any],
        join_keys: Sequence[str],
        connection: sa.Connection,
    ) -> None:
        """Update the rows that are there, then insert the others; else these are written twice."""
        if self.append_only:
            super().upsert(from_table, to_table, schema, join_keys, connection)
            return
        is_same = sa.and_(*(from_table.c[key] == to_table.c[key] for key in join_keys))
        values = {to_table.c[name]: from_table.c[name] for name in self.schema["properties"]}
        connection.execute(sa.update(to_table).where(is_same).values(values))
        new = sa.select(from_table).where(~sa.exists().where(is_same))
        connection.execute(sa.insert(to_table).from_select([*from_table.c.keys()], new))


class FastTargetPostgres(TargetPostgres):
    """Reads lines with msgspec."""

    message_reader_class = MsgSpecReader
    default_sink_class = FastSink


def main() -> None:
    """Run the command."""
    # Rows contain no reference cycles, and to look for some takes a seventh of the CPU time.
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    FastTargetPostgres.cli()


if __name__ == "__main__":
    main()
