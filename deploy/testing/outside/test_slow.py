"""P8: who takes slowly stays. A page is one frame, and over a slow link it takes longer than a peer may take nothing."""

import time
import unittest
from contextlib import ExitStack

from testing.proxy import Proxy
from testing.rpc import Client
from testing.session import Session
from testing.system import House

ROOM, MESSAGES, CONTENT = "general", 200, "x" * 4000
STALL_SECONDS = 2
BYTES_PER_SECOND, DELAY_SECONDS = 150_000, 0.1
PAGES = 9  # more than are on the way at once, so that one has to wait for another
SETTINGS = {"SEND_RATE": 0, "STALL_SECONDS": STALL_SECONDS}


class Slow(unittest.TestCase):
    """A room service and a gateway, each beyond a slow link."""

    @classmethod
    def setUpClass(cls):
        cls.house = cls.enterClassContext(House())
        cls.house.room(**SETTINGS)
        cls.house.gateway(**SETTINGS)
        with Session(cls.house.web, "filler") as filler:
            for n in range(MESSAGES):
                filler.posts(ROOM, CONTENT, f"m{n}")

    def slowly(self, address):
        """The same address beyond a slow link."""
        host, _, port = address.rpartition(":")
        proxy = self.enterContext(Proxy((host, int(port))))
        proxy.slow(BYTES_PER_SECOND, DELAY_SECONDS)
        return f"127.0.0.1:{proxy.port}"

    def takes_long(self, page):
        """It is the newest one, and takes longer than a stall."""
        started = time.monotonic()
        newest, count = page()
        took = time.monotonic() - started
        self.assertEqual(newest, MESSAGES)
        self.assertGreater(count, 100)
        self.assertGreater(took, 1.5 * STALL_SECONDS, "it is not slow")

    def test_p8_a_browser_beyond_a_slow_link(self):
        with Session(self.slowly(self.house.web), "slow") as slow:

            def page():
                slow.says(type="history", room=ROOM, limit=MESSAGES)
                messages = slow.hears("history")["messages"]
                return messages[-1]["id"], len(messages)

            self.takes_long(page)
            self.assertEqual(slow.joins(ROOM)["messages"][-1]["id"], MESSAGES, "and it goes on")

    def test_p8_a_chat_stream_beyond_a_slow_link(self):
        with ExitStack() as ends:
            client = Client(self.slowly(self.house.grpc))
            ends.callback(client.close)
            slow = client.chat()

            def page():
                messages = slow.hears("history").messages
                return messages[-1].id, len(messages)

            for n in range(PAGES):
                slow.says(id=str(n), history={"room": ROOM, "limit": MESSAGES})
            for _ in range(PAGES):
                self.takes_long(page)
            slow.says(join={"room": ROOM})
            self.assertEqual(slow.hears("joined").messages[-1].id, MESSAGES, "and it goes on")
