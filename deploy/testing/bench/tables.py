"""The figures, as one reads them.

Owns: medians and the tables, in Markdown.
Promises: a run that gave no figure is told by why it did not.
Never: measures.
"""

import statistics

from testing.bench.loads import Appends, Storm
from testing.bench.servers import CEILING


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
    figures = {server.name: {name: median(results[server.name], figure) for name, figure in FIGURES.items()}
               for server in servers}  # fmt: skip
    ceiling = figures.get(CEILING, {}).get("cpu_us")
    yield f"| {load.name} | CPU a delivery | × ceiling | p50 / p99 | deliveries a second | KiB a member |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, of in figures.items():
        if of["cpu_us"] is None:
            yield f"| {name} | {results[name][-1]['failure']} | | | | |"
        elif load.load == "idle":
            yield f"| {name} | {100 * of['core']:.2f} % of a core | | | | {of['kib']:.1f} |"
        else:
            ratio = f"{of['cpu_us'] / ceiling:.3f}" if ceiling else ""
            yield (f"| {name} | {of['cpu_us']:.2f} µs | {ratio} | {of['p50_ms']:.1f} / {of['p99_ms']:.1f} ms "
                   f"| {of['per_second']:,.0f} | {of['kib']:.1f} |")  # fmt: skip
    yield ""


def table(results, load, servers):
    """Of one load."""
    return {Storm: storm_rows, Appends: append_rows}.get(type(load), rows)(results, load, servers)
