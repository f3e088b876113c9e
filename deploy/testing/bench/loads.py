"""What members do.

Owns: the loads, and how `parlour-loadtest` is told of each.
Promises: a load says which servers it can be put on.
Never: starts anything.
"""

from dataclasses import dataclass

from testing.bench.servers import STORE


def options(given):
    """As a command takes them."""
    return [part for name, value in given.items() for part in (f"--{name}", str(value))]


@dataclass(frozen=True)
class Load:
    """What members do."""

    name: str
    rooms: int
    members: int
    load: str
    is_long: bool = False  # only with --full
    settle: float = 1

    def is_for(self, server):
        """Any server can be loaded so."""
        return server.dialect != STORE

    def command(self, server, where, seconds):
        """Of `parlour-loadtest`."""
        given = {"url": where.url, "dialect": server.dialect, "rooms": self.rooms, "members": self.members, "load": self.load,
                 "settle": self.settle, "warmup": 0 if self.load == "idle" else 1,
                 "seconds": 30 if self.load == "idle" else seconds}  # fmt: skip
        return ["bench", *options(given)]


@dataclass(frozen=True)
class Storm:
    """Members lose their connections at once, and return with their cursors."""

    name: str
    rooms: int
    sessions: int
    missed: int
    is_long: bool = True

    def is_for(self, server):
        """Cursors are Parlour's."""
        return server.dialect == "parlour"

    def command(self, server, where, seconds):
        """Of `parlour-loadtest`; it ends by itself."""
        return ["storm", *options({"url": where.url, "rooms": self.rooms, "sessions": self.sessions, "missed": self.missed})]


@dataclass(frozen=True)
class Appends:
    """Sends become durable, and are handed to nobody."""

    name: str
    rooms: int
    under_way: int
    is_long: bool = True

    def is_for(self, server):
        """A store alone takes in one transaction what is under way at a room service."""
        return server.dialect in (STORE, "parlour")

    def command(self, server, where, seconds):
        """Of `parlour-loadtest`."""
        given = {"store": where.url, "batch": self.under_way} if server.dialect == STORE else {"grpc": where.grpc, "senders": self.under_way}
        return ["appends", *options({**given, "rooms": self.rooms, "seconds": seconds})]


LOADS = [
    Load("1,000 in a room, 64 under way", 1, 1000, "window:64"),
    Load("1,000 in a room, 100 a second", 1, 1000, "rate:100"),
    Load("100 rooms of 10, 8 under way in each", 100, 10, "window:8"),
    Load("1,000 rooms of 2, 500 a second", 1000, 2, "rate:500", is_long=True),
    Load("a room of 2, 20 a second", 1, 2, "rate:20", is_long=True),
    Load("10,000 in a room, 10 a second", 1, 10000, "rate:10", is_long=True, settle=5),
    Load("idle, 1,000 rooms of 10", 1000, 10, "idle", is_long=True, settle=5),
    Storm("10,000 return to 100 rooms, 20 missed", 100, 100, 20),
    Appends("256 sends under way to one room", 1, 256),
    Appends("256 sends under way to 1,000 rooms", 1000, 256),
]
