"""The place of a daemon: its lock and its socket. There is one for each user and fingerprint."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ssmgate.daemon import location, peer
from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.system import private_directory
from ssmgate.gate.system.trusted_files import InsecurePermissions

IDLE_SECONDS = 900
"""How long a daemon without requests runs."""

_OPEN = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class DaemonAlreadyRunning(GateError):
    """A daemon with this fingerprint is already running."""


@contextlib.contextmanager
def locked_location(environ: Mapping[str, str], lock: int | None = None) -> Iterator[Place]:
    """Lock this user's place for a daemon until the block ends. No other daemon can use it then.

    `lock` is the descriptor of the place's lock file, if it is locked already.
    Raises `DaemonAlreadyRunning`, or `GateError` if the directory is insecure, or if this process
    cannot verify that another process is confined as it is.
    """
    try:
        facts = peer.own_facts()
    except peer.Unproven as error:
        raise GateError(f"a daemon cannot run here: {error}") from error
    fingerprint = location.environment_fingerprint(environ, facts)
    try:
        directory = private_directory.open_directory(
            environ["HOME"], location.DIRECTORY, create=True
        )
    except (OSError, InsecurePermissions) as error:
        raise _unusable(error) from error
    try:
        try:
            name = socket_name(fingerprint, directory)
            lock = take_lock(directory, name) if lock is None else lock
        except OSError as error:  # for example a full disk
            raise _unusable(error) from error
        if lock is None:
            raise DaemonAlreadyRunning(
                "the daemon is already running", hints=("ssmgate daemon status shows its process",)
            )
        try:
            home = os.open(environ["HOME"], _OPEN)
            try:
                yield Place(environ["HOME"], home, directory, name, fingerprint, lock)
            finally:
                os.close(home)
        finally:
            os.close(lock)
    finally:
        os.close(directory)


def _unusable(error: OSError | InsecurePermissions) -> GateError:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return GateError(
        f"the daemon cannot use ~/{location.DIRECTORY}: {why}",
        hints=(
            "sessions start without a daemon; to run one, set HOME to a directory that belongs to"
            " you and that others cannot write",
        ),
    )


def socket_name(fingerprint: list[str], directory: int) -> str:
    """Return the name of the socket in the open `directory`, and make the directory's key if it is
    missing. Raises `OSError`.
    """
    try:
        return location.socket_name(fingerprint, directory)
    except FileNotFoundError:
        pass
    temporary = f"{os.getpid()}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        os.write(file, os.urandom(location.KEY_BYTES))
        # Complete, or another process's: no process reads half a key.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, location.KEY, src_dir_fd=directory, dst_dir_fd=directory)
    finally:
        os.close(file)
        os.unlink(temporary, dir_fd=directory)
    return location.socket_name(fingerprint, directory)


def take_lock(directory: int, name: str) -> int | None:
    """Lock the place `name`, and return the descriptor, None if another process holds the lock.

    The lock is released when the last copy of the descriptor is closed.
    """
    lock = os.open(
        f"{name}.lock",
        os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
        0o600,
        dir_fd=directory,
    )
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a daemon: an open directory, a name in it, and the fingerprint of both sides.

    `home` is HOME in the environment, `home_directory` a descriptor of it since the daemon began.
    """

    home: str
    home_directory: int
    directory: int
    name: str
    fingerprint: list[str]
    lock: int

    def listen(self) -> socket.socket:
        """Return a listening socket; replace one that a dead daemon left. Raises `GateError`."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.name, dir_fd=self.directory)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            path = os.path.join(self.home, location.DIRECTORY)
            sock.bind(location.address(self.directory, path, self.name))
        except OSError as error:  # for example a path that is too long, without /proc
            raise _unusable(error) from error
        finally:
            os.umask(before)
        sock.listen(512)
        sock.setblocking(False)
        return sock

    def inode(self) -> int:
        """Return the inode number of the socket's file, 0 if it is missing."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False).st_ino
        except OSError:
            return 0
