"""Match texts with IAM's wildcards: `*` for any characters, `?` for any single character."""

from __future__ import annotations

import enum
from collections.abc import Sequence


class Wildcard(enum.Enum):
    """Any number of characters, and any single character."""

    ANY = "*"
    ONE = "?"


# The pieces of a pattern: literal characters, and wildcards.
Pattern = tuple[str | Wildcard, ...]

_WILDCARDS = {wildcard.value: wildcard for wildcard in Wildcard}


def pattern(text: str) -> Pattern:
    """Return `text` as a pattern: each `*` and `?` in it is a wildcard."""
    return tuple(_WILDCARDS.get(character, character) for character in text)


def like(pattern: Pattern, text: str) -> bool:
    """Return whether the whole of `text` matches. Takes time proportional to both lengths' product.

    `?` is one UTF-16 code unit, as observed in IAM: two of them match an emoji.
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
