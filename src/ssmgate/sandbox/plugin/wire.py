"""A websocket to this machine, without a thread or an event loop."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidURI
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

_SECONDS_TO_OPEN = 10
_READ_BYTES = 1 << 17


class NotLoopback(Exception):
    """The address is not valid, or not on loopback."""


class WireClosed(Exception):
    """The connection cannot be opened, or was closed."""


class Wire:
    """An open websocket. `receive` and `flush` do not block; `send` only adds to a buffer."""

    def __init__(self, connection: socket.socket, protocol: ClientProtocol) -> None:
        self._connection = connection
        self._protocol = protocol
        self._unsent = bytearray()

    @classmethod
    def open(cls, url: str) -> Wire:
        """Connect to `url`. Raises `NotLoopback` before anything is sent, and `WireClosed`."""
        try:
            uri = parse_uri(url)
        except InvalidURI as error:
            raise NotLoopback(f"{url!r} is not an address") from error
        with contextlib.suppress(ValueError):
            if not uri.secure and ipaddress.ip_address(uri.host).is_loopback:
                return cls._open(uri.host, uri.port, ClientProtocol(uri))
        raise NotLoopback(f"{uri.host} is not loopback")

    @classmethod
    def _open(cls, host: str, port: int, protocol: ClientProtocol) -> Wire:
        try:
            connection = socket.create_connection((host, port), _SECONDS_TO_OPEN)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire = cls(connection, protocol)
            protocol.send_request(protocol.connect())
            for data in protocol.data_to_send():
                connection.sendall(data)
            while not any(isinstance(event, Response) for event in protocol.events_received()):
                if protocol.handshake_exc is not None:
                    raise protocol.handshake_exc
                wire._feed(connection.recv(_READ_BYTES))
            if protocol.handshake_exc is not None:
                raise protocol.handshake_exc
        except (OSError, InvalidHandshake, EOFError) as error:
            raise WireClosed(f"no data channel at {host}:{port}: {error}") from error
        connection.setblocking(False)
        return wire

    def fileno(self) -> int:
        """Return the descriptor of the connection, for `select`."""
        return self._connection.fileno()

    @property
    def unsent(self) -> int:
        """Return how many bytes wait for `flush`."""
        return len(self._unsent)

    def send(self, message: bytes | str) -> None:
        """Add a message to the buffer, unless the other end has closed; it can still be read."""
        if self._protocol.state is not State.OPEN:
            return
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._collect()

    def flush(self) -> None:
        """Send as much as is possible without blocking. Raises `WireClosed`."""
        try:
            while self._unsent:
                del self._unsent[: self._connection.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError as error:
            raise WireClosed(f"the data channel was lost: {error}") from error

    def close(self) -> None:
        """Tell the other end that the session is over, as far as that is possible at once."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._collect()
        with contextlib.suppress(WireClosed):
            self.flush()

    def abandon(self) -> None:
        """Close the connection of a wire that was lost."""
        self._connection.close()

    def receive(self) -> Iterator[bytes]:
        """Yield the messages that have arrived. Raises `WireClosed` after the last."""
        try:
            data = self._connection.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise WireClosed(f"the data channel was lost: {error}") from error
        self._feed(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.TEXT):
                yield bytes(event.data)
        if not data or self._protocol.close_expected():
            raise WireClosed("the data channel was closed")

    def _feed(self, data: bytes) -> None:
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        self._collect()

    def _collect(self) -> None:
        for data in self._protocol.data_to_send():
            self._unsent += data
