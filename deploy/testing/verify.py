"""Verifies an installation of its own: one room service and two gateways, each a process, with or without faults.

    PYTHONPATH=deploy PARLOUR_TEST_BIN=target/release python3 -m testing.verify --seconds 1800 --faults

Owns: the processes, the faults that befall them, the run of `parlour-loadtest verify` beside them.
Promises: the report is that of the checker, which alone judges.
Never: judges by itself.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from testing import faults
from testing.faults import Faults, of
from testing.ports import free_port
from testing.postgres import Postgres
from testing.proxy import Proxy
from testing.system import House, binary

QUIET_SECONDS = 6  # the last of the talk is without faults
ENDING_SECONDS = 240  # how long the checker may take after the talk


class Site:
    """One room service and two gateways; with faults, a proxy between any two that talk."""

    def __init__(self, house, has_proxies, postgres, **settings):
        self.targets, self._has_proxies, self._proxies = {}, has_proxies, ExitStack()
        if postgres:
            settings["STORE"] = postgres.url
            self.targets["PostgreSQL"] = of(postgres, faults.POSTGRES)
        if settings.get("STORE", "").startswith("postgres:"):
            url = urlsplit(settings["STORE"])
            user, _, address = url.netloc.rpartition("@")
            address = self.link("room service to PostgreSQL", address)
            settings["STORE"] = url._replace(netloc=f"{user}@{address}").geturl()
        self.targets["room service"] = of(house.room(DRAIN_SECONDS=2, **settings), faults.SERVICE)
        self.grpc = self.link("clients to room service", house.grpc)
        self.web = [self.gateway(house, "gateway 1", house.web), self.gateway(house, "gateway 2", f"127.0.0.1:{free_port()}")]

    def gateway(self, house, name, web):
        """Starts one; returns where clients find it."""
        room = self.link(f"{name} to room service", house.grpc)
        service = house.gateway(GATEWAY_LISTEN=web, ROOM_URL=f"http://{room}", DRAIN_SECONDS=3)
        self.targets[name] = of(service, faults.SERVICE)
        return self.link(f"clients to {name}", web)

    def link(self, name, address):
        """Where one finds what listens at an address."""
        if not self._has_proxies:
            return address
        host, _, port = address.rpartition(":")
        proxy = self._proxies.enter_context(Proxy((host, int(port))))
        self.targets[name] = of(proxy, faults.LINK)
        return f"127.0.0.1:{proxy.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._proxies.close()


def verify(house, seconds, seed=None, clients=60, rooms=4, with_faults=False, postgres=None, **settings):
    """Runs the checker; returns its exit code and its report (`None` if it could not judge).

    `postgres` is a server of the run's own, which faults may befall; `STORE`, one that others use, too.
    """
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    report = house.folder / "report.json"
    with Site(house, with_faults, postgres, **settings) as site:
        command = [binary("parlour-loadtest"), "verify", "--grpc", f"http://{site.grpc}", "--seconds", str(seconds)]
        command += ["--clients", str(clients), "--rooms", str(rooms), "--seed", str(seed), "--report", report]
        for address in site.web:
            command += ["--url", f"ws://{address}"]
        befalling = Faults(site.targets, seed, seconds - QUIET_SECONDS) if with_faults else None
        checker = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            if befalling:
                befalling.start()
            code = checker.wait(seconds + ENDING_SECONDS)
        finally:
            checker.kill()
            if befalling:
                befalling.close()
                print(f"faults: {len(befalling.done)}", flush=True)
    return code, json.loads(report.read_text()) if report.exists() else None


def main():
    """Verifies once, on a store of its own."""
    arguments = argparse.ArgumentParser(prog="testing.verify")
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--clients", type=int, default=60)
    arguments.add_argument("--rooms", type=int, default=4)
    arguments.add_argument("--seed", type=int)
    arguments.add_argument("--faults", action="store_true")
    arguments.add_argument("--postgres", action="store_true", help="on a PostgreSQL of its own instead of SQLite")
    arguments.add_argument("--mistake", help="which one the room service makes, built with planted-mistakes")
    given = arguments.parse_args()
    run = {"seconds": given.seconds, "seed": given.seed, "clients": given.clients, "rooms": given.rooms,
           "with_faults": given.faults}  # fmt: skip
    if given.mistake:
        run["PLANTED_MISTAKE"] = given.mistake
    with House() as house:
        if not given.postgres:
            sys.exit(verify(house, **run)[0])
        with tempfile.TemporaryDirectory(prefix="verify-") as folder:
            Path(folder).chmod(0o711)  # the server runs as a user of its own
            postgres = Postgres(Path(folder) / "postgres")
            postgres.start()
            try:
                sys.exit(verify(house, postgres=postgres, **run)[0])
            finally:
                postgres.stop()


if __name__ == "__main__":
    main()
