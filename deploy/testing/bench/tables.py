"""The figures, as one reads them.

Owns: medians and the tables, in Markdown.
Promises: a run that gave no figure is told by why it did not.
Never: measures.
"""

import statistics

from testing.bench.loads import Appends, Own
from testing.bench.servers import CEILING


def median(runs, figure):
    """Of the runs that gave one."""
    values = [figure(run) for run in runs if "failure" not in run]
    return statistics.median(values) if values else None


def quantiles(waiting, unit="ms"):
    """Two of a distribution."""
    scale, digits = {"ms": (1, 1), "s": (1000, 2)}[unit]
    return " / ".join(f"{waiting[p] / scale:.{digits}f}" for p in ("p50", "p99")) + f" {unit}"


# Of each kind: the figure that a run goes by, and the columns.
OWN = {
    "storm": (
        lambda run: run["all_live_ms"],
        {
            "all live": lambda run: f"{run['all_live_ms'] / 1000:.2f} s",
            "each live, p50 / p99": lambda run: quantiles(run["live_ms"], "s"),
            "messages meanwhile, p50 / p99": lambda run: quantiles(run["latency_ms"]),
            "CPU a session": lambda run: f"{run['cpu_us_per_session']:.0f} µs",
        },
    ),
    "churn": (
        lambda run: run["cpu_us_per_change"],
        {
            "CPU a join or leave": lambda run: f"{run['cpu_us_per_change']:.0f} µs",
            "of a core": lambda run: f"{100 * run['cpu_seconds'] / run['seconds']:.0f} %",
            "presence a session, mean / most": lambda run: " / ".join(
                f"{run[f'{which}_bytes_per_second']:,.0f}" for which in ("presence", "most")
            )
            + " bytes a second",
            "true after, p50 / p99": lambda run: quantiles(run["true_after_ms"], "s"),
        },
    ),
    "history": (
        lambda run: run["cpu_us_per_page"],
        {
            "pages a second": lambda run: f"{run['pages_per_second']:,.0f}",
            "p50 / p99": lambda run: quantiles(run["latency_ms"]),
            "CPU a page": lambda run: f"{run['cpu_us_per_page']:.0f} µs",
        },
    ),
}


def own_rows(results, load, servers):
    """Of each server the run in the middle."""
    by, columns = OWN[load.kind]
    yield f"| {load.name} | {' | '.join(columns)} |"
    yield f"|---|{'--:|' * len(columns)}"
    for server in servers:
        runs = sorted((run for run in results[server.name] if "failure" not in run), key=by)
        if runs:
            cells = [figure(runs[len(runs) // 2]) for figure in columns.values()]
        else:
            cells = [results[server.name][-1]["failure"], *[""] * (len(columns) - 1)]
        yield f"| {server.name} | {' | '.join(cells)} |"
    yield ""


def append_rows(results, load, servers):
    """Of each server the rate and how it compares with its store alone."""
    rate = {server.name: median(results[server.name], lambda run: run["appended_per_second"]) for server in servers}
    yield f"| {load.name} | durable a second | × the store alone | p50 / p99 | CPU an append | memory, before and after |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, runs in results.items():
        if rate[name] is None:
            yield f"| {name} | {runs[-1]['failure']} | | | | |"
            continue
        alone = rate.get(f"{'PostgreSQL' if 'PostgreSQL' in name else 'SQLite'} alone")
        ratio = f"{rate[name] / alone:.2f}" if alone else ""
        waits = [median(runs, lambda run, p=p: run["latency_ms"][p]) for p in ("p50", "p99")]
        cpu = median(runs, lambda run: run["cpu_seconds"] / run["appended"] * 1e6)
        memory = [median(runs, lambda run, end=end: run["memory_kib"][end] / 1024) for end in (0, 1)]
        yield (f"| {name} | {rate[name]:,.0f} | {ratio} | {waits[0]:.1f} / {waits[1]:.1f} ms | {f'{cpu:.0f} µs' if cpu else ''} "
               f"| {f'{memory[0]:.1f} MiB, {memory[1]:.1f} MiB' if memory[1] else ''} |")  # fmt: skip
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
            continue
        if load.load == "idle":
            yield f"| {name} | {100 * of['core']:.2f} % of a core | | | | {of['kib']:.1f} |"
        else:
            ratio = f"{of['cpu_us'] / ceiling:.3f}" if ceiling else ""
            yield (f"| {name} | {of['cpu_us']:.2f} µs | {ratio} | {of['p50_ms']:.1f} / {of['p99_ms']:.1f} ms "
                   f"| {of['per_second']:,.0f} | {of['kib']:.1f} |")  # fmt: skip
        yield from parts(results[name], load)
    yield ""


def parts(runs, load):
    """What is told apart of one server: its processes, or a room of two (whose messages cost them, too)."""
    runs = [run for run in runs if "failure" not in run]
    processes = runs[0]["processes"]
    for process in processes if len(processes) > 1 and not load.beside else ():
        cpu, kib = (median(runs, lambda run, of=of: run["processes"][process][of]) for of in ("cpu_us_per_message", "memory_kib_per_member"))
        yield f"| · {process} | {'' if load.load == 'idle' else f'{cpu:.0f} µs a message'} | | | | {kib:.1f} |"
    if load.beside:
        waits = [median(runs, lambda run, p=p: run["beside"]["latency_ms"][p]) for p in ("p50", "p99")]
        yield f"| · the room of 2 | | | {waits[0]:.1f} / {waits[1]:.1f} ms | | |"


def table(results, load, servers):
    """Of one load."""
    return {Own: own_rows, Appends: append_rows}.get(type(load), rows)(results, load, servers)
