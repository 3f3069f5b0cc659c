"""`python -m tap_toloka`: the same command as `tap-toloka`."""

from tap_toloka.tap import TapToloka

TapToloka.cli()
