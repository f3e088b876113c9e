"""Faults from a seed: what happens to an installation while it is used.

Owns: the kinds of faults, when which befalls whom, and for how long.
Promises: one at a time, every kind befalls each of its targets before any does again; after `close` every process runs
and is ready and every link is whole; what was done is printed, with the seed that does it again.
Never: touches a process or link that it was not given.

A fault is a generator: it does something, yields for how many seconds, and undoes it.
"""

import random
import signal
import threading
import time
from functools import partial

from testing.proxy import BOTH, DOWN, UP

CALM = (1.5, 4.0)  # seconds between a fault's end and the next
STOPPED = (1.0, 7.0)  # seconds that a process is stopped for
AWAY = (0.0, 1.5)  # seconds until one that ended is started again
AILING = (0.3, 8.0)  # seconds that something is done to a link
HALF_OPEN = (0.3, 12.0)  # so long that a Relay notices by itself, after 5 s
SLOW_RATE = (20_000, 200_000)  # bytes a second of a connection, each way
SLOW_DELAY = (0.02, 0.2)  # seconds
LATE = 5  # seconds after its drain by which a process that was told to stop must have


def kill(service, dice):
    """It dies, and returns."""
    service.kill()
    yield dice.uniform(*AWAY)
    service.start().ready()


def terminate(service, dice):
    """It is told to stop, does so in time, and returns."""
    told = time.monotonic()
    code, took = service.stop(), time.monotonic() - told
    limit = float(service.env["PARLOUR_DRAIN_SECONDS"]) + LATE
    if code != 0 or took > limit:
        raise AssertionError(f"{service.name} was told to stop, and exited with {code} after {took:.1f} s, "
                             f"where {limit} were allowed:\n{service.said()}")  # fmt: skip
    yield dice.uniform(*AWAY)
    service.start().ready()


def stop(service, dice):
    """It stands still for a while."""
    service.process.send_signal(signal.SIGSTOP)
    yield dice.uniform(*STOPPED)
    service.process.send_signal(signal.SIGCONT)


def kill_postgres(postgres, dice):
    """The server dies, and returns."""
    postgres.kill()
    yield dice.uniform(*AWAY)
    postgres.start()


def restart_postgres(postgres, dice):
    """The server ends its sessions and stops, and returns."""
    postgres.stop()
    yield dice.uniform(*AWAY)
    postgres.start()


def stop_postgres(postgres, dice):
    """The server and all its processes stand still for a while."""
    postgres.signal(signal.SIGSTOP)
    yield dice.uniform(*STOPPED)
    postgres.signal(signal.SIGCONT)


def cut(proxy, dice):
    """Connections are reset, and refused for a while."""
    proxy.cut()
    yield dice.uniform(*AILING)
    proxy.mend()


def cut_one(proxy, dice):
    """One connection is reset."""
    proxy.cut_one(dice)
    yield 0


def stall(proxy, dice):
    """Nothing passes for a while, both ways or one."""
    proxy.stall(dice.choice((BOTH, (UP,), (DOWN,))))
    yield dice.uniform(*AILING)
    proxy.mend()


def half_open(proxy, dice):
    """Connections are dead without a word: all is lost one way or both, or one end is closed."""
    proxy.half_open(**dice.choice(({}, {"loses": (UP,)}, {"loses": (DOWN,)}, {"closes": UP}, {"closes": DOWN})))
    yield dice.uniform(*HALF_OPEN)
    proxy.mend()


def slow(proxy, dice):
    """Everything takes its time."""
    proxy.slow(dice.uniform(*SLOW_RATE), dice.uniform(*SLOW_DELAY))
    yield dice.uniform(*AILING)
    proxy.mend()


def slice_up(proxy, dice):
    """Everything arrives in pieces."""
    proxy.slice(random.Random(dice.random()))
    yield dice.uniform(*AILING)
    proxy.mend()


SERVICE = {"kill -9": kill, "SIGTERM": terminate, "SIGSTOP": stop}
POSTGRES = {"kill -9": kill_postgres, "restart": restart_postgres, "SIGSTOP": stop_postgres}
LINK = {"cut": cut, "cut of one": cut_one, "stall": stall, "half-open": half_open, "slow": slow, "slice": slice_up}


def of(target, kinds):
    """What may befall a target, by name."""
    return {name: partial(fault, target) for name, fault in kinds.items()}


class Faults(threading.Thread):
    """Does one fault after another, each to one of some targets, until the time is over."""

    def __init__(self, targets, seed, seconds):
        """`targets`: by name, the faults that may befall each, by name."""
        super().__init__(name="faults")
        self.targets, self.seed, self.seconds = targets, seed, seconds
        self.dice = random.Random(seed)
        self.over = threading.Event()
        self.error = None
        self.done = []

    def run(self):
        """Until the time is over, or somebody closes."""
        started = time.monotonic()
        try:
            for target, kind in self.plan():
                calm = self.dice.uniform(*CALM)
                at = time.monotonic() - started + calm
                if at > self.seconds or self.over.wait(calm):
                    return
                print(f"fault: {kind}, {target} (at {at:.1f} s, seed {self.seed})", flush=True)
                self.done.append(f"{kind}, {target}")
                for seconds in self.targets[target][kind](self.dice):
                    self.over.wait(min(seconds, max(0, self.seconds - at)))
        except Exception as error:  # told to whoever closes
            self.error = error

    def plan(self):
        """Who is next, and with what: each in turn, in an order that changes; each with a kind it has not had."""
        decks = {target: [] for target in self.targets}
        while True:
            for target in self.dice.sample(list(decks), len(decks)):
                deck = decks[target]
                if not deck:
                    deck += self.dice.sample(list(self.targets[target]), len(self.targets[target]))
                yield target, deck.pop()

    def close(self):
        """Ends the faults; raises what went wrong with one."""
        self.over.set()
        self.join()
        if self.error:
            raise self.error
