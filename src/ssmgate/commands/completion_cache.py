"""Texts that are kept for seconds, in a folder that is this user's alone."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from ssmgate.gate.system import private_directory, private_files
from ssmgate.gate.system.trusted_files import InsecurePermissions

FOLDER = ".cache/ssmgate"
"""Below the home folder."""

_LARGEST = 1 << 20
_FORGOTTEN_AFTER = 3600.0


def read(home: str, name: str, max_age: float) -> str | None:
    """The text that was kept as `name` within the last `max_age` seconds, or None.

    None too where the folder or the file is not this user's alone, or a link. `name` is a file's
    name without a slash.
    """
    with contextlib.suppress(OSError, InsecurePermissions, ValueError), _opened(home) as folder:
        found = private_files.read(folder, name, _LARGEST)
        if found is not None and 0 <= time.time() - found[1] <= max_age:
            return found[0].decode()
    return None


def keep(home: str, name: str, text: str) -> None:
    """Keep `text` as `name`, readable by this user alone; forget texts of the same kind.

    The kind of a name is what comes before its first dot. Whatever stands in the way, nothing
    is kept and nothing is said: a cache may always be empty.
    """
    with contextlib.suppress(OSError, InsecurePermissions), _opened(home, create=True) as folder:
        kind = name.partition(".")[0]
        private_files.delete(folder, f"{kind}.", now=time.time(), after=_FORGOTTEN_AFTER)
        private_files.write(folder, name, text.encode())


@contextlib.contextmanager
def _opened(home: str, *, create: bool = False) -> Iterator[int]:
    folder = private_directory.open_directory(home, FOLDER, create=create)
    try:
        yield folder
    finally:
        os.close(folder)
