"""What could not be read, and where."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A part of the input that could not be used. What was read without it is incomplete.

    `file` is the path as given; `place` is a line or a member of the JSON, empty for the whole.
    """

    file: str
    place: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.place, self.message) if part)


class InputError(ValueError):
    """A part of the input is not valid. `place` is where in the file, if known."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place

    def problem(self, file: str) -> Problem:
        """Return the error as a problem of `file`."""
        return Problem(file, self.place, str(self))


@contextlib.contextmanager
def in_file(path: str) -> Iterator[None]:
    """Have an InputError in this block name the file `path`."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error.problem(path))) from None
