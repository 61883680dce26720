"""The caller's own policies, enforced, with each service's error code and AWS's sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ssmgate.gate.decision.evaluation import EvalDecision
from ssmgate.policy_language import Context, Evaluation, Layer, Policies, Policy, Request, evaluate
from ssmgate.policy_language.resources import has_resource
from ssmgate.sandbox.faults import ServiceFault


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a request.

    `name` is the user's or role's, `arn` what AWS's sentences name, for a role its session.
    `session` has the session policies, None where there are none: they narrow what `layers`
    allow. `context` are the condition keys about the principal.
    """

    name: str
    arn: str
    user_id: str
    layers: Policies
    context: Mapping[str, str]
    session: tuple[Policy, ...] | None = None


# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
_LAYER_WORDS = {
    Layer.IDENTITY: "identity-based policy",
    Layer.BOUNDARY: "permissions boundary",
    Layer.ORGANIZATIONS: "service control policy",
    Layer.RESOURCE_TYPE: "identity-based policy",
}


def request_context(
    region: str, source_ip: str, now: datetime, *, secure_transport: bool
) -> dict[str, str]:
    """The condition keys of every request.

    `secure_transport` is what the request came over: the sandbox itself speaks plain HTTP.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    moment = now.astimezone(UTC)
    return {
        "aws:RequestedRegion": region,
        "aws:SourceIp": source_ip,
        "aws:SecureTransport": "true" if secure_transport else "false",
        "aws:ViaAWSService": "false",
        "aws:CurrentTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:EpochTime": str(int(moment.timestamp())),
    }


def authorize(caller: Caller, action: str, resource_arn: str, context: Mapping[str, str]) -> None:
    """Return if the caller's policies allow `action` on `resource_arn`.

    `context` is the request's and the resource's; the principal's is added.
    Raises `ServiceFault` with the service's code for a denial, whichever layer denies.
    """
    # Keys have no case: a tag that differs from another in nothing else is the same key.
    keys = {key.lower(): value for key, value in (*context.items(), *caller.context.items())}
    # An operation without resources is granted on `*`, whatever AWS's sentence names.
    resource = resource_arn if has_resource(action, resource_arn) else "*"
    asked = Request(action, resource, Context(keys))
    decision = evaluate(asked, caller.layers)
    if decision.eval_decision is not EvalDecision.ALLOWED:
        raise _denied(caller, action, resource_arn, decision, _LAYER_WORDS[decision.decided_by])
    if caller.session is not None:
        decision = evaluate(asked, Policies(caller.session))
        if decision.eval_decision is not EvalDecision.ALLOWED:
            raise _denied(caller, action, resource_arn, decision, "session policy")


def _denied(
    caller: Caller, action: str, resource_arn: str, decision: Evaluation, layer: str
) -> ServiceFault:
    if decision.eval_decision is EvalDecision.EXPLICIT_DENY:
        article = "an" if layer[0] in "aeiou" else "a"
        because = f"with an explicit deny in {article} {layer}"
    else:
        because = f"because no {layer} allows the {action} action"
    service = action.partition(":")[0]
    sentence = f"User: {caller.arn} is not authorized to perform: {action}"
    if service == "ec2":
        return ServiceFault(
            "UnauthorizedOperation",
            f"You are not authorized to perform this operation. {sentence} {because}",
            403,
        )
    code, status = ("AccessDenied", 403) if service == "iam" else ("AccessDeniedException", 400)
    return ServiceFault(code, f"{sentence} on resource: {resource_arn} {because}", status)


@dataclass(frozen=True, slots=True)
class Where:
    """What turns a request into a resource: its partition, region, account, and IAM's lookups.

    `arn_of` tells the stored ARN of a user, role or group by kind and name, path and all, and
    None where there is none. `caller_name` is the caller's own, for GetUser without a name.
    """

    partition: str
    region: str
    account: str
    caller_name: str
    arn_of: Callable[[str, str], str | None]
    document_arn: Callable[[str], str]


Members = Mapping[str, object]
Resource = Callable[[Members, Where], str]


def _entity(kind: str, member: str) -> Resource:
    def resource(members: Members, where: Where) -> str:
        name = str(members.get(member) or where.caller_name)
        path_less = f"arn:{where.partition}:iam::{where.account}:{kind}/{name}"
        return where.arn_of(kind, name) or path_less

    return resource


def _member(member: str) -> Resource:
    return lambda members, where: str(members.get(member) or "*")


def _any(members: Members, where: Where) -> str:
    return "*"


def _region(members: Members, where: Where) -> str:
    """How SSM names the resource of an operation that has none."""
    return f"arn:{where.partition}:ssm:{where.region}:{where.account}:*"


def _document(members: Members, where: Where) -> str:
    return where.document_arn(str(members.get("Name") or ""))


def _tagged(members: Members, where: Where) -> str:
    kind, name = members.get("ResourceType"), str(members.get("ResourceId") or "")
    if kind == "Document":
        return where.document_arn(name)
    if kind == "ManagedInstance":
        return f"arn:{where.partition}:ssm:{where.region}:{where.account}:managed-instance/{name}"
    return _region(members, where)


_USER, _ROLE, _GROUP = (_entity(k, f"{k.title()}Name") for k in ("user", "role", "group"))

RESOURCES: Mapping[str, Resource] = {
    # IAM may authorise simulation against the ARN sent or the stored one: which is unknown.
    # The sandbox takes the one sent, which is the stricter for a caller without iam:GetRole.
    "iam:SimulatePrincipalPolicy": _member("PolicySourceArn"),
    "iam:GetContextKeysForPrincipalPolicy": _member("PolicySourceArn"),
    "iam:SimulateCustomPolicy": _any,
    "iam:GetContextKeysForCustomPolicy": _any,
    "iam:GetUser": _USER,
    "iam:ListUserTags": _USER,
    "iam:ListUserPolicies": _USER,
    "iam:ListAttachedUserPolicies": _USER,
    "iam:ListGroupsForUser": _USER,
    "iam:GetUserPolicy": _USER,
    "iam:GetRole": _ROLE,
    "iam:ListRoleTags": _ROLE,
    "iam:ListRolePolicies": _ROLE,
    "iam:ListAttachedRolePolicies": _ROLE,
    "iam:GetRolePolicy": _ROLE,
    "iam:ListGroupPolicies": _GROUP,
    "iam:ListAttachedGroupPolicies": _GROUP,
    "iam:GetGroupPolicy": _GROUP,
    "iam:GetPolicy": _member("PolicyArn"),
    "iam:GetPolicyVersion": _member("PolicyArn"),
    "iam:ListPolicyVersions": _member("PolicyArn"),
    "iam:ListPolicyTags": _member("PolicyArn"),
    "ssm:GetDocument": _document,
    "ssm:DescribeDocument": _document,
    "ssm:ListDocuments": _region,
    "ssm:ListTagsForResource": _tagged,
    "ssm:DescribeInstanceInformation": _region,
    "ssm:DescribeSessions": _region,
    "ec2:DescribeInstances": _any,
    "ec2:DescribeTags": _any,
}
"""The operations that are restricted, with the resource each asks for.

StartSession and TerminateSession, which ask for several, are in `sessions`. Whatever is neither
here nor there is not restricted.
"""
