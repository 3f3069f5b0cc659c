"""A user with an account, databases and projects of their own, none of which tests may touch."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "HOSTILE"
"""What stands for everything that is secret."""


class Trap:
    """A server on this machine that counts who connects, and answers nobody."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def users_variables(trap: Trap, folder: Path) -> dict[str, str]:
    """Return variables of a user who has an account, databases and projects of their own."""
    address = f"127.0.0.1:{trap.port}"
    return {
        "TAP_TOLOKA_TOKEN": SECRET,
        "TAP_TOLOKA_API_URL": f"http://{address}",
        "TAP_TOLOKA_ACCOUNT_ID": SECRET,
        "TAP_TOLOKA_USER_AGENT": SECRET,
        "TAP_TOLOKA_START_DATE": "2025-01-01",
        "TAP_TOLOKA_BATCH_SIZE": "3",
        "TAP_TOLOKA__SELECT": '["skills.*"]',
        "TARGET_POSTGRES_SQLALCHEMY_URL": f"postgresql+psycopg://{SECRET}:{SECRET}@{address}/a",
        "TARGET_POSTGRES_HOST": "127.0.0.1",
        "TARGET_POSTGRES_PORT": str(trap.port),
        "TARGET_POSTGRES_USER": SECRET,
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": SECRET,
        "PGHOST": "127.0.0.1",
        "PGHOSTADDR": "127.0.0.1",
        "PGPORT": str(trap.port),
        "PGUSER": SECRET,
        "PGPASSWORD": SECRET,
        "PGDATABASE": SECRET,
        "PGSERVICE": SECRET,
        "PGOPTIONS": f"-c search_path={SECRET}",
        "MELTANO_PROJECT_ROOT": str(folder / "meltano"),
        "MELTANO_ENVIRONMENT": SECRET,
        "MELTANO_DATABASE_URI": f"postgresql+psycopg://{SECRET}:{SECRET}@{address}/meltano",
        "MELTANO_STATE_BACKEND_URI": f"file://{folder}/{SECRET}",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "true",
        "MELTANO_SNOWPLOW_COLLECTOR_ENDPOINTS": f'["http://{address}"]',
        "MELTANO_HUB_URL": f"http://{address}",
        "SINGER_SDK_LOG_CONFIG": f"/{SECRET}.yml",
        "LOGLEVEL": "DEBUG",
        "XDG_CONFIG_HOME": str(folder / "home/.config"),
    }


def make_home(trap: Trap, home: Path) -> None:
    """Make the home directory of that user."""
    service = f"[{SECRET}]\nhost=127.0.0.1\nport={trap.port}\nuser={SECRET}\n"
    files = {
        ".netrc": f"machine 127.0.0.1 login {SECRET} password {SECRET}\n",
        ".pgpass": f"*:*:*:*:{SECRET}\n",
        ".pg_service.conf": service,
        ".config/meltano/config.yml": f"yaml: {{indent: {SECRET}}}\n",
        ".env": f"TAP_TOLOKA_TOKEN={SECRET}\n",
    }
    for name, text in files.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)
