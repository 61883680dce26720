"""One session's data channel: the handshake, then its work joined to the websocket."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
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
"""The last one with which the plugin does not multiplex port forwards, and new enough for it to
send TERMINATE_SESSION (src/config and src/version of session-manager-plugin)."""

_HANDSHAKE_SECONDS = 30
_REST_SECONDS = 10
_ACKNOWLEDGED_UNUSED = 1 << 20
_INBOX = 4096


class Wire(Protocol):
    """A websocket. Both raise `WireClosed` once the client is gone."""

    async def send(self, frame: bytes) -> None:
        """One binary frame."""

    async def receive(self) -> str | bytes:
        """The next frame, text or binary."""


class WireClosed(Exception):
    """The client is gone."""


class _Over(Exception):
    """The session has ended. The text is told to the client."""


class Channel:
    """A session from the opened data channel to its end, in one event loop."""

    def __init__(
        self, session_id: str, target: str, wire: Wire, log: Callable[[str], object]
    ) -> None:
        self._session_id = session_id
        self._target = target
        self._wire = wire
        self._log = log
        self._outgoing = Outgoing(MessageType.OUTPUT_STREAM_DATA)
        self._incoming = Incoming()
        self._came = asyncio.Event()
        self._acknowledgements: asyncio.Queue[AgentMessage] = asyncio.Queue()
        # Each with whether it is still to be acknowledged.
        self._inbox: asyncio.Queue[tuple[AgentMessage, bool]] = asyncio.Queue(_INBOX)
        self._unused = 0
        self._response: asyncio.Future[HandshakeResponse] = (
            asyncio.get_running_loop().create_future()
        )
        self._work: Work | None = None
        self._last_word: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(self, text: str) -> None:
        """End the session from outside. The first word counts."""
        if not self._last_word.done():
            self._last_word.set_result(text)

    async def run(self, plan: Plan, start: Callable[[], Awaitable[Work]]) -> None:
        """Shake hands, `start` the work, and carry both ways until one side has ended.

        When this returns the work has been ended and the client has been told. Raises
        `WireClosed` where the client was gone first; the work has been ended then, too.
        """
        text = ""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._acknowledge())
                tasks.create_task(self._resend())
                tasks.create_task(self._heed_the_last_word())
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
            async with asyncio.timeout(_REST_SECONDS):
                while not self._outgoing.all_came:
                    await self._until_something_came()
        raise _Over

    async def _send(self, payload_type: PayloadType, payload: bytes) -> None:
        while not self._outgoing.has_room:
            await self._until_something_came()
        await self._wire.send(self._outgoing.add(payload_type, payload, time.time()))

    async def _until_something_came(self) -> None:
        self._came.clear()
        await self._came.wait()

    async def _resend(self) -> NoReturn:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if (frame := self._outgoing.overdue(time.time())) is not None:
                await self._wire.send(frame)

    async def _heed_the_last_word(self) -> NoReturn:
        raise _Over(await self._last_word)

    async def _acknowledge(self) -> NoReturn:
        # In a task of its own: who does not read must not keep us from reading.
        while True:
            message = await self._acknowledgements.get()
            await self._wire.send(payloads.acknowledge(message, _now()))

    async def _listen(self) -> NoReturn:
        while True:
            frame = await self._wire.receive()
            try:
                message = codec.decode(frame if isinstance(frame, bytes) else frame.encode())
                if message.message_type is MessageType.ACKNOWLEDGE:
                    self._outgoing.came(payloads.acknowledged(message.payload))
                    self._came.set()
                    continue
            except CodecError as error:
                self._log(f"{self._session_id} ignored: {error}")
                continue
            if message.message_type is not MessageType.INPUT_STREAM_DATA:
                continue
            taken = self._incoming.take(message)
            if taken.again is not None:
                self._acknowledgements.put_nowait(taken.again)
            for ready in taken.ready:
                await self._into_inbox(ready)

    async def _into_inbox(self, message: AgentMessage) -> None:
        """What is not used yet is acknowledged only up to an amount, so that who sends waits."""
        if message.payload_type == PayloadType.HANDSHAKE_RESPONSE:
            self._acknowledgements.put_nowait(message)
            try:
                response = HandshakeResponse.read(message.payload)
            except CodecError as error:
                response = HandshakeResponse("", (str(error),))
            if not self._response.done():
                self._response.set_result(response)
            return
        self._unused += len(message.payload)
        # A flag is acknowledged when it has been acted on.
        later = self._unused > _ACKNOWLEDGED_UNUSED or message.payload_type == PayloadType.FLAG
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
            self._unused -= len(message.payload)
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
