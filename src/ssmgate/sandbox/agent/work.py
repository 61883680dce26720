"""Run the work of a session on its node: a program with or without a terminal, or a port.

The node is this machine, and programs run as the user who runs the sandbox, or as another user
where that is root.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import pwd
import signal
import struct
import termios
from pathlib import Path
from typing import Any, Protocol

from ssmgate.sandbox.channel.payloads import Size
from ssmgate.sandbox.channel.sequence import PAYLOAD_BYTES

# The session's first process has no terminal of its own until it opens one; the kernel then
# makes that one its controlling terminal.
_TAKE_TERMINAL = 'exec 0<>"$0" 1>&0 2>&0 && exec "$@"'
_SECONDS_TO_END = 0.5
_READS_AFTER_EXIT = 16
_INTERRUPT = b"\x03"


class Work(Protocol):
    """The node's end of a session. All methods are called from one event loop."""

    async def read(self) -> bytes:
        """Return the next output, at most `PAYLOAD_BYTES`; empty after the end."""

    async def write(self, data: bytes) -> None:
        """Write `data` as input. Returns when more can be written."""

    def resize(self, size: Size) -> None:
        """Set the size of the terminal to that of the client's."""

    async def disconnect(self) -> None:
        """Handle the end of the client's local connection. The session continues."""

    async def end(self) -> None:
        """End all processes and connections. May be called at any time, and twice."""


class Terminal:
    """A program on a pty."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self._process = process
        self._master = master
        self._exited = asyncio.ensure_future(process.wait())
        self._closed = False
        self._reads_left = _READS_AFTER_EXIT

    @classmethod
    async def start(
        cls, argv: list[str], typed: str = "", user: pwd.struct_passwd | None = None
    ) -> Terminal:
        """Start `argv` on a new pty as `user`, and type the line `typed` first. Raises OSError."""
        master, slave = pty.openpty()
        try:
            os.set_blocking(master, False)
            if user is not None:
                # The program opens its terminal by name.
                os.fchown(slave, user.pw_uid, -1)
            process = await asyncio.create_subprocess_exec(
                "sh", "-c", _TAKE_TERMINAL, os.ttyname(slave), *argv,
                stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                **_login(user),
            )  # fmt: skip
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        terminal = cls(process, master)
        if typed:
            await terminal.write(typed.encode() + b"\n")
        return terminal

    async def read(self) -> bytes:
        """Return the next output, also what is in the terminal's buffer after the program's end."""
        while True:
            exited = self._exited.done()
            if exited:
                # The program's last output is in the terminal's buffer. A background job may
                # continue to write forever, so only some more reads are made.
                self._reads_left -= 1
            try:
                return os.read(self._master, PAYLOAD_BYTES) if self._reads_left else b""
            except BlockingIOError:
                if exited:
                    return b""
                await _ready(self._master, reading=True, or_else=self._exited)
            except OSError:  # EIO: no process has the terminal open
                return b""

    async def write(self, data: bytes) -> None:
        """Type `data`. What the program does not read before its end is dropped."""
        while data and not self._exited.done():
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                await _ready(self._master, reading=False, or_else=self._exited)
            except OSError:
                return

    def resize(self, size: Size) -> None:
        """Set the size of the pty."""
        if not self._closed:
            packed = struct.pack("HHHH", size.rows, size.columns, 0, 0)
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._master, termios.TIOCSWINSZ, packed)

    async def disconnect(self) -> None:
        """Do nothing: only ports have local connections."""

    async def end(self) -> None:
        """Close the pty, and end the processes of its session."""
        if self._closed:
            return
        self._closed = True
        # The kernel sends SIGHUP to the shell and the foreground job.
        os.close(self._master)
        await _end(self._process.pid, self._exited)


class Program:
    """A program without a terminal, with output, and Ctrl-C as its only input."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._exited = asyncio.ensure_future(process.wait())

    @classmethod
    async def start(cls, argv: list[str], user: pwd.struct_passwd | None = None) -> Program:
        """Start `argv` as `user`, by default as the user of this process. Raises OSError."""
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, start_new_session=True, **_login(user),
        )  # fmt: skip
        return cls(process)

    async def read(self) -> bytes:
        """Return the next output, empty after the end."""
        output = self._process.stdout
        return b"" if output is None else await output.read(PAYLOAD_BYTES)

    async def write(self, data: bytes) -> None:
        """Interrupt the program if `data` has a Ctrl-C. Other input is dropped."""
        if _INTERRUPT in data:
            _signal_group(self._process.pid, signal.SIGINT)

    def resize(self, size: Size) -> None:
        """Do nothing: there is no terminal."""

    async def disconnect(self) -> None:
        """Do nothing: only ports have local connections."""

    async def end(self) -> None:
        """End the processes of the program's session."""
        await _end(self._process.pid, self._exited)


def _login(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return the arguments of a process that is started as `user`, or as the current user."""
    if user is None:
        return {"env": _environment(), "cwd": _home()}
    own = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
    login: dict[str, Any] = {
        "env": _environment() | own,
        "cwd": user.pw_dir if os.path.isdir(user.pw_dir) else "/",
    }
    if user.pw_uid != os.getuid():
        groups = os.getgrouplist(user.pw_name, user.pw_gid)
        login |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups}
    return login


def _environment() -> dict[str, str]:
    """Return the environment of a login, without the sandbox's own variables."""
    names = ("HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ")
    return {
        "PATH": os.defpath,
        **{name: os.environ[name] for name in ("PATH", *names) if name in os.environ},
        "TERM": "xterm-256color",
    }


def _home() -> str:
    home = os.path.expanduser("~")
    return home if os.path.isdir(home) else "/"


async def _ready(descriptor: int, *, reading: bool, or_else: asyncio.Future[int]) -> None:
    """Wait until the descriptor is ready or `or_else` is done."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add = loop.add_reader if reading else loop.add_writer
    remove = loop.remove_reader if reading else loop.remove_writer
    add(descriptor, _set, ready)
    try:
        await asyncio.wait((ready, or_else), return_when=asyncio.FIRST_COMPLETED)
    finally:
        remove(descriptor)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _end(leader: int, exited: asyncio.Future[int]) -> None:
    """End all processes in the session of `leader`: HUP, TERM, then KILL."""
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGKILL):
        processes = _of_session(leader)
        for process in processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, number)
                os.kill(process, signal.SIGCONT)
        if not exited.done():
            _signal_group(leader, number)
        deadline = asyncio.get_running_loop().time() + _SECONDS_TO_END
        while asyncio.get_running_loop().time() < deadline:
            if exited.done() and not _of_session(leader):
                return
            await asyncio.sleep(0.01)


def _of_session(leader: int) -> list[int]:
    """Return the processes of this session, including jobs in process groups of their own.

    Without /proc the list is empty, and only the SIGHUP of the terminal ends background jobs.
    """
    processes = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # pid (name, which may have any characters) state ppid pgrp session …
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                processes.append(int(directory.name))
    return processes


def _signal_group(leader: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
