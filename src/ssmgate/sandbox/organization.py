"""Create a seed's organization in moto's state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.iam.models import iam_backends
from moto.organizations import utils
from moto.organizations.models import organizations_backends

from ssmgate.sandbox.seed import Seed

_PARTITION = "aws"
_ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def create(seed: Seed) -> None:
    """Create the organization, its units, accounts and service control policies.

    The management account is the one that the seed names, else its first one. Each member has
    the role OrganizationAccountAccessRole, as an account that AWS Organizations creates.
    """
    management = seed.management or seed.home.account_id
    backend = organizations_backends[management][_PARTITION]
    backend.create_organization(region=seed.region, FeatureSet="ALL")
    root = next(unit for unit in backend.ou if unit.id.startswith("r-"))
    targets = {"root": root.id, management: management}
    for unit in seed.units:
        parent = root.id if unit.parent is None else targets[unit.parent]
        created = backend.create_organizational_unit(Name=unit.name, ParentId=parent)
        targets[unit.name] = created["OrganizationalUnit"]["Id"]
        _full_access(backend, targets[unit.name], unit.full_access)
    for account in seed.accounts:
        if account.account_id != management:
            _member(backend, account.account_id, account.name, management)
            targets[account.account_id] = account.account_id
        if account.unit is not None:
            backend.move_account(
                AccountId=account.account_id,
                SourceParentId=root.id,
                DestinationParentId=targets[account.unit],
            )
        _full_access(backend, account.account_id, account.full_access)
    for policy in seed.service_control_policies:
        summary = backend.create_policy(
            Name=policy.name, Description="", Type="SERVICE_CONTROL_POLICY", Content=policy.text
        )["Policy"]["PolicySummary"]
        for target in policy.attached:
            backend.attach_policy(PolicyId=summary["Id"], TargetId=targets[target])
    if seed.management is not None:
        backend.sandbox_unrestricted = {management}


def _full_access(backend: Any, target: str, wanted: bool) -> None:
    if not wanted:
        backend.detach_policy(PolicyId=utils.DEFAULT_SCP_POLICY_ID, TargetId=target)


def _member(backend: Any, account_id: str, name: str, management: str) -> None:
    with _account_id(account_id):
        backend.create_account(AccountName=name, Email=f"{account_id}@example.com")
    iam = iam_backends[account_id][_PARTITION]
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{management}:root"},
        "Action": "sts:AssumeRole",
    }
    role = "OrganizationAccountAccessRole"
    if all(existing.name != role for existing in iam.roles.values()):
        iam.create_role(
            role_name=role,
            assume_role_policy_document=json.dumps({"Version": "2012-10-17", "Statement": trust}),
            path="/",
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration="3600",
        )
        iam.attach_role_policy(_ADMINISTRATOR, role)


@contextmanager
def _account_id(account_id: str) -> Iterator[None]:
    """Make moto use `account_id` instead of a random account ID while the block runs."""
    original = utils.make_random_account_id
    utils.make_random_account_id = lambda: account_id
    try:
        yield
    finally:
        utils.make_random_account_id = original
