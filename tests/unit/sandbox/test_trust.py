"""Who may assume a role: the trust policy, for each form of principal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ssmgate.policy_language import Policies, Policy, PolicyError, Version, parse_policy
from ssmgate.sandbox.enforcement import Caller, authorize
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.trust import Trust, decide, decide_federated, lifted, parse_trust, request_for

ACCOUNT, OTHER = "111122223333", "444455556666"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/a/Ops"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/s"
TARGET = f"arn:aws:iam::{ACCOUNT}:role/Target"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"

USER = Caller("alice", ALICE, "AIDA", Policies(), {"aws:PrincipalArn": ALICE})
IN_ROLE = Caller("Ops", SESSION, "AROA:s", Policies(), {"aws:PrincipalArn": ROLE})


def trust(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(principal: Any, action: Any = "sts:AssumeRole", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": action, **more}


def asked(caller: Caller, *statements: dict[str, Any], **keys: str) -> tuple[Trust, bool]:
    context = {name.replace("_", ":"): value for name, value in keys.items()}
    request = request_for("sts:AssumeRole", TARGET, context)
    return decide(parse_trust(trust(*statements)), caller, request)


@pytest.mark.parametrize(
    ("principal", "user", "session"),
    [
        ({"AWS": ROOT}, Trust.DELEGATED, Trust.DELEGATED),
        ({"AWS": ACCOUNT}, Trust.DELEGATED, Trust.DELEGATED),
        ({"AWS": ALICE}, Trust.PRINCIPAL, Trust.NONE),
        ({"AWS": ROLE}, Trust.NONE, Trust.ROLE),
        ({"AWS": SESSION}, Trust.NONE, Trust.PRINCIPAL),
        ({"AWS": [f"arn:aws:iam::{OTHER}:root", ALICE]}, Trust.PRINCIPAL, Trust.NONE),
        ("*", Trust.ROLE, Trust.ROLE),
        ({"AWS": OTHER}, Trust.NONE, Trust.NONE),
        ({"Service": "ec2.amazonaws.com"}, Trust.NONE, Trust.NONE),
        # The path is a part of the ARN.
        ({"AWS": ROLE.replace("/a/", "/")}, Trust.NONE, Trust.NONE),
    ],
)
def test_trust_depends_on_principal(principal: Any, user: Trust, session: Trust) -> None:
    assert asked(USER, allow(principal)) == (user, False)
    assert asked(IN_ROLE, allow(principal)) == (session, False)


def test_each_action_needs_its_own_permission() -> None:
    assert asked(USER, allow({"AWS": ALICE}, "sts:TagSession")) == (Trust.NONE, False)
    assert asked(USER, allow({"AWS": ALICE}, ["sts:TagSession", "sts:AssumeRole"]))[0]


def test_conditions_apply() -> None:
    condition = {"StringEquals": {"sts:ExternalId": "secret"}}
    statement = allow({"AWS": ROOT}, Condition=condition)
    assert asked(USER, statement) == (Trust.NONE, False)
    assert asked(USER, statement, sts_ExternalId="secret") == (Trust.DELEGATED, False)


def test_explicit_deny_is_reported() -> None:
    assert asked(USER, allow("*"), {**allow({"AWS": ALICE}), "Effect": "Deny"})[1]
    assert not asked(IN_ROLE, allow("*"), {**allow({"AWS": ALICE}), "Effect": "Deny"})[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "invalid JSON"),
        ("{}", "missing Statement"),
        (trust({"Effect": "Allow", "Action": "sts:AssumeRole"}), "must have a Principal"),
        (trust({**allow("*"), "Resource": "*"}), "must not have a Resource"),
        (trust({**allow("*"), "Effect": "Maybe"}), "Maybe"),
    ],
)
def test_rejects_malformed_trust_policies(text: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        parse_trust(text)


def test_trusts_users_of_identity_provider() -> None:
    provider = "oidc.example.com/id/A"
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}"
    action = "sts:AssumeRoleWithWebIdentity"
    condition = {"StringEquals": {f"{provider}:sub": "pod"}}
    policy = parse_trust(trust(allow({"Federated": arn}, action, Condition=condition)))

    def answer(issuer: str, subject: str) -> bool:
        request = request_for(action, TARGET, {f"{issuer}:sub": subject})
        return decide_federated(policy, issuer, request)

    assert answer(provider, "pod")
    assert not answer(provider, "other")
    assert not answer("oidc.example.com/id/B", "pod")


NOBODY = Policy(Version.V2012, ())
DENY = parse_policy(trust({"Effect": "Deny", "Action": "*", "Resource": "*"}))


@pytest.mark.parametrize(
    ("layers", "session", "granted", "layer"),
    [
        pytest.param(Policies(), None, Trust.DELEGATED, "no identity-based policy", id="account"),
        pytest.param(Policies(), None, Trust.ROLE, None, id="role"),
        pytest.param(
            Policies((), NOBODY), None, Trust.ROLE, "no permissions boundary", id="role, boundary"
        ),
        pytest.param(
            Policies(), (NOBODY,), Trust.ROLE, "no session policy", id="role, session policy"
        ),
        pytest.param(Policies((), NOBODY), (NOBODY,), Trust.PRINCIPAL, None, id="principal"),
        pytest.param(
            Policies((DENY,)), None, Trust.PRINCIPAL, "explicit deny in an identity-based policy",
            id="explicit deny",
        ),
        pytest.param(
            Policies((), DENY), None, Trust.PRINCIPAL, "explicit deny in a permissions boundary",
            id="explicit deny of boundary",
        ),
        pytest.param(
            Policies((), None, ((NOBODY,),)), None, Trust.PRINCIPAL, "no service control policy",
            id="service control policy",
        ),
    ],
)  # fmt: skip
def test_trust_replaces_allows_of_some_layers(
    layers: Policies, session: Any, granted: Trust, layer: str | None
) -> None:
    """Only within one account: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html"""
    caller = lifted(Caller("alice", ALICE, "AIDA", layers, {}, session), granted)
    if layer is None:
        authorize(caller, "sts:AssumeRole", TARGET, {})
        return
    with pytest.raises(ServiceFault, match=layer):
        authorize(caller, "sts:AssumeRole", TARGET, {})
