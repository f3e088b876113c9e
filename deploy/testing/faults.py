"""Faults from a seed: what happens to the processes of an installation while it is used.

Owns: when which process is killed, told to stop, or stopped for a while, and its return.
Promises: one fault at a time; after `close` every process runs and is ready; what was done is printed, with the seed
that does it again.
Never: touches a process that it was not given.
"""

import random
import signal
import threading
import time

KINDS = ("kill -9", "SIGTERM", "SIGSTOP")
CALM = (1.5, 4.0)  # seconds between a fault's end and the next
STOPPED = (1.0, 7.0)  # seconds that a process is stopped for
AWAY = (0.0, 1.5)  # seconds until one that ended is started again


class Faults(threading.Thread):
    """Does one fault after another, each to one of some services, until the time is over."""

    def __init__(self, services, seed, seconds):
        super().__init__(name="faults")
        self.services, self.seed, self.seconds = services, seed, seconds
        self.dice = random.Random(seed)
        self.over = threading.Event()
        self.error = None
        self.done = []

    def run(self):
        """Until the time is over, or somebody closes."""
        until = time.monotonic() + self.seconds
        try:
            # Every kind meets every service before chance decides alone.
            first = [(kind, service) for kind in KINDS for service in self.services]
            self.dice.shuffle(first)
            while time.monotonic() < until and not self.over.wait(self.dice.uniform(*CALM)):
                self.one(*(first.pop() if first else (self.dice.choice(KINDS), self.dice.choice(self.services))))
        except Exception as error:  # told to whoever closes
            self.error = error

    def one(self, kind, service):
        """One fault and its end."""
        stopped, away = self.dice.uniform(*STOPPED), self.dice.uniform(*AWAY)
        self.done.append(f"{kind} {service.name}")
        print(f"fault: {kind} of {service.name} (seed {self.seed})", flush=True)
        if kind == "SIGSTOP":
            service.process.send_signal(signal.SIGSTOP)
            self.over.wait(stopped)
            service.process.send_signal(signal.SIGCONT)
            return
        if kind == "kill -9":
            service.kill()
        else:
            code = service.stop()
            if code != 0:
                raise AssertionError(f"{service.name} was told to stop, and exited with {code}:\n{service.said()}")
        self.over.wait(away)
        service.start().ready()

    def close(self):
        """Ends the faults; raises what went wrong with one."""
        self.over.set()
        self.join()
        if self.error:
            raise self.error
