"""The messages between a client and the daemon.

A message is one byte for its kind, four for the length of the rest, and lists of texts, joined by
NUL, which no argument and no environment variable can contain.
"""

from __future__ import annotations

import _socket
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROTOCOL = "5"  # raised with every change of the messages

# From the daemon, and from the worker that it forks for a start.
HELLO = b"h"  # the protocol
BEAT = b"b"  # the worker is still running
COLD = b"c"  # why the client has to start the session itself
END = b"e"  # the exit status, or minus the number of a signal; or the daemon's status
STARTED = b"i"  # the id of the session that was started
HANDOVER = b"o"  # path, arguments and environment of the plugin; what records its end
GO = b"g"  # the client has to execute the plugin
# From either side, before the request.
CHALLENGE = b"n"  # a descriptor: the other side has to send its name in /proc, a nonce
PROOF = b"p"  # the client's nonce. From the worker
# From the client.
REQUEST = b"r"  # nonce; fingerprint; shim; arguments; environment. With three descriptors
SIGNAL = b"s"  # the number of a signal that arrived
TAKE = b"t"  # HANDOVER was received
FAILED = b"f"  # why the plugin could not be executed
STATUS = b"?"  # nonce, fingerprint. With three descriptors, as REQUEST
STOP = b"!"

LARGEST = 1 << 23  # bytes: four times what Linux allows for arguments and environment


class Broken(Exception):
    """The other end has closed the connection, or sent an invalid message."""


class Gone(Broken):
    """The other end has closed the connection after reading everything."""


def packed(kind: bytes, *lists: Sequence[str]) -> bytes:
    """Return a message. No text may contain a NUL, which is not checked."""
    counts = " ".join(str(len(texts)) for texts in lists)
    body = b"\0".join(os.fsencode(text) for texts in ([counts], *lists) for text in texts)
    return kind + len(body).to_bytes(4, "big") + body


def receive_noted(
    sock: _socket.socket, writer: int = 0, count: int = 0
) -> tuple[bytes, list[list[str]], int, list[int]]:
    """Receive a message from one process, identified by the kernel. SO_PASSCRED must be set.

    `writer` is the number of that process, or 0 for any. The message must have exactly `count`
    descriptors, which close on exec. Returns its kind, its lists, the number of the process, and
    the descriptors. Raises `Broken` otherwise, and `TimeoutError`.
    """
    head, writer, descriptors = _part(sock, 5, writer, count)
    if len(descriptors) != count:
        raise Broken
    while len(head) < 5:
        head += _part(sock, 5 - len(head), writer)[0]
    parts, left = [], length(head)
    while left:
        parts.append(_part(sock, min(left, 1 << 16), writer)[0])
        left -= len(parts[-1])
    return head[:1], unpacked(b"".join(parts)), writer, descriptors


def _part(
    sock: _socket.socket, size: int, writer: int, count: int = 0
) -> tuple[bytes, int, list[int]]:
    """Receive up to `size` bytes, as `receive_noted`. Without `count` no descriptor is created."""
    space = _socket.CMSG_SPACE(3 * 4) + (_socket.CMSG_SPACE(4 * 8) if count else 0)
    try:
        part, ancillary, flags, _ = sock.recvmsg(size, space, _socket.MSG_CMSG_CLOEXEC)
    except TimeoutError:
        raise
    except OSError as error:
        raise Broken from error
    if not part:
        raise Gone
    writers, descriptors = [], []
    for level, kind, data in ancillary:
        numbers = [
            int.from_bytes(data[at : at + 4], sys.byteorder) for at in range(0, len(data), 4)
        ]
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            descriptors += numbers
        elif (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_CREDENTIALS):
            writers.append(numbers[0])  # struct ucred: pid, uid, gid
    # 0: the kernel did not attach it, or the process is in another PID namespace.
    if flags & _socket.MSG_CTRUNC or len(writers) != 1 or 0 in writers:
        raise Broken
    if writer not in (0, *writers):
        raise Broken
    return part, writers[0], descriptors


def send_with_descriptors(sock: _socket.socket, message: bytes, descriptors: Sequence[int]) -> None:
    """Send a message with copies of `descriptors`."""
    rights = b"".join(number.to_bytes(4, sys.byteorder) for number in descriptors)
    sent = sock.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
    if sent < len(message):  # else the other end may have answered and closed already
        sock.sendall(message[sent:])


def unpacked(body: bytes) -> list[list[str]]:
    """Return the lists of a message. Raises `Broken` if they do not match their counts."""
    counts, *texts = (os.fsdecode(text) for text in body.split(b"\0"))
    lists = []
    try:
        for count in map(int, counts.split()):
            if not 0 <= count <= len(texts):
                raise Broken
            lists.append(texts[:count])
            del texts[:count]
    except ValueError:
        raise Broken from None
    if texts:
        raise Broken
    return lists


def length(head: bytes) -> int:
    """Return how many bytes follow the first five of a message. Raises `Broken` for too many."""
    length = int.from_bytes(head[1:], "big")
    if length > LARGEST:
        raise Broken
    return length
