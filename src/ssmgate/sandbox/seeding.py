"""Create what a seed describes in moto's state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from moto.ec2.models import ec2_backends, instances
from moto.iam.exceptions import MalformedPolicyDocument
from moto.iam.models import iam_backends
from moto.ssm.models import ssm_backends
from moto.sts.models import sts_backends

from ssmgate.policy_language import parse_policy
from ssmgate.sandbox import organization
from ssmgate.sandbox.grants import Grant, Kind
from ssmgate.sandbox.seed import Account, Node, Principal, Seed
from ssmgate.sandbox.seed_table import SeedError

_PARTITION = "aws"
_SESSION_SECONDS = 12 * 3600


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of a user or of a role session. They are useless outside the sandbox."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None


def create(seed: Seed) -> dict[str, Credentials]:
    """Create what `seed` describes, in the accounts and the region that this process serves.

    Returns the credentials of each user and of a session of each role, by the names of `--as`.
    Raises `SeedError` for an attached AWS managed policy that moto does not have, and for a policy
    that IAM would not store.
    """
    credentials: dict[str, Credentials] = {}
    for account in seed.accounts:
        try:
            created = _account(account, seed.region)
        except MalformedPolicyDocument as error:
            raise SeedError(
                f"IAM refuses a policy of account {account.account_id}: {error}"
            ) from error
        for name, value in created.items():
            credentials[seed.label(account, name)] = value
    if seed.service_control_policies or seed.units or len(seed.accounts) > 1:
        organization.create(seed)
    return credentials


def _account(account: Account, region: str) -> dict[str, Credentials]:
    iam = iam_backends[account.account_id][_PARTITION]
    for policy in account.managed_policies:
        iam.create_policy("", policy.path, policy.text, policy.name, [])
    for group in account.groups:
        iam.create_group(group.name, group.path)
        _put_policies(account, group, iam.put_group_policy, iam.attach_group_policy)
    credentials = {user.name: _user(account, region, user) for user in account.users}
    credentials |= {role.name: _role(account, region, role) for role in account.roles}
    for node in account.nodes:
        _node(account, region, node)
    if account.documents:
        ssm = ssm_backends[account.account_id][region]
        for document in account.documents:
            tags = [{"Key": key, "Value": value} for key, value in document.tags.items()]
            content, kind = document.content, document.document_type
            ssm.create_document(content, [], [], document.name, "", kind, "JSON", "", tags)
    return credentials


def _user(account: Account, region: str, user: Principal) -> Credentials:
    iam = iam_backends[account.account_id][_PARTITION]
    created = iam.create_user(region, user.name, user.path, _tags(user))
    _put_policies(account, user, iam.put_user_policy, iam.attach_user_policy)
    for group in user.groups:
        iam.add_user_to_group(group, user.name)
    if user.boundary is not None:
        arn = _policy_arn(account, user.boundary)
        created.permissions_boundary_arn = arn
        created.permissions_boundary = {
            "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
            "PermissionsBoundaryArn": arn,
        }
    key = iam.create_access_key(user.name)
    return Credentials(key.access_key_id, key.secret_access_key, None)


def _role(account: Account, region: str, role: Principal) -> Credentials:
    iam = iam_backends[account.account_id][_PARTITION]
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account.account_id}:root"},
                "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
            }
        ],
    }
    boundary = None if role.boundary is None else _policy_arn(account, role.boundary)
    created = iam.create_role(
        role_name=role.name,
        assume_role_policy_document=role.trust or json.dumps(trust),
        path=role.path,
        permissions_boundary=boundary,
        description="",
        tags=_tags(role),
        max_session_duration="43200",
    )
    _put_policies(account, role, iam.put_role_policy, iam.attach_role_policy)
    session = sts_backends[account.account_id][_PARTITION].assume_role(
        region_name=region,
        role_session_name="sandbox",
        role_arn=created.arn,
        policy=None,
        duration=_SESSION_SECONDS,
        external_id=None,
    )
    policy = role.session.policy
    session.sandbox_grant = Grant(
        Kind.ROLE,
        tags=role.session.tags,
        source_identity=role.session.source_identity,
        inline=None if policy is None else parse_policy(policy, "session"),
        mfa=role.mfa,
    )
    return Credentials(session.access_key_id, session.secret_access_key, session.session_token)


def _put_policies(account: Account, principal: Principal, put: Any, attach: Any) -> None:
    for name, text in principal.policies.items():
        put(principal.name, name, text)
    for name in principal.attached:
        attach(_policy_arn(account, name), principal.name)


def _policy_arn(account: Account, name: str) -> str:
    for policy in account.managed_policies:
        if policy.name == name:
            return f"arn:aws:iam::{account.account_id}:policy{policy.path}{name}"
    if name not in iam_backends[account.account_id][_PARTITION].managed_policies:
        raise SeedError(f"{name!r} is not a managed policy of AWS that moto knows")
    return name


def _tags(principal: Principal) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in principal.tags.items()]


def _node(account: Account, region: str, node: Node) -> None:
    backend = ec2_backends[account.account_id][region]
    with _instance_id(node.node_id):
        backend.run_instances(
            "ami-00000000000000000",
            1,
            None,
            [],
            instance_type="t3.micro",
            is_instance_type_default=False,
            region_name=region,
            tags={"instance": dict(node.tags)},
        )
    if not node.online:
        backend.stop_instances([node.node_id])


@contextmanager
def _instance_id(node_id: str) -> Iterator[None]:
    """Make moto use `node_id` instead of a random instance ID while the block runs."""
    original = instances.random_instance_id
    instances.random_instance_id = lambda: node_id
    try:
        yield
    finally:
        instances.random_instance_id = original
