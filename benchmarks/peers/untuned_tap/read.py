"""A tap such as the SDK's template leads to, with nothing tuned; its schema is this tap's."""

from __future__ import annotations

import decimal
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import RESTStream, SchemaDirectory, StreamSchema, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.helpers.jsonpath import extract_jsonpath
from singer_sdk.pagination import BaseAPIPaginator

if TYPE_CHECKING:
    from collections.abc import Iterable

    import requests
    from singer_sdk.helpers.types import Context

SCHEMAS = SchemaDirectory(Path(__file__).parents[3] / "tap_toloka" / "schemas")


class IdPaginator(BaseAPIPaginator[str | None]):
    """Goes on behind the last id of a page."""

    def get_next(self, response: requests.Response) -> str | None:
        """Return the last id, or None at the end."""
        page = response.json()
        return page["items"][-1]["id"] if page["has_more"] else None


class PoolsStream(RESTStream[str | None]):
    """Pools."""

    name = "pools"
    path = "/pools"
    primary_keys = ("id",)
    replication_key = "created"
    records_jsonpath = "$.items[*]"
    schema: ClassVar[StreamSchema] = StreamSchema(SCHEMAS)

    @property
    def url_base(self) -> str:
        """Where all paths begin."""
        return f"{self.config['api_url']}/api/v1"

    @property
    def authenticator(self) -> APIKeyAuthenticator:
        """What adds the key to a request."""
        return APIKeyAuthenticator(key="Authorization", value=f"ApiKey {self.config['auth_token']}")

    def get_new_paginator(self) -> IdPaginator:
        """Return a paginator that begins with the first page."""
        return IdPaginator(None)

    def get_url_params(
        self,
        context: Context | None,  # noqa: ARG002
        next_page_token: str | None,
    ) -> dict[str, Any]:
        """Return the parameters of a page."""
        params: dict[str, Any] = {"sort": "id", "limit": 300}
        if next_page_token:
            params["id_gt"] = next_page_token
        return params

    def parse_response(self, response: requests.Response) -> Iterable[dict[str, Any]]:
        """Yield the rows of a page."""
        page = response.json(parse_float=decimal.Decimal)
        yield from extract_jsonpath(self.records_jsonpath, input=page)


class UntunedTap(Tap):
    """The tap."""

    name = "untuned-tap"
    config_jsonschema = th.PropertiesList(
        th.Property("auth_token", th.StringType, required=True, secret=True),
        th.Property("api_url", th.StringType, required=True),
    ).to_dict()

    def discover_streams(self) -> list[PoolsStream]:
        """Return the one stream."""
        return [PoolsStream(self)]


url, key = sys.argv[1:]
with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
    json.dump({"api_url": url, "auth_token": key}, config)
    config.flush()
    UntunedTap.cli(["--config", config.name])
