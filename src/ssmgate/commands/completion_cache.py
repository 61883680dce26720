"""The cache of the completions: texts by name, in a private directory, valid for seconds."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from ssmgate.gate.system import private_directory, private_files
from ssmgate.gate.system.trusted_files import InsecurePermissions

DIRECTORY = ".cache/ssmgate"
"""In the home directory."""

_LARGEST = 1 << 20
_DELETED_AFTER = 3600.0


def read(home: str, name: str, max_age: float) -> str | None:
    """Return the text that was written as `name` within the last `max_age` seconds, or None.

    It is also None if another user could change the directory or the file, or if either is a
    link. `name` is a file name without a slash.
    """
    with contextlib.suppress(OSError, InsecurePermissions, ValueError), _opened(home) as directory:
        content = private_files.read(directory, name, _LARGEST)
        if content is not None and 0 <= time.time() - content[1] <= max_age:
            return content[0].decode()
    return None


def write(home: str, name: str, text: str) -> None:
    """Write `text` as `name`, readable by this user alone; delete old texts of the same kind.

    The kind of a name is the part before its first dot. On any error nothing is cached and
    nothing is printed, because the cache is optional.
    """
    with contextlib.suppress(OSError, InsecurePermissions), _opened(home, create=True) as directory:
        kind = name.partition(".")[0]
        private_files.delete(directory, f"{kind}.", now=time.time(), after=_DELETED_AFTER)
        private_files.write(directory, name, text.encode())


@contextlib.contextmanager
def _opened(home: str, *, create: bool = False) -> Iterator[int]:
    directory = private_directory.open_directory(home, DIRECTORY, create=create)
    try:
        yield directory
    finally:
        os.close(directory)
