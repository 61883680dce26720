"""iam:SimulatePrincipalPolicy and its kin: answers in the shapes recorded of the real ones.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ssmgate.core.evaluation import EvalDecision
from ssmgate.policy import (
    Context,
    Evaluation,
    Layer,
    Policies,
    Policy,
    PolicyError,
    Position,
    Request,
    StatementMatch,
    evaluate,
    parse_policy,
)
from ssmgate.sandbox.faults import ServiceFault

Entries = Mapping[str, str | Sequence[str]]

BOUNDARY = "Permissions Boundary Policy"
"""SourcePolicyType of a boundary's statements, as recorded; not the documented enum."""

# Members of the request that change the answer and that the sandbox has no model of.
_UNKNOWN = ("ResourcePolicy", "ResourceHandlingOption", "PolicyExclusionList")

# The top-level EvalResourceName for several ARNs: the template of the resource's type.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
_TEMPLATES = (
    ("ssm", "document/", "${Region}:${Account}:document/${DocumentName}"),
    ("ssm", "managed-instance/", "${Region}:${Account}:managed-instance/${InstanceId}"),
    ("ssm", "session/", "${Region}:${Account}:session/${SessionId}"),
    ("ec2", "instance/", "${Region}:${Account}:instance/${InstanceId}"),
    ("ecs", "task/", "${Region}:${Account}:task/${TaskId}"),
    ("iam", "role/", ":${Account}:role/${RoleNameWithPath}"),
    ("iam", "user/", ":${Account}:user/${UserNameWithPath}"),
)

_WORST = (EvalDecision.EXPLICIT_DENY, EvalDecision.IMPLICIT_DENY, EvalDecision.ALLOWED)


def simulate(asked: Mapping[str, Any], layers: Policies, context: Entries) -> dict[str, Any]:
    """Answer the request `asked` about a principal with `layers` and the keys IAM fills in.

    `asked` has the members of SimulatePrincipalPolicy or SimulateCustomPolicy. Its context
    entries override `context`; their types and values are not checked, as IAM does not either.
    PolicyInputList adds to the identity-based policies, PermissionsBoundaryPolicyInputList
    takes the boundary's place.

    Raises `ServiceFault` InvalidInput for a malformed policy or resource, for no action, and
    for a member that the sandbox does not model: it never answers as if that were not there.
    """
    for member in _UNKNOWN:
        if asked.get(member):
            raise ServiceFault("InvalidInput", f"{member} is not modelled by the sandbox.")
    actions = list(asked.get("ActionNames") or ())
    if not actions:
        raise ServiceFault("InvalidInput", "ActionNames must not be empty.")
    resources = list(asked.get("ResourceArns") or ())
    for arn in resources:
        if arn != "*" and not (arn.startswith("arn:") and arn.count(":") >= 5):
            raise ServiceFault(
                "InvalidInput", f"ResourceNames are not in a valid ARN format: {arn}."
            )
    layers = with_inputs(asked, layers)
    filled = Context({**{key.lower(): v for key, v in context.items()}, **_entries(asked)})
    start, end = _page(asked, len(actions))
    answer: dict[str, Any] = {
        "EvaluationResults": [
            _result(action, resources, layers, filled) for action in actions[start:end]
        ],
        "IsTruncated": end < len(actions),
    }
    if end < len(actions):
        answer["Marker"] = str(end)
    return answer


def with_inputs(asked: Mapping[str, Any], layers: Policies) -> Policies:
    """`layers` with the policies that the request brings along. Raises `ServiceFault`."""
    added = _inputs(asked, "PolicyInputList")
    boundary = _inputs(asked, "PermissionsBoundaryPolicyInputList")
    if len(boundary) > 1:
        raise ServiceFault("InvalidInput", "Only one permissions boundary policy can be given.")
    layers = replace(layers, identity=(*layers.identity, *added))
    return replace(layers, boundary=boundary[0]) if boundary else layers


def context_keys(policies: Iterable[Policy]) -> list[str]:
    """The condition keys that `policies` mention, variables among them, each once.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetContextKeysForPrincipalPolicy.html
    """
    found: dict[str, str] = {}
    for policy in policies:
        for key in policy.context_keys():
            found.setdefault(key.lower(), key)
    return list(found.values())


def _inputs(asked: Mapping[str, Any], member: str) -> tuple[Policy, ...]:
    found = []
    for number, text in enumerate(asked.get(member) or (), start=1):
        try:
            found.append(parse_policy(text, f"{member}.{number}"))
        except PolicyError as error:
            raise ServiceFault("InvalidInput", f"Invalid {member}.{number}: {error}.") from error
    return tuple(found)


def _entries(asked: Mapping[str, Any]) -> dict[str, str | Sequence[str]]:
    found: dict[str, str | Sequence[str]] = {}
    for entry in asked.get("ContextEntries") or ():
        values = [str(value) for value in entry.get("ContextKeyValues") or ()]
        many = str(entry.get("ContextKeyType", "")).endswith("List") or len(values) != 1
        found[str(entry.get("ContextKeyName", "")).lower()] = values if many else values[0]
    return found


def _page(asked: Mapping[str, Any], count: int) -> tuple[int, int]:
    """MaxItems counts actions: one action is one page, however many resources it has."""
    marker = str(asked.get("Marker") or "0")
    if not marker.isdecimal() or int(marker) > count:
        raise ServiceFault("InvalidInput", f"Invalid Marker: {marker}.")
    size = int(asked.get("MaxItems") or 100)
    return int(marker), min(count, int(marker) + size)


def _result(
    action: str, resources: list[str], layers: Policies, context: Context
) -> dict[str, Any]:
    names = resources or ["*"]
    try:
        decisions = [evaluate(Request(action, name, context), layers) for name in names]
    except ValueError as error:
        raise ServiceFault("InvalidInput", f"{error}.") from error
    worst = next(word for word in _WORST if any(d.eval_decision is word for d in decisions))
    result: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": names[0] if len(names) == 1 else _template(names[0]),
        "EvalDecision": worst.value,
    }
    statements = _unique(
        statement
        for decision in decisions
        if decision.eval_decision is worst
        for statement in _statements(decision)
    )
    missing = list(dict.fromkeys(key for d in decisions for key in d.missing_context_values))
    boundary = [d.allowed_by_permissions_boundary for d in decisions]
    organizations = [d.allowed_by_organizations for d in decisions]
    result |= _present(statements, missing, _all(boundary))
    if (by_organizations := _all(organizations)) is not None:
        result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": by_organizations}
    result["EvalDecisionDetails"] = {}
    if resources:
        result["ResourceSpecificResults"] = [
            {
                "EvalResourceName": name,
                "EvalResourceDecision": decision.eval_decision.value,
                **_present(
                    _statements(decision),
                    list(decision.missing_context_values),
                    decision.allowed_by_permissions_boundary,
                ),
            }
            for name, decision in zip(resources, decisions, strict=True)
        ]
    return result


def _present(
    statements: list[dict[str, Any]], missing: list[str], boundary: bool | None
) -> dict[str, Any]:
    """The members that stand at both levels. An empty one is left out."""
    members: dict[str, Any] = {}
    if statements:
        members["MatchedStatements"] = statements
    if missing:
        members["MissingContextValues"] = missing
    if boundary is not None:
        members["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": boundary}
    return members


def _statements(decision: Evaluation) -> list[dict[str, Any]]:
    return _unique(_statement(decision, match) for match in decision.matched_statements)


def _statement(decision: Evaluation, match: StatementMatch) -> dict[str, Any]:
    return {
        "SourcePolicyId": match.policy.source_policy_id,
        "SourcePolicyType": (
            BOUNDARY if decision.layer_of(match) is Layer.BOUNDARY else "IAM Policy"
        ),
        "StartPosition": _position(match.statement.start),
        "EndPosition": _position(match.statement.end),
    }


def _position(position: Position) -> dict[str, int]:
    return {"Line": position.line, "Column": position.column}


def _unique(statements: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for statement in statements:
        if statement not in found:
            found.append(statement)
    return found


def _all(told: Sequence[bool | None]) -> bool | None:
    return None if told[0] is None else all(told)


def _template(arn: str) -> str:
    parts = arn.split(":", 5)
    for service, beginning, rest in _TEMPLATES:
        if len(parts) == 6 and parts[2] == service and parts[5].startswith(beginning):
            return f"{parts[0]}:{parts[1]}:{service}:{rest}"
    return "*"
