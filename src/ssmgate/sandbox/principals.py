"""Look up IAM principals and their policies in moto's state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from moto.iam.models import iam_backends
from moto.iam.utils import generate_access_key_id_from_account_id
from moto.organizations.models import organizations_backends
from moto.sts.models import sts_backends

from ssmgate.gate.decision.arn import account_of
from ssmgate.policy_language import Policies, Policy, PolicyError, Version, parse_policy
from ssmgate.sandbox.enforcement import Caller
from ssmgate.sandbox.faults import InvalidKey, ServiceFault
from ssmgate.sandbox.inputs import entity, keys_of


@dataclass(frozen=True, slots=True)
class Principal:
    """A principal that iam:SimulatePrincipalPolicy can simulate.

    `context` has the keys that IAM derives from the ARN in the request.
    """

    arn: str
    layers: Policies
    context: Mapping[str, str]


def source_of(policy_source_arn: str, account: str, partition: str = "aws") -> Principal:
    """Return the user, group or role with the name in `policy_source_arn`; its path is ignored.

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
        found = _role(backend, name)
    if found is None:
        raise ServiceFault("NoSuchEntity", "Unable to retrieve specified IAM entity.", 404)
    layers = _layers(backend, kind, found, account)
    return Principal(policy_source_arn, layers, keys_of(policy_source_arn))


def caller_of(access_key: str, account: str, partition: str = "aws") -> Caller | None:
    """Return the principal that signs with `access_key`; None for a key the sandbox never issued.

    Signatures are not verified. Raises `InvalidKey` for a key of the account that is deleted,
    inactive, or whose user or role was deleted, and `ServiceFault` ServiceFailure for an attached
    policy that cannot be parsed.
    """
    backend = iam_backends[account][partition]
    assumed = sts_backends[account][partition].get_assumed_role_from_access_key(access_key)
    if assumed is not None:
        return _assumed(backend, assumed, account)
    session = backend.access_keys.get(access_key)
    user = backend.get_user_from_access_key_id(access_key)
    if getattr(session, "status", "Active") != "Active":
        raise InvalidKey
    if user is None and getattr(session, "user_name", None) is not None:
        user = backend.users.get(session.user_name)
    if user is None:
        # A deleted key must not have the owner's permissions.
        if access_key.startswith(_key_prefixes(account)):
            raise InvalidKey
        return None
    # aws:MultiFactorAuthPresent is absent with a user's access key, present with temporary ones.
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    mfa = getattr(session, "mfa_authenticated", None)
    return Caller(
        name=user.name,
        arn=user.arn,
        user_id=user.id,
        layers=_layers(backend, "user", user, account),
        context={
            "aws:PrincipalArn": user.arn,
            "aws:PrincipalAccount": account,
            "aws:PrincipalType": "User",
            "aws:userid": user.id,
            "aws:username": user.name,
            **_tags(user.tags or ()),
            **({} if mfa is None else {"aws:MultiFactorAuthPresent": _word(mfa)}),
        },
    )


def _assumed(backend: Any, assumed: Any, account: str) -> Caller:
    role = _role(backend, assumed.role_arn.rpartition("/")[2])
    if role is None:
        raise InvalidKey
    session = (_read(assumed.policy, "session"),) if assumed.policy else None
    return Caller(
        name=role.name,
        arn=assumed.arn,
        user_id=assumed.user_id,
        layers=_layers(backend, "role", role, account),
        session=session,
        context={
            "aws:PrincipalArn": role.arn,
            "aws:PrincipalAccount": account,
            "aws:PrincipalType": "AssumedRole",
            "aws:userid": assumed.user_id,
            "aws:MultiFactorAuthPresent": _word(getattr(assumed, "mfa_authenticated", False)),
            **_tags(role.tags or ()),
        },
    )


@lru_cache(maxsize=16)
def _key_prefixes(account: str) -> tuple[str, ...]:
    """Return how the account's access keys begin: the account is encoded after the prefix."""
    return tuple(
        generate_access_key_id_from_account_id(account, prefix)[:12] for prefix in ("AKIA", "ASIA")
    )


def _role(backend: Any, name: str) -> Any:
    return next((role for role in backend.roles.values() if role.name == name), None)


def _layers(backend: Any, kind: str, entity: Any, account: str) -> Policies:
    identity = [*_attached(kind, entity)]
    if kind == "user":
        for group in backend.groups.values():
            if any(member.name == entity.name for member in group.users):
                identity += _attached("group", group)
    boundary_arn = getattr(entity, "permissions_boundary_arn", None)
    boundary: Policy | None = None
    if boundary_arn:
        managed = backend.managed_policies.get(boundary_arn)
        # A boundary whose policy was deleted allows nothing.
        boundary = Policy(Version.V2012, ()) if managed is None else _managed(managed)
    return Policies(tuple(identity), boundary, _organizations(account, backend.partition))


def _attached(kind: str, entity: Any) -> Iterable[Policy]:
    for name, text in entity.policies.items():
        yield _read(text, f"{kind}_{entity.name}_{name}")
    for managed in entity.managed_policies.values():
        yield _managed(managed)


def _managed(policy: Any) -> Policy:
    version = next(v for v in policy.versions if v.version_id == policy.default_version_id)
    return _read(version.document, policy.name)


def _organizations(account: str, partition: str) -> tuple[tuple[Policy, ...], ...]:
    """Return the service control policies of each level, from the root to the account.

    The sandbox's only account is treated as a member account, although SCPs do not restrict a
    management account in AWS.
    """
    backend = organizations_backends[account][partition]
    if backend.org is None:
        return ()
    level: Any = next((item for item in backend.accounts if item.id == account), None)
    levels: list[tuple[Policy, ...]] = []
    while level is not None:
        levels.append(
            tuple(
                _read(policy.content, policy.name)
                for policy in level.attached_policies
                if policy.type == "SERVICE_CONTROL_POLICY"
            )
        )
        parent = getattr(level, "parent_id", None)
        level = next((unit for unit in backend.ou if unit.id == parent), None) if parent else None
    return tuple(reversed(levels))


def _read(text: str, source_policy_id: str) -> Policy:
    try:
        return _parsed(text, source_policy_id)
    except PolicyError as error:
        raise ServiceFault(
            "ServiceFailure", f"The sandbox cannot read policy {source_policy_id}: {error}", 500
        ) from error


@lru_cache(maxsize=1024)
def _parsed(text: str, source_policy_id: str) -> Policy:
    return parse_policy(text, source_policy_id)


def _tags(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {f"aws:PrincipalTag/{tag['Key']}": tag["Value"] for tag in tags}


def _word(flag: bool) -> str:
    return "true" if flag else "false"
