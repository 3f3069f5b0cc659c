"""The source `rest_api` of dlt, alone or with `--pipeline`.

Alone, its rows are printed as they come. That is less than any user of dlt runs.

A pipeline writes them to files in their raw form (`extract`), flattens them into tables
(`normalize`) and takes these to their destination (`load`), which is a folder here, the least that
there is. That is more than other peers do: they leave it to whoever reads what they print.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "true"

import dlt
import orjson
from dlt.sources.rest_api import rest_api_source  # reads the environment

*options, url, key = sys.argv[1:]
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
        "resources": [
            {
                "name": "pools",
                "primary_key": "id",
                "endpoint": {
                    "path": "pools",
                    "params": {"sort": "id", "limit": 300},
                    "data_selector": "items",
                },
            }
        ],
    }
)
write = sys.stdout.buffer.write
if options:
    with tempfile.TemporaryDirectory() as folder:
        destination = dlt.destinations.filesystem(f"{folder}/out")
        pipeline = dlt.pipeline(
            "benchmark", pipelines_dir=folder, destination=destination, dataset_name="toloka"
        )
        pipeline.run(source, loader_file_format="jsonl")
        for path in Path(folder, "out", "toloka", "pools").iterdir():
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
else:
    for row in source.resources["pools"]:
        write(orjson.dumps(row))
        write(b"\n")
