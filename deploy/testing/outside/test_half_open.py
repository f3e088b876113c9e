"""P10: a gateway's way to the room service that is dead without a word is noticed and replaced, and nobody leaves."""

import time
import unittest

from testing.ports import free_port
from testing.proxy import DOWN, UP, Proxy
from testing.session import Session
from testing.system import House

ROOM = "general"
AGAIN_SECONDS = 9  # 5 s of silence, half a second until another way is tried, and a machine that is busy


class HalfOpen(unittest.TestCase):
    """bob comes by the gateway whose way dies, and ada watches by another."""

    def the_story(self, **how):
        with House() as house:
            house.room()
            host, _, port = house.grpc.partition(":")
            with Proxy((host, int(port))) as proxy:
                other = f"127.0.0.1:{free_port()}"
                house.gateway(ROOM_URL=f"http://127.0.0.1:{proxy.port}")
                house.gateway(GATEWAY_LISTEN=other)
                with Session(other, "ada") as ada, Session(house.web, "bob") as bob:
                    ada.joins(ROOM)
                    bob.joins(ROOM)
                    self.assertEqual(bob.posts(ROOM, "before", "before")["type"], "ack")
                    proxy.half_open(**how)
                    started = time.monotonic()
                    while bob.posts(ROOM, "after", "after")["type"] != "ack":
                        self.assertLess(time.monotonic() - started, AGAIN_SECONDS, "it is not given up")
                    took = time.monotonic() - started
                    self.assertLess(took, AGAIN_SECONDS, "it is given up late")
                    ada.hears("message", lambda frame: frame["data"]["content"] == "after")
                    left = [frame for frame in ada.frames if frame["type"] == "presence" and frame["left"]]
                    self.assertEqual(left, [], "nobody left")
        print(f"    acknowledged {took:.1f} s after all was lost {how}", flush=True)

    def test_p10_when_nothing_arrives_either_way(self):
        self.the_story()

    def test_p10_when_nothing_arrives_at_the_room_service(self):
        self.the_story(loses=(UP,))

    def test_p10_when_nothing_arrives_at_the_gateway(self):
        self.the_story(loses=(DOWN,))

    def test_p10_when_the_room_service_s_end_is_closed_and_the_gateway_never_hears_of_it(self):
        self.the_story(closes=UP)
