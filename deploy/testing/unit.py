"""Runs Python tests and says the count as the other runners are asked to: `N passed, N failed, N skipped`.

Owns: finding and running the test cases below a folder.
Promises: a file that cannot be loaded counts as a failure.
Never: knows what a test is about.
"""

import sys
import unittest

from testing.summaries import Tally


class Result(unittest.TextTestResult):
    """Counts successes too."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main():
    """Runs `test_*.py` below the folder that is named."""
    suite = unittest.defaultTestLoader.discover(sys.argv[1])
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
    result = runner.run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    print(Tally(result.passed, failed, len(result.skipped)))
    sys.exit(0 if failed == 0 else 1)


if __name__ == "__main__":
    main()
