"""A folder that is one user's alone.

No imports but the system's: it stands at the very beginning of a start.
"""

from __future__ import annotations

import os
import stat

from ssmgate.host.trusted import Untrusted


def open_folder(home: str, below: str, *, create: bool = False) -> int:
    """The descriptor of a folder below `home`, an absolute path, at the relative path `below`.

    It is this user's, with mode 0700, and nobody else can exchange it or a folder above it. It may
    be no link; `home` and the folders between may be. `create` makes what is missing.

    Raises `Untrusted`, or `OSError` where it is missing or cannot be opened.
    """
    above = os.path.realpath(home)
    _hold_parents(above)
    for name in below.split("/"):
        above = os.path.join(above, name)
        if create:
            try:  # noqa: SIM105 - contextlib takes longer to import than all of this
                os.mkdir(above, 0o700)
            except FileExistsError:
                pass
    path = os.path.join(os.path.realpath(os.path.dirname(above)), os.path.basename(above))
    _hold_parents(os.path.dirname(path))
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:
        raise Untrusted(path, "is no folder, or a link to one") from None
    known = os.fstat(folder)
    if known.st_uid != os.geteuid() or stat.S_IMODE(known.st_mode) != 0o700:
        os.close(folder)
        owner, mode = known.st_uid, stat.S_IMODE(known.st_mode)
        raise Untrusted(path, f"is not this user's alone (uid {owner}, mode {mode:04o})")
    return folder


def _hold_parents(path: str) -> None:
    """Raise `Untrusted` if somebody else could exchange the folder `path` or one above it.

    Of a folder with the sticky bit, as /tmp, only the owner can move what is in it.
    """
    while True:
        known = os.stat(path)
        others = 0o002 if known.st_gid == os.getegid() and os.geteuid() != 0 else 0o022
        if known.st_uid not in (0, os.geteuid()):
            raise Untrusted(path, f"belongs to uid {known.st_uid}")
        if known.st_mode & others and not known.st_mode & stat.S_ISVTX:
            mode = stat.S_IMODE(known.st_mode)
            raise Untrusted(path, f"can be written by others (mode {mode:04o})")
        if path == (path := os.path.dirname(path)):
            return
