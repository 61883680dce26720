"""Look up IAM principals, by ARN and by access key, in moto's state."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from ssmgate.gate.decision.arn import account_of
from ssmgate.policy_language import Policies, Policy
from ssmgate.sandbox.attached import (
    Attachment,
    layers_of,
    managed_policy,
    organization_keys,
    read_policy,
)
from ssmgate.sandbox.enforcement import Caller, Values
from ssmgate.sandbox.faults import InvalidKey, ServiceFault
from ssmgate.sandbox.grants import Grant, Kind, merged_tags
from ssmgate.sandbox.inputs import entity, keys_of


@dataclass(frozen=True, slots=True)
class Principal:
    """A principal that iam:SimulatePrincipalPolicy can simulate.

    `context` has the keys that IAM derives from the ARN in the request.
    """

    arn: str
    layers: Policies
    context: Values


def source_of(
    policy_source_arn: str,
    account: str,
    partition: str = "aws",
    excluded: Callable[[Attachment], bool] = lambda _: False,
) -> Principal:
    """Return the user, group or role with the name in `policy_source_arn`; its path is ignored.

    Policies for which `excluded` returns true are left out.

    Raises `ServiceFault`: InvalidInput for any other ARN (including assumed-role and root) or
    another account, NoSuchEntity if there is no such principal, and ServiceFailure for an
    attached policy that cannot be parsed.
    """
    kind, name = entity(policy_source_arn)
    owner = account_of(policy_source_arn)
    if owner != account:
        raise ServiceFault(
            "InvalidInput",
            f"Invalid Policy Source Arn: caller's account {account} does not have access to"
            f" policies in account {owner}.",
        )
    backend = iam_backends[account][partition]
    found = {"user": backend.users, "group": backend.groups}.get(kind, {}).get(name)
    if kind == "role":
        found = role_named(backend, name)
    if found is None:
        raise ServiceFault("NoSuchEntity", "Unable to retrieve specified IAM entity.", 404)
    context = {**keys_of(policy_source_arn), **organization_keys(account, partition)}
    return Principal(policy_source_arn, layers_of(backend, kind, found, excluded), context)


def caller_of(access_key: str, account: str, partition: str = "aws") -> Caller | None:
    """Return the principal that signs with `access_key`; None for a key the sandbox never issued.

    Signatures and the expiry of sessions are not verified. Raises `InvalidKey` for a key of the
    account that is deleted, inactive, or whose user or role was deleted, and `ServiceFault`
    ServiceFailure for an attached policy that cannot be parsed.
    """
    backend = iam_backends[account][partition]
    assumed = sts_backends[account][partition].get_assumed_role_from_access_key(access_key)
    if assumed is not None:
        return _assumed(backend, assumed)
    key = backend.access_keys.get(access_key)
    user = backend.get_user_from_access_key_id(access_key)
    if getattr(key, "status", "Active") != "Active":
        raise InvalidKey
    if user is None and getattr(key, "user_name", None) is not None:
        user = backend.users.get(key.user_name)
    grant: Grant | None = getattr(key, "sandbox_grant", None)
    if user is not None:
        return _user(backend, user, grant)
    if grant is not None and key.user_name is None:
        # The owner has asked for them: a session is the owner as well, a federated user is not.
        return _federated_owner(backend, grant) if grant.kind is Kind.FEDERATION else None
    # A deleted key must not have the owner's permissions.
    if account_of_key(access_key) == account:
        raise InvalidKey
    return None


def account_of_key(access_key: str) -> str | None:
    """Return the account that moto has encoded in an access key ID, None for any other text.

    Whether the account and the key exist is not checked.
    """
    if len(access_key) != 20 or not access_key.startswith(("AKIA", "ASIA")):
        return None
    try:
        number = int.from_bytes(base64.b32decode(access_key[4:12]))
    except ValueError:
        return None
    # moto's encoding, generate_access_key_id_from_account_id: half of the number from an offset,
    # and its last bit in the half of the alphabet that the next letter is from.
    account = (number - 0x8000000000) * 2 + (access_key[12] in "QRSTUVWXYZ234567")
    return f"{account:012}" if 0 <= account < 10**12 else None


def _user(backend: Any, user: Any, grant: Grant | None) -> Caller:
    """Return a user, or the session of a user or a federated user that `grant` describes."""
    tags = {tag["Key"]: tag["Value"] for tag in user.tags or ()}
    layers = layers_of(backend, "user", user)
    if grant is not None and grant.kind is Kind.FEDERATION:
        return _federated(backend, user.name, layers, tags, grant)
    return Caller(
        name=user.name,
        arn=user.arn,
        user_id=user.id,
        layers=layers,
        context={
            "aws:PrincipalArn": user.arn,
            "aws:PrincipalAccount": backend.account_id,
            "aws:PrincipalType": "User",
            "aws:userid": user.id,
            "aws:username": user.name,
            **organization_keys(backend.account_id, backend.partition),
            **merged_tags(tags, {}),
            # aws:MultiFactorAuthPresent is absent with a user's own access key.
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
            **({} if grant is None else grant.context()),
        },
        grant=grant,
    )


def _federated_owner(backend: Any, grant: Grant) -> Caller:
    """Return the federated session that the owner of the sandbox, the root user, has asked for."""
    everything = read_policy(
        '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*",'
        ' "Resource": "*"}}',
        "root",
    )
    return _federated(backend, "owner", Policies((everything,)), {}, grant)


def _federated(
    backend: Any, name: str, layers: Policies, tags: Mapping[str, str], grant: Grant
) -> Caller:
    """Return a federated user: what the user and the session policies allow.

    Without session policies it may do nothing.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_getfederationtoken.html
    """
    account = backend.account_id
    arn = f"arn:{backend.partition}:sts::{account}:federated-user/{grant.name}"
    return Caller(
        name=f"{name}/{grant.name}",
        arn=arn,
        user_id=f"{account}:{grant.name}",
        layers=layers,
        session=_session_policies(backend, grant) or (),
        context={
            "aws:PrincipalArn": arn,
            "aws:PrincipalAccount": account,
            "aws:PrincipalType": "FederatedUser",
            "aws:userid": f"{account}:{grant.name}",
            **organization_keys(account, backend.partition),
            **merged_tags(tags, grant.tags),
            **grant.context(),
        },
        grant=grant,
    )


def _assumed(backend: Any, assumed: Any) -> Caller:
    role = role_named(backend, assumed.role_arn.rpartition("/")[2])
    if role is None:
        raise InvalidKey
    grant: Grant = assumed.sandbox_grant
    tags = {tag["Key"]: tag["Value"] for tag in role.tags or ()}
    return Caller(
        name=role.name,
        arn=assumed.arn,
        user_id=assumed.user_id,
        layers=layers_of(backend, "role", role),
        session=_session_policies(backend, grant),
        context={
            "aws:PrincipalArn": role.arn,
            "aws:PrincipalAccount": backend.account_id,
            "aws:PrincipalType": "AssumedRole",
            "aws:userid": assumed.user_id,
            **organization_keys(backend.account_id, backend.partition),
            **merged_tags(tags, grant.tags),
            **grant.context(),
        },
        grant=grant,
    )


def _session_policies(backend: Any, grant: Grant) -> tuple[Policy, ...] | None:
    """Return the session policies, None if there are none.

    Managed ones are read at each request; one that was deleted allows nothing.
    """
    managed = [managed_policy(backend, arn) for arn in grant.policy_arns]
    inline = [] if grant.inline is None else [grant.inline]
    return tuple(inline + managed) or None


def role_named(backend: Any, name: str) -> Any:
    """Return moto's role `name`, None if there is none."""
    return next((role for role in backend.roles.values() if role.name == name), None)
