"""Read the lines of record files: plain or compressed with gzip, or standard input."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

STDIN = "-"

LONGEST = 1 << 20
"""Bytes of a line. The rest of a longer one is read as the next line."""


class _Readable(Protocol):
    def readline(self, size: int, /) -> bytes: ...


class Unreadable(Exception):
    """A file cannot be read. Its text names the file and the reason."""


def lines(path: str, longest: int = LONGEST) -> Iterator[tuple[int, bytes]]:
    """Yield each line of `path` that is not blank, with its number, without line breaks.

    `path` is "-" for standard input; a name that ends in `.gz` is decompressed. `longest` is the
    bytes of a line, -1 for no limit. Raises `Unreadable`.
    """
    try:
        if path == STDIN:
            yield from _numbered(sys.stdin.buffer, longest)
        elif path.endswith(".gz"):
            with gzip.open(path) as file:
                yield from _numbered(file, longest)
        else:
            with open(path, "rb") as file:
                yield from _numbered(file, longest)
    except (EOFError, zlib.error) as error:
        raise Unreadable(f"{path}: {error}") from error
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror or error}") from error


def all_lines(paths: Iterable[str]) -> Iterator[tuple[str, int, bytes]]:
    """Yield the lines of several files, each with its path and its number. Raises as `lines`."""
    for path in paths:
        for number, text in lines(path):
            yield path, number, text


def _numbered(file: _Readable, longest: int) -> Iterator[tuple[int, bytes]]:
    number = 0
    while text := file.readline(longest):
        number += 1
        if text := text.rstrip(b"\r\n"):
            yield number, text
