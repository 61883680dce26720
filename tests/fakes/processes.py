"""Processes that a test forks from itself, and their confinement."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from ssmgate.daemon import peer, protocol


def forked(speak: Callable[[], object]) -> int:
    """Fork a process that calls `speak` and ends, and return its number."""
    pid = os.fork()
    if not pid:
        try:
            speak()
            os._exit(0)
        finally:
            os._exit(1)
    return pid


def fork_with_threads() -> int:
    """Fork, and return what `os.fork` does, without its warning about other threads.

    The threads of the scripted AWS hold no lock that the new process needs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def challenge(nonce: str) -> bytes:
    """Return a CHALLENGE of this process and of those that it forks."""
    return protocol.packed(protocol.CHALLENGE, [str(os.memfd_create(nonce))])


def nonce_for(sock: socket.socket, lists: list[list[str]]) -> str:
    """Return the nonce in a CHALLENGE with `lists` of the process that SO_PEERCRED names."""
    known = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return peer.nonce(int.from_bytes(known[:4], sys.byteorder), lists[0][0])


def own() -> dict[str, str]:
    """Return the facts about this process, whether or not they prove anything."""
    pidfd = os.pidfd_open(os.getpid())
    try:
        return peer._known(os.getpid(), pidfd)[0]
    finally:
        os.close(pidfd)


def is_running(pid: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
