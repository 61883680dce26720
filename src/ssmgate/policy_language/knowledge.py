"""What is known of a request's context: values, keys known to be absent, and assumptions."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ssmgate.gate.decision.wildcards import Pattern, Wildcard, like
from ssmgate.policy_language.conditions import Outcome
from ssmgate.policy_language.context import Context, Values
from ssmgate.policy_language.patterns import ARN_PARTS
from ssmgate.policy_language.variables import Template, Variable

ANYTHING: Pattern = (Wildcard.ANY,)


class Part(enum.Enum):
    """Any number of characters of some kinds, in a shape."""

    PATH = "lower-case letters, digits, hyphens and slashes"

    def has(self, character: str) -> bool:
        """Return whether `character` is of these kinds."""
        return re.fullmatch("[a-z0-9/-]", character) is not None


Shape = tuple[str | Wildcard | Part, ...]
"""What is known of a value: literal characters, and parts that are not known."""


class Presence(enum.Enum):
    """What is known of a key whose value is not known.

    MULTIVALUED is the key's type: it needs a set operator, and no variable takes its value.
    """

    UNKNOWN = "may be absent"
    ABSENT = "absent"
    SINGLE = "has one value"
    MULTIVALUED = "is multivalued"


def nothing_is_absent(_key: str) -> bool:
    """Return False: no key is known to be absent."""
    return False


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of the context of a request.

    `is_absent` returns whether a key is known to be absent. `shapes` has, by key in lower case,
    a pattern that the value of a single-valued key matches where the value itself is not known; it
    overrides the context. Every other key that the context lacks is unknown.
    """

    is_absent: Callable[[str], bool] = nothing_is_absent
    shapes: Mapping[str, Shape] = field(default_factory=dict)


Atom = tuple[str, ...]
"""A comparison whose result is not known, by everything that it depends on."""


@dataclass(frozen=True, slots=True)
class Split:
    """Something unknown on which the result depends, to be assumed in each possible way.

    `key` is the condition key, None for a string of a Resource element with two readings. With an
    `atom` it is the result of that comparison, else whether and how the key is present. `literal`
    is the value that makes the comparison true, None if more than one does. With `outcomes` it is
    the result of a whole condition, one of these.
    """

    key: str | None
    atom: Atom | None = None
    literal: str | None = None
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolved:
    """A template whose policy variables were replaced as far as their values are known.

    `pattern` has ANY in place of an unknown value, and is None if a variable has no value.
    `exact` is false if a value is not known, `may_lack_value` is true if it may have none.
    """

    pattern: Pattern | None
    exact: bool = True
    may_lack_value: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """A context with what is known and what is assumed about the other keys (lower case)."""

    context: Context
    knowledge: Knowledge
    presences: Mapping[str, Presence] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    truths: Mapping[Atom, bool] = field(default_factory=dict)
    outcomes: Mapping[Atom, Outcome] = field(default_factory=dict)

    def get(self, key: str) -> Values | Presence:
        """Return the values of `key`, or what is known of its presence."""
        name = key.lower()
        if name in self.values:
            return Values((self.values[name],))
        if name in self.knowledge.shapes:
            return Presence.SINGLE
        if (found := self.context.get(name)) is not None:
            return found
        if name in self.presences:
            return self.presences[name]
        return Presence.ABSENT if self.knowledge.is_absent(key) else Presence.UNKNOWN

    def shape(self, key: str) -> Shape:
        """Return a pattern that the unknown value of `key` matches."""
        return self.knowledge.shapes.get(key.lower(), ANYTHING)

    def resolve(self, template: Template, splits: list[Split]) -> Resolved:
        """Replace the policy variables of `template`, and add unknown ones to `splits`."""
        pattern: list[str | Wildcard] = []
        exact, may_lack_value = True, False
        for piece in template.pieces:
            if not isinstance(piece, Variable):
                pattern.append(piece)
                continue
            match self.get(piece.key):
                case Values(values=(value, *_), multivalued=False):
                    pattern.extend(value)
                case Presence.ABSENT if piece.default is not None:
                    pattern.extend(piece.default)
                case Values() | Presence.ABSENT | Presence.MULTIVALUED:
                    return Resolved(None)
                case presence:
                    pattern.append(Wildcard.ANY)
                    exact = False
                    if presence is Presence.UNKNOWN:
                        splits.append(Split(piece.key))
                        may_lack_value = True
        return Resolved(tuple(pattern), exact, may_lack_value)

    def assuming(self, split: Split) -> tuple[View, ...]:
        """Return this view with each possible assumption about `split`."""
        name = (split.key or "").lower()
        if split.atom is None:
            if self.get(name) is not Presence.UNKNOWN:
                return ()
            known = (Presence.ABSENT, Presence.SINGLE, Presence.MULTIVALUED)
            return tuple(replace(self, presences={**self.presences, name: p}) for p in known)
        if split.outcomes:
            return tuple(
                replace(self, outcomes={**self.outcomes, split.atom: outcome})
                for outcome in split.outcomes
            )
        is_true = replace(self, truths={**self.truths, split.atom: True})
        if split.literal is not None:
            is_true = replace(self, values={**self.values, name: split.literal})
        return is_true, replace(self, truths={**self.truths, split.atom: False})


def intersect(pattern: Pattern, shape: Shape) -> bool:
    """Return whether some text matches both."""
    one, two = _units(pattern), _units(shape)
    reached, pending = {(0, 0)}, [(0, 0)]
    while pending:
        at, other = pending.pop()
        if (at, other) == (len(one), len(two)):
            return True
        for step in _steps(one[at : at + 1], two[other : other + 1], at, other):
            if step not in reached:
                reached.add(step)
                pending.append(step)
    return False


def _steps(one: Shape, two: Shape, at: int, other: int) -> Iterator[tuple[int, int]]:
    if _many(one):
        yield at + 1, other
    if _many(two):
        yield at, other + 1
    if one and two and _meet(one[0], two[0]):
        yield at + (not _many(one)), other + (not _many(two))


def _many(piece: Shape) -> bool:
    return piece == ANYTHING or any(isinstance(p, Part) for p in piece)


def _meet(one: str | Wildcard | Part, two: str | Wildcard | Part) -> bool:
    if isinstance(one, str) and isinstance(two, str):
        return one == two
    if isinstance(one, Part):
        return not isinstance(two, str) or one.has(two)
    return not isinstance(two, Part) or not isinstance(one, str) or two.has(one)


def _units(pattern: Shape) -> Shape:
    """Return `pattern` by UTF-16 code units: `?` matches one of them."""
    units: list[str | Wildcard | Part] = []
    for piece in pattern:
        if not isinstance(piece, str) or piece <= "\uffff":
            units.append(piece)
        else:
            high, low = divmod(ord(piece) - 0x10000, 0x400)
            units += (chr(0xD800 + high), chr(0xDC00 + low))
    return tuple(units)


_FRESH = "\ufdd0"
"""A noncharacter, which only a wildcard of a policy matches."""


def literal(shape: Shape) -> str | None:
    """Return the only text that `shape` matches, None if it has other parts."""
    texts = [piece for piece in shape if isinstance(piece, str)]
    return "".join(texts) if len(texts) == len(shape) else None


def covers(pattern: Pattern, shape: Shape) -> bool:
    """Return whether `pattern` certainly matches every text that `shape` matches."""
    if (text := literal(shape)) is not None:
        return like(pattern, text)
    if Wildcard.ONE in pattern:
        return False
    return like(pattern, "".join(p if isinstance(p, str) else _FRESH for p in shape))


def split_shape(shape: Shape) -> list[Shape]:
    """Return the six parts of the shape of an ARN."""
    parts: list[list[str | Wildcard | Part]] = [[]]
    for piece in shape:
        if piece == ":" and len(parts) < ARN_PARTS:
            parts.append([])
        else:
            parts[-1].append(piece)
    return [tuple(part) for part in parts]
