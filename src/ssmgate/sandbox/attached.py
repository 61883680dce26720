"""Read the policies that apply to a principal, and its organization, from moto's state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from moto.organizations.models import organizations_backends

from ssmgate.policy_language import Policies, Policy, PolicyError, Version, parse_policy
from ssmgate.sandbox.faults import ServiceFault


@dataclass(frozen=True, slots=True)
class Attachment:
    """How a policy applies to a principal, in the words of the simulator's PolicyIdentifier.

    `policy_type` is `inline`, `aws-managed`, `user-managed`, `permission-boundary` or `scp`.
    `arn` is that of a managed policy that is attached. `inline` are the name of an inline policy,
    and the kind and name of the user, group or role that has it.
    """

    policy_type: str
    arn: str | None = None
    inline: tuple[str, str, str] | None = None


def _none(attachment: Attachment) -> bool:
    return False


def layers_of(
    backend: Any,
    kind: str,
    entity: Any,
    excluded: Callable[[Attachment], bool] = _none,
) -> Policies:
    """Return the policies of a user, group or role of moto's IAM `backend`.

    `excluded` returns true for policies that are to be left out, none by default. Raises
    `ServiceFault` ServiceFailure for a policy that cannot be parsed.
    """
    identity = [*_attached(kind, entity, excluded)]
    if kind == "user":
        for group in backend.groups.values():
            if any(member.name == entity.name for member in group.users):
                identity += _attached("group", group, excluded)
    boundary_arn = getattr(entity, "permissions_boundary_arn", None)
    boundary: Policy | None = None
    if boundary_arn and not excluded(Attachment("permission-boundary")):
        managed = backend.managed_policies.get(boundary_arn)
        # A boundary whose policy was deleted allows nothing.
        boundary = Policy(Version.V2012, ()) if managed is None else _managed(managed)
    levels = (
        ()
        if excluded(Attachment("scp"))
        else service_control_policies(backend.account_id, backend.partition)
    )
    return Policies(tuple(identity), boundary, levels)


def managed_policy(backend: Any, arn: str) -> Policy:
    """Return the default version of a managed policy, one that allows nothing if it is missing."""
    managed = backend.managed_policies.get(arn)
    return Policy(Version.V2012, ()) if managed is None else _managed(managed)


def service_control_policies(account: str, partition: str) -> tuple[tuple[Policy, ...], ...]:
    """Return the service control policies of each level, from the root to the account.

    Empty outside an organization, and for a management account that a seed names: it is not
    restricted. An account that became the management account in another way, as the only account
    of a seed does, is treated as a member account.
    """
    organization = _organization(account, partition)
    if organization is None or account in getattr(organization, "sandbox_unrestricted", ()):
        return ()
    return tuple(
        tuple(
            read_policy(policy.content, policy.name)
            for policy in level.attached_policies
            if policy.type == "SERVICE_CONTROL_POLICY"
        )
        for level in _levels(organization, account)
    )


def organization_keys(account: str, partition: str) -> dict[str, str | Sequence[str]]:
    """Return the condition keys about the organization of `account`; empty outside one.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    organization = _organization(account, partition)
    if organization is None:
        return {}
    above = [level.id for level in _levels(organization, account) if level.type != "ACCOUNT"]
    return {
        "aws:PrincipalOrgID": organization.org.id,
        "aws:PrincipalOrgMasterAccountId": organization.org.master_account_id,
        "aws:PrincipalOrgPaths": ["/".join((organization.org.id, *above, ""))],
    }


def read_policy(text: str, source_policy_id: str) -> Policy:
    """Parse a stored policy. Raises `ServiceFault` ServiceFailure if it cannot be parsed."""
    try:
        return _parsed(text, source_policy_id)
    except PolicyError as error:
        raise ServiceFault(
            "ServiceFailure", f"The sandbox cannot read policy {source_policy_id}: {error}", 500
        ) from error


@lru_cache(maxsize=1024)
def _parsed(text: str, source_policy_id: str) -> Policy:
    return parse_policy(text, source_policy_id)


def _attached(kind: str, entity: Any, excluded: Callable[[Attachment], bool]) -> Iterator[Policy]:
    for name, text in entity.policies.items():
        if not excluded(Attachment("inline", inline=(name, kind, entity.name))):
            yield read_policy(text, f"{kind}_{entity.name}_{name}")
    for arn, managed in entity.managed_policies.items():
        policy_type = "aws-managed" if arn.split(":")[4] == "aws" else "user-managed"
        if not excluded(Attachment(policy_type, arn=arn)):
            yield _managed(managed)


def _managed(policy: Any) -> Policy:
    version = next(v for v in policy.versions if v.version_id == policy.default_version_id)
    return read_policy(version.document, policy.name)


def _organization(account: str, partition: str) -> Any:
    """Return moto's backend of the organization to which `account` belongs, or None."""
    owner, _ = organizations_backends.master_accounts.get(account, (account, partition))
    backend = organizations_backends[owner][partition]
    return None if backend.org is None else backend


def _levels(organization: Any, account: str) -> list[Any]:
    """Return the root, the organizational units and the account, in this order."""
    levels: list[Any] = []
    level = next((item for item in organization.accounts if item.id == account), None)
    while level is not None:
        levels.append(level)
        parent = getattr(level, "parent_id", None)
        level = next((unit for unit in organization.ou if unit.id == parent), None)
    return levels[::-1]
