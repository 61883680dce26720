"""The location of the daemon's socket, and the fingerprint that daemon and client must share."""

from __future__ import annotations

import os
import sys
from _blake2 import blake2b  # hashlib would load more

from ssmgate import __version__
from ssmgate.daemon import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTORY = ".cache/ssmgate/daemon"  # in HOME: the sockets, their locks, and the key
KEY = "sockets.key"
KEY_BYTES = 32

# Environment variables that the system's libraries and Python read once, when a process begins.
_READ_ONCE = ("LC_", "LD_", "DYLD_", "PYTHON", "OPENSSL_", "MALLOC_", "GLIBC_", "GCONV_", "RES_")
_READ_ONCE_NAMES = (
    "LANG", "LANGUAGE", "LOCPATH", "NLSPATH", "TZ", "TZDIR", "LOCALDOMAIN", "HOSTALIASES",
)  # fmt: skip


def read_once(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that are read once: a worker cannot change them later."""
    return {
        name: environ[name]
        for name in sorted(environ)
        if name.startswith(_READ_ONCE) or name in _READ_ONCE_NAMES
    }


def environment_fingerprint(environ: Mapping[str, str], facts: Mapping[str, str]) -> list[str]:
    """Return everything about this process that a worker cannot take over from it.

    `environ` has a HOME. `facts` are this process's confinement (`peer.own_facts`): in a container
    the same names mean other files, hosts and users. The result contains no secrets.
    """
    fingerprint = [
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
    fingerprint += [f"{name}={text}" for name, text in read_once(environ).items()]
    return fingerprint + [f"{name}={facts[name]}" for name in sorted(facts)]


def socket_name(fingerprint: list[str], directory: int) -> str:
    """Return the name of the socket in `directory`, a hash with the key there. Raises `OSError`."""
    file = os.open(KEY, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        key = os.read(file, KEY_BYTES)
    finally:
        os.close(file)
    text = repr(fingerprint).encode("utf-8", "surrogateescape")
    return blake2b(text, key=key, digest_size=16).hexdigest()


def address(directory: int, path: str, name: str) -> str:
    """Return the address of the socket `name` in the open `directory` at `path`.

    Through /proc it is short, as the path in an address is limited to about 100 bytes.
    """
    through = f"/proc/self/fd/{directory}"
    return f"{through if os.path.isdir(through) else path}/{name}"
