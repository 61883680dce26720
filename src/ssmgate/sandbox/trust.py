"""Decide by a role's trust policy who may assume the role.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics-cross-account.html
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ssmgate.gate.decision.arn import account_of
from ssmgate.policy_language import Context, Effect, Policy, PolicyError, parse_policy
from ssmgate.policy_language import Request as PolicyRequest
from ssmgate.policy_language.statements import match_statement
from ssmgate.sandbox.enforcement import Caller

Values = Mapping[str, str | Sequence[str]]


class Trust(enum.IntEnum):
    """How a trust policy grants an action to a caller, from the least to the most.

    `DELEGATED`: it names the caller's account, whose own policies have to allow the action too.
    `ROLE`: it names the caller's role, or everyone; in the same account, the caller's
    identity-based policies need not allow it. `PRINCIPAL`: it names the user or the session;
    neither need a permissions boundary or a session policy.
    """

    NONE = 0
    DELEGATED = 1
    ROLE = 2
    PRINCIPAL = 3


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """A trust policy. Each statement is a pair: its Principal, and a policy of its own."""

    statements: tuple[tuple[Mapping[str, Any], Policy], ...]


@lru_cache(maxsize=256)
def parse_trust(text: str) -> TrustPolicy:
    """Parse a trust policy. Raises `PolicyError` for everything that AWS's grammar forbids.

    NotPrincipal is not allowed. Whether the principals exist is not checked.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise PolicyError(f"invalid JSON: {error}") from error
    if not isinstance(document, dict) or "Statement" not in document:
        raise PolicyError("missing Statement")
    statements = document["Statement"]
    parsed = []
    for statement in statements if isinstance(statements, list) else [statements]:
        if not isinstance(statement, dict):
            raise PolicyError("a statement must be a JSON object", "Statement")
        rest = dict(statement)
        principal = rest.pop("Principal", None)
        principals = {"AWS": "*"} if principal == "*" else principal
        if not isinstance(principals, dict):
            raise PolicyError("a statement of a trust policy must have a Principal", "Principal")
        if "Resource" in rest or "NotResource" in rest:
            raise PolicyError("a trust policy must not have a Resource", "Resource")
        whole = {**document, "Statement": [{**rest, "Resource": "*"}]}
        parsed.append((principals, parse_policy(json.dumps(whole), "trust")))
    return TrustPolicy(tuple(parsed))


def decide(policy: TrustPolicy, caller: Caller, request: PolicyRequest) -> tuple[Trust, bool]:
    """Return how `policy` grants `request` to `caller`, and whether it denies it explicitly."""
    return _decide(policy, request, lambda principals: _trust(principals, caller))


def decide_federated(policy: TrustPolicy, provider: str, request: PolicyRequest) -> bool:
    """Return whether `policy` lets a user of the identity provider assume the role.

    `provider` is the host and path of an OpenID Connect provider.
    """

    def trust(principals: Mapping[str, Any]) -> Trust:
        names = _list(principals.get("Federated"))
        found = any(name in (provider, "*") or name.endswith(f"/{provider}") for name in names)
        return Trust.PRINCIPAL if found else Trust.NONE

    granted, denied = _decide(policy, request, trust)
    return granted is not Trust.NONE and not denied


def lifted(caller: Caller, trust: Trust) -> Caller:
    """Return `caller` with what a trust policy of its own account need not have allowed twice.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
    """
    if trust <= Trust.DELEGATED:
        return caller
    layers = replace(caller.layers, identity=(*caller.layers.identity, _EVERYTHING))
    if trust is Trust.ROLE:
        return replace(caller, layers=layers)
    if (boundary := layers.boundary) is not None:
        statements = (*boundary.statements, *_EVERYTHING.statements)
        layers = replace(layers, boundary=replace(boundary, statements=statements))
    session = None if caller.session is None else (*caller.session, _EVERYTHING)
    return replace(caller, layers=layers, session=session)


_EVERYTHING = parse_policy(
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
)


def _decide(
    policy: TrustPolicy, request: PolicyRequest, trust_of: Callable[[Mapping[str, Any]], Trust]
) -> tuple[Trust, bool]:
    granted, denied = Trust.NONE, False
    for principals, rest in policy.statements:
        trust = trust_of(principals)
        (statement,) = rest.statements
        if trust is Trust.NONE or not match_statement(rest, statement, request).applies:
            continue
        if statement.effect is Effect.DENY:
            denied = True
        else:
            granted = max(granted, trust)
    return granted, denied


def _trust(principals: Mapping[str, Any], caller: Caller) -> Trust:
    return max((_one(name, caller) for name in _list(principals.get("AWS"))), default=Trust.NONE)


def _one(name: str, caller: Caller) -> Trust:
    if name == "*":
        return Trust.ROLE
    account = account_of(caller.arn)
    if name == account or (name.endswith(":root") and account_of(name) == account):
        return Trust.DELEGATED
    if name == caller.arn:
        return Trust.PRINCIPAL
    return Trust.ROLE if name == caller.context.get("aws:PrincipalArn") else Trust.NONE


def _list(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(item) for item in values if item is not None]


def request_for(action: str, role_arn: str, context: Values) -> PolicyRequest:
    """Return the request for `action` on a role, with `context` by AWS's key names."""
    return PolicyRequest(
        action, role_arn, Context({key.lower(): value for key, value in context.items()})
    )
