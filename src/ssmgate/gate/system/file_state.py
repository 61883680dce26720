"""Whether a file was changed since it was read."""

from __future__ import annotations

import os


def file_state(path: str) -> tuple[int, ...] | None:
    """Return what differs once the file at `path` was changed or replaced; None without a file.

    The time of the inode's change is part of it, as the time of the content's can be set back.
    """
    try:
        known = os.stat(path)
    except (OSError, ValueError):
        return None
    return known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns
