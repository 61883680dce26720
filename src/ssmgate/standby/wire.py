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

PROTOCOL = "2"
"""Raised with every change of what is said here."""

# From the standby, and from the process that it forks for a start.
HELLO = b"h"  # the protocol
BEAT = b"b"  # somebody is still at work
COLD = b"c"  # why the start has to be made by the one who asks
END = b"e"  # the exit status; a signal's number with a minus before it. Or what was asked about
HANDOVER = b"o"  # a path, the words, the variables
GO = b"g"  # the session is the one's who asked

CHALLENGE = b"n"  # a nonce, which the request has to contain

# From the one who asks.
REQUEST = b"r"  # nonce; surroundings; the shim's words; words; variables. With three descriptors
SIGNAL = b"s"  # the number of one that came
TAKE = b"t"  # the handover is here
FAILED = b"f"  # why the program could not be executed after all
STATUS = b"?"  # nonce, surroundings. With three descriptors, as REQUEST
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
    sock: _socket.socket, count: int, sender: int
) -> tuple[bytes, list[list[str]], list[int]]:
    """Receive a message with exactly `count` descriptors, which close on exec.

    Every part of it was written by the process `sender`, as the kernel noted (SO_PASSCRED has to be
    set before). Raises `Broken` otherwise, and `TimeoutError`.
    """
    head, descriptors = _part(sock, 5, sender)
    if len(descriptors) != count:
        raise Broken
    while len(head) < 5:
        head += _part_without_descriptors(sock, 5 - len(head), sender)
    parts, left = [], _length(head)
    while left:
        parts.append(_part_without_descriptors(sock, min(left, 1 << 16), sender))
        left -= len(parts[-1])
    return head[:1], unpacked(b"".join(parts)), descriptors


def _part(sock: _socket.socket, size: int, sender: int) -> tuple[bytes, list[int]]:
    """Receive up to `size` bytes that the process `sender` wrote, and what descriptors came."""
    space = _socket.CMSG_SPACE(4 * 8) + _socket.CMSG_SPACE(3 * 4)
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
    if flags & _socket.MSG_CTRUNC or writers != [sender]:
        raise Broken
    return part, descriptors


def _part_without_descriptors(sock: _socket.socket, size: int, sender: int) -> bytes:
    part, descriptors = _part(sock, size, sender)
    if descriptors:
        raise Broken
    return part


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
