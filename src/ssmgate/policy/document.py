"""Policy documents: strict parsing, with the place of each statement in the text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

VERSIONS = ("2008-10-17", "2012-10-17")
"""The two versions. Policy variables exist only in the later; the earlier is the default.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
"""

_STATEMENT_ELEMENTS = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)


class PolicyError(ValueError):
    """A policy that IAM would not store, or that this package does not understand."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a policy's text, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of a Condition block: `operator`, `key`, and the values that are ORed."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `negated_action`: NotAction; `negated_resource`: NotResource.

    `start` is where the token before the statement ends and `end` is just behind it, as
    iam:SimulatePrincipalPolicy reports them.
    """

    sid: str
    allows: bool
    actions: tuple[str, ...]
    negated_action: bool
    resources: tuple[str, ...]
    negated_resource: bool
    conditions: tuple[Condition, ...]
    start: Position
    end: Position


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A parsed identity-based policy, permissions boundary, or service control policy."""

    version: str
    statements: tuple[Statement, ...]

    @property
    def has_variables(self) -> bool:
        """Whether `${…}` is a policy variable: only in the later version."""
        return self.version == "2012-10-17"


def parse(text: str, validate: Callable[[Condition], None] | None = None) -> PolicyDocument:
    """Read a policy's JSON `text`.

    `validate` is called with each condition and raises `PolicyError` for one that it does not
    know; without it any operator is taken as it is.

    Raises `PolicyError` for malformed JSON, duplicate keys, an unknown version or element, both
    or none of Action and NotAction or of Resource and NotResource, an empty list, and a value of
    the wrong type. Principal is not an element of these kinds of policies.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    spans: list[tuple[int, int]] = []
    try:
        policy = json.loads(text, object_pairs_hook=_unique)
        if isinstance(policy, dict):
            spans = _statement_spans(text)
    except ValueError as error:
        raise PolicyError(f"not a policy: {error}") from error
    if not isinstance(policy, dict):
        raise PolicyError("a policy is a JSON object")
    for element in policy:
        if element not in ("Version", "Id", "Statement"):
            raise PolicyError(f"unknown element {element!r}")
    version = policy.get("Version", VERSIONS[0])
    if version not in VERSIONS:
        raise PolicyError(f"unknown version {version!r}")
    statements = policy.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise PolicyError("a policy has a Statement")
    parsed = tuple(
        _statement(item, _position(text, start), _position(text, end))
        for item, (start, end) in zip(statements, spans, strict=True)
    )
    if validate is not None:
        for statement in parsed:
            for condition in statement.conditions:
                validate(condition)
    return PolicyDocument(version, parsed)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise PolicyError("an element stands twice")
    return found


def _statement(item: Any, start: Position, end: Position) -> Statement:
    if not isinstance(item, dict):
        raise PolicyError("a statement is a JSON object")
    for element in item:
        if element not in _STATEMENT_ELEMENTS:
            raise PolicyError(f"unknown element {element!r} in a statement")
    effect = item.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise PolicyError(f"unknown Effect {effect!r}")
    sid = item.get("Sid", "")
    if not isinstance(sid, str):
        raise PolicyError("a Sid is a string")
    actions, negated_action = _one_of(item, "Action", "NotAction")
    resources, negated_resource = _one_of(item, "Resource", "NotResource")
    for action in actions:
        if action != "*" and ":" not in action:
            raise PolicyError(f"{action!r} is not an action: SERVICE:NAME")
    for resource in resources:
        if resource != "*" and resource.count(":") < 5:
            raise PolicyError(f"{resource!r} is neither an ARN nor *")
    return Statement(
        sid,
        effect == "Allow",
        actions,
        negated_action,
        resources,
        negated_resource,
        _conditions(item.get("Condition", {})),
        start,
        end,
    )


def _one_of(item: dict[str, Any], plain: str, negated: str) -> tuple[tuple[str, ...], bool]:
    if (plain in item) == (negated in item):
        raise PolicyError(f"a statement has either {plain} or {negated}")
    name = plain if plain in item else negated
    values = item[name] if isinstance(item[name], list) else [item[name]]
    if not values or not all(isinstance(value, str) and value for value in values):
        raise PolicyError(f"{name} is a string or a list of strings")
    return tuple(values), name == negated


def _conditions(block: Any) -> tuple[Condition, ...]:
    if not isinstance(block, dict):
        raise PolicyError("Condition is a JSON object")
    found = []
    for operator, keys in block.items():
        if not isinstance(keys, dict) or not keys:
            raise PolicyError(f"{operator} takes condition keys with their values")
        for key, values in keys.items():
            items = values if isinstance(values, list) else [values]
            if not items or not key:
                raise PolicyError(f"{operator} {key!r} has no value")
            found.append(Condition(operator, key, tuple(_scalar(item) for item in items)))
    return tuple(found)


def _scalar(item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str | int | float):
        return str(item)
    raise PolicyError(f"a condition's value is a string, a number or a boolean, not {item!r}")


def _statement_spans(text: str) -> list[tuple[int, int]]:
    """Where each statement of the valid JSON `text` starts, by AWS's count, and ends."""
    decoder = json.JSONDecoder()
    at = _skip(text, text.index("{") + 1)
    while text[at] == '"':
        key, at = decoder.raw_decode(text, at)
        colon_end = _skip(text, at) + 1
        value_at = _skip(text, colon_end)
        if key == "Statement":
            if text[value_at] != "[":
                return [(colon_end, decoder.raw_decode(text, value_at)[1])]
            return _list_spans(text, value_at, decoder)
        at = _skip(text, decoder.raw_decode(text, value_at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)
    return []


def _list_spans(text: str, opening: int, decoder: json.JSONDecoder) -> list[tuple[int, int]]:
    spans = []
    before = opening + 1
    at = _skip(text, before)
    while text[at] != "]":
        end = decoder.raw_decode(text, at)[1]
        spans.append((before, end))
        before, at = end, _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return spans


def _skip(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _position(text: str, offset: int) -> Position:
    return Position(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))
