"""Find and read JSON files: compressed or not, with one document or several."""

from __future__ import annotations

import gzip
import json
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssmgate.policy_tools.problem import InputError, Problem

LARGEST = 256 * 1024 * 1024
"""How many bytes a file may have, decompressed."""

_SUFFIXES = (".json", ".json.gz", ".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")
_GZIP = b"\x1f\x8b"


def find(path: str) -> Iterator[str | Problem]:
    """Yield the files at `path`: itself, or what a directory has below it, ordered by name.

    In a directory, only files with a name of JSON are read; links to directories are not followed.
    """
    if not os.path.isdir(path):
        yield path
        return
    empty = True
    for found in below(path, _SUFFIXES):
        empty = False
        yield found
    if empty:
        yield Problem(path, "", f"the directory has no file named *{', *'.join(_SUFFIXES)}")


def below(path: str, suffixes: tuple[str, ...], *, hidden: bool = True) -> Iterator[str | Problem]:
    """Yield the files below a directory whose names end with one of `suffixes`, ordered by name.

    Without `hidden`, directories whose names begin with a dot are left out. Problems are
    directories that cannot be read, and what is not a file: reading a FIFO may never end.
    """
    problems: list[Problem] = []

    def failed(error: OSError) -> None:
        problems.append(Problem(str(error.filename), "", error.strerror or str(error)))

    for directory, names, files in os.walk(path, onerror=failed):
        names[:] = sorted(name for name in names if hidden or not name.startswith("."))
        for name in sorted(files):
            if not name.lower().endswith(suffixes):
                continue
            file = os.path.join(directory, name)
            try:
                regular = stat.S_ISREG(os.stat(file).st_mode)
            except OSError:
                regular = True  # Reading it tells why.
            yield file if regular else Problem(file, "", "is not a regular file")
    yield from problems


def read_bytes(path: str, largest: int = LARGEST) -> bytes:
    """Return the content of a file, decompressed if it is compressed with gzip.

    Raises InputError if it cannot be read, is larger than `largest` bytes, or is truncated.
    """
    try:
        with Path(path).open("rb") as file:
            if file.peek(2)[:2] == _GZIP:
                with gzip.open(file) as content:
                    data = content.read(largest + 1)
            else:
                data = file.read(largest + 1)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"cannot be read: {why}") from None
    if len(data) > largest:
        raise InputError(f"has more than {largest} bytes")
    return data


def documents(path: str, largest: int = LARGEST) -> Iterator[Any]:
    """Yield the JSON documents of a file, one after the other.

    Raises InputError with the line for text that is not JSON; documents before it were yielded.
    """
    try:
        text = read_bytes(path, largest).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8", f"byte {error.start}") from None
    yield from parsed(text)


def parsed(text: str) -> Iterator[Any]:
    """Yield the JSON documents in `text`, one after the other. Raises InputError."""
    at, end = _skip(text, 0), len(text)
    if at == end:
        raise InputError("is empty")
    while at < end:
        value, at = _decode(text, at)
        at = _skip(text, at)
        yield value


def decode(text: str) -> Any:
    """Return the one JSON document that `text` is. Raises InputError."""
    value, at = _decode(text, _skip(text, 0))
    if _skip(text, at) != len(text):
        raise InputError("has text after the JSON document")
    return value


_SPACE = " \t\r\n"


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _constant(name: str) -> Any:
    raise InputError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. With a member twice, half of a policy or of an account would be lost."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{twice!r} is in one object twice")
    return found


_DECODER = json.JSONDecoder(parse_constant=_constant, object_pairs_hook=_object)


def _decode(text: str, at: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"is not JSON: {error.msg}", place) from None
    except RecursionError:
        raise InputError("is nested too deeply") from None
    except InputError:
        raise
    except ValueError:
        raise InputError("is not JSON that can be read: a number has too many digits") from None
