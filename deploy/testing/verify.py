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
from pathlib import Path

from testing.faults import Faults
from testing.ports import free_port
from testing.postgres import Postgres
from testing.system import House, binary

QUIET_SECONDS = 6  # the last of the talk is without faults
ENDING_SECONDS = 240  # how long the checker may take after the talk


def verify(house, seconds, seed=None, clients=60, rooms=4, with_faults=False, **settings):
    """Runs the checker; returns its exit code and its report (`None` if it could not judge)."""
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    web = [house.web, f"127.0.0.1:{free_port()}"]
    services = [house.room(DRAIN_SECONDS=2, **settings)]
    services += [house.gateway(GATEWAY_LISTEN=address, DRAIN_SECONDS=3) for address in web]
    report = house.folder / "report.json"
    command = [binary("parlour-loadtest"), "verify", "--grpc", f"http://{house.grpc}", "--seconds", str(seconds)]
    command += ["--clients", str(clients), "--rooms", str(rooms), "--seed", str(seed), "--report", report]
    for address in web:
        command += ["--url", f"ws://{address}"]
    faults = Faults(services, seed, max(0, seconds - QUIET_SECONDS)) if with_faults else None
    checker = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        if faults:
            faults.start()
        code = checker.wait(seconds + ENDING_SECONDS)
    finally:
        checker.kill()
        if faults:
            faults.close()
    print(f"faults: {len(faults.done) if faults else 0}", flush=True)
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
    given = arguments.parse_args()
    run = {"seconds": given.seconds, "seed": given.seed, "clients": given.clients, "rooms": given.rooms,
           "with_faults": given.faults}  # fmt: skip
    with House() as house:
        if not given.postgres:
            sys.exit(verify(house, **run)[0])
        with tempfile.TemporaryDirectory(prefix="verify-") as folder:
            Path(folder).chmod(0o755)  # the server runs as a user of its own
            postgres = Postgres(Path(folder) / "postgres")
            postgres.start()
            try:
                sys.exit(verify(house, STORE=postgres.url, **run)[0])
            finally:
                postgres.stop()


if __name__ == "__main__":
    main()
