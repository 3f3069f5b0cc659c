"""This tap, with nothing set but where to read."""

from __future__ import annotations

import json
import sys
import tempfile

from tap_toloka.tap import TapToloka

url, key = sys.argv[1:]
with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
    json.dump({"api_url": url, "token": key}, config)
    config.flush()
    TapToloka.cli(["--config", config.name])
