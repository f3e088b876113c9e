"""Free ports.

Owns: the choice of a port that a program is told to listen on.
Promises: one nobody listens on, outside the range from which the kernel takes ports for outgoing connections, so that
none of those takes it before the program does; never the same one twice.
Never: keeps it reserved.
"""

import random
import socket
from pathlib import Path

FIRST = 15000
_given = set()


def free_port():
    """A port of loopback that nobody listens on."""
    last = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]) - 1
    while True:
        port = random.randint(FIRST, max(last, FIRST + 1000))
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
