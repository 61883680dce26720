"""Run the client's end of a session: the handshake, then data between channel and user."""

from __future__ import annotations

import os
import select
import signal
import time
import uuid
from collections.abc import Callable
from typing import NoReturn

from ssmgate.sandbox.channel import codec, payloads
from ssmgate.sandbox.channel.codec import AgentMessage, CodecError, MessageType, PayloadType
from ssmgate.sandbox.channel.payloads import (
    ChannelClosed,
    HandshakeComplete,
    HandshakeRequest,
    HandshakeResponse,
    OpenDataChannel,
    SessionType,
)
from ssmgate.sandbox.channel.sequence import TICK_SECONDS, Incoming, Outgoing, milliseconds
from ssmgate.sandbox.plugin.local_io import Ended, Forward, LocalEndpoint, Shell, Stdio
from ssmgate.sandbox.plugin.wire import Wire, WireClosed

Reconnect = Callable[[], tuple[Wire, str]]

_MAX_UNSENT_BYTES = 1 << 20
_MAX_UNWRITTEN_BYTES = 1 << 20


class Session:
    """A session from the open websocket to its end, in one thread without an event loop."""

    def __init__(
        self, session_id: str, token: str, version: str, wire: Wire, reconnect: Reconnect
    ) -> None:
        """`reconnect` returns another wire and its token. It raises `WireClosed`."""
        self._session_id = session_id
        self._version = version
        self._wire = wire
        self._reconnect = reconnect
        self._client_id = str(uuid.uuid4())
        self._outgoing = Outgoing(MessageType.INPUT_STREAM_DATA)
        self._incoming = Incoming()
        self._request: HandshakeRequest | None = None
        self._endpoint: LocalEndpoint | None = None
        self._unacknowledged: list[AgentMessage] = []
        self._open(token)

    def run(self) -> str:
        """Transfer data until the session ends. Returns the last text for stdout.

        The terminal is left as the plugin leaves it. Raises `WireClosed`, and BrokenPipeError if
        stdout was closed by its reader.
        """
        woken, waking = os.pipe()
        os.set_blocking(waking, False)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        try:
            while True:
                try:
                    self._turn(woken)
                except WireClosed:
                    self._resume()
        except Ended as ended:
            self._wire.close()
            return ended.text
        finally:
            if self._endpoint is not None:
                self._endpoint.leave()

    def _open(self, token: str) -> None:
        self._wire.send(OpenDataChannel(token, self._client_id, self._version).text())

    def _resume(self) -> None:
        self._wire.abandon()
        self._wire, token = self._reconnect()
        self._open(token)
        self._outgoing.send_again()

    def _turn(self, woken: int) -> None:
        endpoint = self._endpoint
        may_send = self._outgoing.has_room and self._wire.unsent < _MAX_UNSENT_BYTES
        reading: list[int] = [self._wire.fileno(), woken]
        writing: list[int] = [self._wire.fileno()] if self._wire.unsent else []
        if endpoint is not None:
            reading += endpoint.reading() if may_send else []
            writing += endpoint.writing()
        timeout = None if self._outgoing.all_acknowledged else TICK_SECONDS
        readable, writable, _ = select.select(reading, writing, [], timeout)
        if woken in readable:
            for number in os.read(woken, 64):
                if endpoint is not None:
                    endpoint.signalled(number)
        if self._wire.fileno() in readable:
            for frame in self._wire.receive():
                self._receive(frame)
        if endpoint is not None:
            for descriptor in writable:
                if descriptor != self._wire.fileno():
                    endpoint.write(descriptor)
            for descriptor in readable:
                if descriptor not in (woken, self._wire.fileno()):
                    endpoint.read(descriptor)
            self._acknowledge(endpoint)
        while (late := self._outgoing.overdue(time.time())) is not None:
            self._wire.send(late)
        self._wire.flush()

    def send(self, payload_type: PayloadType, payload: bytes) -> int:
        """Send a message. Returns its sequence number."""
        self._wire.send(self._outgoing.add(payload_type, payload, time.time()))
        return self._outgoing.latest

    def is_acknowledged(self, sequence_number: int) -> bool:
        """Return whether the node has acknowledged the message `sequence_number`."""
        return not self._outgoing.is_unacknowledged(sequence_number)

    def _receive(self, frame: bytes) -> None:
        try:
            message = codec.decode(frame)
            match message.message_type:
                case MessageType.ACKNOWLEDGE:
                    self._outgoing.acknowledge(payloads.acknowledged(message.payload))
                case MessageType.CHANNEL_CLOSED:
                    self._closed(ChannelClosed.read(message.payload).output)
                case MessageType.OUTPUT_STREAM_DATA:
                    delivery = self._incoming.take(message)
                    if (
                        delivery.duplicate is not None
                        and delivery.duplicate not in self._unacknowledged
                    ):
                        self._wire.send(payloads.acknowledge(delivery.duplicate, _now()))
                    for ready in delivery.ready:
                        self._use(ready)
                case _:
                    pass
        except CodecError:
            return

    def _use(self, message: AgentMessage) -> None:
        match message.payload_type:
            case PayloadType.HANDSHAKE_REQUEST:
                self._wire.send(payloads.acknowledge(message, _now()))
                self._shake_hands(message.payload)
            case PayloadType.HANDSHAKE_COMPLETE:
                self._wire.send(payloads.acknowledge(message, _now()))
                self._begin(HandshakeComplete.read(message.payload))
            case _:
                if self._endpoint is not None:
                    self._endpoint.take(message.payload)
                self._unacknowledged.append(message)

    def _acknowledge(self, endpoint: LocalEndpoint) -> None:
        """Acknowledge messages when little enough of their data is still unwritten."""
        if endpoint.unwritten <= _MAX_UNWRITTEN_BYTES:
            for message in self._unacknowledged:
                self._wire.send(payloads.acknowledge(message, _now()))
            self._unacknowledged.clear()

    def _shake_hands(self, payload: bytes) -> None:
        errors: tuple[str, ...] = ()
        try:
            request = HandshakeRequest.read(payload)
            SessionType(request.session_type)
            self._request = request
        except ValueError as error:  # including CodecError
            errors = (str(error),)
        response = HandshakeResponse(self._version, errors)
        self.send(PayloadType.HANDSHAKE_RESPONSE, response.payload())

    def _begin(self, complete: HandshakeComplete) -> None:
        if complete.customer_message:
            os.write(1, f"{complete.customer_message}\n".encode())
        if self._request is None or self._endpoint is not None:
            return
        if self._request.session_type != SessionType.PORT:
            self._endpoint = Shell(self)
        elif self._request.properties.get("type") == "LocalPortForwarding":
            local = str(self._request.properties.get("localPortNumber") or "0")
            self._endpoint = Forward(self, self._session_id, local)
        else:
            self._endpoint = Stdio(self)

    def _closed(self, output: str) -> NoReturn:
        if self._endpoint is not None:
            self._endpoint.finish()
        text = f"SessionId: {self._session_id} : {output}"
        if not output:
            text = f"Exiting session with sessionId: {self._session_id}."
        raise Ended(f"\n\n{text}\n\n")


def _now() -> int:
    return milliseconds(time.time())
