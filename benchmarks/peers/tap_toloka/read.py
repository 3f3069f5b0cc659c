"""This tap, with one stream selected, and nothing set but where to read and what is asked for."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from tap_toloka.tap import TapToloka

parser = argparse.ArgumentParser()
parser.add_argument("--stream", default="pools")
parser.add_argument("--settings", type=json.loads, default={})
parser.add_argument("--state", default="{}")
parser.add_argument("url")
parser.add_argument("key")
arguments = parser.parse_args()
config = {"api_url": arguments.url, "token": arguments.key, **arguments.settings}
catalog = TapToloka(config=config).catalog_dict
for entry in catalog["streams"]:
    for item in entry["metadata"]:
        if not item["breadcrumb"]:
            item["metadata"]["selected"] = entry["stream"] == arguments.stream
with tempfile.TemporaryDirectory() as folder:
    options = []
    given = {
        "config": json.dumps(config),
        "catalog": json.dumps(catalog),
        "state": arguments.state,
    }
    for name, text in given.items():
        path = Path(folder, f"{name}.json")
        path.write_text(text)
        options += [f"--{name}", str(path)]
    TapToloka.cli(options)
