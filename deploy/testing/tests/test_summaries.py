"""The count is true: each runner's closing lines are understood, and silence is a failure."""

import unittest

from testing.summaries import Reader, Tally


def read(text, exit_code=0):
    """What a runner that says `text` and ends with `exit_code` is taken to have done."""
    reader = Reader()
    for line in text.splitlines(keepends=True):
        reader.line(line)
    return reader.close(exit_code)


class Summaries(unittest.TestCase):
    """Closing lines."""

    def test_cargo_s_binaries_are_added_up(self):
        text = (
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
        )
        self.assertEqual(read(text, 101), Tally(5, 1, 1))

    def test_colour_does_not_hide_a_line(self):
        text = "test result: \x1b[32mok\x1b[0m. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n"
        self.assertEqual(read(text), Tally(3, 0, 0))

    def test_node_s_cancelled_tests_have_failed(self):
        text = "ℹ tests 6\nℹ pass 2\nℹ fail 1\nℹ cancelled 1\nℹ skipped 1\nℹ todo 1\n"
        self.assertEqual(read(text, 1), Tally(2, 2, 2))

    def test_our_own_runners_lines_are_read(self):
        self.assertEqual(read("4 passed, 2 failed, 1 skipped\n", 1), Tally(4, 2, 1))

    def test_a_runner_that_dies_after_a_good_summary_has_failed(self):
        text = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n"
        self.assertEqual(read(text, -11), Tally(3, 1, 0))

    def test_a_runner_that_says_nothing_has_failed(self):
        self.assertEqual(read("hello\n"), Tally(0, 1, 0))
