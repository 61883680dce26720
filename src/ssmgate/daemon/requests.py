"""The worker's half of the protocol: receive a request, and verify the process that wrote it.

A worker acts for the client, outside of any confinement of the client. The client sends its
environment to the worker, and executes the command that the worker returns. So each of them
continues only if the other process is confined exactly as itself, and nothing that a process sends
about itself proves that. Both sides verify it in the same way, the worker before it uses a request,
and the client before it sends one:

1. The kernel names the other process by its number P. The worker takes the process that connected
   (SO_PEERCRED). The client takes the one that wrote the worker's first message, which the kernel
   attaches to it (SCM_CREDENTIALS): SO_PEERCRED names the process that called listen(), of which
   the worker is a child. A pidfd pins one process X of that number, which belongs to X until X is
   reaped.
2. The facts about X are read through one descriptor of /proc/P.
3. Only then the number of a descriptor is sent, whose name in /proc is a random nonce. The answer
   has to contain the nonce, so it was written after the facts were read. The number that the kernel
   attaches to every part of the answer has to be P.
4. When the answer is complete, the facts are read again, and the pidfd must still have the number
   P. So X had it all the time: X owns /proc/P, and X wrote the answer.

The messages are: CHALLENGE with the worker's nonce; CHALLENGE with the client's; PROOF with the
client's, which verifies the worker; REQUEST with the worker's, which verifies the client. PROOF is
the worker's only answer, so the client accepts nothing after it that P did not write. Messages
before it (HELLO, BEAT) may be from any process; they only make the client wait.

X need not be the process that the kernel named in step 1, which may have ended since: X is the
process that received the nonce and answered. Only a process with CAP_SYS_ADMIN over its PID
namespace can write with another number, which has to be one of that namespace (unix(7), net/core/
scm.c). The worker excludes this case too if SO_PEERPIDFD (Linux 6.5) returns a pidfd of the
process that connected.

The client also compares the process that called listen(), pinned in the same way, before it reads
anything. Otherwise a confined process could listen and pass the connection to an unconfined one
that copies its input into a descriptor that it is given: with the nonce, that is a proof.
Without SO_PEERPIDFD this holds unless that number has been reused.

The order of 2 and 3 also defeats a confined process that executes a program which is allowed to
leave the confinement: X wrote the nonce after its facts were read as unconfined. The second reading
defeats a launcher that is unconfined first, then confines itself and executes a program that
inherits the socket. A verified process that passes its socket on cooperates, which is not
prevented: it could as well act itself.

**What confines a process.** User and group ids, capability sets (but for CAP_WAKE_ALARM),
no_new_privs, seccomp, all namespaces, the root directory, the labels of security modules, and the
login uid, which records show. /proc does not show Landlock. But a process in a Landlock domain may
trace only processes in the same or an inner domain, and only who may trace a process can read the
names of its descriptors: as each side has read the other's nonce, both are in the same domain, or
in none.
https://docs.kernel.org/userspace-api/landlock.html#ptrace-restrictions

Which filters seccomp applies does not show in /proc, only their number. A process can only add one
after it has set no_new_privs, which cannot be undone, or with CAP_SYS_ADMIN. In either case nothing
is proved (`peer.obstacle`).

Not detected: a launcher with CAP_SYS_ADMIN that applies other seccomp filters, of the same number,
and then drops its privileges; limits and network rules of a control group; the audit session id.
"""

from __future__ import annotations

import _socket
from collections.abc import Mapping

from ssmgate.daemon import peer, protocol


class Request:
    """A request, and facts about the process `pid` that verifiably wrote it.

    `umask` and `ignored` (a mask, bit 0 for signal 1) are that process's, read from the kernel.
    """

    def __init__(
        self,
        pid: int,
        status: Mapping[str, str],
        kind: bytes,
        lists: list[list[str]],
        descriptors: list[int],
    ) -> None:
        self.pid = pid
        self.umask = int(status["Umask"], 8)
        self.ignored = int(status["SigIgn"], 16)
        self.kind = kind
        self.lists = lists
        self.descriptors = descriptors


def request(sock: _socket.socket, own: Mapping[str, str]) -> Request:
    """Receive the request of the process that connected, and verify that it is confined as `own`.

    Nothing of the request is used before the process is verified. Raises `peer.Unproven`, or
    `protocol.Broken`, `TimeoutError` or `OSError` if no request arrives.
    """
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
    client = peer.connected(sock, own)
    try:
        sock.sendall(protocol.packed(protocol.CHALLENGE, [client.challenge]))
        match protocol.receive_noted(sock, client.pid)[:2]:
            case protocol.CHALLENGE, [[challenge]]:
                nonce = peer.nonce(client.pid, challenge)
                sock.sendall(protocol.packed(protocol.PROOF, [nonce]))
            case _:
                raise protocol.Broken
        kind, lists, _, descriptors = protocol.receive_noted(sock, client.pid, 3)
        status = client.verify(lists[:1])
        try:
            return Request(client.pid, status, kind, lists[1:], descriptors)
        except (KeyError, ValueError):
            raise peer.Unproven("its umask and signals are unknown") from None
    finally:
        client.close()


def receive(sock: _socket.socket) -> tuple[bytes, list[list[str]]]:
    """Return the next message: its kind, and its lists.

    Raises `protocol.Broken`, or `TimeoutError`.
    """
    head = _exactly(sock, 5)
    return head[:1], protocol.unpacked(_exactly(sock, protocol.length(head)))


def _exactly(sock: _socket.socket, count: int) -> bytes:
    parts = []
    while count:
        try:
            part = sock.recv(min(count, 1 << 16))
        except TimeoutError:
            raise
        except OSError as error:
            raise protocol.Broken from error
        if not part:
            raise protocol.Gone
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
