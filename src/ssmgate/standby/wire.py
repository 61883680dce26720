"""What a start and its standby say to each other, and how either knows the other's user.

A message is one byte for its kind, four for the length of the rest, and lists of texts. The texts
are joined by NUL, which no word and no variable of a process can hold.
"""

from __future__ import annotations

import _socket
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROTOCOL = "1"
"""Raised with every change of what is said here."""

# From the standby, and from the process that it forks for a start.
HELLO = b"h"  # the protocol
BEAT = b"b"  # somebody is still at work
COLD = b"c"  # why the start has to be made by the one who asks
END = b"e"  # the exit status; a signal's number with a minus before it. Or what was asked about
HANDOVER = b"o"  # a path, the words, the variables
GO = b"g"  # the session is the one's who asked

# From the one who asks.
REQUEST = b"r"  # surroundings; what kind, and how; words; variables. With three descriptors
SIGNAL = b"s"  # the number of one that came
TAKE = b"t"  # the handover is here
FAILED = b"f"  # why the program could not be executed after all
STATUS = b"?"  # surroundings. With three descriptors, as REQUEST
STOP = b"!"

LARGEST = 1 << 23
"""Bytes of a message: four times what Linux lets a process have of words and variables."""

# sys/un.h of macOS.
_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED = 0, 1, 76


class Broken(Exception):
    """The other end is gone, or said what nobody understands."""


class Gone(Broken):
    """The other end is closed, and had read everything."""


def packed(kind: bytes, *lists: Sequence[str]) -> bytes:
    """A message. No text holds a NUL."""
    counts = " ".join(str(len(texts)) for texts in lists)
    body = b"\0".join(os.fsencode(text) for texts in ([counts], *lists) for text in texts)
    return kind + len(body).to_bytes(4, "big") + body


def receive(sock: _socket.socket) -> tuple[bytes, list[list[str]]]:
    """The next message: its kind, and its lists. Raises `Broken`, or `TimeoutError`."""
    head = _exactly(sock, 5)
    return head[:1], unpacked(_exactly(sock, _length(head)))


def receive_with_descriptors(
    sock: _socket.socket, count: int
) -> tuple[bytes, list[list[str]], list[int]]:
    """A message that brings exactly `count` descriptors, which close on exec."""
    space = _socket.CMSG_SPACE(4 * 8)
    try:
        head, ancillary, flags, _ = sock.recvmsg(5, space, getattr(_socket, "MSG_CMSG_CLOEXEC", 0))
    except TimeoutError:
        raise
    except OSError as error:
        raise Broken from error
    descriptors = [
        int.from_bytes(data[at : at + 4], sys.byteorder)
        for level, kind, data in ancillary
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
        for at in range(0, len(data), 4)
    ]
    if len(descriptors) != count or flags & _socket.MSG_CTRUNC:
        raise Broken
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    head += _exactly(sock, 5 - len(head))
    return head[:1], unpacked(_exactly(sock, _length(head))), descriptors


def send_with_descriptors(sock: _socket.socket, message: bytes, descriptors: Sequence[int]) -> None:
    """Send a message, with `descriptors` that the other end gets copies of."""
    rights = b"".join(one.to_bytes(4, sys.byteorder) for one in descriptors)
    sent = sock.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
    sock.sendall(message[sent:])


def unpacked(body: bytes) -> list[list[str]]:
    """The lists of a message. Raises `Broken` where they are not as they are counted."""
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


def is_mine(sock: _socket.socket) -> bool:
    """Whether the process at the other end is this user's, as the system knows it."""
    try:
        if hasattr(_socket, "SO_PEERCRED"):
            known = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        else:
            known = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED)
    except OSError:
        return False
    # The second member of both structures.
    return int.from_bytes(known[4:8], sys.byteorder) == os.geteuid()


def _length(head: bytes) -> int:
    length = int.from_bytes(head[1:], "big")
    if length > LARGEST:
        raise Broken
    return length


def _exactly(sock: _socket.socket, count: int) -> bytes:
    parts = []
    while count:
        try:
            part = sock.recv(min(count, 1 << 16))
        except TimeoutError:
            raise
        except OSError as error:
            raise Broken from error
        if not part:
            raise Gone
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
