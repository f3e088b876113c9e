"""Measures Parlour beside other servers, interleaved, and prints how they compare.

Owns: which servers are measured under which loads, how often and in which order.
Promises: every figure is of the server's processes alone, a median of some rounds in one run; a run in which a message was
lost, repeated or reordered gives no figure.
Never: measures two servers at once.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from testing.bench.loads import LOADS
from testing.bench.servers import SERVERS
from testing.bench.tables import table
from testing.system import SERVICE_TOKEN, binary

SAID = {
    "cpu_us_per_delivery": "µs a delivery",
    "cpu_us_per_session": "µs a session",
    "cpu_us_per_change": "µs a join or leave",
    "cpu_us_per_page": "µs a page",
    "appended_per_second": "a second",
}
FAULTS = ("lost", "repeated_or_reordered", "refused", "left_told", "over_budget", "wrong")


def measure(server, load, seconds):
    """One server under one load; its figures."""
    with server.start() as where:
        command = [binary("parlour-loadtest"), *load.command(server, where, seconds)]
        for pid in where.pids.values():
            command += ["--pid", str(pid)]
        environment = {**os.environ, "PARLOUR_SERVICE_TOKEN": SERVICE_TOKEN}
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=300, check=False)
    if done.returncode == 2:
        return {"failure": "nothing was measured"}
    figures = json.loads(done.stdout)
    if "processes" in figures:
        figures["processes"] = dict(zip(where.pids, figures["processes"], strict=True))
    if done.returncode:
        return {"failure": faults(figures)}
    return figures


def faults(figures):
    """Why figures are none."""
    counts = [f"{figures[name]} {name.replace('_', ' ')}" for name in FAULTS if figures.get(name)]
    beside = figures.get("beside")
    return ", ".join(counts + ([f"beside: {faults(beside)}"] if beside and faults(beside) else []))


def main():
    """Measures, prints, writes."""
    arguments = argparse.ArgumentParser(prog="deploy/bench")
    arguments.add_argument("--full", action="store_true", help="every server and every load: about an hour and a half")
    arguments.add_argument("--rounds", type=int, default=3, help="how often each is measured; medians are shown")
    arguments.add_argument("--seconds", type=float, default=3, help="how long, each time")
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
        print("\n".join(table(results[load.name], load, of)))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))
    failed = any("failure" in run for runs in results.values() for run in sum(runs.values(), []))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
