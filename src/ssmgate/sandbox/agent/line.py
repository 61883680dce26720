"""The wire of a session, which may be lost and replaced: ResumeSession."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from ssmgate.sandbox.agent.channel import WireClosed

RESUME_SECONDS = 2.0
"""How long a session waits for a client that has disconnected without closing the websocket.

AWS waits until the idle time-out. Here a client that was killed takes its session with it.
"""


class Line:
    """The websocket of a session as a `Wire`, and its successors.

    `on_lost` is called when a websocket was lost, and `on_replaced` when there is another one.
    """

    def __init__(
        self, connection: ServerConnection, on_lost: Callable[[], object] = lambda: None
    ) -> None:
        self._connection = connection
        self._on_lost = on_lost
        self._replaced = asyncio.Event()
        self._over = asyncio.Event()
        self.on_replaced: Callable[[], object] = lambda: None

    async def send(self, frame: bytes) -> None:
        """Send one frame. A frame for a lost websocket is dropped: all are sent again."""
        try:
            await self._connection.send(frame)
        except ConnectionClosedError:
            if self._over.is_set():
                raise WireClosed from None
        except ConnectionClosed as error:
            raise WireClosed from error

    async def receive(self) -> str | bytes:
        """Return the next frame.

        Raises `WireClosed` if the client has closed the websocket, or has lost it and has not
        opened another one in time.
        """
        while True:
            connection = self._connection
            try:
                return await connection.recv()
            except ConnectionClosedError as error:
                if connection is self._connection:
                    await self._wait_for_successor(error)
            except ConnectionClosed as error:
                raise WireClosed from error

    async def _wait_for_successor(self, error: ConnectionClosedError) -> None:
        self._on_lost()
        self._replaced.clear()
        try:
            async with asyncio.timeout(RESUME_SECONDS):
                await self._replaced.wait()
        except TimeoutError:
            self._over.set()
            raise WireClosed from error

    async def replace(self, connection: ServerConnection) -> None:
        """Use another websocket from now on. Returns when the session is over."""
        previous, self._connection = self._connection, connection
        self._replaced.set()
        self.on_replaced()
        # The client that has no valid token any more must not be able to read or write.
        previous.transport.abort()
        await self._over.wait()

    def finish(self) -> None:
        """End `replace`, after the last frame was sent."""
        self._over.set()
