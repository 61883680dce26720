"""Parse policy strings with wildcards and policy variables, and resolve them for a request."""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass

from ssmgate.gate.decision.wildcards import Pattern, Wildcard
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.errors import PolicyError


class Version(enum.Enum):
    """The two versions of the policy language; a policy without a Version has the older one.

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
    """A parsed string of a policy."""

    pieces: tuple[str | Wildcard | Variable, ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Return the policy variables in order, including duplicates."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Variable))

    def resolve(self, context: Context) -> Pattern | None:
        """Return the pattern for this request, or None if a policy variable has no value.

        The value of a variable is literal: a `*` in a tag is not a wildcard. A multivalued key
        does not give a value, and the variable's default is not used then (observed).
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
    """Parse `text` by the rules of `version`.

    Version 2008-10-17 has no policy variables and no escapes. Without `wildcards`, `*` and `?`
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
            elif match := _VARIABLE.match(text, at):
                pieces.append(Variable(match["key"], match["default"]))
                at = match.end()
            else:
                raise PolicyError(f"malformed policy variable in {text!r}")
            continue
        character = text[at]
        pieces.append(Wildcard(character) if wildcards and character in ("*", "?") else character)
        at += 1
    return Template(tuple(pieces))
