"""A port of a node, which is a port of this machine, or the node's own sshd."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from dataclasses import dataclass, field
from typing import Protocol

from ssmgate.sandbox.agent.plan import WorkError
from ssmgate.sandbox.channel.payloads import Size
from ssmgate.sandbox.channel.sequence import PAYLOAD_BYTES


class Listener(Protocol):
    """A way to a port."""

    async def enter(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection. Raises `WorkError`."""

    async def leave(self) -> None:
        """Leave nothing running."""


@dataclass(slots=True)
class Port:
    """One connection at a time.

    As SSM Agent's basic port session does (agent/session/plugins/port/port_basic.go in
    https://github.com/aws/amazon-ssm-agent): connected when the session begins; where local
    connections are `forwarded`, the end of one side is not the session's, and the next data from
    the client connects anew. Else the session ends with the connection.
    """

    door: Listener
    forwarded: bool
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None
    _ended: bool = False

    async def connect(self) -> None:
        """Raises `WorkError`."""
        self._reader, self._writer = await self.door.enter()
        self._open.set()

    async def read(self) -> bytes:
        while not self._ended:
            await self._open.wait()
            reader = self._reader
            data = b""
            if reader is not None:
                with contextlib.suppress(OSError):
                    data = await reader.read(PAYLOAD_BYTES)
            if data or not self.forwarded:
                return data
            if reader is self._reader:
                await self.disconnect()
        return b""

    async def write(self, data: bytes) -> None:
        if self._writer is None:
            if self._ended or not self.forwarded:
                return
            await self.connect()
        if (writer := self._writer) is not None:
            with contextlib.suppress(OSError):
                writer.write(data)
                await writer.drain()

    def resize(self, size: Size) -> None:
        """A port has no terminal."""

    async def disconnect(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        if not self._ended:
            self._open.clear()
        if writer is not None:
            # Without waiting: what was written goes out, however slowly it is taken.
            writer.close()

    async def end(self) -> None:
        self._ended = True
        self._open.set()
        await self.disconnect()
        await self.door.leave()


@dataclass(frozen=True, slots=True)
class Tcp:
    """A port that this machine listens on."""

    port: int

    async def enter(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_connection("localhost", self.port)
        except OSError as error:
            raise WorkError(
                f"Unable to connect to specified port: {self.port} of this machine:"
                f" {error.strerror or error}"
            ) from error

    async def leave(self) -> None:
        """Nothing was started."""


@dataclass(slots=True)
class Sshd:
    """An sshd of its own for each connection, as inetd would start it: nothing listens."""

    argv: tuple[str, ...]
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    async def enter(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, its = socket.socketpair()
        with its:
            try:
                self._started.append(
                    subprocess.Popen(
                        self.argv,
                        stdin=its.fileno(),
                        stdout=its.fileno(),
                        stderr=subprocess.DEVNULL,
                        start_new_session=True,
                    )
                )
            except OSError as error:
                ours.close()
                raise WorkError(f"sshd cannot be started: {error.strerror}") from error
        return await asyncio.open_connection(sock=ours)

    async def leave(self) -> None:
        # Its connection has been closed, which ends it.
        for process in self._started:
            for _ in range(200):
                if process.poll() is not None:
                    break
                await asyncio.sleep(0.01)
            else:
                process.kill()
                process.wait()
