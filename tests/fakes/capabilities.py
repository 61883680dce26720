"""Run programs without capabilities, also where the tests run as root.

A daemon does not run with CAP_SYS_ADMIN. Root has it in each program that it executes, unless the
bounding set lacks it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

ORDINARY = 12347
"""The number of a user, and of a group, that no other process here has."""

T = TypeVar("T")

_PR_CAPBSET_DROP = 24  # linux/prctl.h
_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h


def drop_bounding_set(*, but: int = -1) -> None:
    """Empty the bounding set: programs that this thread executes from now on have no capabilities.

    The thread itself keeps its capabilities. Users other than root have none. `but` is a capability
    that stays in the set.
    """
    if os.geteuid() == 0:
        prctl = ctypes.CDLL(None).prctl
        # It fails at the first invalid capability, and where CAP_SETPCAP is missing.
        next(n for n in count() if n != but and prctl(_PR_CAPBSET_DROP, n, 0, 0, 0))


def become_ordinary() -> None:
    """Become the user `ORDINARY`, without capabilities, where the tests run as root."""
    if os.geteuid() == 0:
        drop_bounding_set()
        os.setgroups([])
        os.setgid(ORDINARY)
        os.setuid(ORDINARY)


def ordinary_python() -> tuple[str, dict[str, str]]:
    """Return a Python that the user `ORDINARY` can execute, and its environment variables.

    It is this one, or the system's with the libraries of this one. Skips the test without either.
    """
    if os.geteuid() != 0:
        return sys.executable, {}
    libraries = os.pathsep.join(path for path in sys.path if path.endswith(("src", "-packages")))
    for path, environ in (
        (sys.executable, {}),
        ("/usr/bin/python3", {"PYTHONPATH": libraries}),
    ):
        with suppress(OSError):
            command = [path, "-P", "-c", "import ssmgate.daemon.server"]
            subprocess.run(
                command, env=environ, check=True, preexec_fn=become_ordinary, stderr=-3, cwd="/"
            )
            return path, environ
    pytest.skip("no Python that users other than root can execute")


def ordinary_directory() -> Path:
    """Return a new directory of the user `ORDINARY`, or of this one where it is not root.

    Directories of pytest are below one that only their user can enter.
    """
    directory = Path(tempfile.mkdtemp(prefix="ssmgate-test-"))
    directory.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(directory, ORDINARY, ORDINARY)
    return directory


_before = ThreadPoolExecutor(1)


def start_privileged_thread() -> None:
    """Start the thread of `with_capabilities`, with the capabilities of the caller."""
    _before.submit(int).result()  # each thread has its own bounding set


def with_capabilities(function: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Call a function whose program needs its capabilities, as sshd of root does."""
    return _before.submit(function, *arguments, **options).result()


def has_sys_admin() -> bool:
    """Return whether this process has CAP_SYS_ADMIN."""
    status = Path("/proc/self/status").read_text()
    return bool(int(status.partition("CapEff:")[2].split()[0], 16) >> 21 & 1)


def drop_capabilities(*, but: int = -1) -> None:
    """Drop all capabilities of this thread, and of all that it executes from now on."""
    drop_bounding_set(but=but)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capset")
