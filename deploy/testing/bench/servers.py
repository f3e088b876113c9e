"""Who is measured.

Owns: the servers, how each is started and what it speaks.
Promises: one that was started is ended, and its folder is gone.
Never: loads one.
"""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from testing.ports import free_port
from testing.postgres import Postgres
from testing.system import House, binary

CEILING = "epoll, a write a frame"
STORE = "store"  # what is not spoken to, but opened
PEERS = Path(__file__).parents[1] / "peers"
START_SECONDS = 10
DURABLE = ["max_connections=300"]  # a server's own settings, fsync among them
UNLIMITED = {"SEND_RATE": 0, "LOG": "warn"}


@dataclass(frozen=True)
class Where:
    """Where a server is, and its processes by name."""

    url: str
    pids: dict
    grpc: str | None = None


def services(house, *started):
    """Where they are."""
    return Where(f"ws://{house.web}", {service.name: service.process.pid for service in started}, f"http://{house.grpc}")


@contextlib.contextmanager
def parlour(**settings):
    """`parlour`, both services in one process, on SQLite."""
    with House() as house:
        yield services(house, house.together(**UNLIMITED, **settings))


@contextlib.contextmanager
def apart():
    """The two services, on SQLite."""
    with House() as house:
        yield services(house, house.room(**UNLIMITED), house.gateway(**UNLIMITED))


@contextlib.contextmanager
def apart_on_postgres():
    """The two services, on a PostgreSQL that syncs."""
    with postgres_alone() as postgres, House() as house:
        of = services(house, house.room(STORE=postgres.url, **UNLIMITED), house.gateway(**UNLIMITED))
        yield replace(of, pids=postgres.pids | of.pids)


@contextlib.contextmanager
def postgres_alone():
    """A PostgreSQL that syncs."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o755)  # the server runs as a user of its own
        postgres = Postgres(Path(folder) / "postgres", settings=DURABLE)
        postgres.start()
        try:
            yield Where(postgres.url, {"postgres": postgres.process.pid})
        finally:
            postgres.stop()


@contextlib.contextmanager
def sqlite_alone():
    """A file, and no process but the one that measures."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield Where(f"sqlite:{folder}/alone.db", {})


@contextlib.contextmanager
def process(command):
    """Any other server, which prints where it listens."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield Where(server.stdout.readline().strip(), {"server": server.pid})
        finally:
            server.kill()


def peer(kind):
    """One of those in the bench's own crate."""
    return process([binary("parlour-loadtest"), "peer", kind])


def node(name):
    """One on Node, run from beside its modules."""
    copy = Path(os.environ["PARLOUR_PEER_TOOLS"]) / name
    copy.write_bytes((PEERS / name).read_bytes())
    return process(["node", copy])


@contextlib.contextmanager
def debian(program, *arguments, config):
    """One of Debian's, unpacked, which is told where it listens: its last argument is its configuration."""
    programs, port = Path(os.environ["PARLOUR_DEBIAN_PEERS"]), free_port()
    said = (PEERS / config).read_text().replace("PROGRAMS", str(programs)).replace("PORT", str(port))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        log = Path(folder) / "log"
        (Path(folder) / config).write_text(said)
        with log.open("wb") as output:
            server = subprocess.Popen([programs / program, *arguments, config], cwd=folder,
                                      stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # fmt: skip
        try:
            await_listening(server, port, log)
            yield Where(f"ws://127.0.0.1:{port}", {"server": server.pid})
        finally:
            server.terminate()  # so that it ends those below it
            server.wait()


def await_listening(server, port, log):
    """Waits until somebody listens there."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"nobody listens:\n{log.read_text(errors='replace')}")
        time.sleep(0.05)


@dataclass(frozen=True)
class Server:
    """Who is measured."""

    name: str
    start: callable
    dialect: str
    is_long: bool = False  # only with --full
    is_apart: bool = False  # its room service can be called as by a gateway
    writers: int = 1  # how many batches its store takes at once


SERVERS = [
    Server("parlour", parlour, "parlour"),
    Server("two services, SQLite", apart, "parlour", is_long=True, is_apart=True),
    Server("two services, PostgreSQL", apart_on_postgres, "parlour", is_long=True, is_apart=True, writers=4),
    Server("SQLite alone", sqlite_alone, STORE, is_long=True),
    Server("PostgreSQL alone", postgres_alone, STORE, is_long=True),
    Server(CEILING, lambda: peer("ceiling"), "broadcast"),
    Server("epoll, waiting frames at once", lambda: peer("gathering"), "broadcast"),
    Server("axum, broadcast channel", lambda: peer("minimal"), "broadcast"),
    Server("ws on Node", lambda: node("ws.mjs"), "broadcast"),
    Server("Socket.IO on Node", lambda: node("socket-io.mjs"), "socket-io"),
    Server("NATS over WebSocket", lambda: debian("usr/sbin/nats-server", "-c", config="nats.conf"), "nats"),
    Server("nchan", lambda: debian("usr/sbin/nginx", "-p", ".", "-e", "stderr", "-c", config="nchan.conf"), "broadcast"),
]
