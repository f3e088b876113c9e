"""A TCP proxy that can stall.

Owns: a port of loopback and the connections through it.
Promises: while it stalls nothing passes either way, new connections are taken and get nothing, and none is closed; what
was held back passes when it goes on.
Never: changes a byte.
"""

import socket
import threading

CHUNK = 65536


class Proxy:
    """Forwards to `target`, a (host, port)."""

    def __init__(self, target):
        self.target = target
        self._flows = threading.Event()
        self._flows.set()
        self._open, self._lock, self._is_closed = set(), threading.Lock(), False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [self._spawn(self._accept)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._is_closed = True
        self._flows.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for end in self._open:
                quietly(end.shutdown, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._open:
            end.close()

    def stall(self):
        """Lets nothing pass."""
        self._flows.clear()

    def go_on(self):
        """Lets everything pass."""
        self._flows.set()

    def _spawn(self, run, *arguments):
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        thread.start()
        return thread

    def _accept(self):
        while not self._is_closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                continue
            try:
                server = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
                self._threads += [self._spawn(self._pump, client, server), self._spawn(self._pump, server, client)]

    def _pump(self, source, sink):
        """Forwards one way, until either end is closed."""
        try:
            while chunk := source.recv(CHUNK):
                self._flows.wait()
                sink.sendall(chunk)
        except OSError:
            pass
        self._flows.wait()
        quietly(sink.shutdown, socket.SHUT_WR)


def quietly(act, *arguments):
    """Does something to a socket that may be gone."""
    try:
        act(*arguments)
    except OSError:
        pass
