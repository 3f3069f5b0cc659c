"""`python -m tests.no_dotenv`: the same command as `tap-toloka`, but it finds no `.env`.

The SDK looks for a `.env` in all directories above its own files, and reads the one of this
repository if `.venv` is in it. What it finds there takes precedence over the environment.
"""

from __future__ import annotations

import runpy

from singer_sdk.configuration import _dict_config


def ignore_dotenv() -> None:
    """Let the SDK find no `.env`, in this process."""
    vars(_dict_config)["find_dotenv"] = lambda: ""


if __name__ == "__main__":
    ignore_dotenv()
    runpy.run_module("tap_toloka", run_name="__main__", alter_sys=True)
