"""A browser without a screen: the full protocol over a WebSocket, with the outbox and the resuming of a good client.

Owns: one session after another of one guest in one room, what it has said, and what it has been given.
Promises: it keeps one message in flight, repeats it with its key until it is acknowledged, says again what it is made to
doubt, and comes back with its cursor whatever happens to its socket.
Never: decides whether what it was given is right; tests do.
"""

import asyncio
import json
import random

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

AGAIN = ("UNAVAILABLE", "RATE_LIMITED")


class Browser:
    """One client."""

    def __init__(self, web, room, name):
        self.url, self.room, self.name = f"ws://{web}/chat", room, name
        self.token, self.cursor = None, ""
        self.acknowledged = {}  # key → seq
        self.given = []  # (seq, key) of each event, as it came
        self.first = None  # the seq after which the first session began
        self.resyncs, self.refusals, self.sessions = [], [], 0
        self.contradictions = []  # acks that name another seq than the first of that key
        self.enough = asyncio.Event()  # say nothing more
        self.moved = asyncio.Condition()
        self.spoken = 0
        self.saying = 0  # the number of the message in flight
        self.doubts = []  # numbers of messages that are to be said again

    async def live(self):
        """Stays connected until cancelled."""
        while True:
            try:
                async with connect(self.url, open_timeout=5, close_timeout=1) as socket:
                    await self.session(socket)
            except (OSError, WebSocketException, TimeoutError):
                await asyncio.sleep(random.uniform(0.05, 0.3))  # the jitter of any client's reconnecting

    async def session(self, socket):
        """One session, until its socket ends."""
        hello = {"type": "hello", "version": 1, "name": self.name, "rooms": {self.room: self.cursor}}
        if self.token:
            hello["guest_token"] = self.token
        await socket.send(json.dumps(hello))
        self.sessions += 1
        async for text in socket:
            await self.take(socket, json.loads(text))
            async with self.moved:
                self.moved.notify_all()

    async def take(self, socket, frame):
        """Takes one frame."""
        kind = frame["type"]
        if kind == "welcome":
            self.token = frame["guest_token"]
        elif kind == "joined":
            if self.first is None:
                self.first, self.cursor = seq_of(frame["cursor"]), frame["cursor"]
            await self.speak(socket)
        elif kind in ("message", "event"):
            self.cursor = frame["cursor"]
            self.given.append((frame["seq"], frame.get("data", {}).get("client_message_id")))
        elif kind == "ack" and frame.get("id") == self.key:
            if self.acknowledged.setdefault(self.key, frame["seq"]) != frame["seq"]:
                self.contradictions.append(frame)
            self.spoken += self.saying == self.spoken
            self.saying = self.doubts.pop() if self.doubts else self.spoken
            await self.speak(socket)
        elif kind == "error" and frame.get("id") == self.key and frame["code"] in AGAIN:
            await asyncio.sleep(frame.get("retry_after_ms", 100) / 1000)
            await self.speak(socket)
        elif kind == "error":
            self.refusals.append(frame)
        elif kind == "resync":
            self.resyncs.append(frame)
        elif kind == "heartbeat":
            await socket.send('{"type":"ping"}')

    @property
    def key(self):
        """The key of the message that is being said."""
        return f"{self.name}-{self.saying}"

    def doubt(self):
        """Says the last message that was acknowledged once more, as though its answer had been lost."""
        self.doubts.append(self.spoken - 1)

    async def speak(self, socket):
        """Says the next message, or again the one that has no answer."""
        if not self.enough.is_set():
            message = {"type": "message", "id": self.key, "room": self.room, "content": f"{self.name} says {self.saying}",
                       "client_message_id": self.key}  # fmt: skip
            await socket.send(json.dumps(message))

    async def until(self, condition):
        """Waits until something is true of this browser."""
        async with self.moved:
            await self.moved.wait_for(condition)


def seq_of(cursor):
    """The seq of a cursor."""
    return int(cursor.rsplit(":", 1)[1])
