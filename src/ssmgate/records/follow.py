"""Follow a record file as it grows, also over rotations."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from ssmgate.records.files import Unreadable

POLL_SECONDS = 0.5


def follow(path: str, *, from_start: bool) -> Iterator[bytes | None]:
    """Yield the lines of `path` without line breaks, and None whenever it waits for more.

    `from_start`: also those that are there already. A file that is rotated away is read to its end,
    then the new one from its start; one that was truncated is read from its start. Raises
    `Unreadable` if it cannot be opened at first.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 - replaced after a rotation
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    try:
        if not from_start:
            file.seek(0, os.SEEK_END)
        rest = b""
        while True:
            while block := file.read(1 << 16):
                *lines, rest = (rest + block).split(b"\n")
                yield from (line for line in lines if line)
            yield None
            time.sleep(POLL_SECONDS)
            known = os.fstat(file.fileno())
            if known.st_size < file.tell():
                file.seek(0)
            try:
                rotated = not os.path.samestat(known, os.stat(path))
                if rotated and known.st_size == file.tell():
                    file.close()
                    file, rest = open(path, "rb"), b""  # noqa: SIM115
            except OSError:
                continue  # the new one is not there yet
    finally:
        file.close()
