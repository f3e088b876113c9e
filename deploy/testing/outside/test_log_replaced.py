"""The log is replaced by an older copy of itself (P3, P4): whoever is connected and whoever was away is told `resync`,
with the reason, and goes on from where the log is now. Never silence, and never two logs spliced."""

import os
import shutil
import subprocess
import unittest

from testing.database import Database
from testing.postgres import programs
from testing.rpc import Client
from testing.session import Session
from testing.system import House

ROOM = "general"
KEPT, LOST = 5, 5  # messages that the copy has, and those that came after it was made
PROBED = 20  # the room service asks its log every 10 s
LATER, LOST_AFTER = "later", 30  # a room made after the copy; it is gone once two probes in a row have not found it
REASONS = ("OTHER_LOG", "AHEAD")


def seq_of(cursor):
    return int(cursor.rsplit(":", 1)[1])


class File:
    """A SQLite file, to be copied and put back while nobody has it open."""

    def __init__(self, house):
        self.path = house.folder / "parlour.db"
        self.url = f"sqlite:{self.path}"
        self.copies = house.folder / "copies"

    def copy(self):
        self.copies.mkdir()
        for path in self.path.parent.glob("parlour.db*"):
            if not path.name.endswith("-lock"):
                shutil.copy(path, self.copies)

    def put_back(self):
        for path in self.path.parent.glob("parlour.db-*"):
            if not path.name.endswith("-lock"):
                path.unlink()
        for path in self.copies.iterdir():
            shutil.copy(path, self.path.parent)


class Dump:
    """A PostgreSQL database, to be dumped and restored, whoever uses it."""

    def __init__(self, database, house):
        self.url, self.file = database.url, house.folder / "dump.sql"

    def copy(self):
        subprocess.run([programs() / "pg_dump", "-f", self.file, self.url], check=True)

    def put_back(self, *more):
        """In one transaction: others see the old log, then the copy. `more` is done in the same."""
        swap = "set client_min_messages = warning; drop schema public cascade; create schema public;"
        dump = self.file.read_text().replace("CREATE SCHEMA public;", "")
        sql = "\n".join([swap, dump, *more])
        psql = [programs() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-f", "-", self.url]
        subprocess.run(psql, input=sql, text=True, check=True, stdout=subprocess.DEVNULL)


def grow(events):
    """SQL that appends other messages to the log of the room, which has KEPT."""
    return f"""
        insert into public.event (room_id, seq, kind, at, actor_id, actor_name, actor_guest, request_key, key_is_clients,
            content)
        select id, last_seq + n, 'message', last_at + n * 7, 'restorer', 'restorer', true, 'grown-' || n, true, 'grown'
        from public.room, generate_series(1, {events}) n where name = '{ROOM}';
        update public.room set last_seq = last_seq + {events}, last_at = last_at + {events} * 7,
            message_count = message_count + {events} where name = '{ROOM}';"""


class Replaced(unittest.TestCase):
    """Each story: some messages, the copy, some more; then the copy takes the log's place."""

    def fill(self, house, first, last):
        """Somebody else says so many messages."""
        client = Client(house.grpc)
        self.addCleanup(client.close)
        for seq in range(first, last + 1):
            sent = client.call("SendMessage", room=ROOM, content=f"message {seq}", client_message_id=f"m{seq}-{os.urandom(4).hex()}")
            self.assertEqual(sent.message.id, seq)
        client.close()

    def comes_to(self, session, seq):
        frame = session.hears("message", lambda frame: frame["seq"] == seq)
        return frame["cursor"]

    def goes_away(self, house):
        """Somebody who was there to the end, and left with a cursor."""
        with Session(house.web, "away") as away:
            head = away.joins(ROOM)["cursor"]
            self.assertEqual(seq_of(head), KEPT + LOST)
            return away.token, head

    def is_told(self, session, head, seconds=30):
        """A session that stayed: the next it hears of the room's log is `resync`."""
        before = len(session.frames)
        resync = session.hears("resync", seconds=seconds)
        events = [frame for frame in session.frames[before:] if frame["type"] == "message"]
        self.assertEqual(events, [], "nothing of either log comes before it")
        self.assertEqual((resync["room"], seq_of(resync["cursor"])), (ROOM, head))
        self.assertIn(resync["reason"], REASONS)
        return resync

    def is_told_on_return(self, house, token, cursor, head):
        with Session(house.web, "away", rooms={ROOM: cursor}, token=token) as away:
            joined = away.hears("joined")
            self.assertEqual((seq_of(joined["cursor"]), joined["messages"]), (head, []))
            resync = away.hears("resync")
            self.assertEqual(resync["cursor"], joined["cursor"])
            self.assertIn(resync["reason"], REASONS)
            self.assertNotIn("message", [frame["type"] for frame in away.frames])

    def goes_on(self, house, session, head):
        """What is said next is the next event for whoever stayed."""
        before = len(session.frames)
        self.fill(house, head + 1, head + 2)
        self.comes_to(session, head + 2)
        given = [frame["seq"] for frame in session.frames[before:] if frame["type"] == "message"]
        self.assertEqual(given, [head + 1, head + 2], "P3: each once, from the resync on")
        self.assertNotIn("resync", [frame["type"] for frame in session.frames[before:]])

    def while_it_is_stopped(self, house, log, grown):
        """The gateway and one session stay; `grown` messages are in the new log before the gateway sees it."""
        room = house.room(STORE=log.url)
        self.fill(house, 1, KEPT)
        room.stop()
        log.copy()
        room.start().ready()
        house.gateway()
        with Session(house.web, "stays") as stays:
            stays.joins(ROOM)
            self.fill(house, KEPT + 1, KEPT + LOST)
            self.comes_to(stays, KEPT + LOST)
            token, cursor = self.goes_away(house)
            room.stop()
            log.put_back()
            if grown:
                self.grows_unseen(house, log, grown)
            room.start().ready()
            self.is_told(stays, KEPT + grown)
            self.is_told_on_return(house, token, cursor, KEPT + grown)
            self.goes_on(house, stays, KEPT + grown)

    def grows_unseen(self, house, log, grown):
        """Messages are appended by a room service that the gateway does not know."""
        seen, house.grpc = house.grpc, f"127.0.0.1:{int(house.grpc.rsplit(':', 1)[1]) - 1}"
        elsewhere = house.room(STORE=log.url)
        self.fill(house, KEPT + 1, KEPT + grown)
        elsewhere.stop()
        house.grpc = seen

    def test_a_sqlite_file_put_back_while_the_room_service_is_stopped(self):
        for grown in (0, LOST, LOST + 3):
            with self.subTest(grown=grown), House() as house:
                self.while_it_is_stopped(house, File(house), grown)

    def test_a_postgres_dump_restored_while_the_room_service_is_stopped(self):
        for grown in (0, LOST + 3):
            with self.subTest(grown=grown), Database() as database, House() as house:
                self.while_it_is_stopped(house, Dump(database, house), grown)

    def test_a_postgres_dump_restored_while_everybody_is_there(self):
        for grown in (0, LOST, LOST + 3):
            with self.subTest(grown=grown), Database() as database, House() as house:
                self.while_it_runs(house, Dump(database, house), grown)

    def while_it_runs(self, house, log, grown):
        house.room(STORE=log.url)
        house.gateway()
        self.fill(house, 1, KEPT)
        log.copy()
        client = Client(house.grpc)
        self.addCleanup(client.close)
        chat = client.chat()
        with Session(house.web, "stays") as stays:
            stays.joins(ROOM)
            chat.says(join={"room": ROOM})
            chat.hears("joined")
            self.fill(house, KEPT + 1, KEPT + LOST)
            self.comes_to(stays, KEPT + LOST)
            chat.hears("event", lambda event: event.seq == KEPT + LOST)
            token, cursor = self.goes_away(house)
            log.put_back(*([grow(grown)] if grown else []))
            self.is_told(stays, KEPT + grown, PROBED)
            resync = chat.hears("resync")
            self.assertEqual((seq_of(resync.cursor), resync.reason in REASONS), (KEPT + grown, True))
            self.is_told_on_return(house, token, cursor, KEPT + grown)
            self.goes_on(house, stays, KEPT + grown)
            self.assertEqual(chat.hears("event").seq, KEPT + grown + 1, "P3: the very next, on Chat too")
        chat.ends()

    def test_a_postgres_dump_that_lacks_a_room_restored_while_people_are_in_it(self):
        """By both ways: nobody waits for a room that is no more, now or when they come back; the others go on."""
        with Database() as database, House() as house:
            log = Dump(database, house)
            house.room(STORE=log.url)
            house.gateway()
            self.fill(house, 1, KEPT)
            log.copy()
            client = Client(house.grpc)
            self.addCleanup(client.close)
            client.call("CreateRoom", name=LATER, title="Later")
            chat = client.chat()
            with Session(house.web, "stays") as stays:
                for room in (ROOM, LATER):
                    stays.joins(room)
                    chat.says(join={"room": room})
                    chat.hears("joined")
                with Session(house.web, "away") as away:
                    cursor, token = away.joins(LATER)["cursor"], away.token
                log.put_back()
                for gone in (stays.hears("gone", seconds=LOST_AFTER), chat.hears("gone")):
                    room, reason = (gone["room"], gone["reason"]) if isinstance(gone, dict) else (gone.room, gone.reason)
                    self.assertEqual((room, reason), (LATER, "ROOM_NOT_FOUND"))
                with Session(house.web, "away", rooms={LATER: cursor}, token=token) as away:
                    self.assertEqual(away.hears("gone")["reason"], "ROOM_NOT_FOUND")
                self.fill(house, KEPT + 1, KEPT + 1)
                self.comes_to(stays, KEPT + 1)
            chat.ends()
