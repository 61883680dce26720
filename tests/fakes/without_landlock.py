"""Execute a program as on a kernel without Landlock: `without_landlock.py PROGRAM ARGUMENTS…`."""

from __future__ import annotations

import ctypes
import errno
import os
import sys

_CREATE_RULESET = 444
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000  # linux/seccomp.h

if __name__ == "__main__":
    # Load the number of the call; error if it is that of Landlock; allow. linux/filter.h
    program = b"".join(
        code.to_bytes(2, sys.byteorder) + bytes((jt, jf)) + value.to_bytes(4, sys.byteorder)
        for code, jt, jf, value in (
            (0x20, 0, 0, 0),
            (0x15, 0, 1, _CREATE_RULESET),
            (0x06, 0, 0, _ERROR | errno.ENOSYS),
            (0x06, 0, 0, _ALLOW),
        )
    )
    buffer = ctypes.create_string_buffer(program)
    pointer = (ctypes.c_uint64 * 2)(4, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, pointer, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    os.execv(sys.argv[1], sys.argv[1:])
