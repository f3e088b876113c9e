"""Starts the services as an operator would, for tests from outside.

Owns: processes of the built binaries, their ports and their logs, in a folder of the test's own.
Promises: a process is ready when `ready` has returned, and gone after `close`; a log is shown when one fails.
Never: imports anything of the services: what they print and serve is all it knows.
"""

import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from testing.ports import free_port

READY_SECONDS = 20
STOP_SECONDS = 30
SERVICE_TOKEN = "a-token-for-tests-only"


def binary(name):
    """The path of a program that the build made."""
    return Path(os.environ["PARLOUR_TEST_BIN"]) / name


class Service:
    """One process with its settings."""

    def __init__(self, name, folder, **settings):
        """`settings` are `PARLOUR_*` variables without their prefix."""
        self.name = name
        self.admin = free_port()
        settings = {"ADMIN_LISTEN": f"127.0.0.1:{self.admin}", "LOG_FORMAT": "text", **settings}
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("PARLOUR_")}
        self.env |= {f"PARLOUR_{key}": str(value) for key, value in settings.items()}
        self.log = Path(folder) / f"{name}-{self.admin}.log"
        self.folder = folder
        self.under = []  # a command that runs it
        self.process = None

    def start(self):
        """Starts the process; `ready` waits for it."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen([*self.under, binary(self.name)], cwd=self.folder, env=self.env,
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # fmt: skip
        return self

    def ready(self):
        """Waits until the process says that it is ready."""
        deadline = time.monotonic() + READY_SECONDS
        while self.get("/readyz")[0] != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{self.name} did not become ready:\n{self.said()}")
            time.sleep(0.05)
        return self

    def await_status(self, path, status):
        """Waits until a page of the admin port has this status."""
        deadline = time.monotonic() + READY_SECONDS
        while self.get(path)[0] != status:
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: {path} is {self.get(path)}, not {status}:\n{self.said()}")
            time.sleep(0.05)

    def get(self, path):
        """Status and body of a page of the admin port; status 0 if nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()
        except OSError:
            return 0, ""

    def said(self):
        """All that it has printed and logged."""
        return self.log.read_text(errors="replace")

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def close(self):
        """Makes sure that it is gone."""
        if self.process and self.process.poll() is None:
            self.kill()


class House:
    """The services that one test talks to, and their folder."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="house-")
        self.folder = Path(self._folder.name)
        self.services = []
        self.grpc = f"127.0.0.1:{free_port()}"
        self.web = f"127.0.0.1:{free_port()}"

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for service in reversed(self.services):
            service.close()
            if kind:
                print(f"--- {service.name} said:\n{service.said()[-4000:]}")
        self._folder.cleanup()

    def service(self, name, **settings):
        """Starts a service and waits for it."""
        service = Service(name, self.folder, **settings)
        self.services.append(service)
        return service.start().ready()

    def together(self, **settings):
        """`parlour`: both services in one process."""
        return self.service("parlour", ROOM_LISTEN=self.grpc, GATEWAY_LISTEN=self.web,
                            STORE=f"sqlite:{self.folder}/parlour.db", **settings)  # fmt: skip

    def room(self, **settings):
        """`parlour-room` by itself."""
        settings = {"STORE": f"sqlite:{self.folder}/parlour.db", "SERVICE_TOKEN": SERVICE_TOKEN, **settings}
        return self.service("parlour-room", ROOM_LISTEN=self.grpc, **settings)

    def gateway(self, **settings):
        """`parlour-gateway` by itself, on `web` unless told otherwise."""
        settings = {"GATEWAY_LISTEN": self.web, "ROOM_URL": f"http://{self.grpc}", "SERVICE_TOKEN": SERVICE_TOKEN, **settings}
        return self.service("parlour-gateway", **settings)
