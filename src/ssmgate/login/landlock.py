"""Landlock: a process gives up access to files for itself and all that it executes.

The constants are those of linux/landlock.h. https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable

MISSING = "this kernel has no Landlock, and the plugin of a login is not confined"
"""Where `version` is 0."""

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = (1 << bit for bit in range(4))
REMOVE_FILE, MAKE_SOCK = 1 << 5, 1 << 9
IOCTL_DEV = 1 << 15

_TRUNCATE = 1 << 14
_FOR_FILES = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | IOCTL_DEV
# How many rights each version of the interface has. The last one is to connect to unix sockets with
# a path, which a process always may if its own domain made them.
_FILE_RIGHTS = ((1, 13), (2, 14), (3, 15), (5, 16), (9, 17))
# Abstract unix sockets, and signals, of processes that are not confined alike.
_SCOPES_SINCE, _SCOPES = 6, 0b11

# The numbers are those of all architectures but alpha.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # a flag: return the version
_PATH_BENEATH = 1


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def version() -> int:
    """Return the version of the kernel's Landlock, 0 if it has none or does not permit its use."""
    if sys.platform != "linux":
        return 0
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    except OSError:
        return 0


def restrict(rules: Iterable[tuple[str, int]]) -> None:
    """Deny this process all access to files, except for `rules`: paths and rights.

    A rule for a directory includes all that is below it. It is about the file or directory that
    has the path now: one that replaces it is not included. A path that does not exist is skipped.
    Open descriptors and the network are not restricted, nor is what this kernel's version cannot
    restrict. Raises `OSError`; no_new_privs must be set.
    """
    known = version()
    handled = (1 << max(count for since, count in _FILE_RIGHTS if since <= max(known, 1))) - 1
    ruleset = _Ruleset(handled, 0, _SCOPES if known >= _SCOPES_SINCE else 0)
    # Older kernels accept what is zero beyond the structure that they know.
    size = ctypes.c_size_t(ctypes.sizeof(ruleset))
    file = _call(_CREATE_RULESET, ctypes.byref(ruleset), size, ctypes.c_uint32(0))
    try:
        for path, rights in rules:
            _add(file, path, rights & handled)
        _call(_RESTRICT_SELF, ctypes.c_int(file), ctypes.c_uint32(0))
    finally:
        os.close(file)


def _add(ruleset: int, path: str, rights: int) -> None:
    try:
        # O_PATH follows symbolic links, and opens no device.
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            rights &= _FOR_FILES
        rule = _PathBeneath(rights, parent)
        _call(
            _ADD_RULE,
            ctypes.c_int(ruleset),
            ctypes.c_int(_PATH_BENEATH),
            ctypes.byref(rule),
            ctypes.c_uint32(0),
        )
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        known = ctypes.get_errno()
        raise OSError(known, os.strerror(known))
    return result
