"""Detect whether a file was changed since it was read."""

from __future__ import annotations

import os


def file_state(path: str) -> tuple[int, ...] | None:
    """Return a value that differs once the file at `path` is changed or replaced; None without one.

    It contains the inode's change time, as the modification time can be set back.
    """
    try:
        known = os.stat(path)
    except (OSError, ValueError):
        return None
    return known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns
