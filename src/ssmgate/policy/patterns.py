"""Wildcards and policy variables: patterns of actions, of ARNs, and of condition values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

Context = Mapping[str, tuple[str, ...]]
"""What the request carries: condition keys in lower case, with their values."""

# ${key}, ${key, 'default'}, and the escapes ${*} ${?} ${$}:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_WITH_DEFAULT = re.compile(r"\s*([^,\s]+)\s*,\s*'([^']*)'\s*\Z")


@dataclass(frozen=True, slots=True)
class Text:
    """A pattern whose variables have been filled in.

    `parts` alternate between pattern text, in which * and ? are wildcards, and literal text,
    in which they are not: a user named `*` is not everyone.
    """

    parts: tuple[tuple[bool, str], ...]

    def regex(self) -> str:
        """The pattern as a regular expression without anchors."""
        return "".join(re.escape(text) if literal else _glob(text) for literal, text in self.parts)

    def literal(self) -> str:
        """The text itself, for operators that know no wildcards."""
        return "".join(text for _, text in self.parts)


def fill(pattern: str, context: Context, *, variables: bool) -> Text | None:
    """Fill the variables of `pattern` from `context`; None where one has no value.

    Without `variables` (policy version 2008-10-17) `${…}` is plain text. A key with several
    values cannot be a variable: it has no value then.
    """
    if not variables or "${" not in pattern:
        return Text(((False, pattern),))
    parts: list[tuple[bool, str]] = []
    at = 0
    for match in _VARIABLE.finditer(pattern):
        parts.append((False, pattern[at : match.start()]))
        at = match.end()
        name, default = _name_and_default(match[1])
        if name in ("*", "?", "$"):
            parts.append((True, name))
            continue
        values = context.get(name.lower(), ())
        if len(values) == 1:
            parts.append((True, values[0]))
        elif default is not None and not values:
            parts.append((True, default))
        else:
            return None
    parts.append((False, pattern[at:]))
    return Text(tuple(parts))


def variables_of(pattern: str) -> tuple[str, ...]:
    """The keys of the variables in `pattern` that have no default, as written."""
    found = (_name_and_default(match[1]) for match in _VARIABLE.finditer(pattern))
    return tuple(n for n, default in found if default is None and n not in ("*", "?", "$"))


def matches(text: Text, value: str, *, ignore_case: bool = False) -> bool:
    """Whether all of `value` fits the pattern. `*` is any text, also none; `?` one character."""
    return _compiled(text.regex(), ignore_case).fullmatch(value) is not None


def matches_action(pattern: str, action: str) -> bool:
    """Actions have no case and no variables."""
    return matches(Text(((False, pattern),)), action, ignore_case=True)


def matches_arn(text: Text, arn: str) -> bool:
    """Compare ARNs part by part: a wildcard does not reach over a colon, save in the last part.

    `*` alone is every resource. An empty part matches `*`.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    if text.parts == ((False, "*"),):
        return True
    patterns, values = _arn_parts(text), arn.split(":", 5)
    return len(patterns) == len(values) == 6 and all(
        matches(pattern, value) for pattern, value in zip(patterns, values, strict=True)
    )


def _arn_parts(text: Text) -> list[Text]:
    parts: list[list[tuple[bool, str]]] = [[]]
    for literal, piece in text.parts:
        # A filled-in value counts as one piece of its part, whatever colons it has.
        pieces = [piece] if literal else piece.split(":", 6 - len(parts))
        parts[-1].append((literal, pieces[0]))
        parts += [[(literal, more)] for more in pieces[1:]]
    return [Text(tuple(part)) for part in parts]


def _name_and_default(inside: str) -> tuple[str, str | None]:
    if match := _WITH_DEFAULT.match(inside):
        return match[1], match[2]
    return inside.strip(), None


def _glob(text: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in text)


@lru_cache(maxsize=4096)
def _compiled(regex: str, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(regex, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
