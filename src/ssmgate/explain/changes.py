"""Change policies in memory: add a statement, or replace one. Nothing is sent to AWS."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ssmgate.explain.near_miss import Place
from ssmgate.gate.decision.question import ACTION
from ssmgate.policy_language import Layer, Policies, Policy, Statement, Version, parse_policy

CHECK_KEY = "ssm:SessionDocumentAccessCheck"
CHECK_CONDITION: Mapping[str, Mapping[str, Any]] = {"BoolIfExists": {CHECK_KEY: "true"}}
"""The condition that makes the service check the document too.

https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-sessiondocumentaccesscheck.html
"""

ADDED = "ssmgate"
"""The `source_policy_id` of a statement that is added to the identity-based policies."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one policy of `layer`.

    `statements` are whole. They replace `old`, the statement at `place`, or are added if there is
    none. If `statements` is empty, `old` is removed. `note` is a sentence about what else changes.
    """

    layer: Layer
    statements: tuple[Json, ...]
    place: Place | None = None
    old: Statement | None = None
    note: str = ""


def grant(resources: Sequence[str], conditions: Mapping[str, Mapping[str, Any]]) -> Json:
    """Return the statement that allows a session on `resources`, with `conditions` and the check.

    A condition on `CHECK_KEY` in `conditions` is left out, as the statement has its own.
    """
    remaining = {
        operator: {key: value for key, value in keys.items() if key.lower() != CHECK_KEY.lower()}
        for operator, keys in conditions.items()
    }
    merged = merge(
        {operator: keys for operator, keys in remaining.items() if keys}, CHECK_CONDITION
    )
    return {
        "Effect": "Allow",
        "Action": ACTION,
        "Resource": _one_or_list(resources),
        "Condition": merged,
    }


def merge(
    first: Mapping[str, Mapping[str, Any]], second: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return both Condition elements as one. Raises ValueError if both test one key one way."""
    merged = {operator: dict(keys) for operator, keys in first.items()}
    for operator, keys in second.items():
        for key, value in keys.items():
            into = merged.setdefault(operator, {})
            if key in into and into[key] != value:
                raise ValueError(f"{operator} on {key} twice")
            into[key] = value
    return merged


def conditions_of(statement: Statement) -> dict[str, dict[str, Any]]:
    """Return the Condition element of `statement`."""
    found: dict[str, dict[str, Any]] = {}
    for condition in statement.conditions:
        found.setdefault(str(condition.operator), {})[condition.key] = _one_or_list(
            condition.values
        )
    return found


def written(statement: Statement, **elements: Any) -> Json:
    """Return `statement` as JSON, with `elements` in place of its own; None leaves one out.

    The elements are `Action`, `NotAction`, `Resource`, `NotResource` and `Condition`.
    """
    action = "NotAction" if statement.negated_action else "Action"
    resource = "NotResource" if statement.negated_resource else "Resource"
    own: Json = {
        **({"Sid": statement.sid} if statement.sid else {}),
        "Effect": statement.effect.value,
        action: statement.actions,
        resource: statement.resources,
        "Condition": conditions_of(statement) or None,
    }
    changed = {**own, **elements}
    return {
        name: _one_or_list(value) if isinstance(value, (tuple, list)) else value
        for name, value in changed.items()
        if value is not None
    }


def applied(policies: Policies, changes: Iterable[Change]) -> Policies:
    """Return `policies` after `changes`. A statement is added to every level of the organization.

    Raises `PolicyError` if a changed statement is not valid.
    """
    for change in changes:
        policies = _applied(policies, change)
    return policies


def _applied(policies: Policies, change: Change) -> Policies:
    if change.old is not None:
        old, new = change.old, change.statements
        boundary = policies.boundary
        return Policies(
            tuple(_replaced(policy, old, new) for policy in policies.identity),
            None if boundary is None else _replaced(boundary, old, new),
            tuple(
                tuple(_replaced(policy, old, new) for policy in level)
                for level in policies.service_control
            ),
        )
    added = _parsed(change.statements, Version.V2012)
    policy = Policy(Version.V2012, added, ADDED)
    match change.layer:
        case Layer.BOUNDARY if policies.boundary is not None:
            boundary = policies.boundary
            added = _parsed(change.statements, boundary.version)
            extended = replace(boundary, statements=(*boundary.statements, *added))
            return replace(policies, boundary=extended)
        case Layer.ORGANIZATIONS:
            levels = tuple((*level, policy) for level in policies.service_control)
            return replace(policies, service_control=levels)
    return replace(policies, identity=(*policies.identity, policy))


def _replaced(policy: Policy, old: Statement, new: Sequence[Json]) -> Policy:
    if not any(statement is old for statement in policy.statements):
        return policy
    statements: list[Statement] = []
    for statement in policy.statements:
        if statement is old:
            statements += _parsed(new, policy.version)
        else:
            statements.append(statement)
    return replace(policy, statements=tuple(statements))


def _parsed(statements: Sequence[Json], version: Version) -> tuple[Statement, ...]:
    if not statements:
        return ()
    text = json.dumps({"Version": version.value, "Statement": list(statements)})
    return parse_policy(text).statements


def _one_or_list(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)
