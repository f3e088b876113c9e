"""A foreign client that knows only the address: Python's grpcio, by reflection, without stubs."""

import unittest
import uuid

import grpc
from grpc_reflection.v1alpha import reflection_pb2

from testing.rpc import SERVICE, Client, Refusal
from testing.system import House

OUR_UNKNOWN_FIELD = b"\x9a\x06\x00"  # field 99, a message without content: a frame of a version to come


def fresh(prefix):
    """A name that no other test has."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


class Grpcio(unittest.TestCase):
    """One `parlour` for all of these."""

    @classmethod
    def setUpClass(cls):
        cls.house = cls.enterClassContext(House())
        cls.house.together(SEND_RATE=0)
        cls.client = Client(cls.house.grpc)
        cls.addClassCleanup(cls.client.close)

    def room(self):
        """A room of the test's own."""
        return self.client.call("CreateRoom", name=fresh("room"), title="A room").room

    def refused(self, name, /, **fields):
        """What the server says to a call that it refuses."""
        with self.assertRaises(grpc.RpcError) as raised:
            self.client.call(name, **fields)
        return Refusal(raised.exception)

    def chat(self, name):
        """A session that has said who it is."""
        chat = self.client.chat()
        chat.says(hello={"name": name})
        self.assertEqual(chat.hears("welcome").user.name, name)
        return chat


class Contract(Grpcio):
    """What a stranger is told."""

    def services(self, version):
        path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        ask = self.client.channel.stream_stream(
            path, request.SerializeToString, reflection_pb2.ServerReflectionResponse.FromString
        )
        return {service.name for answer in ask(iter([request]), timeout=10)
                for service in answer.list_services_response.service}  # fmt: skip

    def test_reflection_of_both_versions_lists_the_services(self):
        for version in ("v1", "v1alpha"):
            self.assertLessEqual({SERVICE, "grpc.health.v1.Health"}, self.services(version), version)

    def test_health_says_serving_of_the_whole_and_of_the_service(self):
        for service in ("", SERVICE):
            answer = self.client.call("grpc.health.v1.Health/Check", service=service)
            self.assertEqual(answer.DESCRIPTOR.fields_by_name["status"].enum_type.values_by_number[answer.status].name,
                             "SERVING", service)  # fmt: skip

    def test_relay_is_for_gateways_only(self):
        path, request, answer = self.client.method("Relay")
        relay = self.client.channel.stream_stream(path, request.SerializeToString, answer.FromString)
        with self.assertRaises(grpc.RpcError) as raised:
            list(relay(iter([request()]), timeout=10))
        refusal = Refusal(raised.exception)
        self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"))


class Unary(Grpcio):
    """Methods that are called once."""

    def test_the_rooms_of_the_start_are_there_page_by_page(self):
        names, token = [], ""
        while True:
            page = self.client.call("ListRooms", page_size=1, page_token=token)
            self.assertLessEqual(len(page.rooms), 1)
            names += [room.name for room in page.rooms]
            token = page.next_page_token
            if not token:
                break
        self.assertLessEqual({"general", "random", "tech"}, set(names))
        self.assertEqual(len(names), len(set(names)))

    def test_p5_a_room_made_twice_with_one_key_is_one_room(self):
        name, key = fresh("room"), fresh("key")
        first = self.client.call("CreateRoom", name=name, request_id=key).room
        again = self.client.call("CreateRoom", name=name, request_id=key).room
        self.assertEqual(first.id, again.id)
        refusal = self.refused("CreateRoom", name=name, request_id=fresh("other"))
        self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.ALREADY_EXISTS, "ROOM_EXISTS"))

    def test_p5_a_message_sent_twice_with_one_key_is_one_message(self):
        room, key = self.room(), fresh("key")
        first = self.client.call("SendMessage", room=room.name, content="hello", client_message_id=key, name="Ada")
        again = self.client.call("SendMessage", room=room.id, content="another", client_message_id=key, name="Ada")
        self.assertEqual((first.message.id, first.repeated), (1, False))
        self.assertEqual((again.message.id, again.repeated, again.message.content), (1, True, "hello"))
        self.assertEqual((first.message.user.name, first.message.user.guest), ("Ada", True))
        self.assertEqual(self.client.call("GetRoom", room=room.name).room.head, 1)

    def test_p2_messages_are_listed_in_one_order_both_ways(self):
        room = self.room().name
        for number in range(1, 8):
            sent = self.client.call("SendMessage", room=room, content=f"number {number}")
            self.assertEqual(sent.message.id, number)
        newest = self.client.call("ListMessages", room=room, page_size=3)
        self.assertEqual(([m.id for m in newest.messages], newest.more), ([5, 6, 7], True))
        older = self.client.call("ListMessages", room=room, page_size=10, before_seq=5)
        self.assertEqual(([m.id for m in older.messages], older.more), ([1, 2, 3, 4], False))
        newer = self.client.call("ListMessages", room=room, page_size=2, after_seq=2)
        self.assertEqual(([m.id for m in newer.messages], newer.more), ([3, 4], True))
        self.assertEqual(self.client.call("GetMessage", room=room, id=4).message.content, "number 4")

    def test_p4_the_log_is_read_from_a_cursor(self):
        room = self.room()
        for number in range(3):
            self.client.call("SendMessage", room=room.name, content=f"number {number}")
        whole = self.client.call("ListEvents", room=room.name, after=room.cursor)
        self.assertEqual([event.seq for event in whole.events], [1, 2, 3])
        self.assertEqual(whole.head, whole.events[-1].cursor)
        rest = self.client.call("ListEvents", room=room.name, after=whole.events[0].cursor)
        self.assertEqual([event.seq for event in rest.events], [2, 3])

    def test_p11_refusals_say_code_reason_field_and_domain(self):
        room = self.room().name
        code = grpc.StatusCode
        other = self.client.call("GetRoom", room=self.room().name).room.cursor
        cases = [
            ("SendMessage", {"room": "nowhere", "content": "x"}, code.NOT_FOUND, "ROOM_NOT_FOUND", None),
            ("SendMessage", {"room": room, "content": "  "}, code.INVALID_ARGUMENT, "INVALID_CONTENT", "content"),
            ("SendMessage", {"room": room, "content": "x" * 4001}, code.INVALID_ARGUMENT, "INVALID_CONTENT", "content"),
            ("SendMessage", {"room": room, "content": "a\0b"}, code.INVALID_ARGUMENT, "INVALID_CONTENT", "content"),
            ("SendMessage", {"room": room, "content": "x", "name": "<b>"}, code.INVALID_ARGUMENT, "INVALID_NAME", "name"),
            ("SendMessage", {"room": room, "content": "x", "client_message_id": "k" * 65}, code.INVALID_ARGUMENT,
             "INVALID_FIELD", "client_message_id"),
            ("SendMessage", {"content": "x"}, code.INVALID_ARGUMENT, "MISSING_FIELD", "room"),
            ("CreateRoom", {"name": "Not A Slug"}, code.INVALID_ARGUMENT, "INVALID_FIELD", "name"),
            ("GetMessage", {"room": room, "id": 99}, code.NOT_FOUND, "MESSAGE_NOT_FOUND", None),
            ("ListEvents", {"room": room, "after": "rubbish"}, code.INVALID_ARGUMENT, "INVALID_CURSOR", "after"),
            ("ListEvents", {"room": room, "after": other}, code.FAILED_PRECONDITION, "OTHER_LOG", None),
            ("ListRooms", {"page_token": "rubbish"}, code.INVALID_ARGUMENT, "INVALID_FIELD", "page_token"),
        ]  # fmt: skip
        for method, fields, code, reason, field in cases:
            with self.subTest(method, **{key: str(value)[:40] for key, value in fields.items()}):
                refusal = self.refused(method, **fields)
                self.assertEqual((refusal.code, refusal.reason, refusal.domain), (code, reason, "parlour"))
                self.assertEqual(refusal.fields, [field] if field else [])
                self.assertTrue(refusal.message)

    def test_an_archived_room_is_read_and_no_longer_written(self):
        room = self.room().name
        self.client.call("SendMessage", room=room, content="the last word")
        self.assertTrue(self.client.call("ArchiveRoom", room=room).room.archived)
        refusal = self.refused("SendMessage", room=room, content="one more")
        self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.FAILED_PRECONDITION, "ROOM_ARCHIVED"))
        self.assertEqual(len(self.client.call("ListMessages", room=room).messages), 1)


class ChatSession(Grpcio):
    """The stream."""

    def test_the_stream_opens_before_anything_is_said(self):
        chat = self.client.chat()
        self.assertIsNotNone(chat.call.initial_metadata())
        self.assertEqual(chat.ends(), [])

    def test_a_session_is_typed_without_hello(self):
        room, chat = self.room().name, self.client.chat()
        chat.says(id="1", join={"room": room})
        self.assertEqual(chat.hears("welcome").user.name, "Guest")
        joined = chat.hears("joined")
        self.assertEqual((chat.id, joined.room, joined.count), ("1", room, 1))
        chat.says(id="2", message={"room": room, "content": "hello"})
        kinds, seqs = set(), set()
        for answer in chat.call:
            kinds.add(answer.WhichOneof("frame"))
            if answer.WhichOneof("frame") == "ack":
                self.assertEqual(answer.id, "2")
                seqs.add(answer.ack.seq)
            if answer.WhichOneof("frame") == "event":
                self.assertEqual(answer.event.message.data.content, "hello")
                seqs.add(answer.event.seq)
            if {"ack", "event"} <= kinds:
                break
        self.assertEqual(seqs, {1})
        chat.ends()

    def test_two_sessions_see_each_other_come_type_speak_and_leave(self):
        room = self.room().name
        ada, bob = self.chat("Ada"), self.chat("Bob")
        ada.says(join={"room": room})
        self.assertEqual([user.name for user in ada.hears("joined").users], ["Ada"])
        bob.says(join={"room": room})
        self.assertEqual({user.name for user in bob.hears("joined").users}, {"Ada", "Bob"})
        ada.hears("presence", lambda told: [user.name for user in told.joined] == ["Bob"])
        here = self.client.call("GetPresence", room=room)
        self.assertEqual((here.count, {user.name for user in here.users}), (2, {"Ada", "Bob"}))
        bob.says(typing={"room": room, "typing": True})
        self.assertEqual(ada.hears("typing").user.name, "Bob")
        bob.says(message={"room": room, "content": "hello, Ada"})
        self.assertEqual(ada.hears("event").message.data.content, "hello, Ada")
        bob.says(id="bye", leave={"room": room})
        bob.hears("ack")
        ada.hears("presence", lambda told: [user.name for user in told.left] == ["Bob"])
        self.assertEqual(self.client.call("GetPresence", room=room).count, 1)
        ada.ends()
        bob.ends()

    def test_p4_a_session_resumes_with_its_cursor_as_the_same_guest(self):
        room, ada = self.room().name, self.client.chat()
        ada.says(hello={"name": "Ada", "rooms": {room: ""}})
        welcome, cursor = ada.hears("welcome"), ada.hears("joined").cursor
        ada.says(message={"room": room, "content": "one"})
        cursor = ada.hears("event").cursor
        ada.ends()
        for content in ("two", "three"):
            self.client.call("SendMessage", room=room, content=content)
        again = self.client.chat()
        again.says(hello={"guest_token": welcome.guest_token, "name": "Ada", "rooms": {room: cursor}})
        self.assertEqual(again.hears("welcome").user.id, welcome.user.id)
        self.assertEqual(again.hears("joined").cursor, cursor)
        self.assertEqual([again.hears("event").message.data.content for _ in range(2)], ["two", "three"])
        again.ends()

    def test_p4_a_cursor_of_another_log_is_told_so(self):
        room, other = self.room().name, self.room().cursor
        chat = self.chat("Ada")
        chat.says(join={"room": room, "cursor": other})
        joined = chat.hears("joined")
        resync = chat.hears("resync")
        self.assertEqual((resync.reason, resync.cursor), ("OTHER_LOG", joined.cursor))
        chat.ends()

    def test_p11_what_is_refused_names_its_request_and_the_session_goes_on(self):
        chat, room = self.chat("Ada"), self.room().name
        refusals = [
            ({"join": {"room": "nowhere"}}, "ROOM_NOT_FOUND", ""),
            ({"join": {"room": room, "cursor": "rubbish"}}, "INVALID_CURSOR", "cursor"),
            ({"message": {"room": room, "content": " "}}, "INVALID_CONTENT", "content"),
            ({"message": {"content": "x"}}, "MISSING_FIELD", "room"),
        ]
        for number, (frame, reason, field) in enumerate(refusals):
            chat.says(id=f"request-{number}", **frame)
            error = chat.hears("error")
            self.assertEqual((chat.id, error.code, error.field), (f"request-{number}", reason, field))
        chat.says(id="ping", ping={})
        chat.hears("pong")
        self.assertEqual(chat.id, "ping")
        chat.ends()

    def test_p12_a_frame_of_a_later_version_is_answered_and_the_session_goes_on(self):
        chat = self.chat("Ada")
        chat.says_bytes(OUR_UNKNOWN_FIELD)
        self.assertEqual(chat.hears("error").code, "UNKNOWN_FRAME")
        chat.says(ping={})
        chat.hears("pong")
        chat.ends()

    def test_a_second_hello_ends_the_session(self):
        chat = self.chat("Ada")
        chat.says(hello={"name": "Bob"})
        with self.assertRaises(grpc.RpcError) as raised:
            list(chat.call)
        refusal = Refusal(raised.exception)
        self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.FAILED_PRECONDITION, "PROTOCOL_MISUSE"))
