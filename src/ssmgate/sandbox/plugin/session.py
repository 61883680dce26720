"""The client's half of a session: the handshake, then stdin and stdout joined to the channel."""

from __future__ import annotations

import os
import select
import signal
import time
import uuid
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
from ssmgate.sandbox.plugin.wire import Wire

_UNSENT_BYTES = 1 << 20
_UNUSED_BYTES = 1 << 20


class Session:
    """One session, from the opened websocket to its end. One thread, no event loop."""

    def __init__(self, session_id: str, token: str, version: str, wire: Wire) -> None:
        self._session_id = session_id
        self._version = version
        self._wire = wire
        self._outgoing = Outgoing(MessageType.INPUT_STREAM_DATA)
        self._incoming = Incoming()
        self._asked: HandshakeRequest | None = None
        self._side: LocalEndpoint | None = None
        self._unacknowledged: list[AgentMessage] = []
        wire.send(OpenDataChannel(token, str(uuid.uuid4()), version).text())

    def run(self) -> str:
        """Carry both ways until the session ends. Returns what is to be said then.

        The terminal is left as the plugin leaves it. Raises `WireClosed`, and BrokenPipeError
        when nobody reads stdout.
        """
        woken, waking = os.pipe()
        os.set_blocking(waking, False)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        try:
            while True:
                self._turn(woken)
        except Ended as ended:
            self._wire.flush()
            return ended.text
        finally:
            if self._side is not None:
                self._side.leave()

    def _turn(self, woken: int) -> None:
        side = self._side
        may_send = self._outgoing.has_room and self._wire.unsent < _UNSENT_BYTES
        reading: list[int] = [self._wire.fileno(), woken]
        writing: list[int] = [self._wire.fileno()] if self._wire.unsent else []
        if side is not None:
            reading += side.reading() if may_send else []
            writing += side.writing()
        patience = None if self._outgoing.all_came else TICK_SECONDS
        readable, writable, _ = select.select(reading, writing, [], patience)
        if woken in readable:
            for number in os.read(woken, 64):
                if side is not None:
                    side.signalled(number)
        if self._wire.fileno() in readable:
            for frame in self._wire.receive():
                self._receive(frame)
        if side is not None:
            for descriptor in writable:
                if descriptor != self._wire.fileno():
                    side.write(descriptor)
            for descriptor in readable:
                if descriptor not in (woken, self._wire.fileno()):
                    side.read(descriptor)
            self._acknowledge(side)
        if (late := self._outgoing.overdue(time.time())) is not None:
            self._wire.send(late)
        self._wire.flush()

    def send(self, payload_type: PayloadType, payload: bytes) -> int:
        """Put a message on its way. Returns its sequence number."""
        self._wire.send(self._outgoing.add(payload_type, payload, time.time()))
        return self._outgoing.latest

    def has_come(self, sequence_number: int) -> bool:
        return not self._outgoing.is_under_way(sequence_number)

    def _receive(self, frame: bytes) -> None:
        try:
            message = codec.decode(frame)
            match message.message_type:
                case MessageType.ACKNOWLEDGE:
                    self._outgoing.came(payloads.acknowledged(message.payload))
                case MessageType.CHANNEL_CLOSED:
                    self._closed(ChannelClosed.read(message.payload).output)
                case MessageType.OUTPUT_STREAM_DATA:
                    taken = self._incoming.take(message)
                    if taken.again is not None and taken.again not in self._unacknowledged:
                        self._wire.send(payloads.acknowledge(taken.again, _now()))
                    for ready in taken.ready:
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
                if self._side is not None:
                    self._side.take(message.payload)
                self._unacknowledged.append(message)

    def _acknowledge(self, side: LocalEndpoint) -> None:
        """What came is acknowledged when it has been written, or nearly."""
        if side.unwritten <= _UNUSED_BYTES:
            for message in self._unacknowledged:
                self._wire.send(payloads.acknowledge(message, _now()))
            self._unacknowledged.clear()

    def _shake_hands(self, payload: bytes) -> None:
        errors: tuple[str, ...] = ()
        try:
            asked = HandshakeRequest.read(payload)
            SessionType(asked.session_type)
            self._asked = asked
        except ValueError as error:  # CodecError is one
            errors = (str(error),)
        response = HandshakeResponse(self._version, errors)
        self.send(PayloadType.HANDSHAKE_RESPONSE, response.payload())

    def _begin(self, complete: HandshakeComplete) -> None:
        if complete.customer_message:
            os.write(1, f"{complete.customer_message}\n".encode())
        if self._asked is None or self._side is not None:
            return
        if self._asked.session_type != SessionType.PORT:
            self._side = Shell(self)
        elif self._asked.properties.get("type") == "LocalPortForwarding":
            local = str(self._asked.properties.get("localPortNumber") or "0")
            self._side = Forward(self, self._session_id, local)
        else:
            self._side = Stdio(self)

    def _closed(self, output: str) -> NoReturn:
        if self._side is not None:
            self._side.finish()
        said = f"SessionId: {self._session_id} : {output}"
        if not output:
            said = f"Exiting session with sessionId: {self._session_id}."
        raise Ended(f"\n\n{said}\n\n")


def _now() -> int:
    return milliseconds(time.time())
