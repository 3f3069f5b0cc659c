"""The command `tap-toloka`, also as `python -m tap_toloka`.

All else is imported once signals are handled: imports take most of the time until a run begins,
and a signal in between would end them with a traceback.
"""

from __future__ import annotations

import os
import sys

try:
    from tap_toloka.signals import exit_status, on_stop
except KeyboardInterrupt:
    os._exit(130)

_LOGGING = "See the variables TAP_TOLOKA_LOGLEVEL, LOGLEVEL and SINGER_SDK_LOG_CONFIG"


def main() -> None:
    """Run the command."""
    # Nothing is under way yet that would have to be finished.
    on_stop(lambda signum: os._exit(exit_status(signum)))
    from tap_toloka.tap import TapToloka  # noqa: PLC0415

    try:
        command = TapToloka.cli  # sets up logging
    except Exception as error:  # noqa: BLE001  # whatever a configuration of logs holds
        what = " ".join(str(error).split())
        sys.exit(f"Logging cannot be set up: {what}. {_LOGGING}")
    command()


if __name__ == "__main__":
    main()
