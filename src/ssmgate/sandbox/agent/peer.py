"""Whose process is at the other end of a connection on loopback.

Anyone on the machine can reach a loopback port, and the sandbox verifies no signature: without
this, every local user could have a shell as the user who runs the sandbox.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path

# https://docs.kernel.org/networking/proc_net_tcp.html
_TABLE = Path("/proc/net/tcp")
_LOCAL, _REMOTE, _USER = 1, 2, 7


def is_ours(client: tuple[str, int], server: tuple[str, int]) -> bool:
    """Whether the process that connected from `client` to `server`, both IPv4, is this user's.

    Where the kernel has no such table (everywhere but on Linux) it is taken to be.
    """
    try:
        lines = _TABLE.read_text().splitlines()[1:]
    except OSError:
        return True
    ends = (_written(*client), _written(*server))
    for fields in map(str.split, lines):
        if (fields[_LOCAL], fields[_REMOTE]) == ends:
            return int(fields[_USER]) == os.geteuid()
    return False


def _written(host: str, port: int) -> str:
    """As the kernel writes an address: one hexadecimal number in its own byte order."""
    packed = ipaddress.IPv4Address(host).packed
    return f"{int.from_bytes(packed, sys.byteorder):08X}:{port:04X}"
