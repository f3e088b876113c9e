"""The promises, verified on both stores by `parlour-loadtest`, with and without faults; both stores at the same time."""

import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testing.database import Database
from testing.ports import free_port
from testing.postgres import Postgres
from testing.system import House, binary
from testing.verify import verify

CALM_SECONDS = 20
FAULTY_SECONDS = 40
DELIVERIES = 25_000  # of each calm run


def on_sqlite(seconds, with_faults):
    """Verifies on a file of its own."""
    with House() as house:
        return verify(house, seconds, with_faults=with_faults)


def on_postgres(seconds, with_faults):
    """Verifies on the server of all tests, or, for faults to befall it, on one of its own."""
    with House() as house:
        if not with_faults:
            with Database() as database:
                return verify(house, seconds, STORE=database.url)
        with tempfile.TemporaryDirectory(prefix="verify-") as folder:
            Path(folder).chmod(0o711)  # the server runs as a user of its own
            postgres = Postgres(Path(folder) / "postgres")
            postgres.start()
            try:
                return verify(house, seconds, with_faults=True, postgres=postgres)
            finally:
                postgres.stop()


class Verified(unittest.TestCase):
    """Two gateways and a room service, and some sixty clients of all kinds."""

    def kept(self, seconds, with_faults):
        """On both stores every promise was tried and kept; returns the counts of each."""
        counts = []
        with ThreadPoolExecutor() as both:
            runs = {on.__name__: both.submit(on, seconds, with_faults) for on in (on_sqlite, on_postgres)}
        for name, run in runs.items():
            with self.subTest(name):
                code, report = run.result()
                self.assertIsNotNone(report, f"nothing could be judged (exit code {code})")
                verdicts = {line["promise"]: line["verdict"] for line in report["promises"]}
                self.assertEqual(set(verdicts.values()), {"kept"}, f"seed {report['seed']}: {verdicts}")
                self.assertEqual((code, report["is_kept"]), (0, True))
                counts.append(report["counts"])
        return counts

    def test_without_faults(self):
        for counts in self.kept(CALM_SECONDS, with_faults=False):
            self.assertGreaterEqual(counts["deliveries"], DELIVERIES)
            for tried in ("resumed_behind_the_head", "gateway_changes", "connections_cut", "repeats"):
                self.assertGreater(counts[tried], 0, tried)

    def test_under_faults(self):
        self.kept(FAULTY_SECONDS, with_faults=True)

    def test_an_installation_that_is_not_there_is_not_judged(self):
        command = [binary("parlour-loadtest"), "verify", "--url", f"ws://127.0.0.1:{free_port()}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("nothing could be judged", done.stderr)
