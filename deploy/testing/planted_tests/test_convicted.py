"""The checker is judged: a room service that makes a known mistake is convicted, by name of the promises it breaks."""

import os
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

from testing.run import PLANTED, ROOT
from testing.system import House, binary
from testing.verify import verify

SECONDS = 12
BREAKS = {"no-look-up-of-repeats": {"P2", "P5"}, "publish-before-commit": {"P2"}}


def convicts(mistake):
    """Runs the checker beside a room service that makes it."""
    with House() as house:
        return verify(house, SECONDS, PLANTED_MISTAKE=mistake)


class Convicted(unittest.TestCase):
    """Programs as they are built, but for the room service."""

    def setUp(self):
        subprocess.run(["cargo", "build", *PLANTED, "--example", "planted-room"], cwd=ROOT, check=True)
        folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="planted-")))
        (folder / "parlour-room").symlink_to(binary("examples") / "planted-room")
        for name in ("parlour-gateway", "parlour-loadtest"):
            (folder / name).symlink_to(binary(name))
        self.enterContext(patch.dict(os.environ, PARLOUR_TEST_BIN=str(folder)))

    def test_a_mistake_breaks_what_it_is_known_to_break(self):
        with ThreadPoolExecutor() as both:
            runs = {mistake: both.submit(convicts, mistake) for mistake in BREAKS}
        for mistake, run in runs.items():
            with self.subTest(mistake):
                code, report = run.result()
                self.assertIsNotNone(report, f"nothing could be judged (exit code {code})")
                verdicts = {line["promise"]: line["verdict"] for line in report["promises"]}
                broken = {promise for promise, verdict in verdicts.items() if verdict == "broken"}
                print(f"{mistake}: {sorted(broken)}", flush=True)
                self.assertLessEqual(BREAKS[mistake], broken, f"seed {report['seed']}: {verdicts}")
                self.assertEqual(code, 1)
