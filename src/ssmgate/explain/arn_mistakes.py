"""Describe how the ARN in a policy differs from the requested one, if it is a single mistake."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ssmgate.explain.near_miss import ArnPart, Difference, ResourceMiss, likeness
from ssmgate.explain.session_documents import WELL_KNOWN

NEAR = 0.88
"""The smallest `likeness` at which a name is considered a misspelling of another."""


def is_document(resource: str) -> bool:
    """Return whether `resource` is the ARN of a document."""
    return resource.split(":", 5)[2:3] == ["ssm"] and ":document/" in resource


def what_is(resource: str) -> str:
    """Return the noun for `resource` in a sentence."""
    return "document" if is_document(resource) else "resource"


def difference(failure: ResourceMiss, arn: str) -> tuple[str, str] | None:
    """Return the mistake's code and a sentence, or None if there is more than one mistake."""
    first = failure.differences[0]
    closest = failure.closest
    if len(failure.differences) == 1:
        match first.part:
            case ArnPart.ACCOUNT:
                return _account(first, arn, closest)
            case ArnPart.REGION | ArnPart.PARTITION:
                return (
                    f"wrong-{first.part.value}",
                    f"{closest} is for {first.part.value} {first.policy!r}, and the"
                    f" {what_is(arn)} is in {first.request!r}",
                )
            case ArnPart.NAME:
                return _name(first, arn)
    if _is_wrong_type(failure.differences, closest or ""):
        return (
            "wrong-type",
            f"there is no such resource as {closest}: the ARN of this {what_is(arn)} is {arn}",
        )
    return None


def principal_value(key: str, wanted: Sequence[str], values: Sequence[str] | None) -> str | None:
    """Return the ARN that a condition on aws:PrincipalArn lacks the path of, None if it does not.

    `wanted` are the values in the policy, `values` those of the request. The roles of IAM Identity
    Center always have a path.
    """
    role = (values or ("",))[0]
    if key.lower() != "aws:principalarn" or "AWSReservedSSO_" not in role:
        return None
    name = role.rpartition("/")[2]
    without_path = (name, name[:-16])
    if any(text.partition(":role/")[2].rstrip("*") in without_path for text in wanted):
        return role
    return None


def _account(difference: Difference, arn: str, closest: str | None) -> tuple[str, str]:
    if not difference.request:
        return (
            "aws-document-with-account",
            f"{closest} has an account ID, and the ARN of an AWS-owned document has none",
        )
    if not difference.policy:
        return (
            "document-without-account",
            f"{closest} has no account ID, and this document belongs to account"
            f" {difference.request}: only the ARN of an AWS-owned document has none",
        )
    return (
        "wrong-account",
        f"{closest} is in account {difference.policy}, and the {what_is(arn)} in"
        f" {difference.request}",
    )


def _name(difference: Difference, arn: str) -> tuple[str, str] | None:
    has, want = difference.policy, difference.request
    if ":role/" in arn or ":user/" in arn:
        if has.split("/")[-1] != want.split("/")[-1]:
            return None
        return (
            "sso-role-path" if "AWSReservedSSO_" in want else "principal-path",
            f"the policy has {has!r} without its path, {want!r}",
        )
    if has.lower() == want.lower():
        return "name-case", f"the policy has {has!r}, and names are case-sensitive: {want!r}"
    if not is_document(arn):
        return None
    if has.startswith((f"{want}/", f"{want}:")):
        return (
            "wildcard-past-name",
            f"the policy has {has!r}, and the ARN of a document ends with its name",
        )
    numbered = re.sub(r"[0-9]", "", has) == re.sub(r"[0-9]", "", want)
    if "*" in has or has in WELL_KNOWN or numbered or likeness(has, want) < NEAR:
        return None
    return "name-misspelt", f"the policy has {has!r}, and the name is {want!r}"


def _is_wrong_type(differences: tuple[Difference, ...], closest: str) -> bool:
    """Return whether the pattern means this resource, but has an ARN that no resource can have."""
    parts = {d.part: d for d in differences}
    if not parts.keys() <= {ArnPart.SERVICE, ArnPart.TYPE}:
        return False
    kind = parts.get(ArnPart.TYPE)
    if kind is None:
        return True
    name = closest.rpartition("/")[2]
    if ArnPart.SERVICE in parts:
        return name.strip("*") != "" and "/" in closest
    return likeness(kind.policy.partition("/")[0], kind.request) >= NEAR
