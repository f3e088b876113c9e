"""A PostgreSQL of one's own that is killed is gone, all of it, and comes back with what was committed."""

import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from testing.guard import descendants, is_alive
from testing.postgres import Postgres, programs

LIMIT = 20
BUSY = "select count(*) from generate_series(1, 1000000000)"  # computes for minutes, and heeds nobody meanwhile


class Killed(unittest.TestCase):
    """Its own server."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="killed-")
        self.addCleanup(folder.cleanup)
        Path(folder.name).chmod(0o711)  # the server runs as a user of its own
        self.postgres = Postgres(Path(folder.name) / "postgres")
        self.postgres.start()
        self.addCleanup(self.postgres.stop)

    def psql(self, statement):
        command = [programs() / "psql", "-X", "-q", "-A", "-t", self.postgres.url, "-c", statement]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def told(self, statement):
        return self.psql(statement).communicate(timeout=LIMIT)[0].strip()

    def test_a_server_that_is_killed_is_gone_and_returns_with_what_was_committed(self):
        self.told("create table kept (at int)")
        for times in (1, 2):
            self.told("insert into kept values (1)")
            busy = self.psql(BUSY)
            deadline = time.monotonic() + LIMIT
            while self.told("select count(*) from pg_stat_activity where query like '%generate_series(1, 1%'") != "2":
                self.assertLess(time.monotonic(), deadline, "it computes")
            processes = [self.postgres.process.pid, *descendants(of=self.postgres.process.pid)]
            self.postgres.kill()
            self.assertEqual([pid for pid in processes if is_alive(pid)], [])
            busy.communicate(timeout=LIMIT)
            self.postgres.start()
            self.assertEqual(self.told("select count(*) from kept"), str(times))
