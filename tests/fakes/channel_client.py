"""The client side of a data channel, one frame at a time, so that tests can break the protocol."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from ssmgate.sandbox.channel import codec, payloads
from ssmgate.sandbox.channel.codec import AgentMessage, MessageType, PayloadType
from ssmgate.sandbox.channel.payloads import (
    ChannelClosed,
    HandshakeRequest,
    HandshakeResponse,
    OpenDataChannel,
)

SECONDS = 20


def connected(url: str) -> ClientConnection:
    """Return a websocket that the server closes at the latest."""
    return connect(url, proxy=None, compression=None, close_timeout=1).__enter__()


@dataclass
class Client:
    """A connected and opened client. It answers only in `until` and `shake_hands`."""

    wire: ClientConnection
    number: int = 0
    seen: set[int] = field(default_factory=set)
    output: bytearray = field(default_factory=bytearray)
    closed: str | None = None

    @classmethod
    def open(cls, started: dict[str, str], token: str | None = None) -> Client:
        """Connect to a started session, and open its channel with its token, or with `token`."""
        wire = connected(started["StreamUrl"])
        token = started["TokenValue"] if token is None else token
        wire.send(OpenDataChannel(token, "client", "1.2.3.4").text())
        return cls(wire)

    def frame(self, payload: bytes, payload_type: int = PayloadType.OUTPUT) -> bytes:
        """Return the next message without sending it."""
        message = AgentMessage(MessageType.INPUT_STREAM_DATA, self.number, payload_type, payload, 1)
        self.number += 1
        return codec.encode(message)

    def send(self, payload: bytes, payload_type: int = PayloadType.OUTPUT) -> None:
        """Send a message with the next sequence number."""
        self.wire.send(self.frame(payload, payload_type))

    def receive(self) -> AgentMessage:
        """Return the next message of the agent. It is not acknowledged."""
        frame = self.wire.recv(timeout=SECONDS)
        assert isinstance(frame, bytes)
        return codec.decode(frame)

    def acknowledge(self, message: AgentMessage) -> None:
        """Acknowledge a message. Messages that were sent before the end may arrive after it."""
        with contextlib.suppress(ConnectionClosed):
            self.wire.send(payloads.acknowledge(message, 1))

    def shake_hands(self, *errors: str) -> HandshakeRequest:
        """Answer the handshake of the agent, with `errors` if any, and return its request."""
        request = self.receive()
        assert request.payload_type == PayloadType.HANDSHAKE_REQUEST
        self.acknowledge(request)
        self.seen.add(request.sequence_number)
        response = HandshakeResponse("1.2.3.4", errors)
        self.send(response.payload(), PayloadType.HANDSHAKE_RESPONSE)
        return HandshakeRequest.read(request.payload)

    def until(self, holds: Callable[[], bool]) -> None:
        """Receive and acknowledge messages until the condition holds.

        Repeated messages are not added to `output` again.
        """
        deadline = time.monotonic() + SECONDS
        while not holds():
            assert time.monotonic() < deadline, self.output
            message = self.receive()
            if message.message_type is MessageType.CHANNEL_CLOSED:
                self.closed = ChannelClosed.read(message.payload).output
            elif message.message_type is MessageType.OUTPUT_STREAM_DATA:
                self.acknowledge(message)
                if message.sequence_number not in self.seen:
                    self.seen.add(message.sequence_number)
                    if message.payload_type == PayloadType.OUTPUT:
                        self.output += message.payload

    def until_output(self, wanted: bytes) -> None:
        """Receive messages until `wanted` is in the output."""
        self.until(lambda: wanted in self.output)

    def until_closed(self) -> str:
        """Receive messages until the agent closes the channel, and return its reason."""
        self.until(lambda: self.closed is not None)
        assert self.closed is not None
        return self.closed
