"""Find changes of the policies that allow a denied session and nothing else, and try them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssmgate.explain.arn_mistakes import difference, is_document, principal_value
from ssmgate.explain.changes import CHECK_KEY, Change, applied, conditions_of, grant, merge, written
from ssmgate.explain.controls import allowed, attempt, controls, listed, unchanged
from ssmgate.explain.narrow import CannotNarrow, Lister, narrow
from ssmgate.explain.near_miss import (
    DenyingStatement,
    ResourceMiss,
    nearest,
    place,
)
from ssmgate.explain.sources import place as location
from ssmgate.gate.decision.question import ACTION, is_resource_tag
from ssmgate.policy_language import (
    Effect,
    Evaluation,
    Layer,
    Outcome,
    Policies,
    Request,
    StatementMatch,
    evaluate,
)

# Mistakes with which an ARN is that of no resource: it can be replaced without a loss.
_IMPOSSIBLE = {
    "aws-document-with-account",
    "document-without-account",
    "wildcard-past-name",
    "wrong-type",
}

_NOT_TRIED = "no change was found that allows it and nothing else"


@dataclass(frozen=True, slots=True)
class Remedy:
    """Changes of policies, in their order. Together they allow the session and nothing else.

    If `obstacles` is not empty, they are what remains to be done besides, each a sentence: the
    changes then allow it only after that.
    """

    changes: tuple[Change, ...] = ()
    obstacles: tuple[str, ...] = ()


def find(requests: Sequence[Request], policies: Policies, account: str, lister: Lister) -> Remedy:
    """Return what allows those of `requests` that `policies` deny.

    Each request is about one document or target, with the context of its evaluation. `account` is
    the caller's. A deny is narrowed only if that is exact, which may need a listing of the
    documents and nodes. The changes have been applied in memory and evaluated: every request that
    no obstacle is about is allowed, and no control (`controls`) is decided differently.
    """
    denied = [r for r in requests if not allowed(r, policies)]
    lifted = _lift(denied, policies, account, lister)
    missing = _grant(denied, lifted.policies)
    obstacles = (*lifted.obstacles, *missing.obstacles)
    changes = (*lifted.changes, *missing.changes)
    reachable = [r for r in denied if r not in missing.given_up]
    checks = controls(denied, account)
    if lifted.changes:
        checks += listed(denied, account, lister)
    if not (
        unchanged(checks, policies, lifted.changes)
        and unchanged(checks, lifted.policies, missing.changes)
        and all(allowed(r, attempt(lifted.policies, missing.changes)) for r in reachable)
    ):
        return Remedy((), (*obstacles, _NOT_TRIED))
    return Remedy(changes, tuple(dict.fromkeys(obstacles)))


# Denying statements


@dataclass(frozen=True, slots=True)
class _Lifted:
    """The changes that narrow denies, and the policies without any deny that covers a request."""

    changes: tuple[Change, ...]
    obstacles: tuple[str, ...]
    policies: Policies


def _lift(requests: Sequence[Request], policies: Policies, account: str, lister: Lister) -> _Lifted:
    changes: list[Change] = []
    obstacles: list[str] = []
    for denials in _denials(requests, policies):
        first = denials[0][1]
        statement = first.match.statement
        resources = tuple(dict.fromkeys(request.resource for request, _ in denials))
        try:
            narrowed = narrow(first, resources, account, lister)
            changes.append(
                Change(first.layer, narrowed.statements, first.place, statement, narrowed.note)
            )
        except CannotNarrow as error:
            where = location(first.place.source_policy_id, first.place.sid, first.place.line)
            obstacles.append(
                f"the deny in {where} covers {' and '.join(resources)}, and ssmgate found no"
                f" change that exempts nothing else: {error}"
            )
            lift = Change(first.layer, (), first.place, statement)
            policies = applied(policies, (lift,))
    return _Lifted(tuple(changes), tuple(obstacles), attempt(policies, changes) or policies)


def _denials(
    requests: Sequence[Request], policies: Policies
) -> Iterable[list[tuple[Request, DenyingStatement]]]:
    """Return the denying statements, each once with every request that it denies."""
    found: dict[int, list[tuple[Request, DenyingStatement]]] = {}
    for request in requests:
        for denial in nearest(evaluate(request, policies)).denials:
            found.setdefault(id(denial.match.statement), []).append((request, denial))
    return found.values()


# Missing allows


@dataclass(frozen=True, slots=True)
class _Granted:
    """The changes that add what a layer lacks. `given_up` are requests that none may allow."""

    changes: tuple[Change, ...]
    obstacles: tuple[str, ...]
    given_up: tuple[Request, ...]


def _grant(requests: Sequence[Request], policies: Policies) -> _Granted:
    lacking: dict[Layer, list[Evaluation]] = {}
    obstacles: list[str] = []
    fenced: dict[tuple[str, str], list[str]] = {}
    given_up: list[Request] = []
    conditions: dict[Layer, Mapping[str, Mapping[str, Any]]] = {}
    for request in requests:
        evaluation = evaluate(request, policies)
        if evaluation.decided_by is Layer.RESOURCE_TYPE:
            obstacles.append(f"{request.action} has no resources like {request.resource}")
            given_up.append(request)
            continue
        layers = dict.fromkeys(layer.layer for layer in evaluation.layers if not layer.allows)
        try:
            remaining = {layer: _remaining_conditions(evaluation, layer) for layer in layers}
            merged = {layer: merge(conditions.get(layer, {}), remaining[layer]) for layer in layers}
        except _Fenced as fence:
            fenced.setdefault((fence.where, fence.unmet), []).append(request.resource)
            given_up.append(request)
            continue
        except ValueError:
            obstacles.append(f"{request.resource} needs a statement of its own")
            given_up.append(request)
            continue
        conditions |= merged
        for layer in layers:
            lacking.setdefault(layer, []).append(evaluation)
    changes = tuple(
        change
        for layer, evaluations in lacking.items()
        if (change := _addition(layer, evaluations, conditions[layer]))
    )
    obstacles += [
        f"{where} allows {' and '.join(resources)} only under this condition: {unmet}"
        for (where, unmet), resources in fenced.items()
    ]
    return _Granted(changes, tuple(obstacles), tuple(given_up))


def _addition(
    layer: Layer, evaluations: Sequence[Evaluation], conditions: Mapping[str, Mapping[str, Any]]
) -> Change:
    if len(evaluations) == 1 and (corrected := _corrected(evaluations[0], layer)):
        return corrected
    resources = tuple(dict.fromkeys(e.request.resource for e in evaluations))
    return Change(layer, (grant(resources, conditions),))


def _corrected(evaluation: Evaluation, layer: Layer) -> Change | None:
    """Return the nearest statement with its one wrong ARN corrected, if it is for sessions only."""
    misses = [miss for miss in nearest(evaluation).misses if miss.layer is layer]
    if not misses:
        return None
    miss = misses[0]
    statement, resource = miss.match.statement, evaluation.request.resource
    if (
        len(miss.failures) != 1
        or not isinstance(failure := miss.failures[0], ResourceMiss)
        or not failure.differences
        or statement.negated_action
        or any(text.lower() != ACTION.lower() for text in statement.actions)
        or (mistake := difference(failure, resource)) is None
    ):
        return None
    resources = [
        text
        for text in statement.resources
        if text != failure.closest or mistake[0] not in _IMPOSSIBLE or "*" in text
    ]
    corrected = written(statement, Resource=[*dict.fromkeys((*resources, resource))])
    return Change(layer, (corrected,), miss.place, statement)


class _Fenced(Exception):
    """The statement at `where` allows this resource under the condition `unmet`."""

    def __init__(self, where: str, unmet: str) -> None:
        super().__init__(where, unmet)
        self.where, self.unmet = where, unmet


def _remaining_conditions(evaluation: Evaluation, layer: Layer) -> Mapping[str, Mapping[str, Any]]:
    """Return the conditions that a new statement has to keep.

    They are those of the statement that allows the action on the resource, but for a condition.
    Raises `_Fenced` unless that condition can only be a mistake: the tags of a node on a document,
    which has none of them, or an IAM Identity Center role without its path.
    """
    fences = []
    for match in _conditional(evaluation, layer):
        failed = [c for c in match.conditions if c.outcome is not Outcome.MATCHED]
        if all(_is_mistake(evaluation, c) for c in failed):
            return _without_mistakes(match, failed, is_document(evaluation.request.resource))
        fences.append((match, failed))
    if fences:
        match, failed = fences[0]
        raise _fence(match, failed)
    return {}


def _conditional(evaluation: Evaluation, layer: Layer) -> Iterator[StatementMatch]:
    for matched in evaluation.layers:
        if matched.layer is layer and not matched.allows:
            for match in matched.statements:
                if (
                    match.statement.effect is Effect.ALLOW
                    and match.action.outcome is Outcome.MATCHED
                    and match.resource.outcome is Outcome.MATCHED
                    and match.conditions
                ):
                    yield match


def _is_mistake(evaluation: Evaluation, match: Any) -> bool:
    key, document = match.condition.key, is_document(evaluation.request.resource)
    if is_resource_tag(key) and document:
        tagged = any(is_resource_tag(name) for name in evaluation.request.context)
        return match.values is None and not tagged
    if key.lower() == CHECK_KEY.lower():
        return bool(match.values is None)
    return principal_value(key, match.condition.values, match.values) is not None


def _without_mistakes(
    match: StatementMatch, failed: Sequence[Any], document: bool
) -> Mapping[str, Mapping[str, Any]]:
    """Return the conditions of `match` without those of `failed`, and without a document's tags."""
    conditions = conditions_of(match.statement)
    for one in failed:
        operator, key = str(one.condition.operator), one.condition.key
        value = principal_value(key, one.condition.values, one.values)
        if value is not None:
            conditions[operator][key] = value
        else:
            del conditions[operator][key]
    remaining = {
        operator: {k: v for k, v in keys.items() if not (document and is_resource_tag(k))}
        for operator, keys in conditions.items()
    }
    return {operator: keys for operator, keys in remaining.items() if keys}


def _fence(match: StatementMatch, failed: Sequence[Any]) -> _Fenced:
    found = place(match.policy, match.statement)
    where = location(found.source_policy_id, found.sid, found.line)
    unmet = " and ".join(
        f"{c.condition.operator} {c.condition.key} {' or '.join(c.condition.values[:3])}"
        for c in failed
    )
    return _Fenced(where, unmet)
