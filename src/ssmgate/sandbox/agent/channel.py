"""Serve one data channel: the handshake, then data between the work and the websocket."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

from ssmgate.sandbox.agent.plan import Plan, WorkError
from ssmgate.sandbox.agent.work import Work
from ssmgate.sandbox.channel import codec, payloads
from ssmgate.sandbox.channel.codec import AgentMessage, CodecError, MessageType, PayloadType
from ssmgate.sandbox.channel.payloads import (
    ChannelClosed,
    Flag,
    HandshakeComplete,
    HandshakeRequest,
    HandshakeResponse,
    Size,
)
from ssmgate.sandbox.channel.sequence import TICK_SECONDS, Incoming, Outgoing, milliseconds

AGENT_VERSION = "3.0.196.0"
"""The last version with which the plugin does not multiplex port forwards, and new enough that it
sends TERMINATE_SESSION (src/config and src/version of session-manager-plugin)."""

_HANDSHAKE_SECONDS = 30
_FLUSH_SECONDS = 10
_MAX_PENDING_BYTES = 1 << 20
_INBOX = 4096
# The longest sleep: a sleep for ever is an error.
_TURN_SECONDS = 3600.0


class Wire(Protocol):
    """A websocket. Both methods raise `WireClosed` after the client has disconnected."""

    async def send(self, frame: bytes) -> None:
        """Send one binary frame."""

    async def receive(self) -> str | bytes:
        """Return the next frame, text or binary."""


class WireClosed(Exception):
    """The client has disconnected."""


@dataclass(frozen=True, slots=True)
class Limits:
    """After how many seconds a session ends: without input of the client, and in any case."""

    idle: float = float("inf")
    total: float = float("inf")


class _Over(Exception):
    """The session has ended. The text is sent to the client."""


class Channel:
    """A session from the opening of its data channel to its end, in one event loop."""

    def __init__(
        self,
        session_id: str,
        target: str,
        wire: Wire,
        log: Callable[[str], object],
        limits: Limits | None = None,
    ) -> None:
        self._session_id = session_id
        self._target = target
        self._wire = wire
        self._log = log
        self._limits = limits or Limits()
        self._last_input = time.monotonic()
        self._outgoing = Outgoing(MessageType.OUTPUT_STREAM_DATA)
        self._incoming = Incoming()
        self._acknowledged = asyncio.Event()
        self._acknowledgements: asyncio.Queue[AgentMessage] = asyncio.Queue()
        # Messages, each with a flag whether it has still to be acknowledged.
        self._inbox: asyncio.Queue[tuple[AgentMessage, bool]] = asyncio.Queue(_INBOX)
        self._pending_bytes = 0
        self._response: asyncio.Future[HandshakeResponse] = (
            asyncio.get_running_loop().create_future()
        )
        self._work: Work | None = None
        self._end_text: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(self, text: str) -> None:
        """End the session from outside, with the reason `text`. Later calls have no effect."""
        if not self._end_text.done():
            self._end_text.set_result(text)

    def resumed(self) -> None:
        """Note that the client has connected again: its acknowledgements may have been lost.

        https://docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-timeout.html
        """
        self._last_input = time.monotonic()
        self._outgoing.send_again()

    async def run(self, plan: Plan, start: Callable[[], Awaitable[Work]]) -> None:
        """Do the handshake, `start` the work, and transfer data until either side ends.

        Afterwards the work has ended and the client has the message ChannelClosed. Raises
        `WireClosed` if the client disconnected first; the work has ended then, too.
        """
        text = ""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._acknowledge())
                tasks.create_task(self._resend())
                tasks.create_task(self._end_on_request())
                tasks.create_task(self._end_in_time())
                tasks.create_task(self._converse(plan, start, tasks))
        except ExceptionGroup as group:
            match group.exceptions[0]:
                case _Over() | WorkError() as ended:
                    text = str(ended)
                case error:
                    raise error from None
        finally:
            if self._work is not None:
                await self._work.end()
        await self._wire.send(ChannelClosed(self._session_id, self._target, text).frame(_now()))

    async def _converse(
        self, plan: Plan, start: Callable[[], Awaitable[Work]], tasks: asyncio.TaskGroup
    ) -> NoReturn:
        began = time.monotonic()
        request = HandshakeRequest(AGENT_VERSION, plan.session_type, plan.properties)
        await self._send(PayloadType.HANDSHAKE_REQUEST, request.payload())
        try:
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                response = await self._response
        except TimeoutError:
            raise _Over("the client did not answer the handshake") from None
        if response.errors:
            raise _Over("; ".join(response.errors))
        complete = HandshakeComplete(time.monotonic() - began)
        await self._send(PayloadType.HANDSHAKE_COMPLETE, complete.payload())
        self._work = work = await start()
        tasks.create_task(self._to_node(work))
        while data := await work.read():
            await self._send(PayloadType.OUTPUT, data)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                while not self._outgoing.all_acknowledged:
                    await self._acknowledgement()
        raise _Over

    async def _send(self, payload_type: PayloadType, payload: bytes) -> None:
        while not self._outgoing.has_room:
            await self._acknowledgement()
        await self._wire.send(self._outgoing.add(payload_type, payload, time.time()))

    async def _acknowledgement(self) -> None:
        self._acknowledged.clear()
        await self._acknowledged.wait()

    async def _resend(self) -> NoReturn:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            while (frame := self._outgoing.overdue(time.time())) is not None:
                await self._wire.send(frame)

    async def _end_on_request(self) -> NoReturn:
        raise _Over(await self._end_text)

    async def _end_in_time(self) -> NoReturn:
        end = time.monotonic() + self._limits.total
        while True:
            now = time.monotonic()
            idle_end = self._last_input + self._limits.idle
            if now >= end:
                raise _Over("The session has reached its maximum duration.")
            if now >= idle_end:
                raise _Over("The session has timed out because of inactivity.")
            await asyncio.sleep(min(end, idle_end, now + _TURN_SECONDS) - now)

    async def _acknowledge(self) -> NoReturn:
        # In a task of its own: a client that does not read must not stop us from reading.
        while True:
            message = await self._acknowledgements.get()
            await self._wire.send(payloads.acknowledge(message, _now()))

    async def _listen(self) -> NoReturn:
        while True:
            frame = await self._wire.receive()
            try:
                message = codec.decode(frame if isinstance(frame, bytes) else frame.encode())
                if message.message_type is MessageType.ACKNOWLEDGE:
                    self._outgoing.acknowledge(payloads.acknowledged(message.payload))
                    self._acknowledged.set()
                    continue
            except CodecError as error:
                self._log(f"{self._session_id} ignored: {error}")
                continue
            if message.message_type is not MessageType.INPUT_STREAM_DATA:
                continue
            self._last_input = time.monotonic()
            delivery = self._incoming.take(message)
            if delivery.duplicate is not None:
                self._acknowledgements.put_nowait(delivery.duplicate)
            for ready in delivery.ready:
                await self._into_inbox(ready)

    async def _into_inbox(self, message: AgentMessage) -> None:
        """Queue a message. Beyond `_MAX_PENDING_BYTES` it is acknowledged only after processing.

        The sender then waits.
        """
        if message.payload_type == PayloadType.HANDSHAKE_RESPONSE:
            self._acknowledgements.put_nowait(message)
            try:
                response = HandshakeResponse.read(message.payload)
            except CodecError as error:
                response = HandshakeResponse("", (str(error),))
            if not self._response.done():
                self._response.set_result(response)
            return
        self._pending_bytes += len(message.payload)
        # A flag is acknowledged when it has been acted on.
        later = self._pending_bytes > _MAX_PENDING_BYTES or message.payload_type == PayloadType.FLAG
        if not later:
            self._acknowledgements.put_nowait(message)
        await self._inbox.put((message, later))

    async def _to_node(self, work: Work) -> NoReturn:
        while True:
            message, to_acknowledge = await self._inbox.get()
            try:
                await self._use(work, message)
            except CodecError as error:
                self._log(f"{self._session_id} ignored: {error}")
            self._pending_bytes -= len(message.payload)
            if to_acknowledge:
                self._acknowledgements.put_nowait(message)

    async def _use(self, work: Work, message: AgentMessage) -> None:
        match message.payload_type:
            case PayloadType.OUTPUT:
                await work.write(message.payload)
            case PayloadType.SIZE:
                work.resize(Size.read(message.payload))
            case PayloadType.FLAG:
                flag = payloads.read_flag(message.payload)
                if flag is Flag.TERMINATE_SESSION:
                    raise _Over
                if flag is Flag.DISCONNECT_TO_PORT:
                    await work.disconnect()
            case _:
                raise CodecError(f"payload type {message.payload_type}")


def _now() -> int:
    return milliseconds(time.time())
