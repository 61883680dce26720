"""Append records to a file, and chain them: locks, rotation and full disks are handled only here.

In a chained file each record has a member `chain`: `prev`, the SHA-256 of the line before, and
`seq`, its number. A writer holds a lock on the file while it reads that line and appends the next.
An empty file continues the chain of the file that was rotated away, if that is beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable

from ssmgate.gate.config.schema import USER_PLACEHOLDER
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.system import trusted_open
from ssmgate.gate.system.trusted_files import InsecurePermissions

LOCK_SECONDS = 5
"""How long another process may hold the lock. Each writer holds it for one write."""

LONGEST_LINE = 1 << 20
"""Bytes of the last line of a file. Records are much shorter."""

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT
_BLOCK = 1 << 14
_ROTATIONS = 10  # how often a file may be rotated away while one record is written
# logrotate's names: FILE.1, and FILE-20261130 or FILE-20261130-1796083200 with dateext.
_ROTATED = re.compile(r"(\.1|-\d{8}(-\d+)?)\Z")


class NotAppended(Exception):
    """The record could not be appended. Its text is the reason, which names the file."""


@frozen
class Link:
    """The place of a record in its chain. `prev` is None for the first one."""

    seq: int = 1
    prev: str | None = None


def append(path: str, user: str | None, line: Callable[[Link | None], bytes], chain: bool) -> bytes:
    """Append a record to the file `path`, and return the record.

    `{user}` in `path` is replaced with `user`. `line` returns the record for its place in the
    chain, None if `chain` is false. Raises `NotAppended`.
    """
    if USER_PLACEHOLDER in path:
        if not user or "/" in user:
            raise NotAppended(f"{path}: this unix user has no name")
        path = path.replace(USER_PLACEHOLDER, user)
    try:
        if chain:
            return _append_chained(path, line)
        file = _opened(path, _FLAGS)
        try:
            return _write(file, path, line(None))
        finally:
            os.close(file)
    except InsecurePermissions as error:
        raise NotAppended(f"not trusted: {error}") from None
    except OSError as error:
        raise NotAppended(f"{path}: {error.strerror}") from None


def _opened(path: str, flags: int) -> int:
    mine = os.geteuid()
    file = trusted_open.open_trusted(path, flags, owners=frozenset({0, mine}))
    known = os.fstat(file)
    if known.st_uid != mine or known.st_nlink != 1 or known.st_mode & 0o077:
        os.close(file)
        raise NotAppended(f"not trusted: {path} must be yours, with mode 0600 and no hard link")
    return file


def _write(file: int, path: str, line: bytes) -> bytes:
    """Append `line` with one write."""
    # After a full disk the file may end in half a record: begin on a new line. Without a lock it
    # may also seem so while another process writes: then there is a blank line.
    size = os.fstat(file).st_size
    broken = size > 0 and os.pread(file, 1, size - 1) != b"\n"
    text = b"\n" * broken + line + b"\n"
    if os.write(file, text) != len(text):
        raise NotAppended(f"{path}: only part of the record could be written")
    return line


def _append_chained(path: str, line: Callable[[Link | None], bytes]) -> bytes:
    until = time.monotonic() + LOCK_SECONDS
    for _ in range(_ROTATIONS):
        file = _opened(path, _FLAGS)
        try:
            _lock(file, path, until)
            if not _is_at(file, path):  # rotated away since it was opened
                continue
            size = os.fstat(file).st_size
            try:
                return _write(file, path, line(_next_link(file, path, until)))
            except BaseException:
                # Nothing else can have been appended. An append-only file cannot be truncated: the
                # next record then follows on half of this one.
                with contextlib.suppress(OSError):
                    os.ftruncate(file, size)
                raise
        finally:
            os.close(file)
    raise NotAppended(f"{path}: it is rotated again and again")


def _is_at(file: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _lock(file: int, path: str, until: float) -> None:
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                why = f"another process has locked it for {LOCK_SECONDS} s"
                raise NotAppended(f"{path}: {why}") from None
            time.sleep(0.005)


def _next_link(file: int, path: str, until: float) -> Link:
    if os.fstat(file).st_size:
        return _link_after(file, path)
    before = _rotated(path)
    if before is None:
        return Link()
    try:
        # A process that opened it under its old name may still be writing.
        _lock(before, path, until)
        return _link_after(before, path)
    finally:
        os.close(before)


def _rotated(path: str) -> int | None:
    """Return the file that was rotated away last, opened; None if there is none to be trusted.

    A compressed file is not read: then a new chain begins.
    """
    directory, name = os.path.split(path)
    found = []
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            rest = entry.name.removeprefix(name)
            if rest != entry.name and _ROTATED.match(rest):
                with contextlib.suppress(OSError):
                    found.append((entry.stat().st_mtime_ns, entry.path))
    for _, candidate in sorted(found, reverse=True):
        with contextlib.suppress(OSError, InsecurePermissions, NotAppended):
            return _opened(candidate, os.O_RDONLY)
    return None


def _link_after(file: int, path: str) -> Link:
    """Return the place of a record after the last line of `file` that is not blank."""
    end, tail = os.fstat(file).st_size, b""
    while b"\n" not in tail.rstrip(b"\n") and end > 0:
        if len(tail) > LONGEST_LINE:
            raise NotAppended(f"{path}: its last line has more than {LONGEST_LINE:,} bytes")
        block = min(_BLOCK, end)
        end -= block
        tail = os.pread(file, block, end) + tail
    lines = [part for part in tail.split(b"\n") if part]
    if not lines:
        return Link()
    numbers = (_seq(part) for part in reversed(lines))
    seq = next((number for number in numbers if number), 0)
    return Link(seq + 1, hashlib.sha256(lines[-1]).hexdigest())


def _seq(line: bytes) -> int:
    """Return the number of the record in `line`, 0 if it has none."""
    try:
        seq = json.loads(line)["chain"]["seq"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return 0
    return seq if type(seq) is int and seq > 0 else 0
