"""iam:SimulatePrincipalPolicy and its kin: answers in the shapes recorded of the real ones.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssmgate.gate.decision.evaluation import BOUNDARY_POLICY, EvalDecision
from ssmgate.policy_language import (
    Context,
    Evaluation,
    Layer,
    Outcome,
    Policies,
    Policy,
    Position,
    Request,
    StatementMatch,
    evaluate,
)
from ssmgate.sandbox import inputs
from ssmgate.sandbox.faults import ServiceFault

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


def simulate(
    asked: Mapping[str, Any], layers: Policies, context: Mapping[str, str], account: str
) -> dict[str, Any]:
    """Answer the request `asked` about a principal with `layers` and the keys IAM fills in.

    `asked` has the members of SimulatePrincipalPolicy or SimulateCustomPolicy, `account` is
    whose simulator this is. CallerArn's keys take `context`'s place, context entries override.

    Raises `ServiceFault` for what IAM refuses, and InvalidInput for a member that the sandbox
    does not model: it never answers as if that were not there.
    """
    inputs.refuse_unknown(asked)
    actions, resources = inputs.actions(asked), inputs.resources(asked)
    keys = inputs.caller_keys(asked, account, context)
    layers = inputs.with_policies(asked, layers)
    filled = Context({**{key.lower(): v for key, v in keys.items()}, **inputs.entries(asked)})
    start, end = inputs.page(asked, len(actions))
    answer: dict[str, Any] = {
        "EvaluationResults": [
            _result(action, resources, layers, filled) for action in actions[start:end]
        ],
        "IsTruncated": end < len(actions),
    }
    if end < len(actions):
        answer["Marker"] = str(end)
    return answer


def context_keys(policies: Iterable[Policy]) -> list[str]:
    """The condition keys that `policies` mention, variables among them, each once.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetContextKeysForPrincipalPolicy.html
    """
    found: dict[str, str] = {}
    for policy in policies:
        for key in policy.context_keys():
            found.setdefault(key.lower(), key)
    return list(found.values())


def _result(
    action: str, resources: list[str], layers: Policies, context: Context
) -> dict[str, Any]:
    names = resources or ["*"]
    try:
        decisions = [evaluate(Request(action, name, context), layers) for name in names]
    except ValueError as error:
        raise ServiceFault("InvalidInput", f"{error}.") from error
    result: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": names[0] if len(names) == 1 else _template(names[0]),
        "EvalDecision": next(
            word for word in _WORST if any(d.eval_decision is word for d in decisions)
        ).value,
        # Recorded: empty they stand here nevertheless, and what allowed one ARN stands here
        # when another is denied.
        "MatchedStatements": _unique(one for d in decisions for one in _statements(d)),
        "MissingContextValues": list(dict.fromkeys(key for d in decisions for key in _missing(d))),
        **_layer_details(_all([d.allowed_by_permissions_boundary for d in decisions])),
    }
    by_organizations = _all([d.allowed_by_organizations for d in decisions])
    if by_organizations is not None:
        result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": by_organizations}
    if resources:
        result["EvalDecisionDetails"] = {}
        result["ResourceSpecificResults"] = [
            _specific(name, decision) for name, decision in zip(resources, decisions, strict=True)
        ]
    return result


def _specific(name: str, decision: Evaluation) -> dict[str, Any]:
    """The entry about one ARN, in which an empty member is left out."""
    lists = {
        "MatchedStatements": _statements(decision),
        "MissingContextValues": _missing(decision),
    }
    return {
        "EvalResourceName": name,
        "EvalResourceDecision": decision.eval_decision.value,
        **{member: found for member, found in lists.items() if found},
        **_layer_details(decision.allowed_by_permissions_boundary),
    }


def _layer_details(boundary: bool | None) -> dict[str, Any]:
    if boundary is None:
        return {}
    return {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": boundary}}


def _missing(decision: Evaluation) -> list[str]:
    """The keys that were not given and, as recorded, those that were and did not match.

    A service control policy's denial tells none.
    """
    if decision.allowed_by_organizations is False:
        return []
    found = {key.lower(): key for key in decision.missing_context_values}
    if decision.eval_decision is EvalDecision.IMPLICIT_DENY:
        for layer in decision.layers:
            if layer.layer is not Layer.ORGANIZATIONS:
                for condition in (c for one in layer.statements for c in one.conditions):
                    if condition.values is not None and condition.outcome is not Outcome.MATCHED:
                        key = condition.condition.key
                        found.setdefault(key.lower(), key)
    return list(found.values())


def _statements(decision: Evaluation) -> list[dict[str, Any]]:
    return _unique(_statement(decision, match) for match in decision.matched_statements)


def _statement(decision: Evaluation, match: StatementMatch) -> dict[str, Any]:
    return {
        "SourcePolicyId": match.policy.source_policy_id,
        "SourcePolicyType": (
            BOUNDARY_POLICY if decision.layer_of(match) is Layer.BOUNDARY else "IAM Policy"
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
