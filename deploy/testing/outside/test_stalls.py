"""P13: healthy means committing. A store that hangs, is locked or full, for real: unready within seconds, sends are
refused with a wait, sessions stay, and all is well again by itself."""

import os
import re
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from testing.database import Database
from testing.postgres import Postgres
from testing.proxy import Proxy
from testing.rpc import SERVICE, Client
from testing.session import Session
from testing.system import House

ROOM, ANOTHER = "general", "random"
UNREADY_SECONDS = 10  # a proof may be 5 s old, and is asked for every second
RECOVER_SECONDS = 20
PROOF_AGE = 5
SERVING, NOT_SERVING = 1, 2  # of grpc.health.v1


class Disk:
    """A small file system of its own."""

    def __init__(self, megabytes):
        self.megabytes = megabytes

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="disk-")
        self.path = Path(self._folder.name)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m,mode=700", "none", str(self.path)]
        done = subprocess.run(mount, capture_output=True, text=True)
        if done.returncode != 0:
            self._folder.cleanup()
            raise unittest.SkipTest(f"SKIPPED: no disk can be filled here: {done.stderr.strip()}")
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", str(self.path)], check=True)
        self._folder.cleanup()

    def fill(self):
        """Leaves no byte free."""
        with (self.path / "filler").open("wb", buffering=0) as filler:
            try:
                while filler.write(b"x" * 4096):
                    pass
            except OSError:
                pass

    def free(self):
        """Gives all of that back."""
        (self.path / "filler").unlink()


class Stalls(unittest.TestCase):
    """The room service and a gateway as processes of their own, with a session in a room."""

    def metric(self, service, name):
        return float(re.search(rf"(?m)^{re.escape(name)} (\S+)$", service.get("/metrics")[1])[1])

    def within(self, seconds, what, condition):
        """Waits until something is so; returns how long that took."""
        started = time.monotonic()
        while not condition():
            self.assertLess(time.monotonic() - started, seconds, what)
            time.sleep(0.05)
        return time.monotonic() - started

    def the_story(self, house, store, hang, go_on):
        """`hang` makes the store hang, `go_on` lets it go on."""
        room = house.room(STORE=store, REQUEST_SECONDS=2, SEND_RATE=0)
        gateway = house.gateway(REQUEST_SECONDS=3)
        client = Client(house.grpc)
        self.addCleanup(client.close)
        self.assertEqual(self.health(client), SERVING)
        with Session(house.web, "ada") as ada, Session(house.web, "bob") as bob:
            ada.joins(ROOM)
            before = ada.posts(ROOM, "before", "before")
            self.assertEqual(before["type"], "ack", before)
            self.assertLess(self.metric(room, 'parlour_readiness_proof_age_seconds{service="room"}'), PROOF_AGE)
            hang()
            started = time.monotonic()
            refused = self.refusal(ada)
            self.assertGreater(refused["retry_after_ms"], 0)
            is_in = self.join(bob)
            self.within(UNREADY_SECONDS, "unready", lambda: room.get("/readyz")[0] == 503)
            unready = time.monotonic() - started
            self.within(2, "gRPC health is told", lambda: self.health(client) == NOT_SERVING)
            self.within(2, "told", lambda: self.metric(room, 'parlour_readiness_proof_age_seconds{service="room"}') > PROOF_AGE)
            self.assertEqual(room.get("/livez")[0], 200)
            self.assertEqual(gateway.get("/readyz")[0], 200, "the store's state is not the gateway's")
            self.assertLess(self.metric(gateway, 'parlour_readiness_proof_age_seconds{service="gateway"}'), PROOF_AGE)
            self.refusal(ada)
            go_on()
            self.within(RECOVER_SECONDS, "a room that could not be loaded is tried again", lambda: is_in or self.join(bob))
            ready = self.within(RECOVER_SECONDS, "ready", lambda: room.get("/readyz")[0] == 200)
            self.within(2, "gRPC health is told", lambda: self.health(client) == SERVING)
            after = self.acknowledged(ada, refused["id"])
            last = self.acknowledged(ada, "last")
            self.assertGreater(last["seq"], after["seq"])
            while last["seq"] not in self.given(ada):
                ada.hears("message")
            given = self.given(ada)[: last["seq"]]
            self.assertEqual(given, list(range(1, last["seq"] + 1)), "P3: each once, over the same socket")
        print(f"    unready after {unready:.1f} s, ready again {ready:.1f} s after it went on", flush=True)

    def join(self, session):
        """Asks to join a room that nobody else was in; whether the store could say what is in it."""
        session.says(type="join", room=ANOTHER, id="join")
        answer = session.answer("join")
        if answer["type"] == "error":
            self.assertEqual(answer["code"], "UNAVAILABLE", answer)
        return answer["type"] == "joined"

    def health(self, client):
        return client.call("grpc.health.v1.Health/Check", service=SERVICE).status

    def given(self, session):
        return [frame["seq"] for frame in session.frames if frame["type"] == "message"]

    def refusal(self, session):
        """Sends until one is refused; returns that refusal."""
        deadline = time.monotonic() + UNREADY_SECONDS
        while time.monotonic() < deadline:
            answer = session.posts(ROOM, "x" * 3000, f"k{time.monotonic_ns()}")
            if answer["type"] == "error":
                self.assertEqual(answer["code"], "UNAVAILABLE", answer)
                return answer
        raise AssertionError("every send was acknowledged")

    def acknowledged(self, session, key):
        """Sends, again with its key while the store is unavailable; returns the answer."""
        deadline = time.monotonic() + RECOVER_SECONDS
        while True:
            answer = session.posts(ROOM, "again", key)
            if answer["type"] == "ack":
                return answer
            self.assertEqual(answer["code"], "UNAVAILABLE", answer)
            self.assertLess(time.monotonic(), deadline, "not acknowledged")
            time.sleep(answer["retry_after_ms"] / 1000)

    def test_p13_postgres_that_is_stopped(self):
        with tempfile.TemporaryDirectory(prefix="stopped-") as folder:
            os.chmod(folder, 0o711)
            postgres = Postgres(Path(folder) / "postgres")
            postgres.start()
            try:
                with House() as house:
                    self.the_story(house, postgres.url, lambda: postgres.signal(signal.SIGSTOP),
                                   lambda: postgres.signal(signal.SIGCONT))  # fmt: skip
            finally:
                postgres.signal(signal.SIGCONT)
                postgres.stop()

    def test_p13_postgres_behind_a_proxy_that_stalls(self):
        with Database() as database:
            server, _, port = database.url.split("@")[1].split("/")[0].partition(":")
            with Proxy((server, int(port))) as proxy, House() as house:
                url = database.url.replace(f":{port}/", f":{proxy.port}/")
                self.the_story(house, url, proxy.stall, proxy.mend)

    def test_p13_sqlite_that_another_has_locked(self):
        with House() as house:
            other = []

            def lock():
                other.append(sqlite3.connect(house.folder / "parlour.db", isolation_level=None, timeout=5))
                other[0].execute("begin exclusive")

            def unlock():
                other[0].execute("rollback")
                other[0].close()

            self.the_story(house, f"sqlite:{house.folder}/parlour.db", lock, unlock)

    def test_p13_sqlite_on_a_disk_that_is_full(self):
        with Disk(megabytes=8) as disk, House() as house:
            self.the_story(house, f"sqlite:{disk.path}/parlour.db", disk.fill, disk.free)
