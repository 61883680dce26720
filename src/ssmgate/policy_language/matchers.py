"""Compile patterns with wildcards, once, for the many texts that they are matched against.

A wildcard becomes an atomic group, so that matching takes time proportional to both lengths'
product, as `like` does, whatever the pattern.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ssmgate.gate.decision.wildcards import Pattern, Wildcard
from ssmgate.policy_language.patterns import ARN_PARTS, split_pattern


def units(text: str) -> str:
    """Return `text` by UTF-16 code units, of which `?` matches one."""
    if text.isascii():
        return text
    encoded = text.encode("utf-16-be", "surrogatepass")
    return "".join(
        chr(int.from_bytes(encoded[at : at + 2], "big")) for at in range(0, len(encoded), 2)
    )


def literal_of(pattern: Pattern) -> str | None:
    """Return the only text that `pattern` matches, by its code units; None with a wildcard."""
    if any(isinstance(piece, Wildcard) for piece in pattern):
        return None
    return units("".join(piece for piece in pattern if isinstance(piece, str)))


def like_regex(pattern: Pattern) -> str:
    """Return the regular expression of the texts that match `pattern` as `like` matches them."""
    return _regex(pattern, ".") + r"\Z"


def arn_regex(pattern: Pattern) -> str | None:
    """Return the regular expression of the ARNs that match `pattern` part by part (`arn_like`).

    Returns None if the pattern has fewer than six parts. A text that is not an ARN may match.
    """
    if pattern == (Wildcard.ANY,):
        return ".*"
    parts = split_pattern(pattern)
    if parts is None:
        return None
    *first, last = parts
    return "".join(_regex(part, "[^:]") + ":" for part in first) + _regex(last, ".") + r"\Z"


def _regex(pattern: Pattern, anything: str) -> str:
    segments: list[str] = [""]
    for piece in pattern:
        if piece is Wildcard.ANY:
            segments.append("")
        elif piece is Wildcard.ONE:
            segments[-1] += anything
        else:
            segments[-1] += re.escape(units(str(piece)))
    first, *rest = segments
    if not rest:
        return first
    *middle, last = rest
    # The leftmost place of a segment leaves most for those after it: no other has to be tried.
    between = "".join(f"(?>{anything}*?{segment})" for segment in middle if segment)
    return f"{first}{between}{anything}*{last}"


@functools.lru_cache(maxsize=65536)
def compiled(expression: str) -> re.Pattern[str]:
    """Return `expression` compiled, with `.` matching every character."""
    return re.compile(expression, re.DOTALL)


@dataclass(frozen=True, slots=True)
class TextSet:
    """Patterns of which at least one has to match.

    Those without a wildcard are looked up, those that are a prefix and `*` compared at once, and
    only the others tried one by one.
    """

    exact: frozenset[str]
    prefixes: tuple[str, ...]
    expressions: tuple[re.Pattern[str], ...]

    def matches(self, text: str) -> bool:
        """Return whether a pattern matches `text`, which is given by its code units (`units`)."""
        if text in self.exact or text.startswith(self.prefixes):
            return True
        return any(expression.match(text) for expression in self.expressions)


def text_set(patterns: Iterable[Pattern], *, arns: bool = False) -> TextSet:
    """Compile patterns that match whole texts, or with `arns` ARNs part by part.

    Patterns of ARNs must have six parts or be `*`.
    """
    exact: set[str] = set()
    prefixes: set[str] = set()
    expressions: dict[str, None] = {}
    for pattern in patterns:
        literal = literal_of(pattern)
        before = pattern[:-1]
        if literal is not None:
            exact.add(literal)
        elif (
            pattern[-1] is Wildcard.ANY
            and (prefix := literal_of(before)) is not None
            and (not arns or not before or before.count(":") >= ARN_PARTS - 1)
        ):
            prefixes.add(prefix)
        else:
            expression = arn_regex(pattern) if arns else like_regex(pattern)
            expressions[expression or ".*"] = None
    return TextSet(
        frozenset(exact), tuple(sorted(prefixes)), tuple(compiled(text) for text in expressions)
    )
