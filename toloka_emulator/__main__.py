"""The emulator as a process; ends on SIGTERM and SIGINT."""

from __future__ import annotations

import argparse
import gc
import signal
import sys
import threading
from datetime import datetime, timezone

from toloka_emulator.data.account import Account, make_account
from toloka_emulator.data.pools import CREATED_FROM, CREATED_TO, make_pools
from toloka_emulator.data.rows import MAKERS, make_rows
from toloka_emulator.server.api import KEY, OAUTH_TOKEN
from toloka_emulator.server.emulator import Emulator


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m toloka_emulator", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="where to listen; 0, the default: on any free port")
    add("--pools", type=int, default=0, help="how many pools there are")
    add("--rows", type=int, default=0, help="how many rows each other list has")
    add(
        "--world",
        type=int,
        nargs=2,
        metavar=("POOLS", "ASSIGNMENTS"),
        help="so many of these, and rows of all other lists that belong to them, up to now",
    )
    add("--seed", type=int, default=0, help="rows of the same seed are the same")
    add("--plain", action="store_true", help="small pools rather than rich ones")
    add("--created-from", type=_utc, default=CREATED_FROM, help="earliest `created`, UTC")
    add("--created-to", type=_utc, default=CREATED_TO, help="latest `created`, UTC")
    add("--key", action="append", help="an API key that is accepted, may be repeated")
    add("--oauth-token", action="append", help="an OAuth token that is accepted, may be repeated")
    add("--account", action="append", default=[], help="an id for X-Act-Under-Account-ID, likewise")
    add("--latency", type=float, default=0, help="seconds that each answer takes")
    add("--requests-per-second", type=int, default=300, help="past it 429; 0: no limit")
    return parser.parse_args()


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def _world(arguments: argparse.Namespace) -> Account:
    pools, assignments = arguments.world
    now = datetime.now(timezone.utc)
    return make_account(pools=pools, assignments=assignments, seed=arguments.seed, now=now)


def main() -> None:
    """Serve until a signal comes."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit())
    arguments = _arguments()
    rows = {name: make_rows(name, arguments.rows, seed=arguments.seed) for name in MAKERS}
    emulator = Emulator(
        make_pools(
            arguments.pools,
            seed=arguments.seed,
            rich=not arguments.plain,
            created_from=arguments.created_from,
            created_to=arguments.created_to,
        ),
        rows=_world(arguments) if arguments.world else rows,
        port=arguments.port,
        keys=arguments.key or (KEY,),
        oauth_tokens=arguments.oauth_token or (OAUTH_TOKEN,),
        accounts=arguments.account,
        latency=arguments.latency,
        requests_per_second=arguments.requests_per_second or None,
    )
    gc.freeze()  # or the collector would stop a full server for tens of milliseconds now and then
    with emulator:
        sys.stdout.write(f"Emulator of Toloka at {emulator.url} with {len(emulator.pools)} pools\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
