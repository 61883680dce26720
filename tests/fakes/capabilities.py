"""Run programs without capabilities, also where the tests run as root.

A daemon does not run with CAP_SYS_ADMIN. Root has it in each program that it executes, unless the
bounding set lacks it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

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
