"""The user's end of a session: a terminal, the two pipes of ssh, or a port on loopback.

It follows src/sessionmanagerplugin/session/{shellsession,portsession} of session-manager-plugin,
including its messages on stdout and its handling of signals and the terminal.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import termios
from types import FrameType
from typing import Protocol

from ssmgate.sandbox.channel.codec import PayloadType
from ssmgate.sandbox.channel.payloads import Flag, Size, flag_payload
from ssmgate.sandbox.channel.sequence import PAYLOAD_BYTES

_STDIN, _STDOUT = 0, 1
# A pipe that select reports as writable accepts this many bytes without blocking.
_PIPE_BYTES = 4096
_NO_TERMINAL = Size(300, 100)
_KEYS = {signal.SIGINT: b"\x03", signal.SIGQUIT: b"\x1c", signal.SIGTSTP: b"\x1a"}


class Ended(Exception):
    """The session has ended; `text` is to be written to stdout at last."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Channel(Protocol):
    """The connection to the node."""

    def send(self, payload_type: PayloadType, payload: bytes) -> int:
        """Send a message. Returns its sequence number."""

    def is_acknowledged(self, sequence_number: int) -> bool:
        """Return whether the node has acknowledged that message."""


class LocalEndpoint(Protocol):
    """The user's end, as the event loop uses it.

    `reading` and `writing` return the descriptors to wait for. `read` and `write` are called for
    those that are ready, and `take` with the data that the node sends.
    """

    @property
    def unwritten(self) -> int:
        """Return how many bytes from the node have not been written yet."""

    def reading(self) -> list[int]:
        """Return the descriptors to wait for reading."""

    def writing(self) -> list[int]:
        """Return the descriptors for which data is waiting to be written."""

    def read(self, descriptor: int) -> None:
        """Read the available data and send it. Raises `Ended` at the end of input."""

    def write(self, descriptor: int) -> None:
        """Write as much as is possible without blocking."""

    def take(self, data: bytes) -> None:
        """Take data from the node, in order."""

    def signalled(self, number: int) -> None:
        """Handle a signal that has arrived."""

    def finish(self) -> None:
        """Write the remaining data at the end of the session."""

    def leave(self) -> None:
        """Clean up. Called once, however the session ended."""


class Stdio:
    """stdin and stdout, for ssh. The end of stdin ends the session without a message."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting = bytearray()

    @property
    def unwritten(self) -> int:
        """Return how many bytes wait for stdout."""
        return len(self._waiting)

    def reading(self) -> list[int]:
        """Return stdin."""
        return [_STDIN]

    def writing(self) -> list[int]:
        """Return stdout if data waits for it."""
        return [_STDOUT] if self._waiting else []

    def read(self, descriptor: int) -> None:
        """Read stdin and send it. Raises `Ended` at its end."""
        data = os.read(_STDIN, PAYLOAD_BYTES)
        if not data:
            raise Ended(self._at_end_of_input())
        self._channel.send(PayloadType.OUTPUT, self._typed(data))

    def write(self, descriptor: int) -> None:
        """Write to stdout as long as it does not block."""
        while self._waiting:
            del self._waiting[: os.write(_STDOUT, self._waiting[:_PIPE_BYTES])]
            if not select.select([], [_STDOUT], [], 0)[1]:
                return

    def take(self, data: bytes) -> None:
        """Store `data` until stdout is ready."""
        self._waiting += data

    def signalled(self, number: int) -> None:
        """Do nothing: signals have their inherited dispositions."""

    def finish(self) -> None:
        """Write what is left to stdout, even if it blocks."""
        while self._waiting:
            del self._waiting[: os.write(_STDOUT, self._waiting)]

    def leave(self) -> None:
        """Do nothing: nothing was changed."""

    def _typed(self, data: bytes) -> bytes:
        return data

    def _at_end_of_input(self) -> str:
        return ""


class Shell(Stdio):
    """A shell on the terminal, if stdin is one, without line buffering and echo.

    Signals are sent as keys. Only the echo is restored at the end: the plugin also leaves the
    terminal in non-canonical mode.
    """

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self._size: Size | None = None
        self._resize()
        for number in (*_KEYS, signal.SIGWINCH):
            signal.signal(number, _wake)
        with contextlib.suppress(termios.error):
            attributes = termios.tcgetattr(_STDIN)
            attributes[3] &= ~(termios.ICANON | termios.ECHO)
            termios.tcsetattr(_STDIN, termios.TCSADRAIN, attributes)

    def signalled(self, number: int) -> None:
        """Send the signal's key, or the new size of the terminal."""
        if number == signal.SIGWINCH:
            self._resize()
        elif number in _KEYS:
            self._channel.send(PayloadType.OUTPUT, _KEYS[signal.Signals(number)])

    def leave(self) -> None:
        """Ignore the keys' signals, and turn the echo on again."""
        # A signal while this program ends must not reach the user's shell as a key.
        for number in _KEYS:
            signal.signal(number, signal.SIG_IGN)
        with contextlib.suppress(termios.error):
            attributes = termios.tcgetattr(_STDIN)
            attributes[3] |= termios.ECHO
            termios.tcsetattr(_STDIN, termios.TCSADRAIN, attributes)

    def _typed(self, data: bytes) -> bytes:
        return b"\r" if data == b"\n" else data

    def _at_end_of_input(self) -> str:
        return "Cannot perform start session: EOF\n"

    def _resize(self) -> None:
        size = _NO_TERMINAL
        with contextlib.suppress(OSError):
            packed = fcntl.ioctl(_STDOUT, termios.TIOCGWINSZ, bytes(8))
            rows, columns, _, _ = struct.unpack("HHHH", packed)
            size = Size(columns, rows)
        if size != self._size:
            self._size = size
            self._channel.send(PayloadType.SIZE, size.payload())


class Forward:
    """A port of this machine, with one connection at a time.

    A new connection is accepted after the node has acknowledged the end of the last, so that it
    gets no data of the last one. The plugin does not wait for this.
    """

    def __init__(self, channel: Channel, session_id: str, port: str) -> None:
        self._channel = channel
        self._session_id = session_id
        self._waiting = bytearray()
        self._local: socket.socket | None = None
        self._accepted = False
        self._disconnected = -1
        for number in _KEYS:
            signal.signal(number, _wake)
        try:
            self._listening = socket.create_server(("127.0.0.1", int(port)))
        except (OSError, ValueError, OverflowError) as error:
            raise Ended(f"Cannot perform start session: port {port}: {error}\n") from error
        self._listening.setblocking(False)
        opened = self._listening.getsockname()[1]
        os.write(_STDOUT, f"Port {opened} opened for sessionId {session_id}.\n".encode())

    @property
    def unwritten(self) -> int:
        """Return how many bytes wait for the connection."""
        return len(self._waiting)

    def reading(self) -> list[int]:
        """Return the connection, or the listening socket if a new one may be accepted."""
        if self._local is not None:
            return [self._local.fileno()]
        if self._channel.is_acknowledged(self._disconnected):
            return [self._listening.fileno()]
        return []

    def writing(self) -> list[int]:
        """Return the connection if data waits for it."""
        return [self._local.fileno()] if self._local is not None and self._waiting else []

    def read(self, descriptor: int) -> None:
        """Accept a connection, or send what it has sent, or its end."""
        if descriptor == self._listening.fileno():
            self._accept()
        elif self._local is not None:
            data = b""
            try:
                data = self._local.recv(PAYLOAD_BYTES)
            except BlockingIOError:
                return
            except OSError:
                pass
            if data:
                self._channel.send(PayloadType.OUTPUT, data)
            else:
                self._disconnect()

    def write(self, descriptor: int) -> None:
        """Write to the connection as much as it takes."""
        if self._local is not None:
            try:
                del self._waiting[: self._local.send(self._waiting)]
            except BlockingIOError:
                return
            except OSError:
                self._disconnect()

    def take(self, data: bytes) -> None:
        """Store `data` for the connection. Data for one that has ended is dropped."""
        if self._local is not None or self._channel.is_acknowledged(self._disconnected):
            self._waiting += data

    def signalled(self, number: int) -> None:
        """End the session by a signal that the plugin handles. Raises `Ended`."""
        if number in _KEYS:
            os.write(_STDOUT, b"Terminate signal received, exiting.\n")
            self._channel.send(PayloadType.FLAG, flag_payload(Flag.TERMINATE_SESSION))
            raise Ended(f"\n\nExiting session with sessionId: {self._session_id}.\n\n")

    def finish(self) -> None:
        """Write what is left to the connection, even if it blocks."""
        if self._local is not None:
            self._local.setblocking(True)
            with contextlib.suppress(OSError):
                self._local.sendall(self._waiting)

    def leave(self) -> None:
        """Close the connection and the listening socket."""
        if self._local is not None:
            self._local.close()
        self._listening.close()

    def _accept(self) -> None:
        try:
            self._local, _ = self._listening.accept()
        except OSError:
            return
        self._local.setblocking(False)
        if not self._accepted:
            self._accepted = True
            message = f"Connection accepted for session {self._session_id}.\n"
            os.write(_STDOUT, message.encode())

    def _disconnect(self) -> None:
        if self._local is not None:
            self._local.close()
        self._local = None
        self._waiting.clear()
        flag = flag_payload(Flag.DISCONNECT_TO_PORT)
        self._disconnected = self._channel.send(PayloadType.FLAG, flag)


def _wake(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the number of the signal arrives through the wakeup descriptor."""
