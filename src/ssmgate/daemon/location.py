"""Where a daemon is to be found, and what it must have in common with the start that asks."""

from __future__ import annotations

import os
import sys
import zlib

from ssmgate import __version__
from ssmgate.daemon import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = ".cache/ssmgate/daemon"
"""Below the home folder: the sockets and their locks."""

IDLE_SECONDS = 900
"""After so long without a start a daemon ends."""

# What the system's libraries and Python read once, when a process begins.
_READ_ONCE = (
    "LC_", "LD_", "DYLD_", "PYTHON", "OPENSSL_", "MALLOC_", "GLIBC_", "GCONV_", "RES_",
)  # fmt: skip
_READ_ONCE_NAMES = (
    "LANG", "LANGUAGE", "LOCPATH", "NLSPATH", "TZ", "TZDIR", "LOCALDOMAIN", "HOSTALIASES",
)  # fmt: skip


def read_once(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that must be alike: a process cannot take them from another."""
    return {
        name: environ[name]
        for name in sorted(environ)
        if name.startswith(_READ_ONCE) or name in _READ_ONCE_NAMES
    }


def environment_fingerprint(environ: Mapping[str, str], facts: Mapping[str, str]) -> list[str]:
    """Return everything about this process that one forked from another could not take over.

    `environ` has a HOME. `facts` are what confines this process (`peer.own_facts`): one in a
    container sees other files, another network and other users by the same names. No secrets are
    among the result, nor what a start is told.
    """
    said = [
        protocol.PROTOCOL,
        __version__,
        os.path.dirname(os.path.dirname(__file__)),
        sys.prefix,
        sys.version,
        f"{sys.flags.optimize} {sys.flags.dev_mode} {sys.flags.ignore_environment}",
        str(sys.warnoptions),
        sys.getfilesystemencoding(),
        environ["HOME"],
    ]
    said += [f"{name}={text}" for name, text in read_once(environ).items()]
    return said + [f"{name}={facts[name]}" for name in sorted(facts)]


def socket_name(said: list[str]) -> str:
    """The file name of the socket for these surroundings.

    Two of a name may differ: the surroundings are compared when a start asks.
    """
    return f"{zlib.crc32(repr(said).encode('utf-8', 'surrogateescape')):08x}"


def address(folder: int, path: str, name: str) -> str:
    """What to bind or connect to for `name` in the open `folder`, which is at `path`.

    A socket's address is short, a path need not be.
    """
    through = f"/proc/self/fd/{folder}"
    return f"{through if os.path.isdir(through) else path}/{name}"
