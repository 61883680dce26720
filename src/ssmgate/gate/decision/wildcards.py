"""Match texts with the wildcards of IAM: `*` for any characters, `?` for any one."""

from __future__ import annotations

import enum
from collections.abc import Sequence


class Wildcard(enum.Enum):
    """A run of any characters, and any one character."""

    ANY = "*"
    ONE = "?"


# A pattern in its pieces: single characters that stand for themselves, and wildcards.
Pattern = tuple[str | Wildcard, ...]

_WILDCARDS = {one.value: one for one in Wildcard}


def pattern(text: str) -> Pattern:
    """Return the pattern that `text` is: each `*` and `?` in it is a wildcard."""
    return tuple(_WILDCARDS.get(character, character) for character in text)


def like(pattern: Pattern, text: str) -> bool:
    """Return whether the whole of `text` matches, in a time that grows with their product.

    `?` is one UTF-16 code unit, as observed of IAM: two of them match an emoji.
    """
    wanted = [unit for piece in pattern for unit in _units(piece)]
    have = [unit for character in text for unit in _units(character)]
    at = mark = 0
    star = -1
    i = 0
    while i < len(have):
        if at < len(wanted) and wanted[at] is Wildcard.ANY:
            star, mark = at, i
            at += 1
        elif at < len(wanted) and wanted[at] in (Wildcard.ONE, have[i]):
            at += 1
            i += 1
        elif star >= 0:
            mark += 1
            at, i = star + 1, mark
        else:
            return False
    return all(piece is Wildcard.ANY for piece in wanted[at:])


def _units(piece: str | Wildcard) -> Sequence[str | Wildcard]:
    if isinstance(piece, Wildcard) or piece <= "\uffff":
        return (piece,)
    pair = piece.encode("utf-16-be")
    return (chr(int.from_bytes(pair[:2])), chr(int.from_bytes(pair[2:])))
