"""The processes as an operator meets them: how they start, refuse, tell how they are, and stop."""

import json
import os
import re
import signal
import subprocess
import unittest
import urllib.request

from testing.database import Database
from testing.ports import free_port
from testing.rpc import Client
from testing.system import SERVICE_TOKEN, House, Service, binary

METRICS = {
    "parlour-room": [
        "parlour_readiness_proof_age_seconds", "parlour_room_live_rooms", "parlour_room_messages_appended_total",
        "parlour_room_store_pages_read_total", "parlour_room_relay_events_total",
        "parlour_room_slow_consumers_total", "parlour_room_gaps_total", "parlour_room_append_duration_seconds",
        "parlour_room_fanout_duration_seconds",
    ],
    "parlour-gateway": [
        "parlour_readiness_proof_age_seconds", "parlour_gateway_sessions", "parlour_gateway_deliveries_total", "parlour_gateway_slow_consumers_total",
        "parlour_gateway_gaps_total",
    ],
}  # fmt: skip
DRAIN_SECONDS = 5


def run(name, *arguments, folder, **settings):
    """Runs a program that is expected to end by itself."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PARLOUR_")}
    env |= {f"PARLOUR_{key}": str(value) for key, value in settings.items()}
    return subprocess.run([binary(name), *arguments], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30)  # fmt: skip


class Starting(unittest.TestCase):
    """How a process starts, or says why not."""

    def test_parlour_prints_where_the_page_is(self):
        with House() as house:
            parlour = house.together()
            port = house.web.rsplit(":", 1)[1]
            self.assertIn(f"http://localhost:{port}", parlour.said())
            with urllib.request.urlopen(f"http://localhost:{port}/", timeout=10) as page:
                self.assertEqual(page.status, 200)
                self.assertTrue(page.url.endswith("/rooms"), page.url)
                self.assertIn("<!doctype html>", page.read().decode().lower())
            with urllib.request.urlopen(f"http://localhost:{port}/api/rooms", timeout=10) as answer:
                names = {room["name"] for room in json.load(answer)["rooms"]}
            self.assertLessEqual({"general", "random", "tech"}, names)

    def test_p11_bad_settings_are_all_reported_at_once_and_exit_2(self):
        with House() as house:
            for name in ("parlour", "parlour-room", "parlour-gateway"):
                done = run(name, folder=house.folder, DRAIN_SECONDS="soon", CONTENT_CHARS="-1", LOG_FORMAT="xml")
                self.assertEqual(done.returncode, 2, done.stderr)
                for setting in ("PARLOUR_DRAIN_SECONDS", "PARLOUR_CONTENT_CHARS", "PARLOUR_LOG_FORMAT"):
                    self.assertIn(setting, done.stderr, name)

    def test_an_unknown_flag_is_refused(self):
        with House() as house:
            for name in ("parlour", "parlour-room", "parlour-gateway"):
                self.assertEqual(run(name, "--no-such-flag", folder=house.folder).returncode, 2, name)

    def test_help_names_every_setting_with_its_variable(self):
        with House() as house:
            done = run("parlour-room", "--help", folder=house.folder)
            self.assertEqual(done.returncode, 0)
            for setting in ("PARLOUR_STORE", "PARLOUR_ROOM_LISTEN", "PARLOUR_SEND_RATE", "PARLOUR_DRAIN_SECONDS"):
                self.assertIn(setting, done.stdout)

    def test_no_program_can_make_mistakes_on_purpose(self):
        with House() as house:
            for name in ("parlour", "parlour-room", "parlour-gateway"):
                self.assertNotIn("mistakes", run(name, "--version", folder=house.folder).stdout, name)
                done = run(name, "--planted-mistake=pipelining", folder=house.folder)
                self.assertEqual(done.returncode, 2, name)

    def test_off_loopback_the_room_service_asks_for_a_service_token(self):
        with House() as house:
            done = run("parlour-room", folder=house.folder, ROOM_LISTEN=f"0.0.0.0:{free_port()}",
                       ADMIN_LISTEN=f"127.0.0.1:{free_port()}", STORE="sqlite:parlour.db")  # fmt: skip
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertIn("PARLOUR_SERVICE_TOKEN", done.stderr)

    def test_a_store_that_is_down_is_a_sentence_and_exit_1(self):
        with House() as house:
            for store in (f"postgres://postgres@127.0.0.1:{free_port()}/none", f"sqlite:{house.folder}/no/such/folder.db"):
                done = run("parlour-room", folder=house.folder, STORE=store, ROOM_LISTEN=house.grpc,
                           ADMIN_LISTEN=f"127.0.0.1:{free_port()}")  # fmt: skip
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertRegex(done.stdout + done.stderr, r"(?i)database|store|postgres|sqlite|file")
                self.assertNotIn("panicked", done.stderr)

    def test_a_second_process_on_the_same_file_is_refused(self):
        with House() as house:
            house.room()
            done = run("parlour-room", folder=house.folder, STORE=f"sqlite:{house.folder}/parlour.db",
                       ROOM_LISTEN=f"127.0.0.1:{free_port()}", ADMIN_LISTEN=f"127.0.0.1:{free_port()}")  # fmt: skip
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertRegex(done.stdout + done.stderr, r"(?i)another process|in use|locked")

    def test_a_port_that_is_taken_is_a_sentence_and_exit_1(self):
        with House() as house:
            house.room()
            done = run("parlour-room", folder=house.folder, STORE=f"sqlite:{house.folder}/other.db",
                       ROOM_LISTEN=house.grpc, ADMIN_LISTEN=f"127.0.0.1:{free_port()}")  # fmt: skip
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn(house.grpc, done.stdout + done.stderr)


class Telling(unittest.TestCase):
    """The admin port."""

    def has_metrics(self, service, names):
        status, page = service.get("/metrics")
        self.assertEqual(status, 200)
        for name in names:
            self.assertRegex(page, rf"(?m)^# HELP {name} \S", service.name)
            self.assertRegex(page, rf"(?m)^# TYPE {name} ", service.name)
            self.assertRegex(page, rf"(?m)^{name}(_bucket|_sum|_count)?(\{{| )", service.name)
        described = set(re.findall(r"(?m)^# HELP (\S+)", page))
        undescribed = {name for name in re.findall(r"(?m)^# TYPE (\S+)", page) if name not in described}
        self.assertEqual(undescribed, set())

    def test_p13_a_service_with_its_store_is_live_ready_and_measured(self):
        with House() as house:
            room = house.room()
            self.assertEqual(room.get("/livez")[0], 200)
            self.has_metrics(room, METRICS["parlour-room"])
            gateway = house.gateway()
            self.assertEqual(gateway.get("/livez")[0], 200)
            self.has_metrics(gateway, METRICS["parlour-gateway"])

    def test_parlour_measures_both(self):
        with House() as house:
            self.has_metrics(house.together(), METRICS["parlour-room"] + METRICS["parlour-gateway"])

    def test_a_gateway_without_a_room_service_lives_and_is_not_ready(self):
        with House() as house:
            gateway = Service("parlour-gateway", house.folder, GATEWAY_LISTEN=house.web,
                              ROOM_URL=f"http://{house.grpc}", SERVICE_TOKEN=SERVICE_TOKEN)  # fmt: skip
            house.services.append(gateway.start())
            gateway.await_status("/livez", 200)
            self.assertEqual(gateway.get("/readyz")[0], 503)
            house.room()
            gateway.ready()

    def test_a_store_that_goes_away_is_unready_and_comes_back_by_itself(self):
        with Database() as database, House() as house:
            room = house.room(STORE=database.url)
            client = Client(house.grpc)
            self.addCleanup(client.close)
            client.call("SendMessage", room="general", content="before")
            database.refuse()
            room.await_status("/readyz", 503)
            self.assertEqual(room.get("/livez")[0], 200)
            database.admit()
            room.await_status("/readyz", 200)
            self.assertEqual(client.call("SendMessage", room="general", content="after").message.id, 2)


class Stopping(unittest.TestCase):
    """SIGTERM and SIGINT."""

    def test_p10_each_drains_within_its_deadline_and_exits_0(self):
        with House() as house:
            room = house.room(DRAIN_SECONDS=DRAIN_SECONDS)
            gateway = house.gateway(DRAIN_SECONDS=DRAIN_SECONDS)
            self.assertEqual(gateway.stop(), 0, gateway.said())
            self.assertEqual(room.stop(), 0, room.said())

    def test_p10_an_open_chat_is_told_and_does_not_hold_the_drain(self):
        with House() as house:
            parlour = house.together(DRAIN_SECONDS=DRAIN_SECONDS)
            client = Client(house.grpc)
            self.addCleanup(client.close)
            chat = client.chat()
            chat.says(join={"room": "general"})
            chat.hears("joined")
            parlour.process.send_signal(signal.SIGTERM)
            chat.hears("going_away")
            self.assertEqual(parlour.process.wait(DRAIN_SECONDS + 5), 0, parlour.said())

    def test_ctrl_c_does_the_same(self):
        with House() as house:
            parlour = house.together(DRAIN_SECONDS=DRAIN_SECONDS)
            parlour.process.send_signal(signal.SIGINT)
            self.assertEqual(parlour.process.wait(DRAIN_SECONDS + 5), 0, parlour.said())
