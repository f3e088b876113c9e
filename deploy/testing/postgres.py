"""A PostgreSQL of the run's own.

Owns: one cluster in a temporary folder, with a socket there and one free port on loopback.
Promises: it answers once `start` has returned, the first time and again; after `stop` and `kill` no process of it is left.
Never: touches a server of the machine's; is reachable from elsewhere.
"""

import os
import pwd
import re
import signal
import subprocess
import time
from pathlib import Path

from testing.guard import descendants, is_alive
from testing.ports import free_port

START_SECONDS = 60
STOP_SECONDS = 20
# A test's database need not survive a power cut: kill -9 of our processes does not ask for that.
SETTINGS = ["fsync=off", "full_page_writes=off", "max_connections=300", "shared_buffers=64MB", "log_min_messages=warning"]


def programs():
    """The folder of the newest server's programs; Debian does not put them on PATH."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda path: [int(number) for number in re.findall(r"\d+", str(path))])


def owner():
    """The user who runs the server: PostgreSQL refuses root."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


class Postgres:
    """The cluster."""

    def __init__(self, folder, settings=SETTINGS):
        self.folder = Path(folder)
        self.settings = [part for setting in settings for part in ("-c", setting)]
        self.bin = programs()
        self.port = free_port()
        self.process = None

    @property
    def url(self):
        """Where tests connect, as a superuser who may make databases."""
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def _command(self, program, *arguments):
        return [str(self.bin / program), "-D", str(self.folder / "data"), *arguments]

    def _as_owner(self):
        """How the server's own programs are run."""
        become = {"user": owner().pw_uid, "group": owner().pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        return {"cwd": self.folder, "stdin": subprocess.DEVNULL, **become}

    def start(self):
        """Starts the cluster, which is made where it is missing; raises with its own words if it does not come up."""
        if not self.folder.exists():
            self._make()
        log = self.folder / "log"
        command = self._command("postgres", "-k", str(self.folder), "-h", "127.0.0.1", "-p", str(self.port), *self.settings)
        with log.open("a") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **self._as_owner())
        self._await_ready(log)

    def _make(self):
        self.folder.mkdir(mode=0o700)
        os.chown(self.folder, owner().pw_uid, owner().pw_gid)
        initdb = self._command("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **self._as_owner())

    def _await_ready(self, log):
        deadline = time.monotonic() + START_SECONDS
        ready = [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        while subprocess.run(ready).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}")
            time.sleep(0.1)

    def signal(self, signum):
        """Sends a signal to the server and all its processes."""
        for pid in [self.process.pid, *descendants(of=self.process.pid)]:
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                pass

    def kill(self):
        """kill -9 of the server and all its processes: one that computes would outlive it for as long as that takes."""
        self.process.send_signal(signal.SIGSTOP)  # so that it makes no more of them
        others = descendants(of=self.process.pid)
        self.signal(signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + STOP_SECONDS
        while any(is_alive(pid) for pid in others):
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL was killed, and not all of it has ended: {others}")
            time.sleep(0.02)

    def stop(self):
        """Ends the server: politely, else at once. Its folder stays for the guard to remove."""
        if self.process is None:
            return
        stop = self._command("pg_ctl", "-t", str(STOP_SECONDS), "-s", "-w", "stop")
        for mode in ("fast", "immediate"):
            if subprocess.run([*stop, "-m", mode], **self._as_owner()).returncode == 0:
                self.process.wait(STOP_SECONDS)
                return
        self.process.terminate()  # it has not even written down its own number; the guard sees to its end
