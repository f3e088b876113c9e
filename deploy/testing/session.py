"""One session of the full protocol, step by step.

Owns: a WebSocket and every frame that came over it.
Promises: it answers heartbeats, and says nothing else by itself; what does not come in time is a failure that shows what
did.
Never: comes back by itself (`browser.Browser` does); checks anything.
"""

import json
import time
from contextlib import ExitStack

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

LIMIT = 30


class Session:
    """A guest's session."""

    def __init__(self, web, name, rooms=None, token=None):
        """Opens it; `rooms` are those that `hello` comes with, each with its cursor."""
        self.frames = []
        self._open = ExitStack()
        self.socket = self._open.enter_context(connect(f"ws://{web}/chat", open_timeout=LIMIT, close_timeout=1))
        hello = {"type": "hello", "version": 1, "name": name, "rooms": rooms or {}}
        self.says(**hello, **({"guest_token": token} if token else {}))
        self.token = self.hears("welcome")["guest_token"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._open.close()

    def says(self, **frame):
        """Sends a frame."""
        self.socket.send(json.dumps(frame))

    def next(self, seconds=LIMIT):
        """The next frame that is no heartbeat; None where none comes in time."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                frame = json.loads(self.socket.recv(max(0, deadline - time.monotonic())))
            except TimeoutError:
                return None
            except ConnectionClosed as closed:
                raise AssertionError(f"the socket was closed: {closed}; before: {self.frames[-10:]}") from closed
            if frame["type"] == "heartbeat":
                self.says(type="ping")
                continue
            self.frames.append(frame)
            return frame

    def hears(self, kind, where=lambda frame: True, seconds=LIMIT):
        """The next frame of a kind; what comes before it is passed over, but kept in `frames`."""
        deadline = time.monotonic() + seconds
        while (frame := self.next(max(0, deadline - time.monotonic()))) is not None:
            if frame["type"] == kind and where(frame):
                return frame
        raise AssertionError(f"no {kind} within {seconds} s; the last that came: {self.frames[-10:]}")

    def joins(self, room):
        """Joins a room; returns `joined`."""
        self.says(type="join", room=room)
        return self.hears("joined")

    def posts(self, room, content, key):
        """Sends a message; returns its answer, `ack` or `error`."""
        self.says(type="message", room=room, content=content, client_message_id=key, id=key)
        return self.answer(key)

    def answer(self, asked):
        """The frame that answers what was asked with that id."""
        deadline = time.monotonic() + LIMIT
        while (frame := self.next(max(0, deadline - time.monotonic()))) is not None:
            if frame.get("id") == asked:
                return frame
        raise AssertionError(f"{asked} was not answered; the last that came: {self.frames[-10:]}")
