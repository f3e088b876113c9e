"""A foreign gRPC client: grpcio, and nothing of ours but what the server itself tells by reflection.

Owns: how a stranger finds the contract, calls a method, and holds a Chat session.
Promises: no generated code and no .proto file: what works here works for whoever has the address.
Never: checks anything; tests do.
"""

import queue

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

SERVICE = "parlour.room.v1.RoomService"
CALL_SECONDS = 10


class Client:
    """A channel, and the contract as the server described it."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.pool = DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))

    def close(self):
        """Ends the channel and its streams."""
        self.channel.close()

    def method(self, name):
        """The path of a method (of RoomService, unless `name` says), and the classes of its request and answer."""
        service, name = name.split("/") if "/" in name else (SERVICE, name)
        method = self.pool.FindServiceByName(service).methods_by_name[name]
        return f"/{service}/{name}", GetMessageClass(method.input_type), GetMessageClass(method.output_type)

    def call(self, name, /, metadata=(), **fields):
        """Calls an unary method."""
        path, request, answer = self.method(name)
        call = self.channel.unary_unary(path, request.SerializeToString, answer.FromString)
        return call(request(**fields), timeout=CALL_SECONDS, metadata=metadata)

    def chat(self):
        """Opens a Chat session."""
        return Chat(self)

    def relay(self, token):
        """Opens a Relay, as a gateway with that service token."""
        return Relay(self, token)


class Stream:
    """A stream of either kind."""

    def __init__(self, client, method, metadata=()):
        path, self.request, answer = client.method(method)
        self._frames = queue.Queue()
        open_stream = client.channel.stream_stream(path, lambda frame: frame, answer.FromString)
        self.call = open_stream(iter(self._frames.get, None), timeout=60, metadata=metadata)

    def says(self, **frame):
        """Sends a frame, such as `join={"room": "general"}`."""
        self._frames.put(json_format.ParseDict(frame, self.request()).SerializeToString())


class Relay(Stream):
    """One stream, a gateway's sessions. Unless `hears` is called, nothing is read."""

    def __init__(self, client, token):
        super().__init__(client, "Relay", [("authorization", f"Bearer {token}")])

    def hears(self, kind):
        """Reads until a frame of a kind has come."""
        for answer in self.call:
            if any(frame.WhichOneof("frame") == kind for frame in answer.frames):
                return
        raise AssertionError(f"the stream ended without {kind}")


class Chat(Stream):
    """One stream, one session."""

    def __init__(self, client):
        super().__init__(client, "Chat")

    def says_bytes(self, frame):
        """Sends a frame that this contract need not know."""
        self._frames.put(frame)

    def hears(self, kind, where=lambda frame: True):
        """The next frame of a kind; what comes before it is passed over."""
        for answer in self.call:
            if answer.WhichOneof("frame") == kind and where(getattr(answer, kind)):
                self.id = answer.id
                return getattr(answer, kind)
        raise AssertionError(f"the stream ended without {kind}")

    def ends(self):
        """Says that nothing follows; returns what still came."""
        self._frames.put(None)
        return list(self.call)


class Refusal:
    """What a refused call says: its code and google.rpc details."""

    def __init__(self, error):
        self.code = error.code()
        self.message = error.details()
        self.fields, self.wait = [], None
        self.reason = self.domain = None
        for detail in rpc_status.from_call(error).details:
            self._take(detail)

    def _take(self, detail):
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            self.reason, self.domain = info.reason, info.domain
        elif detail.Unpack(bad):
            self.fields = [violation.field for violation in bad.field_violations]
        elif detail.Unpack(retry):
            self.wait = retry.retry_delay.ToTimedelta().total_seconds()
