"""Enforce the caller's policies, with each service's error code and AWS's message."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ssmgate.gate.decision.evaluation import EvalDecision
from ssmgate.policy_language import Context, Evaluation, Layer, Policies, Policy, Request, evaluate
from ssmgate.policy_language.resources import has_resource
from ssmgate.sandbox.faults import InvalidKey, ServiceFault
from ssmgate.sandbox.grants import Grant, Kind

Values = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Caller:
    """The principal that signed a request.

    `name` is the name of the user or role. `arn` is the ARN in AWS's messages, for a role that
    of its session. `session` are the session policies, which restrict what `layers` allow; None
    if there are none. `context` are the condition keys about the principal. `grant` is what
    temporary credentials carry, None for a user's own access key.
    """

    name: str
    arn: str
    user_id: str
    layers: Policies
    context: Values
    session: tuple[Policy, ...] | None = None
    grant: Grant | None = None


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
    """Return the condition keys that every request has.

    `secure_transport` is whether the request used TLS; the sandbox itself serves plain HTTP.
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


def authorize(caller: Caller, action: str, resource_arn: str, context: Values) -> None:
    """Raise unless the caller's policies allow `action` on `resource_arn`.

    `context` has the keys of the request and the resource; those of the principal are added.
    Raises `ServiceFault` with the service's code for a denial in any layer.
    """
    # Keys are case-insensitive: tags that differ only in case are the same key.
    keys = {key.lower(): value for key, value in (*context.items(), *caller.context.items())}
    # An operation without resources is granted on `*`, whatever resource AWS's message names.
    resource = resource_arn if has_resource(action, resource_arn) else "*"
    request = Request(action, resource, Context(keys))
    decision = evaluate(request, caller.layers)
    decisions = [(decision, _LAYER_WORDS[decision.decided_by])]
    if caller.session is not None:
        decisions.append((evaluate(request, Policies(caller.session)), "session policy"))
    # An explicit deny in any layer comes before an implicit one.
    for refusal in (EvalDecision.EXPLICIT_DENY, EvalDecision.IMPLICIT_DENY):
        for decision, layer in decisions:
            if decision.eval_decision is refusal:
                raise _denied(caller, action, resource_arn, decision, layer)


def check_credentials(caller: Caller, service: str, operation: str) -> None:
    """Raise for an operation that the caller's kind of temporary credentials cannot call.

    Sessions of GetFederationToken, and those of GetSessionToken without MFA, cannot call IAM.
    They can call few operations of STS.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_sts-comparison.html

    Raises `ServiceFault` with the service's code. The message for AssumeRole is an assumption.
    """
    grant = caller.grant
    if grant is None or service not in ("iam", "sts"):
        return
    if service == "iam":
        if grant.kind is Kind.FEDERATION or (grant.kind is Kind.USER and not grant.mfa):
            raise InvalidKey
        return
    allowed = {"GetCallerIdentity"}
    if grant.kind is Kind.USER:
        allowed.add("AssumeRole")
    refused = {"GetFederationToken", "GetSessionToken"}
    if operation not in allowed if grant.kind is not Kind.ROLE else operation in refused:
        raise ServiceFault("AccessDenied", f"Cannot call {operation} with session credentials", 403)


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
    query = service in ("iam", "sts")
    code, status = ("AccessDenied", 403) if query else ("AccessDeniedException", 400)
    return ServiceFault(code, f"{sentence} on resource: {resource_arn} {because}", status)


@dataclass(frozen=True, slots=True)
class RequestScope:
    """The data to build the ARN of a request's resource: partition, region, account, lookups.

    `arn_of` returns the stored ARN, with its path, of a user, role or group by kind and name, or
    None. `caller_name` is the name of the caller, for GetUser without a name.
    """

    partition: str
    region: str
    account: str
    caller_name: str
    arn_of: Callable[[str, str], str | None]
    document_arn: Callable[[str], str]


Members = Mapping[str, object]
Resource = Callable[[Members, RequestScope], str]


def _entity(kind: str, member: str) -> Resource:
    def resource(members: Members, scope: RequestScope) -> str:
        name = str(members.get(member) or scope.caller_name)
        path_less = f"arn:{scope.partition}:iam::{scope.account}:{kind}/{name}"
        return scope.arn_of(kind, name) or path_less

    return resource


def _member(member: str) -> Resource:
    return lambda members, scope: str(members.get(member) or "*")


def _any(members: Members, scope: RequestScope) -> str:
    return "*"


def _region(members: Members, scope: RequestScope) -> str:
    """Return the resource that SSM names for an operation without resources."""
    return f"arn:{scope.partition}:ssm:{scope.region}:{scope.account}:*"


def _document(members: Members, scope: RequestScope) -> str:
    return scope.document_arn(str(members.get("Name") or ""))


def _tagged(members: Members, scope: RequestScope) -> str:
    kind, name = members.get("ResourceType"), str(members.get("ResourceId") or "")
    if kind == "Document":
        return scope.document_arn(name)
    if kind == "ManagedInstance":
        return f"arn:{scope.partition}:ssm:{scope.region}:{scope.account}:managed-instance/{name}"
    return _region(members, scope)


_USER, _ROLE, _GROUP = (_entity(k, f"{k.title()}Name") for k in ("user", "role", "group"))

RESOURCES: Mapping[str, Resource] = {
    # It is unknown whether IAM authorizes a simulation for the ARN sent or for the stored ARN.
    # The sandbox uses the ARN sent, which is stricter for a caller without iam:GetRole.
    "iam:SimulatePrincipalPolicy": _member("PolicySourceArn"),
    "iam:GetContextKeysForPrincipalPolicy": _member("PolicySourceArn"),
    "iam:SimulateCustomPolicy": _any,
    "iam:GetContextKeysForCustomPolicy": _any,
    "iam:GetAccountAuthorizationDetails": _any,
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
    "organizations:DescribeOrganization": _any,
    "organizations:ListAccounts": _any,
    "organizations:ListRoots": _any,
}
"""The operations that are authorized, with the resource of each.

StartSession and TerminateSession, which have several resources, are in `sessions`, those that
issue credentials in `operations.sts`. All other operations are not restricted.
"""
