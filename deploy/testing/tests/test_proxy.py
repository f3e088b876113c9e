"""The proxy does to connections what it says, and never to their bytes."""

import random
import socket
import struct
import threading
import time
import unittest
from contextlib import suppress

from testing.proxy import DOWN, UP, Proxy

LIMIT = 20
SOON = 0.3  # within which what passes at all has passed
DATA_SEGMENTS_IN = 152  # of the kernel's struct tcp_info
BYTES = random.Random(1).randbytes(3_000_000)


def sends(end, data):
    """Sends, until somebody ends that."""
    with suppress(OSError):
        end.sendall(data)


class Through(unittest.TestCase):
    """Connections to a server of the test's own, both ends in its hands."""

    def setUp(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        self.listener.settimeout(LIMIT)
        self.proxy = Proxy(self.listener.getsockname())
        self.addCleanup(self.proxy.__exit__)

    def connected(self):
        """The client's end and the server's of a new connection."""
        client = socket.create_connection(("127.0.0.1", self.proxy.port), LIMIT)
        server, _ = self.listener.accept()
        for end in (client, server):
            end.settimeout(LIMIT)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.addCleanup(end.close)
        return client, server

    def passes(self, sender, receiver, data=b"something"):
        """What is sent arrives, unchanged; returns how long that took."""
        started = time.monotonic()
        sending = threading.Thread(target=sends, args=(sender, data), daemon=True)
        sending.start()
        got = bytearray()
        while len(got) < len(data):
            chunk = receiver.recv(65536)
            self.assertTrue(chunk, "it was closed")
            got += chunk
        sending.join(LIMIT)
        self.assertTrue(got == data, "bytes were changed")
        return time.monotonic() - started

    def nothing_comes(self, end):
        """Neither bytes nor an end."""
        end.settimeout(SOON)
        with self.assertRaises(TimeoutError):
            end.recv(1)
        end.settimeout(LIMIT)

    def is_reset(self, end):
        with self.assertRaises(ConnectionResetError):
            while end.recv(65536):
                pass

    def is_reset_at_once(self):
        """Whoever connects now is reset, be it before it knows that it is connected."""
        with self.assertRaises(ConnectionResetError), socket.create_connection(("127.0.0.1", self.proxy.port), LIMIT) as end:
            end.recv(1)

    def is_closed(self, end):
        self.assertEqual(end.recv(1), b"")

    def test_bytes_pass_both_ways_and_a_close_is_a_close(self):
        client, server = self.connected()
        self.passes(client, server, BYTES)
        self.passes(server, client, BYTES)
        client.shutdown(socket.SHUT_WR)
        self.is_closed(server)
        self.passes(server, client)
        server.close()
        self.is_closed(client)

    def test_a_reset_is_handed_on_as_a_reset(self):
        for which in (0, 1):
            ends = self.connected()
            self.passes(*ends)
            ends[which].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            ends[which].close()
            self.is_reset(ends[1 - which])

    def test_a_target_that_is_not_there_is_a_reset(self):
        self.listener.close()
        self.is_reset_at_once()

    def test_a_cut_resets_all_and_whoever_comes_until_it_is_mended(self):
        before = [*self.connected(), *self.connected()]
        self.passes(before[0], before[1])
        self.proxy.cut()
        for end in before:
            self.is_reset(end)
        self.is_reset_at_once()
        self.proxy.mend()
        self.passes(*self.connected())

    def test_a_cut_of_one_leaves_the_others(self):
        pairs = [self.connected() for _ in range(5)]
        for pair in pairs:
            self.passes(*pair)
        self.proxy.cut_one(random.Random(1))
        living = 0
        for client, server in pairs:
            try:
                self.passes(client, server)
                living += 1
            except ConnectionError:
                pass
        self.assertEqual(living, 4)

    def test_a_stall_holds_everything_closes_nothing_and_all_of_it_passes_afterwards(self):
        client, server = self.connected()
        self.proxy.stall()
        server.sendall(b"down")
        self.nothing_comes(client)
        late, taken = self.connected()
        client.settimeout(SOON)
        sent = 0
        with self.assertRaises(TimeoutError, msg="the kernel's buffers fill"):
            while sent < len(BYTES) * 10:
                sent += client.send(BYTES[sent % len(BYTES) :][:65536])
        late.sendall(b"late")
        late.close()
        self.nothing_comes(server)
        self.nothing_comes(taken)
        self.proxy.mend()
        client.settimeout(LIMIT)
        self.assertEqual(client.recv(4), b"down")
        got = 0
        while got < sent:
            chunk = server.recv(min(65536, sent - got))
            start = got % len(BYTES)
            self.assertTrue((BYTES + BYTES)[start : start + len(chunk)] == chunk, "bytes were changed")
            got += len(chunk)
        self.assertEqual(taken.recv(9), b"late")
        self.is_closed(taken)

    def test_a_stall_of_one_way_leaves_the_other(self):
        client, server = self.connected()
        self.proxy.stall((UP,))
        client.sendall(b"up")
        self.passes(server, client)
        self.nothing_comes(server)
        self.proxy.mend()
        self.assertEqual(server.recv(2), b"up")

    def test_half_open_loses_a_way_or_both_tells_no_end_and_ends_when_mended(self):
        for loses in ((UP,), (DOWN,), (UP, DOWN)):
            with self.subTest(loses=loses):
                client, server = self.connected()
                self.proxy.half_open(loses)
                for way, sender, receiver in ((UP, client, server), (DOWN, server, client)):
                    if way in loses:
                        sender.sendall(BYTES)  # taken, all of it
                        self.nothing_comes(receiver)
                    else:
                        self.passes(sender, receiver)
                self.passes(*self.connected())
                client.close()
                self.nothing_comes(server)
                self.proxy.mend()
                self.is_reset(server)

    def test_half_open_with_one_end_closed_which_the_other_never_hears_of(self):
        for closes, living in ((UP, 0), (DOWN, 1)):
            ends = self.connected()
            self.passes(*ends)
            self.proxy.half_open(closes=closes)
            self.is_closed(ends[1 - living])
            ends[1 - living].close()
            ends[living].sendall(b"is anybody there?")
            self.nothing_comes(ends[living])
            self.proxy.mend()
            self.is_reset(ends[living])

    def test_slow_keeps_its_rate_and_delay_each_way(self):
        client, server = self.connected()
        self.proxy.slow(bytes_per_second=100_000, delay_seconds=0.1)
        self.assertGreaterEqual(self.passes(client, server), 0.1)
        for sender, receiver in ((client, server), (server, client)):
            took = self.passes(sender, receiver, BYTES[:50_000])
            self.assertGreaterEqual(took, 0.5)
            self.assertLess(took, 2)
        self.proxy.mend()
        self.assertLess(self.passes(client, server), 0.1)

    def test_slices_are_small_and_odd_and_the_bytes_unchanged(self):
        client, server = self.connected()
        data = BYTES[:20_000]
        for sender, receiver in ((client, server), (server, client)):
            self.passes(sender, receiver, data)
            before = self.segments(receiver)
            self.proxy.slice(random.Random(1))
            self.passes(sender, receiver, data)
            self.assertGreater(self.segments(receiver) - before, len(data) / 400, "167 bytes on average")
            self.proxy.mend()
            before = self.segments(receiver)
            self.passes(sender, receiver, data)
            self.assertLess(self.segments(receiver) - before, 10)

    def segments(self, end):
        """How many segments with data have come to it."""
        told = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return struct.unpack_from("I", told, DATA_SEGMENTS_IN)[0]

    def test_after_its_end_nothing_is_open(self):
        proxy = Proxy(self.listener.getsockname())
        with proxy:
            client = socket.create_connection(("127.0.0.1", proxy.port), LIMIT)
            server, _ = self.listener.accept()
            proxy.stall()
        with client, server:
            self.is_reset(client)
            self.is_reset(server)
        with self.assertRaises(ConnectionError):
            socket.create_connection(("127.0.0.1", proxy.port), LIMIT)


if __name__ == "__main__":
    unittest.main()
