"""Write to standard error. No other module here does."""

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
