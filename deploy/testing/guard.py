"""What a run may leave behind: nothing.

Owns: the processes, ports and temporary folders of a run, from before it to after it.
Promises: whatever a test starts stays findable, since this process adopts every orphan below it; what remains after
a stage is named, ended and counted as a failure.
Never: touches a process or folder that the run did not make.
"""

import ctypes
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
TERM_SECONDS = 5
PREFIX = "parlour-test-"
LISTEN = "0A"  # the state's number in /proc/net/tcp


def adopt_orphans():
    """Makes this process the parent of whoever below it loses theirs, so that nobody escapes by forking twice."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def descendants(spare=(), of=None):
    """Living processes below this one (or `of`), without those of `spare` and below: pid → command line."""
    children, commands = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # it ended meanwhile
            continue
        state, parent = stat[stat.rindex(")") + 2 :].split()[:2]
        if state != "Z":
            commands[int(entry.name)] = command or stat[: stat.rindex(")") + 1]
        children.setdefault(int(parent), []).append(int(entry.name))
    found, waiting = {}, list(children.get(of or os.getpid(), []))
    while waiting:
        pid = waiting.pop()
        if pid in spare:
            continue
        waiting += children.get(pid, [])
        if pid in commands:
            found[pid] = commands[pid]
    return found


def is_alive(pid):
    """Whether a process has yet to end; one that nobody has buried has ended."""
    try:
        stat = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2 :].split()[0] != "Z"


def end(spare=()):
    """Ends all descendants but `spare`: asks, waits, then kills."""
    for signum, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, TERM_SECONDS)):
        deadline = time.monotonic() + seconds
        for pid in descendants(spare):
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                pass
        while descendants(spare) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not descendants(spare):
            return


def reap():
    """Buries adopted orphans that have ended. Only to be called while no child of our own is waited for."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def listeners():
    """Sockets that listen, by inode: (address in the kernel's hex, uid)."""
    found = {}
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
        except FileNotFoundError:
            continue
        for columns in map(str.split, lines):
            if columns[3] == LISTEN:
                found[columns[9]] = (columns[1], int(columns[7]))
    return found


def strangers_sockets():
    """Inodes of sockets held by processes that are not of this run."""
    ours, found = set(descendants()) | {os.getpid()}, set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in ours:
            continue
        try:
            for handle in (entry / "fd").iterdir():
                target = os.readlink(handle)
                if target.startswith("socket:["):
                    found.add(target[8:-1])
        except OSError:  # it ended, or is another user's
            continue
    return found


class Guard:
    """Holds the run's temporary folder, and knows how the machine was before."""

    def __init__(self, uids):
        """`uids`: the users whose processes a run may start."""
        adopt_orphans()
        self.uids = uids
        self.ports_before = listeners()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.folder.chmod(0o711)  # the database's user has a folder inside
        self.residue_before = self.residue()

    def scratch(self, name):
        """A folder for the temporary files of one stage."""
        path = self.folder / name
        path.mkdir()
        path.chmod(0o711)  # a database's user may have a folder inside
        return path

    def after_stage(self, scratch, spare):
        """Sentences about what a stage left behind; and removes that."""
        left = [f"process {pid} is still there: {command[:200]}" for pid, command in descendants(spare).items()]
        end(spare)
        left += [f"temporary {path.name} is still there" for path in sorted(scratch.iterdir())]
        shutil.rmtree(scratch, ignore_errors=True)
        return left

    def residue(self):
        """Names beside the run's folder that only this project's processes would choose."""
        places = {Path(tempfile.gettempdir()), Path("/tmp"), Path("/dev/shm")}
        names = {path for place in places if place.is_dir() for path in place.glob("*parlour*")}
        # Folders of other runs at the same time are theirs to remove; our own is looked at by itself.
        names = {path for path in names if not path.name.startswith(PREFIX)}
        return {path for path in names if path.exists() and path.stat().st_uid in self.uids}

    def close(self):
        """Ends and removes everything; sentences about what was there that should not have been."""
        left = [f"process {pid} is still there: {command[:200]}" for pid, command in descendants().items()]
        end()
        reap()
        left += [f"process {pid} cannot be ended: {command[:200]}" for pid, command in descendants().items()]
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.exists():
            left.append(f"{self.folder} cannot be removed")
        fresh = {i: v for i, v in listeners().items() if i not in self.ports_before and v[1] in self.uids}
        strangers = strangers_sockets() if fresh else set()
        for inode, (address, _) in fresh.items():
            if inode not in strangers:
                left.append(f"port {int(address.rsplit(':', 1)[1], 16)} still listens")
        left += [f"{path} was left behind" for path in sorted(self.residue() - self.residue_before)]
        return left
