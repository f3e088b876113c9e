"""P6 through a power cut: what was acknowledged was on the disk before."""

import itertools
import random
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testing import strace
from testing.database import Database
from testing.postgres import Postgres
from testing.rpc import Client
from testing.system import SERVICE_TOKEN, House, Service

ROOM = "general"
SENDERS = 8
LIMIT = 60
ROUNDS = 12
SENT_A_ROUND = 60  # acknowledged before the next stop, at the least
LONG = "x" * 2000  # so that the WAL is written back to the database, and begun again, during the rounds
TRACED = 12  # messages of each sender
CALLS = ["pwrite64", "write", "fdatasync", "fsync", "sendto", "sendmsg", "writev"]


class Load:
    """Senders, each with one message on its way, until it is left."""

    def __init__(self, address, turns=None, padding=""):
        self.address, self.turns, self.padding = address, turns, padding
        self.acknowledged = {}  # content → seq
        self.grown = threading.Condition()
        self.enough = threading.Event()
        self.pool = ThreadPoolExecutor(SENDERS)

    def __enter__(self):
        self.senders = [self.pool.submit(self.send, sender) for sender in range(SENDERS)]
        return self

    def __exit__(self, *_):
        self.enough.set()
        self.pool.shutdown()

    def finish(self):
        """Waits until all have sent their turns; raises what one of them met."""
        for sender in self.senders:
            sender.result(LIMIT)

    def send(self, sender):
        """Sends, and writes down what was acknowledged."""
        client = Client(self.address)
        try:
            for turn in itertools.count() if self.turns is None else range(self.turns):
                if self.enough.is_set():
                    return
                content = f"<{sender}.{turn}>"
                answer = client.call("SendMessage", room=ROOM, content=content + self.padding,
                                     client_message_id=f"{sender}-{turn}")  # fmt: skip
                with self.grown:
                    self.acknowledged[content] = answer.message.id
                    self.grown.notify_all()
        finally:
            client.close()

    def until(self, count):
        """Waits until so many have been acknowledged."""
        with self.grown:
            if not self.grown.wait_for(lambda: len(self.acknowledged) >= count, LIMIT):
                raise AssertionError(f"{len(self.acknowledged)} of {count} were acknowledged")

    def so_far(self):
        """What has been acknowledged up to now."""
        with self.grown:
            return dict(self.acknowledged)


def stopped(process):
    """Stops a process, and waits until none of its threads runs."""
    process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + LIMIT
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        while (task / "stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
            if time.monotonic() > deadline:
                raise AssertionError(f"thread {task.name} does not stop")


class Stopped(unittest.TestCase):
    """The files as a stop leaves them."""

    def copy(self, house, room, load, folder):
        """Copies the database and its WAL while nothing moves; returns what had been acknowledged."""
        stopped(room.process)
        try:
            for name in ("parlour.db", "parlour.db-wal"):
                shutil.copy(house.folder / name, folder / name)
            return load.so_far()  # nothing is acknowledged now but what had left before
        finally:
            room.process.send_signal(signal.SIGCONT)

    def holds(self, folder, acknowledged):
        database = sqlite3.connect(folder / "parlour.db")
        try:
            self.assertEqual(database.execute("pragma integrity_check").fetchall(), [("ok",)])
            rows = database.execute("select seq, content from event where kind = 'message' order by seq").fetchall()
        finally:
            database.close()
        self.assertEqual([seq for seq, _ in rows], list(range(1, len(rows) + 1)), "P2: seqs are gapless")
        kept = {content.removesuffix(LONG): seq for seq, content in rows}
        lost = {content: seq for content, seq in acknowledged.items() if kept.get(content) != seq}
        self.assertEqual(lost, {}, "P6: acknowledged, and not there")

    def test_p6_the_files_at_any_moment_hold_what_was_acknowledged(self):
        with House() as house:
            room = house.room(SEND_RATE=0)
            with Load(house.grpc, padding=LONG) as load:
                for turn in range(1, ROUNDS + 1):
                    load.until(turn * SENT_A_ROUND)
                    time.sleep(random.uniform(0, 0.01))  # so that each stop meets a batch at another point
                    with House() as heir:
                        acknowledged = self.copy(house, room, load, heir.folder)
                        if turn == ROUNDS:
                            self.assertEqual(heir.room().stop(), 0)
                        self.holds(heir.folder, acknowledged)
                load.enough.set()
                load.finish()


class Traced(unittest.TestCase):
    """The order in which the room service writes, syncs and answers."""

    def trace(self, house):
        """The calls of a room service under load, and what it acknowledged."""
        file = house.folder / "trace"
        room = Service("parlour-room", house.folder, ROOM_LISTEN=house.grpc, SERVICE_TOKEN=SERVICE_TOKEN,
                       STORE=f"sqlite:{house.folder}/parlour.db", SEND_RATE=0)  # fmt: skip
        room.under = strace.under(file, CALLS)
        house.services.append(room.start())
        room.ready()
        with Load(house.grpc, turns=TRACED) as load:
            load.finish()
        self.assertEqual(room.stop(), 0)
        return strace.read(file), load.so_far()

    def test_p6_between_the_write_and_the_answer_the_wal_is_synced(self):
        with House() as house:
            calls, acknowledged = self.trace(house)
        self.assertEqual(len(acknowledged), SENDERS * TRACED)
        wal = [call for call in calls if call.handle.endswith("/parlour.db-wal") and call.result is not None]
        written = [call for call in wal if "write" in call.name and call.result > 0]
        synced = [call for call in wal if call.name in ("fsync", "fdatasync") and call.result == 0]
        told = [call for call in calls if call.handle.startswith("TCP") and call.name not in ("fsync", "fdatasync")]
        for content in acknowledged:
            write = next(call for call in written if content in call.said)
            answer = next(call for call in told if content in call.said)
            between = [sync for sync in synced if write.ended < sync.began and sync.ended < answer.began]
            told_early = f"{content}: written by call {write.began}, told by {answer.began}, no sync in between"
            self.assertTrue(between, told_early)


class Warned(unittest.TestCase):
    """A PostgreSQL that a power cut can harm."""

    SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")

    def warned_of(self, url):
        """The settings that a room service on this database warns of."""
        with House() as house:
            said = house.room(STORE=url).said()
        return [name for name in self.SETTINGS for _ in range(said.count(f"{name} is off in PostgreSQL"))]

    def test_p6_each_setting_that_is_off_is_warned_of_once(self):
        with Database() as database:  # of a server that runs without the first two, for speed
            self.assertEqual(self.warned_of(database.url), ["fsync", "full_page_writes"])
            database.sql(f"alter database {database.name} set synchronous_commit = off")
            self.assertEqual(self.warned_of(database.url), list(self.SETTINGS))

    def test_p6_a_server_with_its_own_settings_is_not_warned_of(self):
        with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
            Path(folder).chmod(0o711)  # the database's user has a folder inside
            postgres = Postgres(Path(folder) / "cluster", settings=[])
            try:
                postgres.start()
                self.assertEqual(self.warned_of(postgres.url), [])
            finally:
                postgres.stop()
