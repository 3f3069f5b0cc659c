"""The source `rest_api` of dlt in a pipeline into PostgreSQL: upserts, objects as JSON columns."""

from __future__ import annotations

import os
import sys
import tempfile

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.sources.rest_api import rest_api_source  # reads the environment

stream, schema, database, url, key = sys.argv[1:]
pools = {"path": "pools", "params": {"sort": "id", "limit": 300}, "data_selector": "items"}
assignments = {
    "path": "assignments",
    "params": {
        "sort": "id",
        "limit": 10_000,
        "pool_id": "{resources.pools.id}",
    },
    "data_selector": "items",
}
source = rest_api_source(
    {
        "client": {
            "base_url": f"{url}/api/v1/",
            "auth": {
                "type": "api_key",
                "name": "Authorization",
                "api_key": f"ApiKey {key}",
                "location": "header",
            },
            "paginator": {
                "type": "cursor",
                "cursor_path": "items[-1].id",
                "cursor_param": "id_gt",
                "has_more_path": "has_more",
            },
        },
        "resource_defaults": {"primary_key": "id", "write_disposition": "merge"},
        "resources": [
            {"name": "pools", "endpoint": pools},
            {"name": "assignments", "endpoint": assignments},
        ],
    },
    max_table_nesting=0,
)
with tempfile.TemporaryDirectory() as folder:
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=folder,
        destination=dlt.destinations.postgres(database),
        dataset_name=schema,
    )
    pipeline.run(source.with_resources(stream))
