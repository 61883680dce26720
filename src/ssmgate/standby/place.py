"""Where a standby is to be found, and what it must have in common with the start that asks."""

from __future__ import annotations

import os
import sys
import zlib

from ssmgate import __version__
from ssmgate.standby import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = ".cache/ssmgate/standby"
"""Below the home folder: the sockets and their locks."""

IDLE_SECONDS = 900
"""After so long without a start a standby ends."""

# What the system's libraries and Python read once, when a process begins.
_READ_ONCE = (
    "LC_", "LD_", "DYLD_", "PYTHON", "OPENSSL_", "MALLOC_", "GLIBC_", "GCONV_", "RES_",
)  # fmt: skip
_READ_ONCE_NAMES = (
    "LANG", "LANGUAGE", "LOCPATH", "NLSPATH", "TZ", "TZDIR", "LOCALDOMAIN", "HOSTALIASES",
)  # fmt: skip

# A process in a container sees other files, another network and other users by the same names.
_SPACES = ("ns/mnt", "ns/net", "ns/user", "ns/pid", "ns/uts", "root")
_LABELS = ("loginuid", "attr/current")
# One that may do less than others of its user's shall not have more done for it.
_CONFINED = ("CapEff:", "NoNewPrivs:", "Seccomp:")


def read_once(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that must be alike: a process cannot take them from another."""
    return {
        name: environ[name]
        for name in sorted(environ)
        if name.startswith(_READ_ONCE) or name in _READ_ONCE_NAMES
    }


def surroundings(environ: Mapping[str, str]) -> list[str]:
    """Everything about this process that one forked from another could not take over.

    `environ` has a HOME. No secrets are among it, nor what a start is told.
    """
    said = [
        wire.PROTOCOL,
        __version__,
        os.path.dirname(os.path.dirname(__file__)),
        sys.prefix,
        sys.version,
        f"{sys.flags.optimize} {sys.flags.dev_mode} {sys.flags.ignore_environment}",
        str(sys.warnoptions),
        sys.getfilesystemencoding(),
        environ["HOME"],
        f"{os.getuid()} {os.getgid()} {sorted(os.getgroups())}",
    ]
    said += [f"{name}={text}" for name, text in read_once(environ).items()]
    for name in _SPACES:
        try:
            said.append(os.readlink(f"/proc/self/{name}"))
        except OSError:
            said.append("")
    said += [_text(f"/proc/self/{name}") for name in _LABELS]
    status = _text("/proc/self/status").splitlines()
    return [*said, *(line for line in status if line.startswith(_CONFINED))]


def name_of(said: list[str]) -> str:
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


def _text(path: str) -> str:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.fsdecode(os.read(file, 1 << 14)).rstrip("\n\0")
    except OSError:
        return ""
    finally:
        os.close(file)
