"""grpcurl, as the README has it: by hand, by reflection, nothing installed of ours."""

import json
import re
import shlex
import subprocess
import threading
import unittest

from testing.rpc import SERVICE
from testing.system import House

SECONDS = 20


def grpcurl(*arguments, typed=None):
    """What grpcurl prints."""
    done = subprocess.run(["grpcurl", "-plaintext", *arguments], input=typed, capture_output=True, text=True,
                          timeout=SECONDS)  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def documents(lines):
    """The JSON objects that grpcurl prints one after another."""
    text = ""
    for line in lines:
        text += line
        if line.startswith("}") or line.strip() == "{}":
            yield json.loads(text)
            text = ""


class Grpcurl(unittest.TestCase):
    """One `parlour` for all of these."""

    @classmethod
    def setUpClass(cls):
        cls.house = cls.enterClassContext(House())
        cls.parlour = cls.house.together()

    def test_list_and_describe_need_no_files(self):
        code, out, err = grpcurl(self.house.grpc, "list")
        self.assertEqual(code, 0, err)
        self.assertIn(SERVICE, out.split())
        code, out, err = grpcurl(self.house.grpc, "describe", SERVICE)
        self.assertEqual(code, 0, err)
        for method in ("SendMessage", "Chat", "Relay"):
            self.assertIn(f"rpc {method} ", out)

    def test_an_unary_call_answers_and_a_refusal_says_why(self):
        asked = json.dumps({"room": "general", "content": "hello", "name": "Curl"})
        code, out, err = grpcurl("-d", asked, self.house.grpc, f"{SERVICE}/SendMessage")
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(out)["message"]["user"]["name"], "Curl")
        code, _, err = grpcurl("-d", '{"room":"nowhere","content":"x"}', self.house.grpc, f"{SERVICE}/SendMessage")
        self.assertNotEqual(code, 0)
        self.assertIn("NotFound", err)
        self.assertIn("ROOM_NOT_FOUND", err)

    def test_the_line_that_parlour_prints_works_as_it_stands(self):
        line = re.search(r"grpcurl .*", self.parlour.said())
        self.assertIsNotNone(line, self.parlour.said())
        done = subprocess.run(shlex.split(line[0]), capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_chat_session_is_typed_in(self):
        with subprocess.Popen(["grpcurl", "-plaintext", "-d", "@", self.house.grpc, f"{SERVICE}/Chat"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, bufsize=1) as session:  # fmt: skip
            deadline = threading.Timer(SECONDS, session.kill)
            deadline.start()
            heard = documents(session.stdout)
            session.stdin.write('{"hello":{"name":"Typist"}}\n{"join":{"room":"random"}}\n')
            session.stdin.flush()
            joined = next(frame["joined"] for frame in heard if "joined" in frame)
            self.assertEqual([user["name"] for user in joined["users"]], ["Typist"])
            session.stdin.write('{"id":"1","message":{"room":"random","content":"typed in"}}\n')
            session.stdin.flush()
            said = next(frame["event"] for frame in heard if "event" in frame)
            self.assertEqual(said["message"]["data"]["content"], "typed in")
            session.stdin.close()
            self.assertEqual(session.wait(SECONDS), 0, session.stderr.read())
            deadline.cancel()
