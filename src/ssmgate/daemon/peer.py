"""Verify, with the kernel's data, that the process at the other end is confined as this one.

The docstring of `daemon.requests` describes how. Compared are user and group ids, capability sets,
no_new_privs, seccomp, all namespaces, the root directory, the labels of security modules, and the
login uid, which records show.
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

# asm-generic/socket.h. If it is another option on some system, `_number` rejects its result.
SO_PEERPIDFD = 77
# proc_pid_status(5). A kernel without one of these is too old.
_HELD = ("CapInh", "CapPrm", "CapEff", "CapAmb")
_FIELDS = ("Uid", "Gid", "Groups", *_HELD, "CapBnd", "NoNewPrivs", "Seccomp")
# Missing before Linux 5.9, for all processes. `obstacle` excludes filters that it would show.
_NEWER_FIELDS = ("Seccomp_filters",)
_LABELS = ("loginuid", "attr/current", "attr/apparmor/current", "attr/smack/current")
# The errors of a kernel without auditing or without such a module, for all processes.
_NO_LABEL = (errno.ENOENT, errno.EINVAL)
_CAP_SYS_ADMIN, _CAP_WAKE_ALARM = 1 << 21, 1 << 35  # linux/capability.h


class Unproven(Exception):
    """The kernel does not show that the other process is confined as this one."""


class Peer:
    """A process `pid`, pinned by `pidfd` and verified to be confined as this process.

    `own` are this process's facts; `challenge` is for a CHALLENGE. Closes `pidfd`.
    """

    def __init__(self, pid: int, pidfd: int, own: Mapping[str, str]) -> None:
        self.pid, self._pidfd, self._own = pid, pidfd, own
        self._nonce = os.urandom(16).hex()
        self._file = os.memfd_create(self._nonce)
        try:
            self._compared("different")
        except BaseException:
            self.close()
            raise
        self.challenge = str(self._file)

    def verify(self, answer: list[list[str]]) -> Mapping[str, str]:
        """Verify that the process wrote a message that begins with `answer`, and return its status.

        The kernel attached `pid` to every part of it. Raises `Unproven` or `OSError`.
        """
        if answer != [[self._nonce]]:
            raise Unproven("it has not read the nonce")
        status = self._compared("by now different")
        if _number(self._pidfd) != self.pid:
            raise Unproven("it has ended")
        return status

    def close(self) -> None:
        """Close the descriptors. Afterwards the verification is no longer valid."""
        os.close(self._pidfd)
        os.close(self._file)

    def _compared(self, differs: str) -> Mapping[str, str]:
        facts, status = _known(self.pid, self._pidfd)
        if status.get("Threads") != "1":
            # /proc shows the first thread's confinement, and each thread has its own.
            raise Unproven("it has several threads")
        if what := difference(self._own, facts):
            raise Unproven(f"{differs} {what}")
        return status


def verify_worker(sock: _socket.socket, pid: int, own: Mapping[str, str]) -> None:
    """Verify that process `pid`, which wrote the CHALLENGE, is confined as `own` says.

    The caller has to verify that it writes what follows too. Raises `Unproven`, or `Broken` or
    `OSError` if no proof arrives.
    """
    worker = Peer(pid, os.pidfd_open(pid), own)
    try:
        sock.sendall(protocol.packed(protocol.CHALLENGE, [worker.challenge]))
        kind, lists, _, _ = protocol.receive_noted(sock, pid)
        if kind != protocol.PROOF:
            raise protocol.Broken
        worker.verify(lists)
    finally:
        worker.close()


def nonce(pid: int, challenge: str) -> str:
    """Return the nonce in `challenge`, from `pid`. Raises `OSError` or `protocol.Broken`.

    It is a descriptor's name. Who may not trace `pid`, as with Landlock, cannot read it.
    """
    if not challenge.isdecimal():
        raise protocol.Broken
    return os.readlink(f"/proc/{pid}/fd/{challenge}").removeprefix("/memfd:").partition(" ")[0]


def connected(sock: _socket.socket, own: Mapping[str, str]) -> Peer:
    """Return the process that connected or called listen(), if it is confined as `own` says.

    Another process may write to the socket. Raises `Unproven` or `OSError`.
    """
    pid = _peer(sock)
    try:
        pidfd = sock.getsockopt(_socket.SOL_SOCKET, SO_PEERPIDFD)
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise
        pidfd = os.pidfd_open(pid)  # the process that has this number now
    return Peer(pid, pidfd, own)


def _peer(sock: _socket.socket) -> int:
    known = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)  # it may have ended
    pid = int.from_bytes(known[:4], sys.byteorder, signed=True)
    if pid <= 0:
        raise Unproven("it is in another PID namespace")
    return pid


def own_facts() -> dict[str, str]:
    """Return the facts about this process. Raises `Unproven` if comparing them proves nothing."""
    if not hasattr(os, "pidfd_open"):
        raise Unproven("this system does not show which process it is (it has no pidfd)")
    try:
        pidfd = os.pidfd_open(os.getpid())
        try:
            facts, _ = _known(os.getpid(), pidfd)
        finally:
            os.close(pidfd)
        first = _status(_read(None, "/proc/1/status")) if facts["Seccomp"] != "0" else {}
    except OSError as error:
        raise Unproven(f"this system does not show which process it is ({error})") from error
    if why := obstacle(facts, first):
        raise Unproven(why)
    return facts


def obstacle(facts: Mapping[str, str], first: Mapping[str, str]) -> str:
    """Return why these facts may not show all that confines a process, or nothing if they do.

    `first` is the status of process 1, from which all processes have its seccomp filters.
    """
    held = int(facts["CapEff"], 16) | int(facts["CapPrm"], 16)
    if "0" in facts["Uid"].split():  # root gains them by executing any program
        held |= int(facts["CapBnd"], 16)
    if facts["NoNewPrivs"] != "0":
        return "with no_new_privs the kernel does not show what else confines a process"
    if held & _CAP_SYS_ADMIN:
        return "with CAP_SYS_ADMIN the kernel does not show what else confines a process"
    filters = facts["Seccomp"], facts["Seccomp_filters"]
    if filters[0] != "0" and filters != (first.get("Seccomp"), first.get("Seccomp_filters")):
        return "process 1 has other seccomp filters than this process"
    return ""


def difference(own: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Return the name of the first fact that differs or is missing, or nothing."""
    for name in sorted({*own, *other}):
        if name not in own or name not in other or own[name] != other[name]:
            return name
    return ""


def facts_of(process: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return what confines a process, and its status. `process` is its open directory in /proc.

    Raises `Unproven` if the kernel is too old, and `OSError` for what cannot be read.
    """
    status = _status(_read(process, "status"))
    try:
        facts = {name: status[name] for name in _FIELDS}
    except KeyError as missing:
        raise Unproven(f"this kernel does not show {missing.args[0]}") from None
    for name in _HELD:
        # It only lets a timer wake the machine. Since systemd 254, logins at this machine have it,
        # what the user manager starts inherits it, and a login by ssh has none: pam_systemd(8).
        facts[name] = f"{int(facts[name], 16) & ~_CAP_WAKE_ALARM:016x}"
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
    """Return the `facts_of` the process `pid`, which `pidfd` refers to."""
    if _number(pidfd) != pid:
        # It has ended, or /proc belongs to another PID namespace.
        raise Unproven("/proc does not show the process")
    flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
    process = os.open(f"/proc/{pid}", flags)
    try:
        return facts_of(process)
    finally:
        os.close(process)


def _number(pidfd: int) -> int:
    """Return the process's number in /proc: -1 if it was reaped, 0 if it is missing."""
    return int(_status(_read(None, f"/proc/self/fdinfo/{pidfd}")).get("Pid") or 0)


def _status(text: str) -> dict[str, str]:
    """Return the fields of a status file. Raises `Unproven` if one occurs twice."""
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


def _read(directory: int | None, name: str) -> str:
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        parts = []
        while part := os.read(file, 1 << 16):
            parts.append(part)
        return os.fsdecode(b"".join(parts))
    finally:
        os.close(file)
