"""Runs every test, stage by stage.

Owns: the order of the stages, what each is given, the count of what they did.
Promises: each stage says how long it took; the last line is the count; whatever happens, Ctrl-C included, everything
that was started is ended, and what a stage left behind is a failure.
Never: knows what a test is about.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from testing.guard import Guard, end
from testing.postgres import Postgres, owner
from testing.summaries import Reader, Tally

ROOT = Path(__file__).resolve().parents[2]
CLIENT_TESTS = Path("gateway/tests/client")
# What is built to make mistakes, and whoever is to find them.
PLANTED = ["--workspace", "--locked", "--features", "parlour-simulation/planted-mistakes"]
STAGE_SECONDS = 20 * 60  # a stage that takes longer hangs
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """Somebody wants the run to end."""


@dataclass
class Stage:
    """A command with tests in it (or none: then only its exit code counts)."""

    name: str
    command: list
    tests: bool = True
    needs_postgres: bool = False
    folder: Path = ROOT
    env: dict = field(default_factory=dict)


def cargo_target():
    """Where cargo puts what it builds."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"]
    return Path(json.loads(subprocess.check_output(command, cwd=ROOT))["target_directory"])


def client_tests(guard):
    """A copy of the page's tests, with their node modules beside them, which the clone must not hold."""
    tree = guard.folder / "tree"
    shutil.copytree(ROOT / CLIENT_TESTS, tree / CLIENT_TESTS, ignore=shutil.ignore_patterns("node_modules"))
    (tree / CLIENT_TESTS / "node_modules").symlink_to(Path(os.environ["PARLOUR_NODE_TOOLS"]) / "node_modules")
    (tree / "static").symlink_to(ROOT / "static")
    return tree / CLIENT_TESTS


def stages(guard):
    """Everything there is to run, in order."""
    build = ["cargo", "build", "--workspace", "--locked", "--bins", "--tests", "--examples"]
    rust = ["cargo", "test", "--workspace", "--locked", "--no-fail-fast"]
    yield Stage("build", build, tests=False)
    yield Stage("harness", [sys.executable, "-m", "testing.unit", "deploy/testing/tests"])
    yield Stage("rust", rust, needs_postgres=True)
    yield Stage("planted", ["cargo", "test", *PLANTED, "--test", "planted"])
    yield Stage("planted", [sys.executable, "-m", "testing.unit", "deploy/testing/planted_tests"])
    page = ["node", "--test", "--test-reporter=spec"]
    yield Stage("page", page, folder=client_tests(guard))
    yield Stage("outside", [sys.executable, "-m", "testing.unit", "deploy/testing/outside"], needs_postgres=True)
    yield Stage("websocket", [sys.executable, "-m", "testing.websocket"])
    verified = [sys.executable, "-m", "testing.unit", "deploy/testing/verify_tests"]
    yield Stage("verify", verified, needs_postgres=True)


class Run:
    """One run of some stages."""

    def __init__(self, wanted):
        self.guard = Guard(uids={os.geteuid(), owner().pw_uid})
        self.wanted = wanted
        self.postgres = None
        self.process = None
        self.total = Tally()
        self.said = []

    def say(self, name, text):
        """Says how a stage ended, now and again at the end."""
        self.said.append(f"{name:<12} {text}")
        print(f"== {name}: {text}", flush=True)

    def fail(self, name, sentences):
        """Counts a failure for each sentence."""
        for sentence in sentences:
            self.total.failed += 1
            self.say(name, f"FAILED: {sentence}")

    def environment(self, stage, scratch):
        """The caller's environment, without settings of Parlour's that might lead a test astray."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("PARLOUR_")}
        env |= {"TMPDIR": str(scratch), "PARLOUR_TEST_REQUIRE": "1", "PARLOUR_TEST_BIN": str(cargo_target() / "debug")}
        # Chromium writes in the user's folders, whatever folder for its profile it is given.
        env |= {name: str(self.guard.folder / "home") for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
        env["PARLOUR_TEST_CHROMIUM"] = shutil.which("chromium")
        env["PARLOUR_TEST_SCREENSHOTS"] = self.screenshots()
        if self.postgres:
            env["PARLOUR_TEST_POSTGRES"] = self.postgres.url
        return env | stage.env

    def screenshots(self):
        """Where the page's pictures go: where the caller wants them, else away with everything else."""
        folder = Path(os.environ.get("PARLOUR_TEST_SCREENSHOTS") or self.guard.folder / "screenshots")
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def spare(self):
        """The processes that outlive a stage."""
        return {self.postgres.process.pid} if self.postgres and self.postgres.process else set()

    def start_postgres(self):
        """Starts the database, once."""
        if self.postgres is None:
            started = time.monotonic()
            self.postgres = Postgres(self.guard.folder / "postgres")  # known from now on, so that it is stopped
            self.postgres.start()
            self.say("postgres", f"{time.monotonic() - started:.1f} s")

    def run_stage(self, stage):
        """Runs one stage; true if it went well."""
        if stage.needs_postgres:
            self.start_postgres()
        print(f"-- {stage.name}", flush=True)
        started, scratch = time.monotonic(), self.guard.scratch(stage.name)
        exit_code, tally = self.execute(stage, scratch)
        seconds = f"{time.monotonic() - started:.1f} s"
        left = self.guard.after_stage(scratch, self.spare())
        if stage.tests:
            self.total.add(tally)
            self.say(stage.name, f"{tally} in {seconds} (exit code {exit_code})")
        else:
            self.say(stage.name, f"{seconds} (exit code {exit_code})")
            if exit_code != 0:
                self.fail(stage.name, ["no test can run"])
        # A stage that failed is known to be bad, and may not have come to its own tidying.
        if exit_code == 0:
            self.fail(stage.name, left)
        return exit_code == 0

    def execute(self, stage, scratch):
        """Runs the command, shows what it says as it says it, and counts."""
        reader = Reader()
        self.process = subprocess.Popen(stage.command, cwd=stage.folder, env=self.environment(stage, scratch),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, errors="replace", start_new_session=True)  # fmt: skip
        copier = threading.Thread(target=copy, args=(self.process.stdout, reader), daemon=True)
        copier.start()
        try:
            exit_code = self.process.wait(STAGE_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"{stage.name} took longer than {STAGE_SECONDS} s", flush=True)
            end(self.spare())
            exit_code = self.process.wait()
        # Somebody it left behind may hold the other end of the pipe: do not wait for that one.
        copier.join(2)
        return exit_code, reader.close(exit_code)

    def run(self):
        """Runs the stages. Returns the exit code."""
        started, code = time.monotonic(), 0
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            for stage in stages(self.guard):
                if self.wanted and stage.tests and stage.name not in self.wanted:
                    continue
                if not self.run_stage(stage) and not stage.tests:
                    break
        except Interrupted as reason:
            self.fail("run", [f"interrupted by {reason}"])
            code = 130
        except Exception as error:  # a broken harness is a failure like any other, and tidies up
            self.fail("run", [f"{type(error).__name__}: {error}"])
        self.tidy()
        print("\nran:\n" + "\n".join(f"  {line}" for line in self.said))
        print(f"  {'total':<12} {time.monotonic() - started:.1f} s")
        print(self.total, flush=True)
        return code or (1 if self.total.failed else 0)

    def tidy(self):
        """Ends what is still there and compares with before. Nothing interrupts that."""
        once_is_enough()
        interrupted = self.process is not None and self.process.poll() is None
        end(self.spare())
        if self.process is not None:
            self.process.wait()
        if self.postgres:
            self.postgres.stop()
        left = self.guard.close()
        self.fail("left behind", left)
        if interrupted and not left:
            self.say("tidy", "everything that was started has been ended")


def copy(source, reader):
    """Shows a stage's output and lets the reader see it."""
    for line in source:
        sys.stdout.write(line)
        sys.stdout.flush()
        reader.line(line)


def once_is_enough():
    """Hears no signal any more: the run ends, and whoever is impatient must not keep it from tidying."""
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


def interrupt(signum, _frame):
    """Turns a signal into an exception of the main thread."""
    once_is_enough()
    raise Interrupted(signal.Signals(signum).name)


def main():
    """Runs the stages named, or all."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until there is something to tidy
    for signum in SIGNALS:
        signal.signal(signum, interrupt)
    sys.exit(Run(wanted=set(sys.argv[1:])).run())


if __name__ == "__main__":
    main()
