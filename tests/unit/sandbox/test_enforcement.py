"""Which caller is denied which operation, and with which message."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ssmgate.policy_language import Policies, Policy, Version, parse_policy
from ssmgate.sandbox.enforcement import (
    RESOURCES,
    Caller,
    RequestScope,
    authorize,
    check_credentials,
    request_context,
)
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.grants import Grant, Kind

ALICE = "arn:aws:iam::111122223333:user/alice"
ROLE = "arn:aws:iam::111122223333:role/bastion/Ops"


def policies(effect: str, **more: Any) -> tuple[Policy, ...]:
    statement = {"Effect": effect, "Action": "*", "Resource": "*", **more}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return (parse_policy(text, "p"),)


ALLOWING, DENYING = policies("Allow"), policies("Deny")


NOTHING = Policy(Version.V2012, ())
DOCUMENT = "arn:aws:ssm:us-east-1:111122223333:document/Dev-Shell"


def caller(layers: Policies, session: tuple[Policy, ...] | None = None) -> Caller:
    return Caller("alice", ALICE, "AIDA", layers, {"aws:username": "alice"}, session)


@pytest.mark.parametrize(
    ("action", "layers", "session", "code", "status", "message"),
    [
        pytest.param(
            "iam:GetRole", Policies(()), None, "AccessDenied", 403,
            f"User: {ALICE} is not authorized to perform: iam:GetRole on resource: {ROLE}"
            " because no identity-based policy allows the iam:GetRole action",
            id="iam, nothing allows",
        ),
        pytest.param(
            "ssm:GetDocument", Policies(DENYING), None, "AccessDeniedException", 400,
            f"User: {ALICE} is not authorized to perform: ssm:GetDocument on resource: {DOCUMENT}"
            " with an explicit deny in an identity-based policy",
            id="ssm, explicit deny",
        ),
        pytest.param(
            "ec2:DescribeTags", Policies(()), None, "UnauthorizedOperation", 403,
            f"You are not authorized to perform this operation. User: {ALICE} is not authorized"
            " to perform: ec2:DescribeTags because no identity-based policy allows the"
            " ec2:DescribeTags action",
            id="ec2",
        ),
        pytest.param(
            "iam:GetRole", Policies(ALLOWING, boundary=NOTHING), None, "AccessDenied", 403,
            f"User: {ALICE} is not authorized to perform: iam:GetRole on resource: {ROLE}"
            " because no permissions boundary allows the iam:GetRole action",
            id="boundary",
        ),
        pytest.param(
            "iam:GetRole", Policies(ALLOWING, service_control=(DENYING,)), None,
            "AccessDenied", 403,
            f"User: {ALICE} is not authorized to perform: iam:GetRole on resource: {ROLE}"
            " with an explicit deny in a service control policy",
            id="service control policy",
        ),
        pytest.param(
            "iam:GetRole", Policies(ALLOWING), (), "AccessDenied", 403,
            f"User: {ALICE} is not authorized to perform: iam:GetRole on resource: {ROLE}"
            " because no session policy allows the iam:GetRole action",
            id="session policy",
        ),
        pytest.param(
            "iam:GetRole", Policies(()), DENYING, "AccessDenied", 403,
            f"User: {ALICE} is not authorized to perform: iam:GetRole on resource: {ROLE}"
            " with an explicit deny in a session policy",
            id="explicit deny of session policy",
        ),
    ],
)  # fmt: skip
def test_denial_names_layer(
    action: str, layers: Policies, session: Any, code: str, status: int, message: str
) -> None:
    with pytest.raises(ServiceFault, match="not authorized") as raised:
        authorize(
            caller(layers, session), action, DOCUMENT if action.startswith("ssm:") else ROLE, {}
        )
    fault = raised.value
    assert (fault.code, fault.status, fault.message) == (code, status, message)


def test_allows_if_each_layer_allows() -> None:
    everything = caller(Policies(ALLOWING, ALLOWING[0], (ALLOWING, ALLOWING)), ALLOWING)
    nothing = caller(Policies(()))

    assert authorize(everything, "iam:GetRole", ROLE, {}) is None
    with pytest.raises(ServiceFault, match="no identity-based policy"):
        authorize(nothing, "iam:GetRole", ROLE, {})


@pytest.mark.parametrize(
    ("kind", "mfa", "service", "operation", "code"),
    [
        (Kind.FEDERATION, False, "iam", "SimulatePrincipalPolicy", "InvalidClientTokenId"),
        (Kind.USER, False, "iam", "SimulatePrincipalPolicy", "InvalidClientTokenId"),
        (Kind.USER, True, "iam", "SimulatePrincipalPolicy", None),
        (Kind.ROLE, False, "iam", "SimulatePrincipalPolicy", None),
        (Kind.FEDERATION, False, "sts", "GetCallerIdentity", None),
        (Kind.FEDERATION, False, "sts", "AssumeRole", "AccessDenied"),
        (Kind.USER, False, "sts", "AssumeRole", None),
        (Kind.USER, True, "sts", "GetFederationToken", "AccessDenied"),
        (Kind.ROLE, False, "sts", "AssumeRole", None),
        (Kind.ROLE, False, "sts", "GetSessionToken", "AccessDenied"),
        (Kind.FEDERATION, False, "ssm", "StartSession", None),
    ],
)
def test_temporary_credentials_cannot_call_some_operations(
    kind: Kind, mfa: bool, service: str, operation: str, code: str | None
) -> None:
    who = replace(caller(Policies(ALLOWING)), grant=Grant(kind, mfa=mfa))
    if code is None:
        check_credentials(who, service, operation)
        return
    with pytest.raises(ServiceFault) as raised:
        check_credentials(who, service, operation)
    assert raised.value.code == code


def test_request_cannot_set_keys_of_principal() -> None:
    layers = Policies(policies("Allow", Condition={"StringEquals": {"aws:username": "bob"}}))
    with pytest.raises(ServiceFault, match="no identity-based policy"):
        authorize(caller(layers), "iam:GetRole", ROLE, {"aws:username": "bob"})


@pytest.mark.parametrize(("secure", "word"), [(False, "false"), (True, "true")])
def test_sets_keys_of_request(secure: bool, word: str) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert request_context("eu-west-1", "127.0.0.1", now, secure_transport=secure) == {
        "aws:RequestedRegion": "eu-west-1",
        "aws:SourceIp": "127.0.0.1",
        "aws:SecureTransport": word,
        "aws:ViaAWSService": "false",
        "aws:CurrentTime": "2026-01-02T03:04:05Z",
        "aws:EpochTime": "1767323045",
    }


WHERE = RequestScope(
    "aws",
    "us-east-1",
    "111122223333",
    "alice",
    arn_of=lambda kind, name: ROLE if (kind, name) == ("role", "Ops") else None,
    document_arn=lambda name: f"document {name}",
)


@pytest.mark.parametrize(
    ("action", "members", "resource"),
    [
        ("iam:GetRole", {"RoleName": "Ops"}, ROLE),
        ("iam:GetRole", {"RoleName": "None"}, "arn:aws:iam::111122223333:role/None"),
        ("iam:GetUser", {}, ALICE),
        ("iam:ListUserTags", {"UserName": "bob"}, "arn:aws:iam::111122223333:user/bob"),
        ("iam:GetPolicy", {"PolicyArn": "arn:p"}, "arn:p"),
        ("iam:SimulatePrincipalPolicy", {"PolicySourceArn": "arn:as-sent"}, "arn:as-sent"),
        ("iam:SimulateCustomPolicy", {}, "*"),
        ("ssm:GetDocument", {"Name": "X"}, "document X"),
        ("ssm:ListTagsForResource", {"ResourceType": "Document", "ResourceId": "X"}, "document X"),
        ("ssm:ListDocuments", {}, "arn:aws:ssm:us-east-1:111122223333:*"),
        ("ec2:DescribeInstances", {}, "*"),
    ],
)
def test_each_operation_has_its_resource(
    action: str, members: dict[str, object], resource: str
) -> None:
    assert RESOURCES[action](members, WHERE) == resource
