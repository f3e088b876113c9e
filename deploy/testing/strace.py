"""What a process asked of the kernel, call by call, as strace saw it.

Owns: how a program is started under strace, and how the trace is read.
Promises: calls are in an order that agrees with cause and effect: where one thread's call ended before it woke another,
its end comes before what the other then begins.
Never: knows which calls should have been made; tests do.
"""

import re
from dataclasses import dataclass

# The traced process stays the child of whoever starts it (-D), and each handle is shown with what it is (-yy).
COMMAND = ["strace", "-D", "-f", "-qq", "-yy", "-s", "16384", "-e", "signal=none"]
BEGIN = re.compile(r"^(\d+) +(\w+)\((.*)$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
UNFINISHED = "<unfinished ...>"
RESULT = re.compile(r"\) += (-?\d+)")


@dataclass
class Call:
    """One system call."""

    name: str
    handle: str  # what its first argument is: a path, or the two ends of a connection
    said: str  # all its arguments, as strace prints them
    began: int  # its place in the trace
    ended: int | None = None  # where its end is, if it came to one
    result: int | None = None


def under(trace, calls):
    """The command that starts a program and writes to a file which of these calls it makes."""
    return [*COMMAND, "-e", f"trace={','.join(calls)}", "-o", str(trace)]


def read(trace):
    """The calls of a trace, in the order in which they began."""
    found, open_calls = [], {}
    for place, line in enumerate(trace.read_text(errors="replace").splitlines()):
        if match := RESUMED.match(line):
            pid, rest = match[1], match[3]
            call = open_calls.pop(pid, None)
        elif match := BEGIN.match(line):
            pid, name, rest = match.groups()
            call = Call(name, handle_of(rest), rest, place)
            found.append(call)
            if rest.endswith(UNFINISHED):
                open_calls[pid] = call
                continue
        else:
            continue
        if call and (result := RESULT.search(rest, rest.rfind(")"))):
            call.ended, call.result = place, int(result[1])
    return found


def handle_of(arguments):
    """What the handle is, which strace shows as `9</a/path>`, or as `9<TCP:[one end->other end]>`."""
    match = re.match(r"\d+<(TCP:\[[^\]]*\]|[^>]*)>", arguments)
    return match[1] if match else ""
