"""P8: who takes nothing costs the others neither delay nor memory. Fifty sockets, fifty streams of `Chat`, and a whole
gateway, each beside a thousand members who are told something twenty times a second."""

import json
import os
import signal
import subprocess
import threading
import time
import unittest

from testing.ports import free_port
from testing.system import House, binary

MEMBERS, STALLED = 1000, 50
# What each may cost: an outbox of 1 MiB (a relay's: 16 MiB), a page in every buffer on its way, those of gRPC and HTTP/2
# too, and what an allocator keeps of what was freed. Without a bound it is 10 MiB for each stream.
SOCKET_KIB, CHAT_KIB, RELAY_KIB = 3 * 1024, 4 * 1024, 64 * 1024
LATER, MORE_MEMORY = 1.5, 1.1  # p99 and memory beside those without them
ROUNDS = 4  # others use the machine too: a round that keeps the bound shows that it can be kept
SETTLE, WARMUP, SECONDS = 1, 4, 4
# They are to stay stuck throughout, and nobody is to be limited.
SETTINGS = {"SEND_RATE": 0, "STALL_SECONDS": 60, "LOG": "warn"}
LIMIT = 120


class Stuck(unittest.TestCase):
    """A room service and two gateways; members are at the first."""

    @classmethod
    def setUpClass(cls):
        cls.house = cls.enterClassContext(House())
        cls.room = cls.house.room(**SETTINGS)
        cls.gateway = cls.house.gateway(**SETTINGS)
        cls.other_web = f"127.0.0.1:{free_port()}"
        cls.other = cls.house.gateway(**SETTINGS | {"GATEWAY_LISTEN": cls.other_web})

    def measured(self, *stalled):
        """p99 in milliseconds, and memory in KiB, of a thousand members beside such ones."""
        command = [binary("parlour-loadtest"), "bench", "--url", f"ws://{self.house.web}", "--load", "rate:20"]
        given = {"members": MEMBERS, "content": 2000, "settle": SETTLE, "warmup": WARMUP, "seconds": SECONDS}
        command += [part for name, value in given.items() for part in (f"--{name}", str(value))]
        for service in (self.room, self.gateway):
            command += ["--pid", str(service.process.pid)]
        done = subprocess.run([*command, *stalled], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)  # nothing lost, repeated or reordered
        figures = json.loads(done.stdout)
        self.assertGreaterEqual(figures["deliveries"], MEMBERS * 20 * SECONDS * 0.8)
        return figures["latency_ms"]["p99"], figures["memory_kib"][-1]

    def costs_nobody(self, allowed_kib, *stalled, measured=None):
        """Compares with and without, in turns."""
        measured = measured or self.measured
        seen = []
        for _ in range(ROUNDS):
            alone, memory_alone = self.measured()
            beside, memory_beside = measured("--stalled", str(STALLED), *stalled)
            seen.append(f"p99 {alone:.1f} ms alone, {beside:.1f} ms beside; {memory_alone}, {memory_beside} KiB")
            self.assertLessEqual(memory_beside, memory_alone * MORE_MEMORY + allowed_kib, seen)
            if beside <= alone * LATER:
                print(f"{self.id().split('.')[-1]}: {seen}", flush=True)
                return
        self.fail(f"beside those who take nothing the others wait longer: {seen}")

    def test_p8_fifty_sockets_that_take_nothing(self):
        self.costs_nobody(STALLED * SOCKET_KIB)

    def test_p8_fifty_chat_streams_that_take_nothing(self):
        self.costs_nobody(STALLED * CHAT_KIB, "--stalled-grpc", f"http://{self.house.grpc}")

    def test_p8_a_gateway_that_takes_nothing(self):
        def with_the_other_stopped(*stalled):
            """Stops the other gateway once those are in."""
            stopping = threading.Thread(target=self.stop_the_other)
            stopping.start()
            try:
                return self.measured(*stalled)
            finally:
                stopping.join()
                os.kill(self.other.process.pid, signal.SIGCONT)

        self.costs_nobody(RELAY_KIB, "--stalled-url", f"ws://{self.other_web}", measured=with_the_other_stopped)

    def stop_the_other(self):
        """SIGSTOP, when all of them are connected to it."""
        deadline = time.monotonic() + LIMIT
        while f"parlour_gateway_sessions {STALLED}" not in self.other.get("/metrics")[1]:
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)
        self.other.process.send_signal(signal.SIGSTOP)
