"""Write to standard error, and answers of the command line to standard output."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ssmgate.gate.decision import printable

erase: Callable[[], object] | None = None
"""Erases the line that a terminal shows during a wait: `gate.waiting` sets it."""


def eprint(text: str) -> None:
    """Write a line to standard error, or several if `text` is a `Layout`.

    Unprintable characters are escaped; in a line, its line breaks too. Does not raise.
    """
    shown = printable.lines(text) if isinstance(text, printable.Layout) else printable.line(text)
    if erase is not None:
        erase()
    try:
        shown = printable.encodable(shown, getattr(sys.stderr, "encoding", None))
        sys.stderr.write(f"{shown}\n")
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        pass  # closed or full; the exit status is still right


def warn(text: str) -> None:
    """Write `text` to standard error as a warning of ssmgate. Does not raise."""
    eprint(f"ssmgate: [WARNING]: {text}")


def answer(text: str) -> None:
    """Write `text`, which has line breaks, to standard output. Raises `GateError` if that fails.

    `text` must have nothing from outside: the AWS CLI's documentation, names of its models.
    """
    from ssmgate.gate.decision.errors import GateError

    if sys.stdout is None:
        raise GateError("cannot write to standard output: it is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        raise GateError(f"cannot write to standard output: {error.strerror}") from error
