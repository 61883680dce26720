"""Write to standard error, and completions to standard output. No other module here does."""

from __future__ import annotations

import sys

from ssmgate.gate.decision import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def eprint(text: str) -> None:
    """Write a line to standard error, or several if `text` is a `Layout`.

    Unprintable characters are escaped; in a line, its line breaks too. Does not raise.
    """
    shown = printable.lines(text) if isinstance(text, printable.Layout) else printable.line(text)
    try:
        shown = printable.encodable(shown, getattr(sys.stderr, "encoding", None))
        sys.stderr.write(f"{shown}\n")
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        pass  # closed or full; the exit status is still right


def warn(text: str) -> None:
    """Write `text` to standard error as a warning of ssmgate. Does not raise."""
    eprint(f"ssmgate: [WARNING]: {text}")


def print_candidates(rows: Iterable[str]) -> None:
    """Write `rows`, each a completion and optionally a tab and a description, to standard output.

    A row that is not printable is left out, as a shell inserts it unchanged.
    """
    shown = [row for row in rows if printable.is_printable(row.replace("\t", "", 1))]
    sys.stdout.write("".join(f"{row}\n" for row in shown))
