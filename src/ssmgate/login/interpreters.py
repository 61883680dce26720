"""Find what the kernel executes for a program: the interpreter of a script, the loader of ELF."""

from __future__ import annotations

import os
import shutil
import struct

_DEPTH = 4  # nested scripts that Linux executes
_LONGEST = 256  # bytes of the first line of a script, BINPRM_BUF_SIZE
_PT_INTERP = 3


def executed(path: str, search: str) -> tuple[str, ...]:
    """Return the paths of `path` and of all programs that it needs to be executed.

    That is the program in the first line of a script, also behind `/usr/bin/env`, which searches
    `search`, and the dynamic loader. A file that cannot be read, or in another format, needs none.
    """
    found = [path]
    for program in found:
        if len(found) <= _DEPTH:
            found += [other for other in _next(program, search) if other not in found]
    return tuple(found)


def _next(path: str, search: str) -> list[str]:
    try:
        with open(path, "rb") as file:
            head = file.read(_LONGEST)
            if head.startswith(b"\x7fELF"):
                file.seek(0)
                return _loader(file.read(1 << 16))
    except OSError:
        return []
    words = os.fsdecode(head.partition(b"\n")[0]).removeprefix("#!").split()
    if not head.startswith(b"#!") or not words:
        return []
    programs = [words[0]]
    if os.path.basename(words[0]) == "env":
        names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        programs += filter(None, [shutil.which(name, path=search) for name in names[:1]])
    return programs


def _loader(start: bytes) -> list[str]:
    """Return the loader that the program headers name. `start` is the beginning of an ELF file.

    https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html
    """
    wide, order = start[4:5] == b"\x02", "<" if start[5:6] == b"\x01" else ">"
    try:
        # Where the program headers begin, and the size and number of them.
        (begin,) = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", start, 32 if wide else 28)
        size, count = struct.unpack_from(f"{order}HH", start, 54 if wide else 42)
        header = f"{order}{'IIQQQQ' if wide else 'IIIII'}"
        for offset in range(begin, begin + size * count, size or 1):
            kind, *rest = struct.unpack_from(header, start, offset)
            if kind == _PT_INTERP:
                at, length = (rest[1], rest[4]) if wide else (rest[0], rest[3])
                return [os.fsdecode(start[at : at + length].rstrip(b"\0"))]
    except struct.error:
        pass
    return []
