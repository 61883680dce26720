"""Give up privileges that a login never needs, and that nothing it executes can gain."""

from __future__ import annotations

import ctypes
import sys

from ssmgate.gate.decision.errors import ConfigurationProblem

# linux/prctl.h and linux/capability.h
_SET_NO_NEW_PRIVS = 38
_CAP_AMBIENT, _CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522


def give_up() -> None:
    """Set no_new_privs and drop all capabilities, for this process and all that it executes.

    Programs with the set-user-ID bit or file capabilities give nothing from then on: a
    person who escapes into a shell cannot use a hole in one of them. The person's other processes
    are not affected. On systems other than Linux there is neither. Raises `ConfigurationProblem` if
    the kernel refuses.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    failed = (
        libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        or libc.prctl(_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
        or libc.capset(header, nothing)
    )
    if failed:
        raise ConfigurationProblem(
            f"refused: privileges cannot be given up (errno {ctypes.get_errno()})"
        )
