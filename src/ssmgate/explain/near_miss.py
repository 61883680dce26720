"""Explain why a request is denied: rank the statements by how nearly they match, with failures."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Sequence
from dataclasses import dataclass

from ssmgate.gate.decision.evaluation import EvalDecision
from ssmgate.gate.decision.wildcards import Pattern, Wildcard, like
from ssmgate.policy_language.conditions import Cause, ConditionMatch, Outcome
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.document import Effect, Policy, Statement
from ssmgate.policy_language.evaluate import Evaluation, Layer
from ssmgate.policy_language.patterns import complete, split_arn, split_pattern
from ssmgate.policy_language.statements import Request, StatementMatch
from ssmgate.policy_language.variables import Version, parse_template

# How many values of a condition a sentence has.
_VALUES_SHOWN = 3


class ArnPart(enum.Enum):
    """The parts of an ARN, in order. TYPE and NAME are the last field, split at its first slash."""

    PARTITION = "partition"
    SERVICE = "service"
    REGION = "region"
    ACCOUNT = "account"
    TYPE = "type"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Place:
    """The location of a statement. `line` is the line of its `{`, counted from 1."""

    source_policy_id: str
    sid: str | None
    line: int
    effect: Effect


@dataclass(frozen=True, slots=True)
class Difference:
    """A part of an ARN in which policy and request differ, with the text of both."""

    part: ArnPart
    policy: str
    request: str


@dataclass(frozen=True, slots=True)
class ActionMiss:
    """A failed Action or NotAction. `closest` is the policy's action nearest to the request's."""

    element: str
    closest: str
    request: str

    @property
    def sentence(self) -> str:
        """Return what the statement allows or excludes."""
        if self.element == "NotAction":
            return f"the statement excludes {self.closest}"
        return f"the statement allows {self.closest}, not {self.request}"


@dataclass(frozen=True, slots=True)
class ResourceMiss:
    """A failed Resource or NotResource.

    `closest` is the nearest pattern or, for NotResource, the pattern that covers the request;
    None if no single pattern is responsible. `differences` are in the order of the ARN's parts.
    They are empty for NotResource, and for a pattern with a policy variable that has no value or
    is not supported at its position (`unresolved`).
    """

    element: str
    closest: str | None
    request: str
    differences: tuple[Difference, ...] = ()
    unresolved: bool = False

    @property
    def difference(self) -> Difference | None:
        """Return the first part that differs, or None."""
        return self.differences[0] if self.differences else None


@dataclass(frozen=True, slots=True)
class ConditionMiss:
    """A failed condition. `values` are those of the request, None if it lacks the key."""

    operator: str
    key: str
    wanted: tuple[str, ...]
    values: tuple[str, ...] | None
    cause: Cause

    @property
    def sentence(self) -> str:
        """Return what the condition requires and what the request has."""
        lacks = self.values is None
        has = "lacks the key" if lacks else f"has {some(self.values or ())}"
        return f"{self.operator} {self.key} requires {some(self.wanted)}, and the request {has}"


Failure = ActionMiss | ResourceMiss | ConditionMiss


@dataclass(frozen=True, slots=True)
class Miss:
    """An Allow statement that does not apply, with all its failed parts (at least one).

    `distance` has no unit and only ranks statements; 0 is a match.
    """

    place: Place
    layer: Layer
    failures: tuple[Failure, ...]
    distance: int
    match: StatementMatch


@dataclass(frozen=True, slots=True)
class DenyingStatement:
    """A Deny statement that applies, and why.

    `action` and `resource` are the policy's strings that cover the request, None for NotAction
    and NotResource, which do not list it.
    """

    place: Place
    layer: Layer
    action: str | None
    resource: str | None
    conditions: tuple[ConditionMatch, ...]
    match: StatementMatch


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a request is denied. Both members are empty for an allowed request."""

    misses: tuple[Miss, ...] = ()
    denials: tuple[DenyingStatement, ...] = ()


def nearest(evaluation: Evaluation) -> Explanation:
    """Explain a denial from the result of `evaluate`.

    For an explicit deny, `denials` has every denying statement of every layer. Otherwise
    `misses` has the Allow statements of the layers that do not allow, the nearest first; equally
    near ones are in the order of the policies. `misses` is empty if such a layer has no Allow
    statements, and if the action has no resources of that type, which no policy can change.
    """
    if evaluation.eval_decision is EvalDecision.ALLOWED:
        return Explanation()
    if evaluation.eval_decision is EvalDecision.EXPLICIT_DENY:
        return Explanation(
            denials=tuple(
                _denial(match, layer.layer) for layer in evaluation.layers for match in layer.denies
            )
        )
    if evaluation.decided_by is Layer.RESOURCE_TYPE:
        return Explanation()
    misses = [
        _miss(match, layer.layer, evaluation.request)
        for layer in evaluation.layers
        if not layer.allows
        for match in layer.statements
        if match.statement.effect is Effect.ALLOW
    ]
    return Explanation(misses=tuple(sorted(misses, key=lambda miss: miss.distance)))


def some(values: Sequence[str]) -> str:
    """Return the first of `values`, and how many more there are."""
    shown = " or ".join(repr(value) for value in values[:_VALUES_SHOWN])
    more = len(values) - _VALUES_SHOWN
    return f"{shown} or {more} more" if more > 0 else shown


def place(policy: Policy, statement: Statement) -> Place:
    """Return the location of `statement`, a statement of `policy`."""
    return Place(policy.source_policy_id, statement.sid, statement.opening.line, statement.effect)


def _denial(match: StatementMatch, layer: Layer) -> DenyingStatement:
    return DenyingStatement(
        place(match.policy, match.statement),
        layer,
        match.action.text,
        match.resource.text,
        match.conditions,
        match,
    )


# An unrelated action outweighs all else; another type of resource outweighs nearly all.
_ACTION = 3000
_PART = {
    ArnPart.PARTITION: 40,
    ArnPart.SERVICE: 500,
    ArnPart.REGION: 40,
    ArnPart.ACCOUNT: 40,
    ArnPart.TYPE: 400,
    ArnPart.NAME: 300,
}
_CONDITION = 10
# A pattern with the same name means this resource, even in another account or region.
_SAME_NAME = 5


def _miss(match: StatementMatch, layer: Layer, request: Request) -> Miss:
    failures: list[Failure] = []
    distance = 0
    if match.action.outcome is not Outcome.MATCHED:
        action = _action_miss(match, request)
        failures.append(action)
        distance += _unlikeness(action.closest, action.request, _ACTION)
    if match.resource.outcome is not Outcome.MATCHED:
        resource, resource_distance = _resource_miss(match, request)
        failures.append(resource)
        distance += resource_distance
    for condition in match.conditions:
        if condition.outcome is not Outcome.MATCHED:
            failures.append(_condition_miss(condition))
            distance += _CONDITION
    return Miss(place(match.policy, match.statement), layer, tuple(failures), distance, match)


def _action_miss(match: StatementMatch, request: Request) -> ActionMiss:
    if match.action.text is not None:  # NotAction lists it
        return ActionMiss(match.action.element, match.action.text, request.action)
    closest = min(
        match.statement.actions, key=lambda text: _unlikeness(text, request.action, _ACTION)
    )
    return ActionMiss(match.action.element, closest, request.action)


def _resource_miss(match: StatementMatch, request: Request) -> tuple[ResourceMiss, int]:
    element = match.resource.element
    if match.statement.negated_resource:
        unresolved = match.resource.outcome is Outcome.UNDEFINED
        return ResourceMiss(element, match.resource.text, request.resource, (), unresolved), 50
    version = match.policy.version
    compared = [
        (text, *compare(text, version, request.resource, request.context))
        for text in match.statement.resources
    ]
    text, differences, distance = min(compared, key=lambda candidate: candidate[2])
    return ResourceMiss(
        element, text, request.resource, differences, unresolved=not differences
    ), distance


def compare(
    text: str, version: Version, resource: str, context: Context
) -> tuple[tuple[Difference, ...], int]:
    """Return the parts in which the pattern `text` differs from `resource`, and its distance.

    There are no parts if `text` matches (distance 0), and if it cannot be compared: a policy
    variable has no value, or the pattern or `resource` is not in ARN format.
    """
    pattern = parse_template(text, version).resolve(context)
    wanted = None if pattern is None else split_pattern(complete(pattern))
    have = split_arn(resource)
    if wanted is None or have is None:
        return (), _PART[ArnPart.TYPE]
    parts = _parts(wanted, have)
    differences = tuple(
        Difference(part, plain(want), has) for part, want, has in parts if not like(want, has)
    )
    distance = sum(_unlikeness(d.policy, d.request, _PART[d.part]) for d in differences)
    last, want, has = parts[-1]
    if last is ArnPart.NAME and like(want, has) and plain(want).strip("*"):
        distance = -(-distance // _SAME_NAME)
    return differences, distance


def _parts(wanted: Sequence[Pattern], have: Sequence[str]) -> list[tuple[ArnPart, Pattern, str]]:
    parts = list(zip(list(ArnPart)[:4], wanted[1:5], have[1:5], strict=True))
    last, rest = wanted[5], have[5]
    kind, slash, name = rest.partition("/")
    if like(last, rest) or "/" not in last or not slash:
        # A wildcard may match the slash too: then type and name cannot be separated.
        part = ArnPart.NAME if plain(last).startswith(f"{kind}*") else ArnPart.TYPE
        return [*parts, (part, last, rest)]
    at = last.index("/")
    return [*parts, (ArnPart.TYPE, last[:at], kind), (ArnPart.NAME, last[at + 1 :], name)]


def plain(pattern: Pattern) -> str:
    """Return a resolved pattern as text."""
    return "".join(piece.value if isinstance(piece, Wildcard) else piece for piece in pattern)


def _unlikeness(first: str, second: str, most: int) -> int:
    """Return a distance from 1 (nearly equal) to `most` (nothing in common)."""
    return max(1, round(most * (1 - likeness(first, second))))


def likeness(first: str, second: str) -> float:
    """Return how similar two strings are, from 0 to 1, ignoring case."""
    return difflib.SequenceMatcher(None, first.lower(), second.lower(), autojunk=False).ratio()


def _condition_miss(match: ConditionMatch) -> ConditionMiss:
    condition = match.condition
    return ConditionMiss(
        str(condition.operator), condition.key, condition.values, match.values, match.cause
    )
