"""A database of a test's own on the run's PostgreSQL.

Owns: its making, its being out of reach for a while, its end.
Promises: it is dropped when the test ends, whoever is still connected.
Never: knows a table.
"""

import os
import subprocess
import uuid

from testing.postgres import programs


class Database:
    """Made on entry, dropped on exit."""

    def __init__(self):
        self.name = f"outside_{uuid.uuid4().hex[:12]}"
        self._server = os.environ["PARLOUR_TEST_POSTGRES"]
        self.url = f"{self._server.rsplit('/', 1)[0]}/{self.name}"

    def sql(self, *statements):
        """Runs statements on the server, each by itself; returns what they print."""
        command = [programs() / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self._server]
        for statement in statements:
            command += ["-c", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def __enter__(self):
        self.sql(f"create database {self.name}")
        return self

    def __exit__(self, *_):
        self.sql(f"drop database {self.name} with (force)")

    def refuse(self):
        """Ends all connections and lets nobody in."""
        self.sql(f"alter database {self.name} allow_connections false",
                 f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{self.name}'")  # fmt: skip

    def admit(self):
        """Lets connections in again."""
        self.sql(f"alter database {self.name} allow_connections true")
