"""The user, the machine and the process of a record, according to the system."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections.abc import Mapping

from ssmgate.gate.decision.frozen import frozen

_NO_LOGIN_UID = 4294967295
# Documentation/admin-guide/devices.txt of Linux: the majors of Unix98 pseudo-terminals, and of
# consoles and serial lines.
_PTS, _TTY = range(136, 144), 4


@frozen
class LocalUser:
    """The user of this process, according to the system."""

    user: str | None
    uid: int
    login_uid: int | None
    ssh_connection: str | None

    @classmethod
    def here(cls, environ: Mapping[str, str]) -> LocalUser:
        """Return the user of this process. `environ` has SSH_CONNECTION, which is not verified.

        The login uid is the audit system's, which su and sudo do not change, None if there is none.
        """
        login_uid = None
        with contextlib.suppress(OSError, ValueError), open("/proc/self/loginuid") as file:
            login_uid = int(file.read())
        return cls(
            _name(os.getuid()),
            os.getuid(),
            None if login_uid == _NO_LOGIN_UID else login_uid,
            environ.get("SSH_CONNECTION"),
        )


@functools.cache
def _name(uid: int) -> str | None:
    """Return the user's name. Cached, as a directory service may not answer later."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


@functools.cache
def host() -> str:
    """Return this machine's name, as the kernel has it."""
    return socket.gethostname()


@functools.cache
def process(pid: int) -> dict[str, object]:
    """Return the members about the process `pid`: its number, parent, terminal and who started it.

    `parent` is the name of the parent's program, which that program can change; None if /proc does
    not show it, as on macOS. `tty` is the controlling terminal, which also a start whose stdin is
    ssh's has; None without one. A start with a terminal is a person's, one without is a program's:
    a program that a person has started at a terminal counts as a person.
    """
    parent, tty = _of_proc(pid)
    if tty is None and pid == os.getpid():
        tty = _ttyname()
    started_by = "program" if tty is None else "person"
    return {"pid": pid, "parent": parent, "tty": tty, "started_by": started_by}


def _of_proc(pid: int) -> tuple[str | None, str | None]:
    """Return the name of the parent and the controlling terminal, as /proc shows them.

    proc_pid_stat(5): the fields after the name, which is in parentheses and may contain any text,
    are state, parent, process group, session, terminal.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        terminal = int(fields[4])
        with open(f"/proc/{int(fields[1])}/comm", "rb") as file:
            parent = file.read().decode("utf-8", "backslashreplace").rstrip("\n")
    except (OSError, ValueError, IndexError):
        return None, None
    return parent, _terminal(terminal) if terminal else None


def _terminal(number: int) -> str:
    major, minor = os.major(number), os.minor(number)
    if major in _PTS:
        return f"/dev/pts/{(major - _PTS[0]) * 256 + minor}"
    if major == _TTY:
        return f"/dev/tty{minor}" if minor < 64 else f"/dev/ttyS{minor - 64}"
    return f"{major}:{minor}"


def _ttyname() -> str | None:
    for descriptor in (0, 2):
        with contextlib.suppress(OSError):
            return os.ttyname(descriptor)
    return None
