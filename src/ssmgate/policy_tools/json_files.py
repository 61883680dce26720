"""Find and read JSON files: compressed or not, with one document or several."""

from __future__ import annotations

import gzip
import json
import os
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
    found = False
    problems: list[Problem] = []

    def failed(error: OSError) -> None:
        problems.append(Problem(str(error.filename), "", error.strerror or str(error)))

    for directory, names, files in os.walk(path, onerror=failed):
        names.sort()
        for name in sorted(files):
            if name.lower().endswith(_SUFFIXES):
                found = True
                yield os.path.join(directory, name)
    yield from problems
    if not found and not problems:
        yield Problem(path, "", f"the directory has no file named *{', *'.join(_SUFFIXES)}")


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


_DECODER = json.JSONDecoder(parse_constant=_constant)


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
    except ValueError as error:
        raise InputError(f"is not JSON: {error}") from None
