"""P4, P7: everybody loses the connection at once and returns with a cursor. Each is given what it missed, once and in
order, while those who stayed go on, and nobody is told that anyone had left."""

import json
import subprocess
import unittest

from testing.system import House, binary

ROOMS, SESSIONS, MISSED = 10, 100, 30
LIMIT = 120


class Storm(unittest.TestCase):
    """A room service and a gateway."""

    def test_p4_a_thousand_return_at_once_to_what_they_missed(self):
        with House() as house:
            for service in (house.room, house.gateway):
                service(SEND_RATE=0, LOG="warn")
            command = [binary("parlour-loadtest"), "storm", "--url", f"ws://{house.web}", "--rooms", str(ROOMS)]
            command += ["--sessions", str(SESSIONS), "--missed", str(MISSED), "--settle", "0"]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual((told["sessions"], told["lost"], told["left_told"]), (ROOMS * SESSIONS, 0, 0))
