"""Learn from the kernel which process is at the other end, and that it is confined as this one.

A worker acts for the process that asks, outside of whatever confines that process. The client hands
its environment to the worker, and executes what the worker answers. So each of them goes on only
with a process that is confined exactly as itself, and nothing that a process says about itself
proves that. Either side establishes it in the same way, before a request is used, and before it is
sent, respectively:

1. The kernel names the other process by its number P. The worker takes the process that connected
   (SO_PEERCRED). The client takes the one that wrote the first message of the worker, as the kernel
   notes who writes (SCM_CREDENTIALS): SO_PEERCRED names the process that called listen(), of which
   the worker is a child. A pidfd pins one process X of that number, which belongs to X until X is
   reaped.
2. The facts about X are read through one descriptor of /proc/P.
3. Only then a nonce is drawn and sent. The answer has to contain it, so it was written after the
   facts were read. The kernel's note on every part of the answer has to be P.
4. When the answer is complete, the facts are read again, and then the pidfd still has the number
   P. So X had it all the time: X owns /proc/P, and X wrote the answer.

The messages are: CHALLENGE with the worker's nonce; CHALLENGE with the client's; PROOF with the
client's, which verifies the worker; REQUEST with the worker's, which verifies the client. PROOF is
the worker's only answer, so the client accepts nothing after it that P did not write. What comes
before it (HELLO, BEAT) may be anyone's and has no effect but that the client waits.

X need not be the process that the kernel meant in step 1, which may have ended since: X is the
process that received the nonce and answered. Only a process with CAP_SYS_ADMIN over its PID
namespace can write with another's number, which has to be one of that namespace (unix(7), net/core/
scm.c). The worker excludes this one too where SO_PEERPIDFD (Linux 6.5) gives a pidfd of the very
process that connected.

The client also compares the process that called listen(), pinned in the same way, before it reads
anything. Otherwise a confined process could listen and pass the connection to a process outside
that copies what it is given into a descriptor that it is given: with the nonce, that is a proof.
Without SO_PEERPIDFD this holds unless that number has been reused.

The order of 2 and 3 also defeats a confined process that executes a program which is allowed to
leave the confinement: X wrote the nonce after it was seen without one. The second reading defeats
a launcher that is seen first, then confines itself and executes a program that inherits the socket.
A verified process that passes its socket on cooperates, which is not prevented: it could as well
act itself.

**What confines it.** User and group ids, capability sets, no_new_privs, seccomp, all namespaces,
the root directory, the labels of security modules, and the login uid, which records show. Landlock
and a further seccomp filter of equal number do not show in /proc. A process can only add them after
it has set no_new_privs, which nothing takes back, or with CAP_SYS_ADMIN. Where either holds,
nothing is proved (`obstacle`).

Not seen: a launcher with CAP_SYS_ADMIN that applies Landlock without no_new_privs and then drops
its privileges; limits and network rules that belong to a control group; the audit session id.
"""

from __future__ import annotations

import _socket
import errno
import os
import sys

from ssmgate.daemon import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SO_PEERPIDFD = 77
"""asm-generic/socket.h. Where this is another option, `_number` rejects what it gives."""

# proc_pid_status(5). Without one of these a kernel is too old to tell.
_FIELDS = (
    "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs",
    "Seccomp",
)  # fmt: skip
# Missing before Linux 5.9, for all processes alike. `obstacle` excludes filters that it would show.
_NEWER_FIELDS = ("Seccomp_filters",)

_LABELS = ("loginuid", "attr/current", "attr/apparmor/current", "attr/smack/current")
# How a kernel without auditing or without such a module answers, for all processes alike.
_NO_LABEL = (errno.ENOENT, errno.EINVAL)

_CAP_SYS_ADMIN = 1 << 21  # linux/capability.h


class Unproven(Exception):
    """The kernel does not show that the other process is confined as this one. Says why."""


class Peer:
    """Pin process `pid`, which `pidfd` refers to, and verify that it is confined as `own` says.

    The instance closes `pidfd`. `own` are this process's facts. Raises `Unproven` or `OSError`.
    """

    def __init__(self, pid: int, pidfd: int, own: Mapping[str, str]) -> None:
        self.pid, self._pidfd, self._own = pid, pidfd, own
        try:
            self._compared("different")
        except BaseException:
            self.close()
            raise
        self.nonce = os.urandom(16).hex()

    def verify(self, answer: list[list[str]]) -> Mapping[str, str]:
        """Verify that the process wrote a message that begins with `answer`, and return its status.

        The caller has verified that the kernel noted `pid` on every part of that message. Raises
        `Unproven` or `OSError`.
        """
        if answer != [[self.nonce]]:
            raise Unproven("it wrote its answer before it was known")
        status = self._compared("by now different")
        if _number(self._pidfd) != self.pid:
            raise Unproven("it has ended")
        return status

    def close(self) -> None:
        """Release the pidfd. What was verified says nothing about the time after that."""
        os.close(self._pidfd)

    def _compared(self, differs: str) -> Mapping[str, str]:
        facts, status = _known(self.pid, self._pidfd)
        if status.get("Threads") != "1":
            # /proc shows the first thread's confinement, and each thread has its own.
            raise Unproven("it has several threads")
        if what := difference(self._own, facts):
            raise Unproven(f"{differs} {what}")
        return status


class Request:
    """A request, and the process that verifiably wrote it.

    `umask` and `ignored` (a mask, bit 0 for signal 1) are that process's, as the kernel has them.
    """

    def __init__(
        self,
        status: Mapping[str, str],
        kind: bytes,
        lists: list[list[str]],
        descriptors: list[int],
    ) -> None:
        self.umask = int(status["Umask"], 8)
        self.ignored = int(status["SigIgn"], 16)
        self.kind = kind
        self.lists = lists
        self.descriptors = descriptors


def request(sock: _socket.socket, own: Mapping[str, str]) -> Request:
    """Receive the request of the process that connected, which is confined as `own` says.

    Nothing of the request is used before the process is verified. Raises `Unproven`; `wire.Broken`,
    `TimeoutError` or `OSError` where no request comes.
    """
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
    client = connected(sock, own)
    try:
        sock.sendall(protocol.packed(protocol.CHALLENGE, [client.nonce]))
        kind, lists, _, _ = protocol.receive_noted(sock, client.pid)
        if kind != protocol.CHALLENGE:
            raise protocol.Broken
        sock.sendall(protocol.packed(protocol.PROOF, *lists))
        kind, lists, _, descriptors = protocol.receive_noted(sock, client.pid, 3)
        status = client.verify(lists[:1])
        try:
            return Request(status, kind, lists[1:], descriptors)
        except (KeyError, ValueError):
            raise Unproven("its umask and signals are unknown") from None
    finally:
        client.close()


def verify_worker(sock: _socket.socket, pid: int, own: Mapping[str, str]) -> None:
    """Verify that process `pid` is at the other end, and is confined as `own` says.

    `pid` is the writer of the worker's CHALLENGE. Messages that follow have to be its own too: that
    is for the caller to verify. Raises `Unproven`; `wire.Broken`, `TimeoutError` or `OSError` where
    no proof comes.
    """
    worker = Peer(pid, os.pidfd_open(pid), own)
    try:
        sock.sendall(protocol.packed(protocol.CHALLENGE, [worker.nonce]))
        kind, lists, _, _ = protocol.receive_noted(sock, pid)
        if kind != protocol.PROOF:
            raise protocol.Broken
        worker.verify(lists)
    finally:
        worker.close()


def connected(sock: _socket.socket, own: Mapping[str, str]) -> Peer:
    """Return the process that connected, or called listen(), and is confined as `own` says.

    It need not be the one that writes. Raises `Unproven` or `OSError`.
    """
    pid = _peer(sock)
    return Peer(pid, _pidfd(sock, pid), own)


def own_facts() -> dict[str, str]:
    """Return the facts about this process, read as those about any other.

    Raises `Unproven` where they are such that a comparison with them proves nothing.
    """
    if not hasattr(os, "pidfd_open"):
        raise Unproven("this system does not show which process it is (it has no pidfd)")
    try:
        pidfd = os.pidfd_open(os.getpid())
        try:
            facts, _ = _known(os.getpid(), pidfd)
        finally:
            os.close(pidfd)
    except OSError as error:
        why = error.strerror or str(error)
        raise Unproven(f"this system does not show which process it is ({why})") from error
    if why := obstacle(facts):
        raise Unproven(why)
    return facts


def obstacle(facts: Mapping[str, str]) -> str:
    """Return why a process with these facts may be confined in a way that they do not show.

    Empty if it cannot be. Root without CAP_SYS_ADMIN gains it by executing any program, unless its
    bounding set lacks it.
    """
    held = int(facts["CapEff"], 16) | int(facts["CapPrm"], 16)
    if "0" in facts["Uid"].split():
        held |= int(facts["CapBnd"], 16)
    if facts["NoNewPrivs"] != "0":
        return "with no_new_privs the kernel does not show what else confines a process"
    if held & _CAP_SYS_ADMIN:
        return "with CAP_SYS_ADMIN the kernel does not show what else confines a process"
    return ""


def difference(own: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Return the name of the first fact that differs, a missing one among them, or nothing."""
    for name in sorted({*own, *other}):
        if name not in own or name not in other or own[name] != other[name]:
            return name
    return ""


def facts_of(process: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return what confines a process, and all fields of its status.

    `process` is its directory in /proc, open. Raises `Unproven` where the kernel is too old, and
    `OSError` for whatever cannot be read.
    """
    status = _status(_read(process, "status"))
    try:
        facts = {name: status[name] for name in _FIELDS}
    except KeyError as missing:
        raise Unproven(f"this kernel does not show {missing.args[0]}") from None
    facts |= {name: status.get(name, "") for name in _NEWER_FIELDS}
    facts |= {name: _label(process, name) for name in _LABELS}
    spaces = os.open("ns", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=process)
    try:
        names = os.listdir(spaces)
        facts |= {f"ns/{name}": os.readlink(name, dir_fd=spaces) for name in names}
    finally:
        os.close(spaces)
    if not names:
        raise Unproven("this kernel does not show namespaces")
    root = os.stat("root", dir_fd=process)
    facts["root"] = f"{os.readlink('root', dir_fd=process)} {root.st_dev} {root.st_ino}"
    return facts, status


def _known(pid: int, pidfd: int) -> tuple[dict[str, str], dict[str, str]]:
    """`facts_of` for the process `pid`, which `pidfd` refers to."""
    if _number(pidfd) != pid:
        # It has ended, or /proc belongs to another PID namespace.
        raise Unproven("/proc does not show the process")
    flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
    process = os.open(f"/proc/{pid}", flags)
    try:
        return facts_of(process)
    finally:
        os.close(process)


def _peer(sock: _socket.socket) -> int:
    """Return the number of the process that connected or listens. It may have ended."""
    known = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    pid = int.from_bytes(known[:4], sys.byteorder, signed=True)
    if pid <= 0:
        raise Unproven("it is in another PID namespace")
    return pid


def _pidfd(sock: _socket.socket, pid: int) -> int:
    """Return a pidfd of that process, or where the kernel has none, of what has its number now."""
    try:
        return sock.getsockopt(_socket.SOL_SOCKET, SO_PEERPIDFD)
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise
    return os.pidfd_open(pid)


def _number(pidfd: int) -> int:
    """Return the process's number as /proc has it: -1 if it was reaped, 0 if it is not there."""
    process = os.open("/proc/self/fdinfo", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = _status(_read(process, str(pidfd))).get("Pid", "")
    finally:
        os.close(process)
    return int(found or 0)


def _status(text: str) -> dict[str, str]:
    """Return the fields of a status file. Raises `Unproven` where one occurs twice."""
    lines = [line.partition(":") for line in text.split("\n") if line]
    fields = {name: value.strip() for name, _, value in lines}
    if len(fields) != len(lines):
        raise Unproven("its status is ambiguous")
    return fields


def _label(process: int, name: str) -> str:
    try:
        return _read(process, name).rstrip("\n\0")
    except OSError as error:
        if error.errno not in _NO_LABEL:
            raise
        return f"errno {error.errno}"


def _read(folder: int, name: str) -> str:
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        parts = []
        while part := os.read(file, 1 << 16):
            parts.append(part)
        return os.fsdecode(b"".join(parts))
    finally:
        os.close(file)
