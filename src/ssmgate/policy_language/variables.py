"""Policy text with wildcards and variables, and what it says for one request."""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass

from ssmgate.gate.decision.wildcards import Pattern, Wildcard
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.errors import PolicyError


class Version(enum.Enum):
    """The policy language's two versions; a policy that names none is the older.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
    """

    V2008 = "2008-10-17"
    V2012 = "2012-10-17"


@dataclass(frozen=True, slots=True)
class Variable:
    """`${key}` or `${key, 'default'}`."""

    key: str
    default: str | None = None


_VARIABLE = re.compile(r"\$\{(?P<key>[^\s{}$',]+)(?:,\s*'(?P<default>[^'{}]*)')?\}")
_ESCAPES = {"${*}": "*", "${?}": "?", "${$}": "$"}


@dataclass(frozen=True, slots=True)
class Template:
    """One string of a policy, taken apart."""

    pieces: tuple[str | Wildcard | Variable, ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables in it, in order, each as often as it stands there."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Variable))

    def resolve(self, context: Context) -> Pattern | None:
        """The pattern for this request, or None if a variable has no value in it.

        What a variable brings in stands for itself: a `*` in a tag is no wildcard. A multivalued
        key is no value, and its default is not used either (observed).
        """
        pattern: list[str | Wildcard] = []
        for piece in self.pieces:
            if not isinstance(piece, Variable):
                pattern.append(piece)
                continue
            value = context.single(piece.key)
            if value is None and piece.key not in context:
                value = piece.default
            if value is None:
                return None
            pattern.extend(value)
        return tuple(pattern)


@functools.lru_cache(maxsize=4096)
def parse_template(text: str, version: Version, *, wildcards: bool = True) -> Template:
    """Take `text` apart by the rules of `version`.

    Before 2012-10-17 there are no variables and no escapes. Without `wildcards`, `*` and `?`
    are ordinary characters (`StringEquals`).

    Raises PolicyError for a `${` that begins neither a variable nor an escape.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    pieces: list[str | Wildcard | Variable] = []
    at = 0
    while at < len(text):
        if version is Version.V2012 and text.startswith("${", at):
            if escape := _ESCAPES.get(text[at : at + 4]):
                pieces.append(escape)
                at += 4
            elif found := _VARIABLE.match(text, at):
                pieces.append(Variable(found["key"], found["default"]))
                at = found.end()
            else:
                raise PolicyError(f"malformed policy variable in {text!r}")
            continue
        character = text[at]
        pieces.append(Wildcard(character) if wildcards and character in ("*", "?") else character)
        at += 1
    return Template(tuple(pieces))
