"""Measures Parlour beside other servers, interleaved, and prints how they compare.

Owns: which servers are measured under which loads, how often and in which order.
Promises: every figure is of the server's processes alone, a median of some rounds in one run; a run in which a message was
lost, repeated or reordered gives no figure.
Never: measures two servers at once.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from testing.ports import free_port
from testing.postgres import Postgres
from testing.system import SERVICE_TOKEN, House, binary

CEILING = "epoll, a write a frame"
STORE = "store"  # what is not spoken to, but opened
SAID = {"cpu_us_per_delivery": "µs a delivery", "cpu_us_per_session": "µs a return", "appended_per_second": "a second"}
DURABLE = ["max_connections=300"]  # a server's own settings, fsync among them
UNLIMITED = {"SEND_RATE": 0, "LOG": "warn"}


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


@dataclass(frozen=True)
class Where:
    """Where a server is, and its processes."""

    url: str
    pids: list
    grpc: str | None = None


def services(house, *started):
    """Where they are."""
    return Where(f"ws://{house.web}", [service.process.pid for service in started], f"http://{house.grpc}")


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
        yield replace(of, pids=postgres.pids + of.pids)


@contextlib.contextmanager
def postgres_alone():
    """A PostgreSQL that syncs."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o755)  # the server runs as a user of its own
        postgres = Postgres(Path(folder) / "postgres", settings=DURABLE)
        postgres.start()
        try:
            yield Where(postgres.url, [postgres.process.pid])
        finally:
            postgres.stop()


@contextlib.contextmanager
def sqlite_alone():
    """A file, and no process but the one that measures."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield Where(f"sqlite:{folder}/alone.db", [])


@contextlib.contextmanager
def process(command):
    """Any other server, which prints where it listens."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield Where(server.stdout.readline().strip(), [server.pid])
        finally:
            server.kill()


def peer(kind):
    """One of those in the bench's own crate."""
    return process([binary("parlour-loadtest"), "peer", kind])


def node(name):
    """One on Node, run from beside its modules."""
    copy = Path(os.environ["PARLOUR_PEER_TOOLS"]) / name
    copy.write_bytes((Path(__file__).parent / "peers" / name).read_bytes())
    return process(["node", copy])


@dataclass(frozen=True)
class Server:
    """Who is measured."""

    name: str
    start: callable
    dialect: str
    is_long: bool = False  # only with --full


SERVERS = [
    Server("parlour", parlour, "parlour"),
    Server("two services, SQLite", apart, "parlour", is_long=True),
    Server("two services, PostgreSQL", apart_on_postgres, "parlour", is_long=True),
    Server("SQLite alone", sqlite_alone, STORE, is_long=True),
    Server("PostgreSQL alone", postgres_alone, STORE, is_long=True),
    Server(CEILING, lambda: peer("ceiling"), "broadcast"),
    Server("epoll, waiting frames at once", lambda: peer("gathering"), "broadcast"),
    Server("axum, broadcast channel", lambda: peer("minimal"), "broadcast"),
    Server("ws on Node", lambda: node("ws.mjs"), "broadcast"),
    Server("Socket.IO on Node", lambda: node("socket-io.mjs"), "socket-io"),
]


def measure(server, load, seconds):
    """One server under one load; its figures."""
    with server.start() as where:
        command = [binary("parlour-loadtest"), *load.command(server, where, seconds)]
        for pid in where.pids:
            command += ["--pid", str(pid)]
        environment = {**os.environ, "PARLOUR_SERVICE_TOKEN": SERVICE_TOKEN}
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=300, check=False)
    if done.returncode == 2:
        return {"failure": "nothing was measured"}
    figures = json.loads(done.stdout)
    if done.returncode:
        counts = {name: figures.get(name) for name in ("lost", "repeated_or_reordered", "refused", "left_told")}
        return {"failure": ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count)}
    return figures


def median(runs, figure):
    """Of the runs that gave one."""
    values = [figure(run) for run in runs if "failure" not in run]
    return statistics.median(values) if values else None


WEATHER = {
    "all live": lambda run: f"{run['all_live_ms'] / 1000:.2f} s",
    "each live, p50 / p99": lambda run: f"{run['live_ms']['p50'] / 1000:.2f} / {run['live_ms']['p99'] / 1000:.2f} s",
    "messages meanwhile, p50 / p99": lambda run: f"{run['latency_ms']['p50']:.1f} / {run['latency_ms']['p99']:.1f} ms",
    "CPU a return": lambda run: f"{run['cpu_us_per_session']:.0f} µs",
}


def storm_rows(results, storm, servers):
    """A storm's lines: of each server the run that took the median time."""
    yield f"| {storm.name} | {' | '.join(WEATHER)} |"
    yield f"|---|{'--:|' * len(WEATHER)}"
    for server in servers:
        runs = sorted((run for run in results[server.name] if "failure" not in run), key=lambda run: run["all_live_ms"])
        if runs:
            cells = [figure(runs[len(runs) // 2]) for figure in WEATHER.values()]
        else:
            cells = [results[server.name][-1]["failure"], *[""] * (len(WEATHER) - 1)]
        yield f"| {server.name} | {' | '.join(cells)} |"
    yield ""


def append_rows(results, load, servers):
    """Of each server the rate and how it compares with its store alone."""
    rate = {server.name: median(results[server.name], lambda run: run["appended_per_second"]) for server in servers}
    yield f"| {load.name} | durable a second | × the store alone | p50 / p99 | CPU an append |"
    yield "|---|--:|--:|--:|--:|"
    for name, runs in results.items():
        if rate[name] is None:
            yield f"| {name} | {runs[-1]['failure']} | | | |"
            continue
        alone = rate.get(f"{'PostgreSQL' if 'PostgreSQL' in name else 'SQLite'} alone")
        ratio = f"{rate[name] / alone:.2f}" if alone else ""
        waits = [median(runs, lambda run, p=p: run["latency_ms"][p]) for p in ("p50", "p99")]
        cpu = median(runs, lambda run: run["cpu_seconds"] / run["appended"] * 1e6)
        yield f"| {name} | {rate[name]:,.0f} | {ratio} | {waits[0]:.1f} / {waits[1]:.1f} ms | {f'{cpu:.0f} µs' if cpu else ''} |"
    yield ""


FIGURES = {
    "cpu_us": lambda run: run["cpu_us_per_delivery"],
    "p50_ms": lambda run: run["latency_ms"]["p50"],
    "p99_ms": lambda run: run["latency_ms"]["p99"],
    "per_second": lambda run: run["deliveries"] / run["seconds"],
    "kib": lambda run: run["memory_kib_per_member"],
    "core": lambda run: run["cpu_seconds"] / run["seconds"],
}


def rows(results, load, servers):
    """A table's lines, in Markdown."""
    figures = {server.name: {name: median(results[load.name][server.name], figure) for name, figure in FIGURES.items()}
               for server in servers}  # fmt: skip
    ceiling = figures.get(CEILING, {}).get("cpu_us")
    yield f"| {load.name} | CPU a delivery | × ceiling | p50 / p99 | deliveries a second | KiB a member |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, of in figures.items():
        if of["cpu_us"] is None:
            yield f"| {name} | {results[load.name][name][-1]['failure']} | | | | |"
        elif load.load == "idle":
            yield f"| {name} | {100 * of['core']:.2f} % of a core | | | | {of['kib']:.1f} |"
        else:
            ratio = f"{of['cpu_us'] / ceiling:.3f}" if ceiling else ""
            yield (f"| {name} | {of['cpu_us']:.2f} µs | {ratio} | {of['p50_ms']:.1f} / {of['p99_ms']:.1f} ms "
                   f"| {of['per_second']:,.0f} | {of['kib']:.1f} |")  # fmt: skip
    yield ""


def main():
    """Measures, prints, writes."""
    arguments = argparse.ArgumentParser(prog="deploy/bench")
    arguments.add_argument("--full", action="store_true", help="every server and every load: about an hour")
    arguments.add_argument("--rounds", type=int, default=3, help="how often each is measured; medians are shown")
    arguments.add_argument("--seconds", type=float, default=4, help="how long, each time")
    arguments.add_argument("--servers", help="only those whose names hold one of these words, with commas between")
    arguments.add_argument("--loads", help="the same of the loads")
    arguments.add_argument("--json", type=Path, help="where all figures go")
    given = arguments.parse_args()

    def chosen(all_of_them, words):
        if words:
            return [one for one in all_of_them if any(word in one.name for word in words.split(","))]
        return [one for one in all_of_them if given.full or not one.is_long]

    servers, loads = chosen(SERVERS, given.servers), chosen(LOADS, given.loads)
    measured = {load: [server for server in servers if load.is_for(server)] for load in loads}
    results = {load.name: {server.name: [] for server in of} for load, of in measured.items()}
    for number in range(given.rounds):
        for load, of in measured.items():
            for server in of:
                figures = measure(server, load, given.seconds)
                results[load.name][server.name].append(figures)
                said = next((f"{value:,.2f} {unit}" for name, unit in SAID.items() if (value := figures.get(name)) is not None), "")
                print(f"{number + 1}/{given.rounds}  {load.name}: {server.name}: {figures.get('failure', said)}",
                      file=sys.stderr, flush=True)  # fmt: skip
    for load, of in measured.items():
        table = {Storm: storm_rows, Appends: append_rows}.get(type(load))
        print("\n".join(table(results[load.name], load, of) if table else rows(results, load, of)))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))
    failed = any("failure" in run for runs in results.values() for run in sum(runs.values(), []))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
