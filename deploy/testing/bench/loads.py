"""What servers are put under.

Owns: the loads, and how `parlour-loadtest` is told of each.
Promises: a load says which servers it can be put on.
Never: starts anything.
"""

from dataclasses import dataclass, field

from testing.bench.servers import STORE


def options(given):
    """As a command takes them."""
    return [part for name, value in given.items() for part in ([f"--{name}"] if value is True else [f"--{name}", str(value)])]


@dataclass(frozen=True)
class Load:
    """Members are given what some of them say."""

    name: str
    rooms: int
    members: int
    load: str
    is_long: bool = False  # only with --full
    settle: float = 1
    seconds: float | None = None  # more, where little is said
    beside: float | None = None  # messages a second in a room of two beside
    is_own: bool = False  # Parlour's bars are not of others

    def is_for(self, server):
        """Any server can be loaded so."""
        return server.dialect == "parlour" if self.is_own else server.dialect != STORE

    def command(self, server, where, seconds):
        """Of `parlour-loadtest`."""
        given = {"url": where.url, "dialect": server.dialect, "rooms": self.rooms, "members": self.members, "load": self.load,
                 "settle": self.settle, "warmup": 0 if self.load == "idle" else 1, "seconds": self.seconds or seconds}  # fmt: skip
        return ["bench", *options(given | ({"beside": self.beside} if self.beside else {}))]


@dataclass(frozen=True, eq=False)
class Own:
    """What only Parlour can be put under, by a command of `parlour-loadtest` that ends by itself."""

    name: str
    kind: str
    given: dict = field(default_factory=dict)
    is_long: bool = True

    def is_for(self, server):
        """Cursors, presence and history are Parlour's."""
        return server.dialect == "parlour"

    def command(self, server, where, seconds):
        """Of `parlour-loadtest`."""
        return [self.kind, *options({"url": where.url, **self.given})]


@dataclass(frozen=True)
class Appends:
    """Sends become durable, and are handed to nobody."""

    name: str
    rooms: int
    batch: int
    is_long: bool = True

    def is_for(self, server):
        """A store alone takes such batches one after the other; at a room service so much is under way that they are full."""
        return server.dialect == STORE or server.is_apart

    def command(self, server, where, seconds):
        """Of `parlour-loadtest`."""
        under_way = 2 * self.batch * min(server.writers, self.rooms)
        given = {"store": where.url, "batch": self.batch} if server.dialect == STORE else {"grpc": where.grpc, "senders": under_way}
        return ["appends", *options({**given, "rooms": self.rooms, "seconds": seconds})]


OWN = {"is_long": True, "is_own": True, "settle": 5, "seconds": 20}

LOADS = [
    Load("1,000 in a room, 64 under way", 1, 1000, "window:64"),
    Load("1,000 in a room, 100 a second", 1, 1000, "rate:100"),
    Load("100 rooms of 10, 8 under way in each", 100, 10, "window:8"),
    Load("1,000 rooms of 2, 500 a second", 1000, 2, "rate:500", is_long=True),
    Load("a room of 2, 20 a second", 1, 2, "rate:20", **OWN),
    Load("10 in a room, 10 a second", 1, 10, "rate:10", **OWN),
    Load("1,000 in a room, 10 a second", 1, 1000, "rate:10", **OWN),
    Load("10,000 in a room, 10 a second", 1, 10000, "rate:10", **OWN),
    Load("10,000 in a room, 10 a second, and a room of 2", 1, 10000, "rate:10", **OWN, beside=20),
    Load("idle, 1,900 rooms of 10", 1900, 10, "idle", is_long=True, settle=5, seconds=30),
    Own("10,000 return to 100 rooms, 20 missed", "storm", {"rooms": 100, "sessions": 100, "missed": 20}),
    Own("10,000 come to 100 rooms, 20 said before", "storm", {"rooms": 100, "sessions": 100, "missed": 20, "fresh": True}),
    Own("5,000 joins and leaves a minute in a room of 1,000", "churn", {"members": 1000, "rate": 5000}),
    Own("16 read a room of 10,000 messages, 50 a page", "history", {"messages": 10000, "readers": 16, "page": 50}),
    Appends("sends to one room, 256 at a time", 1, 256),
    Appends("sends to 1,000 rooms, 256 at a time", 1000, 256),
]
