"""Learn from the kernel which process asks, and whether it is confined exactly as this one.

A worker acts outside of whatever confines the process that asks. So it serves only a process that
is confined exactly as the worker itself, and nothing that a process says about itself proves that.

**Which process it is.** `request` establishes it in this order:

1. SO_PEERCRED names the process that connected, by its number P. A pidfd pins one process X of
   that number: SO_PEERPIDFD (Linux 6.5) gives the one that connected, and where that is missing
   `pidfd_open` gives the one that has the number now. Number P belongs to X until X is reaped.
2. The facts about X are read through one descriptor of /proc/P.
3. Only then a nonce is drawn and sent. The request has to contain it, so it was written after the
   facts were read. On every part of the request the kernel notes who wrote it (SCM_CREDENTIALS),
   and that has to be P.
4. When the request is complete, the facts are read again, and then the pidfd still has the number
   P. So X had it all the time: X owns /proc/P, and X wrote the request.

Without SO_PEERPIDFD, X may be another process than the one that connected. That does not matter:
X is the one that received the nonce and answered. Only a process with CAP_SYS_ADMIN over its PID
namespace can write with another's number (unix(7)); SO_PEERPIDFD excludes this one too, as X is
then the process that connected.

The order of 2 and 3 also defeats a confined process that executes a program which is allowed to
leave the confinement: X wrote the nonce after it was seen without one. The second reading defeats
a launcher that is seen first, then confines itself and executes a program that inherits the socket.

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

from ssmgate.standby import wire

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
    """The kernel does not show that the process that asks is confined as this one. Says why."""


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
    """Receive the request of the process at the other end, which is confined as `own` says.

    `own` are this process's facts. Nothing of the request is used before the process is known.
    Raises `Unproven`; `wire.Broken`, `TimeoutError` or `OSError` where no request comes.
    """
    pid = _peer(sock)
    pidfd = _pidfd(sock, pid)
    try:
        facts, status = _known(pid, pidfd)
        if status.get("Threads") != "1":
            # /proc shows the first thread's confinement, and each thread has its own.
            raise Unproven("it has several threads")
        if what := difference(own, facts):
            raise Unproven(f"different {what}")
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
        nonce = os.urandom(16).hex()
        sock.sendall(wire.packed(wire.CHALLENGE, [nonce]))
        kind, lists, descriptors = wire.receive_with_descriptors(sock, 3, pid)
        if lists[:1] != [[nonce]]:
            raise Unproven("it wrote the request before it was known")
        facts, status = _known(pid, pidfd)
        if what := difference(own, facts):
            raise Unproven(f"by now different {what}")
        if _number(pidfd) != pid:
            raise Unproven("it has ended")
        try:
            return Request(status, kind, lists[1:], descriptors)
        except (KeyError, ValueError):
            raise Unproven("its umask and signals are unknown") from None
    finally:
        os.close(pidfd)


def own_facts() -> dict[str, str]:
    """Return the facts about this process, read as those about any other.

    Raises `Unproven` where they are such that a comparison with them proves nothing.
    """
    if not hasattr(os, "pidfd_open"):
        raise Unproven("this system does not show which process asks (it has no pidfd)")
    try:
        pidfd = os.pidfd_open(os.getpid())
        try:
            facts, _ = _known(os.getpid(), pidfd)
        finally:
            os.close(pidfd)
    except OSError as error:
        why = error.strerror or str(error)
        raise Unproven(f"this system does not show which process asks ({why})") from error
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
        raise Unproven("/proc does not show the process that asks")
    flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
    process = os.open(f"/proc/{pid}", flags)
    try:
        return facts_of(process)
    finally:
        os.close(process)


def _peer(sock: _socket.socket) -> int:
    """Return the number of the process that connected. It may have ended."""
    known = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    pid = int.from_bytes(known[:4], sys.byteorder, signed=True)
    if pid <= 0:
        raise Unproven("it is in another PID namespace")
    return pid


def _pidfd(sock: _socket.socket, pid: int) -> int:
    """Return a pidfd of the process that connected, or else of the one that has its number."""
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
        return _read(process, name)
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
