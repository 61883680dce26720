"""Find the user whose process is at the other end of a loopback connection.

Every local user can connect to a loopback port, and the sandbox does not verify signatures.
Without this check each of them could get a shell as the user who runs the sandbox.
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
    """Return whether this user owns the process that connected from `client` to `server` (IPv4).

    Returns True without checking if the kernel has no such table, as on systems other than Linux.
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
    """Return an address in the kernel's form: a hexadecimal number in the native byte order."""
    packed = ipaddress.IPv4Address(host).packed
    return f"{int.from_bytes(packed, sys.byteorder):08X}:{port:04X}"
