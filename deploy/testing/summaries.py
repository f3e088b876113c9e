"""Reads the closing lines of test runners.

Owns: how each runner says what it did.
Promises: a runner that died, or said nothing, counts as a failure.
Never: takes a test for passed that no runner said had passed.
"""

import re
from dataclasses import dataclass

CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;")
NODE = re.compile(r"^\S+ (pass|fail|cancelled|skipped|todo) (\d+)$")
OURS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
NODE_COUNTS = {"pass": "passed", "fail": "failed", "cancelled": "failed", "skipped": "skipped", "todo": "skipped"}


@dataclass
class Tally:
    """How many tests passed, failed, were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other):
        """Adds another runner's count."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


class Reader:
    """Takes a runner's output line by line; knows at its end what it did."""

    def __init__(self):
        self.tally = Tally()
        self.spoke = False

    def line(self, text):
        """Takes one line."""
        text = COLOUR.sub("", text).rstrip()
        for pattern in (CARGO, OURS):
            if match := pattern.match(text):
                self.tally.add(Tally(*map(int, match.groups())))
                self.spoke = True
        if match := NODE.match(text):
            self.tally.add(Tally(**{NODE_COUNTS[match[1]]: int(match[2])}))
            self.spoke = True

    def close(self, exit_code):
        """The tally, with one failure more where the runner's end does not agree with its words."""
        if (exit_code != 0 and self.tally.failed == 0) or not self.spoke:
            self.tally.failed += 1
        return self.tally
