"""Answer iam:SimulatePrincipalPolicy and related operations in the form recorded from AWS.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

import zlib
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
from ssmgate.sandbox.enforcement import Values
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
    parameters: Mapping[str, Any],
    layers: Policies,
    context: Values,
    account: str,
    *,
    custom: bool = False,
) -> dict[str, Any]:
    """Return the answer to a simulation request for a principal with the policies `layers`.

    `parameters` has the members of SimulatePrincipalPolicy, or of SimulateCustomPolicy if
    `custom`; the caller has applied PolicyExclusionList to `layers`. `context` has the keys that
    IAM adds itself; the keys of CallerArn replace them, and context entries override both.
    `account` is the account of the caller.

    Raises `ServiceFault` for what IAM rejects, and InvalidInput for a member that the sandbox
    does not model: such a member is never ignored.
    """
    own = "OrderedOrganizationPolicyInputList" if custom else "PolicyExclusionList"
    inputs.reject_unknown(parameters, own)
    actions, resources = inputs.actions(parameters), inputs.resources(parameters)
    keys = inputs.caller_keys(parameters, account, context)
    layers = inputs.with_organization(parameters, inputs.with_policies(parameters, layers))
    filled = Context({**{key.lower(): v for key, v in keys.items()}, **inputs.entries(parameters)})
    start, end = inputs.page(parameters, len(actions))
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
    """Return the distinct condition keys in `policies`, including those of policy variables.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetContextKeysForPrincipalPolicy.html
    """
    keys: dict[str, str] = {}
    for policy in policies:
        for key in policy.context_keys():
            keys.setdefault(key.lower(), key)
    return list(keys.values())


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
        "EvalDecision": _top_level(action, names, decisions).value,
        # Recorded: these two are present even if empty, and a statement that allowed one ARN is
        # listed even if another ARN is denied.
        "MatchedStatements": _unique(s for d in decisions for s in _statements(d)),
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


def _top_level(action: str, names: list[str], decisions: list[Evaluation]) -> EvalDecision:
    """Return the decision above the entries: for several ARNs the worst or the best of them.

    Both were recorded, and it is not known when IAM reports which. A checksum of the request
    chooses, so that a client that reads the top level is wrong half of the time.
    """
    found = [word for word in _WORST if any(d.eval_decision is word for d in decisions)]
    best = zlib.crc32(" ".join((action, *names)).encode()) % 2
    return found[-1 if best else 0]


def _specific(name: str, decision: Evaluation) -> dict[str, Any]:
    """Return the entry for one ARN, without empty members."""
    lists = {
        "MatchedStatements": _statements(decision),
        "MissingContextValues": _missing(decision),
    }
    return {
        "EvalResourceName": name,
        "EvalResourceDecision": decision.eval_decision.value,
        **{member: values for member, values in lists.items() if values},
        **_layer_details(decision.allowed_by_permissions_boundary),
    }


def _layer_details(boundary: bool | None) -> dict[str, Any]:
    if boundary is None:
        return {}
    return {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": boundary}}


def _missing(decision: Evaluation) -> list[str]:
    """Return the missing keys and, as recorded, the present keys whose condition did not match.

    A denial by a service control policy has none.
    """
    if decision.allowed_by_organizations is False:
        return []
    keys = {key.lower(): key for key in decision.missing_context_values}
    if decision.eval_decision is EvalDecision.IMPLICIT_DENY:
        for layer in decision.layers:
            if layer.layer is not Layer.ORGANIZATIONS:
                for condition in (c for match in layer.statements for c in match.conditions):
                    if condition.values is not None and condition.outcome is not Outcome.MATCHED:
                        key = condition.condition.key
                        keys.setdefault(key.lower(), key)
    return list(keys.values())


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
    unique: list[dict[str, Any]] = []
    for statement in statements:
        if statement not in unique:
            unique.append(statement)
    return unique


def _all(values: Sequence[bool | None]) -> bool | None:
    return None if values[0] is None else all(values)


def _template(arn: str) -> str:
    parts = arn.split(":", 5)
    for service, beginning, rest in _TEMPLATES:
        if len(parts) == 6 and parts[2] == service and parts[5].startswith(beginning):
            return f"{parts[0]}:{parts[1]}:{service}:{rest}"
    return "*"
