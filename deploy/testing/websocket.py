"""WebSocket protocol conformance: kosoku's cases against the gateway's own socket code.

Owns: which cases are run, and what counts as passed.
Promises: a case that fails, or cannot be judged, is a failure and is shown with what was expected.
Never: runs the cases of compression (12, 13): the gateway offers none.
"""

import asyncio
import subprocess
import sys
import time

from kosoku import FailureError, run_fuzzingclient

from testing.summaries import Tally
from testing.system import binary

# Framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, limits, fragmented long messages.
CASES = [f"{group}.*" for group in (1, 2, 3, 4, 5, 6, 7, 9, 10)]
# Messages of 8 and 16 MiB: more than a socket of the gateway may have waiting to be written (gateway/src/ws/socket.rs).
NOT_OURS = ["9.1.5", "9.1.6", "9.2.5", "9.2.6"]
CONCURRENCY = 4


async def judged(address):
    """Every case's result."""
    try:
        return await run_fuzzingclient(f"ws://{address}", CASES, NOT_OURS, concurrency=CONCURRENCY)
    except FailureError as failure:
        return failure.results


def main():
    """Runs the cases against a server of its own."""
    server = subprocess.Popen([binary("examples/echo")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    started = time.monotonic()
    try:
        results = asyncio.run(judged(server.stdout.readline().strip()))
    finally:
        server.terminate()
        server.wait(10)
    failed = [result for result in results if not result.passed]
    for case in failed:
        print(f"FAILED {case.case_id}: {case.behavior.value}, closing {case.behavior_close.value}\n"
              f"  {case.expectation}\n  {case.result}\n  {case.result_close}")  # fmt: skip
    slowest = max(results, key=lambda result: result.duration, default=None)
    if slowest:
        print(f"the slowest case was {slowest.case_id}: {slowest.duration} ms of {time.monotonic() - started:.1f} s")
    print(Tally(len(results) - len(failed), len(failed), 0))
    sys.exit(1 if failed or not results else 0)


if __name__ == "__main__":
    main()
