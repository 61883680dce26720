"""Connect to a port of a node, which is a port of this machine or an sshd started for it."""

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
    """A port to connect to."""

    async def enter(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a new connection. Raises `WorkError`."""

    async def leave(self) -> None:
        """End everything that `enter` started."""


@dataclass(slots=True)
class Port:
    """The work of a port session, with one connection at a time.

    It behaves as SSM Agent's basic port session (agent/session/plugins/port/port_basic.go in
    https://github.com/aws/amazon-ssm-agent). It connects when the session begins. If local
    connections are `forwarded`, the session continues after the end of a connection, and the
    next data from the client opens a new one. Otherwise the session ends with the connection.
    """

    listener: Listener
    forwarded: bool
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None
    _ended: bool = False

    async def connect(self) -> None:
        """Open the connection. Raises `WorkError`."""
        self._reader, self._writer = await self.listener.enter()
        self._open.set()

    async def read(self) -> bytes:
        """Return data of the connection, empty after the end of the session."""
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
        """Write `data` to the connection, and open a new one if connections are forwarded."""
        if self._writer is None:
            if self._ended or not self.forwarded:
                return
            await self.connect()
        if (writer := self._writer) is not None:
            with contextlib.suppress(OSError):
                writer.write(data)
                await writer.drain()

    def resize(self, size: Size) -> None:
        """Do nothing: a port has no terminal."""

    async def disconnect(self) -> None:
        """Close the connection."""
        writer, self._writer, self._reader = self._writer, None, None
        if not self._ended:
            self._open.clear()
        if writer is not None:
            # Not awaited: data written is still sent, however slowly the other end reads.
            writer.close()

    async def end(self) -> None:
        """End the session, its connection and its listener."""
        self._ended = True
        self._open.set()
        await self.disconnect()
        await self.listener.leave()


@dataclass(frozen=True, slots=True)
class Tcp:
    """A port on which this machine listens."""

    port: int

    async def enter(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the port on localhost. Raises `WorkError`."""
        try:
            return await asyncio.open_connection("localhost", self.port)
        except OSError as error:
            raise WorkError(
                f"Unable to connect to specified port: {self.port} of this machine:"
                f" {error.strerror or error}"
            ) from error

    async def leave(self) -> None:
        """Do nothing: nothing was started."""


@dataclass(slots=True)
class Sshd:
    """An sshd for each connection, started as by inetd, so that no port is open."""

    argv: tuple[str, ...]
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    async def enter(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Start an sshd at one end of a socket pair, and return the other. Raises `WorkError`."""
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
        """Wait two seconds for each sshd, and then kill it."""
        # Each sshd ends by itself, because its connection was closed.
        for process in self._started:
            for _ in range(200):
                if process.poll() is not None:
                    break
                await asyncio.sleep(0.01)
            else:
                process.kill()
                process.wait()
