"""tap-rest-api-msdk. It has no setting for `has_more`: it goes on until a page holds no row.

`backoff_type: header` would make it obey `Retry-After`, and crash when a connection is reset.
"""

from __future__ import annotations

import json
import sys
import tempfile

from tap_rest_api_msdk.tap import TapRestApiMsdk

url, key = sys.argv[1:]
settings = {
    "api_url": url,
    "auth_method": "api_key",
    "api_keys": {"Authorization": f"ApiKey {key}"},
    "pagination_request_style": "jsonpath_paginator",
    "pagination_response_style": "page",
    "next_page_token_path": "$.items[-1:].id",
    "pagination_next_page_param": "id_gt",
    "streams": [
        {
            "name": "pools",
            "path": "/api/v1/pools",
            "params": {"sort": "id", "limit": 300},
            "primary_keys": ["id"],
            "records_path": "$.items[*]",
            "num_inference_records": 300,
        }
    ],
}
with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
    json.dump(settings, config)
    config.flush()
    TapRestApiMsdk.cli(["--config", config.name])
