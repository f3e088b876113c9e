"""A TCP proxy that does to connections what networks do to them.

Owns: a port of loopback, and the connections through it to one target.
Promises: bytes come out as they went in, each once and in order, or the connection ends; a close is handed on as a close
and a reset as a reset; what was done to connections lasts until `mend`, and no longer.
Never: changes a byte; lets a connection live on of which it has lost something.
"""

import asyncio
import socket
import struct
import threading

CHUNK = 65536
BUFFER = 65536  # what the kernel holds back of a stall, so that whoever sends into one notices soon
SLICES = (1, 2, 3, 5, 7, 127, 1021)  # bytes
SLICE_SECONDS = 0.001  # between slices, without which the kernel joins them again
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close becomes an RST
UP, DOWN = "up", "down"  # to the target, and back
BOTH = (UP, DOWN)


class Connection:
    """A client's connection and the one to the target."""

    def __init__(self, client):
        self.client, self.server = client, small_socket()
        for end in (client, self.server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.task = asyncio.current_task()
        # Ways on which all is lost. Where there are any, neither end hears of the other's end.
        self.loses = set()

    def path(self, way):
        """Where what goes this way comes from, and where to."""
        return (self.client, self.server) if way == UP else (self.server, self.client)

    def close(self, is_reset):
        """Closes both ends."""
        for end in (self.client, self.server):
            if is_reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.close()


class Proxy:
    """Forwards to `target`, a (host, port). One thread carries all that is under way."""

    def __init__(self, target):
        self.target = target
        self._listener = small_socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(1024)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._connections = set()
        self._is_cut, self._portion = False, whole
        self._flows = {way: asyncio.Event() for way in BOTH}
        self._loop, self._task, self._error = None, None, None
        serves = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(serves,), name="proxy", daemon=True)
        self._thread.start()
        serves.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        if self._error:
            raise self._error

    def stall(self, ways=BOTH):
        """Lets nothing pass, and closes nothing; connections are taken. What is held back passes when mended."""
        self._do(self._stall, ways)

    def cut(self):
        """Resets all connections, and each new one."""
        self._do(self._cut)

    def cut_one(self, dice):
        """Resets one connection."""
        self._do(self._cut_one, dice)

    def half_open(self, loses=BOTH, closes=None):
        """Of what goes these ways by the connections there are, nothing arrives, and no end is told of the other's.

        With `closes`, the target's end (UP) or the client's (DOWN) is closed, and the other still believes. When mended,
        these connections are reset. New ones are well.
        """
        self._do(self._half_open, set(loses), closes)

    def slow(self, bytes_per_second, delay_seconds):
        """Lets each way of each connection have no more than that, so much later."""
        portion = max(1, int(bytes_per_second * delay_seconds))
        self._do(self._set_portion, lambda: (portion, delay_seconds))

    def slice(self, dice):
        """Hands everything on in small pieces."""
        self._do(self._set_portion, lambda: (dice.choice(SLICES), SLICE_SECONDS))

    def mend(self):
        """Ends whatever is done to connections."""
        self._do(self._mend)

    def _do(self, act, *arguments):
        """Has something done where the connections are carried, and waits for it."""
        asyncio.run_coroutine_threadsafe(act(*arguments), self._loop).result()

    async def _stall(self, ways):
        for way in ways:
            self._flows[way].clear()

    async def _cut(self):
        self._is_cut = True
        await reset(self._connections)

    async def _cut_one(self, dice):
        if self._connections:
            await reset({dice.choice(sorted(self._connections, key=lambda each: each.client.fileno()))})

    async def _half_open(self, loses, closes):
        for connection in self._connections:
            connection.loses = set(BOTH) if closes else loses
            if closes:
                shut(connection.path(closes)[1], socket.SHUT_RDWR)

    async def _set_portion(self, portion):
        self._portion = portion

    async def _mend(self):
        self._is_cut, self._portion = False, whole
        await reset({connection for connection in self._connections if connection.loses})
        for flows in self._flows.values():
            flows.set()

    def _run(self, serves):
        try:
            asyncio.run(self._serve(serves))
        except asyncio.CancelledError:
            pass  # that is how it is closed
        except BaseException as error:  # told to whoever closes it
            self._error = error
        finally:
            self._listener.close()

    async def _serve(self, serves):
        """Takes connections until it is cancelled, and then ends them."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        await self._mend()
        serves.set()
        async with asyncio.TaskGroup() as carried:
            while True:
                client, _ = await self._loop.sock_accept(self._listener)
                carried.create_task(self._carry(client))

    async def _carry(self, client):
        """One connection until it has ended; one that does not end in order is reset."""
        connection, is_reset = Connection(client), True
        self._connections.add(connection)
        try:
            if not self._is_cut:
                await self._loop.sock_connect(connection.server, self.target)
                async with asyncio.TaskGroup() as pumps:
                    for way in BOTH:
                        pumps.create_task(self._pump(connection, way))
                is_reset = False
        except* OSError:
            pass
        finally:
            self._connections.discard(connection)
            connection.close(is_reset)

    async def _pump(self, connection, way):
        """Carries one way until its source ends, and hands the end on."""
        source, sink = connection.path(way)
        try:
            while chunk := await self._loop.sock_recv(source, CHUNK):
                await self._hand_on(connection, way, memoryview(chunk))
            await self._flows[way].wait()
        except OSError:
            if not connection.loses:
                raise
        if not connection.loses:
            shut(sink, socket.SHUT_WR)

    async def _hand_on(self, connection, way, chunk):
        """Writes, as it is done now: portion by portion, none of which is sure to be whole."""
        _, sink = connection.path(way)
        while chunk:
            size, delay = self._portion()
            await asyncio.sleep(delay)
            await self._flows[way].wait()
            if way in connection.loses:
                return
            await self._loop.sock_sendall(sink, chunk[:size])
            chunk = chunk[size:]


def small_socket():
    """A socket that holds little of what it is sent."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    return made


def whole():
    """The portions of a proxy that does nothing: all there is, at once."""
    return CHUNK, 0


def shut(end, how):
    """Shuts a socket whose peer may have gone."""
    try:
        end.shutdown(how)
    except OSError:
        pass


async def reset(connections):
    """Ends connections, and returns when their ends have been told."""
    tasks = [connection.task for connection in connections]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
