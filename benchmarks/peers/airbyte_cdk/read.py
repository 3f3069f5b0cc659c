"""A declarative source of Airbyte's CDK, run by the CDK's own command.

More often seen as a stop condition is `not response['has_more']`, which ends at an answer without
`has_more`, too.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from airbyte_cdk.cli.source_declarative_manifest import run

url, key = sys.argv[1:]
stream = {
    "type": "DeclarativeStream",
    "name": "pools",
    "primary_key": "id",
    "retriever": {
        "type": "SimpleRetriever",
        "requester": {
            "type": "HttpRequester",
            "url_base": f"{url}/api/v1",
            "path": "/pools",
            "http_method": "GET",
            "authenticator": {
                "type": "ApiKeyAuthenticator",
                "api_token": "ApiKey {{ config['api_key'] }}",
                "inject_into": {
                    "type": "RequestOption",
                    "inject_into": "header",
                    "field_name": "Authorization",
                },
            },
            "request_parameters": {"sort": "id"},
        },
        "record_selector": {
            "type": "RecordSelector",
            "extractor": {"type": "DpathExtractor", "field_path": ["items"]},
        },
        "paginator": {
            "type": "DefaultPaginator",
            "page_size_option": {
                "type": "RequestOption",
                "inject_into": "request_parameter",
                "field_name": "limit",
            },
            "page_token_option": {
                "type": "RequestOption",
                "inject_into": "request_parameter",
                "field_name": "id_gt",
            },
            "pagination_strategy": {
                "type": "CursorPagination",
                "page_size": 300,
                "cursor_value": "{{ last_record['id'] }}",
                "stop_condition": "{{ response['has_more'] is false }}",
            },
        },
    },
    "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object"}},
}
manifest = {
    "version": "7.39.1",
    "type": "DeclarativeSource",
    "check": {"type": "CheckStream", "stream_names": ["pools"]},
    "streams": [stream],
    "spec": {
        "type": "Spec",
        "connection_specification": {
            "type": "object",
            "properties": {"api_key": {"type": "string", "airbyte_secret": True}},
        },
    },
}
catalog = {
    "streams": [
        {
            "stream": {
                "name": "pools",
                "json_schema": {"type": "object"},
                "supported_sync_modes": ["full_refresh"],
            },
            "sync_mode": "full_refresh",
            "destination_sync_mode": "overwrite",
        }
    ]
}
with tempfile.TemporaryDirectory() as folder:
    config_path, catalog_path = Path(folder, "config.json"), Path(folder, "catalog.json")
    config_path.write_text(
        json.dumps({"api_key": key, "__injected_declarative_manifest": manifest})
    )
    catalog_path.write_text(json.dumps(catalog))
    sys.argv[1:] = ["read", "--config", str(config_path), "--catalog", str(catalog_path)]
    run()
