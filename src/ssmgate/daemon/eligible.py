"""Decide which starts a worker can make: those that do not need the calling process itself."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ssmgate.daemon import client

_PATH_PREFIXES = ("AWS_", "SSMGATE_", "XDG_")
_PATH_VARIABLES = (
    "HOME", "PATH", "TMPDIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "SSLKEYLOGFILE",
)  # fmt: skip


def is_eligible(argv: list[str], environ: Mapping[str, str]) -> bool:
    """Return whether this worker can make the start of `argv`, the arguments after `aws`.

    It has taken over the working directory, the environment variables (`environ` is also
    `os.environ`) and the descriptors of the calling process. False if that is not certain:
    this function does not read what can be read only once.
    """
    return (
        client.may_ask(environ)
        and not any(map(_needs_caller, argv))
        and not any(_names_a_descriptor(*variable) for variable in environ.items())
    )


def _needs_caller(word: str) -> bool:
    """Return whether an argument needs the calling process.

    These are paths of descriptors, files that can be read only once, and arguments for which
    something is printed: help, a skeleton, the version, a traceback. Options may be abbreviated.
    """
    return (
        "/dev/" in word
        or "/proc/" in word
        or (
            "file" in word
            and "://" in word
            and not os.path.isfile(_expanded(word.partition("://")[2]))
        )
        or word == "help"
        or word.startswith(("--g", "--v"))
        or (len(word) > 2 and "--debug".startswith(word))
    )


def _expanded(path: str) -> str:
    """Return `path` as the CLI expands it."""
    return os.path.expandvars(os.path.expanduser(path))


def _names_a_descriptor(name: str, text: str) -> bool:
    """Return whether an environment variable may name a descriptor: AWS_CONFIG_FILE=<(…).

    Only variables are considered that name files, directories or programs which a start opens.
    """
    if not (name.startswith(_PATH_PREFIXES) or name in _PATH_VARIABLES):
        return False
    return any(map(_is_below_dev_or_proc, text.split(os.pathsep)))


def _is_below_dev_or_proc(path: str) -> bool:
    try:
        # A relative path may be below one of them, too.
        absolute = os.path.abspath(_expanded(path))
    except OSError:  # the working directory was deleted
        return True
    first = absolute.lstrip("/").partition("/")[0]
    return first in ("dev", "proc") and absolute != os.devnull
