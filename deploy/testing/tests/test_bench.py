"""What the bench shows is what was measured: medians, ratios, and no figure where there is none."""

import unittest

from testing.bench.__main__ import faults
from testing.bench.loads import Load, Own, options
from testing.bench.servers import CEILING, Server
from testing.bench.tables import table


def run(cpu_us, **more):
    """What `parlour-loadtest bench` says, as far as a table needs it."""
    return {"cpu_us_per_delivery": cpu_us, "latency_ms": {"p50": 1.0, "p99": 2.0}, "deliveries": 2000, "seconds": 2.0, "cpu_seconds": 0.5,
            "memory_kib_per_member": 4.0, "processes": {"server": {"cpu_us_per_message": 9.0, "memory_kib_per_member": 4.0}}} | more  # fmt: skip


def server(name):
    """One that is never started."""
    return Server(name, None, "parlour")


class Tables(unittest.TestCase):
    """Lines of a table."""

    def shown(self, results, **of_load):
        """The lines below a table's head."""
        load = Load("a load", 1, 2, "rate:20", **of_load)
        return list(table(results, load, [server(name) for name in results]))[2:-1]

    def test_a_median_is_shown_and_its_ratio_to_the_ceilings(self):
        lines = self.shown({"a": [run(9.0), run(1.0), run(2.0)], CEILING: [run(4.0)]})
        self.assertEqual(lines[0], "| a | 2.00 µs | 0.500 | 1.0 / 2.0 ms | 1,000 | 4.0 |")
        self.assertEqual(lines[1], f"| {CEILING} | 4.00 µs | 1.000 | 1.0 / 2.0 ms | 1,000 | 4.0 |")

    def test_a_run_that_failed_gives_no_figure_and_says_why(self):
        self.assertEqual(self.shown({"a": [{"failure": "3 lost"}]}), ["| a | 3 lost | | | | |"])
        self.assertEqual(self.shown({"a": [run(2.0), {"failure": "3 lost"}]})[0][:16], "| a | 2.00 µs | ")

    def test_each_process_is_told_apart(self):
        processes = {name: {"cpu_us_per_message": cpu, "memory_kib_per_member": 1.0} for name, cpu in (("room", 300.0), ("gateway", 20.0))}
        lines = self.shown({"a": [run(2.0, processes=processes)]})
        self.assertEqual(lines[1:], ["| · room | 300 µs a message | | | | 1.0 |", "| · gateway | 20 µs a message | | | | 1.0 |"])

    def test_the_room_beside_is_told_apart_and_then_no_process_for_its_messages_cost_it_too(self):
        processes = {name: {"cpu_us_per_message": 1.0, "memory_kib_per_member": 1.0} for name in ("room", "gateway")}
        lines = self.shown({"a": [run(2.0, processes=processes, beside=run(1.0))]}, beside=20)
        self.assertEqual(lines[1:], ["| · the room of 2 | | | 1.0 / 2.0 ms | | |"])

    def test_of_what_only_parlour_knows_the_run_in_the_middle_is_shown(self):
        pages = [{"cpu_us_per_page": cpu, "pages_per_second": cpu, "latency_ms": {"p50": 1.0, "p99": 2.0}} for cpu in (300, 100, 200)]
        lines = list(table({"a": pages}, Own("pages", "history"), [server("a")]))
        self.assertEqual(lines[2], "| a | 200 | 1.0 / 2.0 ms | 200 µs |")

    def test_what_was_wrong_is_named_also_beside(self):
        self.assertEqual(faults({"lost": 3, "refused": 0, "wrong": 1}), "3 lost, 1 wrong")
        self.assertEqual(faults({"lost": 0, "beside": {"repeated_or_reordered": 2}}), "beside: 2 repeated or reordered")

    def test_an_option_that_is_only_said_has_no_value(self):
        self.assertEqual(options({"rooms": 100, "fresh": True}), ["--rooms", "100", "--fresh"])
