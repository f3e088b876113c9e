"""Nothing a stage starts can hide: orphans in sessions of their own are found and ended."""

import subprocess
import sys
import unittest

# In a process of its own, since it ends all that it has started.
STORY = """
import os, subprocess, sys, socket
from testing import guard
guard.adopt_orphans()
spared = subprocess.Popen(["sleep", "60"])
subprocess.run(["sh", "-c", "setsid env -i sleep 61 & setsid sh -c 'trap \\"\\" TERM; sleep 62' & sleep 0.2"])
assert len(guard.descendants()) >= 3, guard.descendants()
assert spared.pid not in guard.descendants(spare={spared.pid})
guard.TERM_SECONDS = 1
guard.end(spare={spared.pid})
assert list(guard.descendants()) == [spared.pid], guard.descendants()
guard.end()
guard.reap()
assert not guard.descendants()
before = guard.listeners()
held = socket.create_server(("127.0.0.1", 0))
inode = str(os.fstat(held.fileno()).st_ino)
assert inode not in before and inode in guard.listeners() and inode not in guard.strangers_sockets()
"""


class Orphans(unittest.TestCase):
    """What remains after a stage."""

    def test_orphans_are_adopted_found_and_ended(self):
        told = subprocess.run([sys.executable, "-c", STORY], capture_output=True, text=True, timeout=60)
        self.assertEqual(told.returncode, 0, told.stderr)
