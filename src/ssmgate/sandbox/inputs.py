"""Read and check the parameters of the policy simulator, and reject what IAM rejects.

Error messages are those recorded from IAM, as far as they were recorded.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ssmgate.gate.decision.arn import account_of
from ssmgate.policy_language import Policies, Policy, PolicyError, parse_policy
from ssmgate.policy_language.values import read_address, read_binary, read_date, read_number
from ssmgate.sandbox.enforcement import Values
from ssmgate.sandbox.faults import ServiceFault

# Any other member could change the answer in a way that the sandbox does not model.
_KNOWN = frozenset(
    {
        "PolicySourceArn",
        "PolicyInputList",
        "PermissionsBoundaryPolicyInputList",
        "ActionNames",
        "ResourceArns",
        "ResourceOwner",
        "CallerArn",
        "ContextEntries",
        "MaxItems",
        "Marker",
    }
)

_ORGANIZATION_KEYS = (
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgMasterAccountId",
    "aws:PrincipalOrgPaths",
)
_TYPE_KEYS = ("aws:PrincipalType", "aws:Type")

# The root, five levels of organizational units, the account.
_MAX_LEVELS = 7

_ENTITY = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:(user|group|role)/(?:.*/)?([\w+=,.@-]+)\Z")

# ContextKeyType without `List` -> the parser of its values, and IAM's name for the format.
_TYPES: Mapping[str, tuple[Callable[[str], object], str]] = {
    "string": (str, ""),
    # Recorded: any text is accepted.
    "boolean": (str, ""),
    "numeric": (read_number, "numeric format"),
    "date": (read_date, "DateTime format"),
    "ip": (read_address, "IP address"),
    "binary": (read_binary, "base-64 encoded binary format"),
}


def reject_unknown(parameters: Mapping[str, Any], also_known: str) -> None:
    """Raise `ServiceFault` InvalidInput for a member that the sandbox does not model.

    `also_known` is the member that only this operation has. ResourcePolicy and
    ResourceHandlingOption are not modelled.
    """
    for member, value in parameters.items():
        if member not in _KNOWN and member != also_known and value not in (None, "", [], {}):
            raise ServiceFault("InvalidInput", f"{member} is not supported by the sandbox.")


def entity(arn: str) -> tuple[str, str]:
    """Return the kind (`user`, `group` or `role`) and the name, without path, of an IAM ARN.

    Raises `ServiceFault` InvalidInput for any other ARN, including assumed-role and root. The
    account is not checked.
    """
    match = _ENTITY.match(arn)
    if match is None:
        raise ServiceFault("InvalidInput", f"Invalid ARN provided in the request: {arn}")
    return match[1], match[2]


def keys_of(arn: str) -> dict[str, str]:
    """Return the condition keys that IAM derives from the ARN of a user, group or role, as sent."""
    kind, name = entity(arn)
    # The names are documented. These values are assumed to be those of a request by the principal.
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
    principal_type = {"user": "User", "role": "AssumedRole"}.get(kind)
    types = {} if principal_type is None else dict.fromkeys(_TYPE_KEYS, principal_type)
    return {
        "aws:PrincipalArn": arn,
        "aws:PrincipalAccount": account_of(arn),
        # Recorded: the value is the ARN, not the unique ID.
        "aws:userid": arn,
        "aws:PrincipalId": arn,
        **types,
        **({"aws:username": name} if kind == "user" else {}),
    }


def caller_keys(parameters: Mapping[str, Any], account: str, default: Values) -> Values:
    """Return the keys of the simulated caller: those of CallerArn, or `default` without one.

    The caller need not exist, and has the simulated policies instead of its own. ResourceOwner
    may only name the sandbox's own account.

    Raises `ServiceFault` InvalidInput for a CallerArn that is not a user, group or role, for a
    ResourceOwner that is not an IAM ARN (IAM rejects a bare number, as recorded), and for another
    account in either: access across accounts depends on resource policies, which the sandbox
    does not model.
    """
    owner, caller = (
        str(parameters.get("ResourceOwner") or ""),
        str(parameters.get("CallerArn") or ""),
    )
    if owner and not re.match(r"arn:[a-z-]+:iam::[0-9]{12}:.+", owner):
        raise ServiceFault("InvalidInput", f"Invalid ARN provided in the request: {owner}")
    # The organization is that of the account.
    organization = {key: value for key, value in default.items() if key in _ORGANIZATION_KEYS}
    keys = {**organization, **keys_of(caller)} if caller else default
    for member, arn in (("ResourceOwner", owner), ("CallerArn", caller)):
        if arn and account_of(arn) != account:
            raise ServiceFault(
                "InvalidInput", f"{member} of another account is not supported by the sandbox."
            )
    return keys


def with_policies(parameters: Mapping[str, Any], layers: Policies) -> Policies:
    """Return `layers` with the policies in the request.

    PolicyInputList adds to the identity-based policies, PermissionsBoundaryPolicyInputList
    replaces the boundary. Raises `ServiceFault` InvalidInput for an invalid policy, and for a
    second boundary.
    """
    added = _policies(parameters.get("PolicyInputList"), "PolicyInputList", "Policy input list")
    member = "PermissionsBoundaryPolicyInputList"
    boundary = _policies(parameters.get(member), member, "Permissions boundary policy input list")
    if len(boundary) > 1:
        raise ServiceFault(
            "InvalidInput", "The list of Permissions Boundary policies cannot exceed 1 items."
        )
    layers = replace(layers, identity=(*layers.identity, *added))
    return replace(layers, boundary=boundary[0]) if boundary else layers


def with_organization(parameters: Mapping[str, Any], layers: Policies) -> Policies:
    """Return `layers` with the levels of OrderedOrganizationPolicyInputList, if there are any.

    A level without a policy allows nothing. Raises `ServiceFault`: InvalidInput for an invalid
    policy, ValidationError for more than seven levels.
    """
    member = "OrderedOrganizationPolicyInputList"
    levels = parameters.get(member) or ()
    if len(levels) > _MAX_LEVELS:
        raise ServiceFault(
            "ValidationError",
            "1 validation error detected: Value at 'orderedOrganizationPolicyInputList' failed to"
            f" satisfy constraint: Member must have length less than or equal to {_MAX_LEVELS}",
        )
    read = tuple(
        _policies(
            level.get("ServiceControlPolicyInputList"),
            f"{member}.{number}",
            "Service control policy input list",
        )
        for number, level in enumerate(levels, start=1)
    )
    return replace(layers, service_control=read) if read else layers


def _policies(texts: Any, source: str, what: str) -> tuple[Policy, ...]:
    policies = []
    for number, text in enumerate(texts or (), start=1):
        try:
            policies.append(parse_policy(text, f"{source}.{number}"))
        except PolicyError as error:
            # IAM's own message does not contain the error.
            raise ServiceFault(
                "InvalidInput", f"{what} item {number} has invalid content: {error}"
            ) from error
    return tuple(policies)


def actions(parameters: Mapping[str, Any]) -> list[str]:
    """Return ActionNames. Whether the actions exist is not checked; IAM does not check it either.

    Raises `ServiceFault` InvalidInput for an empty list, and for an action without a service.
    """
    names = [str(name) for name in parameters.get("ActionNames") or ()]
    if not names:
        raise ServiceFault("InvalidInput", "ActionNames must not be empty.")
    for name in names:
        service, colon, _ = name.partition(":")
        if not (service and colon):
            raise ServiceFault("InvalidInput", "The action is invalid since it is missing names")
    return names


def resources(parameters: Mapping[str, Any]) -> list[str]:
    """Return ResourceArns, empty if there are none. They need not exist.

    Raises `ServiceFault` InvalidInput for a value that is neither `*` nor in ARN format.
    """
    arns = [str(arn) for arn in parameters.get("ResourceArns") or ()]
    for arn in arns:
        if arn != "*" and not (arn.startswith("arn:") and arn.count(":") >= 5):
            raise ServiceFault(
                "InvalidInput", f"ResourceNames are not in a valid ARN format: {arn}."
            )
    return arns


def entries(parameters: Mapping[str, Any]) -> dict[str, str | Sequence[str]]:
    """Return ContextEntries by lower-case key: one string, or a list for a `…List` type.

    Raises `ServiceFault`: ValidationError for an unknown type, InvalidInput for a duplicate key,
    several values of a single-valued type, and a value that is not valid for its type. Booleans
    are not checked, as recorded.
    """
    entries: dict[str, str | Sequence[str]] = {}
    for number, entry in enumerate(parameters.get("ContextEntries") or (), start=1):
        name = str(entry.get("ContextKeyName", ""))
        kind = str(entry.get("ContextKeyType", ""))
        values = [str(value) for value in entry.get("ContextKeyValues") or ()]
        plain = kind.removesuffix("List")
        if plain not in _TYPES:
            raise ServiceFault(
                "ValidationError",
                f"1 validation error detected: Value at 'contextEntries.{number}.member."
                "contextKeyType' failed to satisfy constraint: Member must satisfy enum value"
                f" set: [{', '.join(f'{name}, {name}List' for name in _TYPES)}]",
            )
        if plain == kind and len(values) != 1:
            raise ServiceFault(
                "InvalidInput",
                f"Context key {kind} expected a single value, but received {len(values)}.",
            )
        if name.lower() in entries:
            raise ServiceFault("InvalidInput", f"Duplicate context key: {name}.")
        read, what = _TYPES[plain]
        if any(read(value) is None for value in values):
            raise ServiceFault(
                "InvalidInput", f"Invalid context value for key {name}: expected {what}."
            )
        entries[name.lower()] = values[0] if plain == kind else values
    return entries


def page(parameters: Mapping[str, Any], count: int) -> tuple[int, int]:
    """Return the indexes at which this page of `count` actions begins and ends.

    MaxItems is a number of actions, however many resources each has. Raises `ServiceFault`:
    InvalidInput for an invalid Marker, ValidationError for more than 1000 items.
    """
    marker = str(parameters.get("Marker") or "0")
    if not marker.isdecimal() or int(marker) > count:
        raise ServiceFault("InvalidInput", "Invalid marker for pagination.")
    size = int(parameters.get("MaxItems") or 100)
    if size > 1000:
        raise ServiceFault(
            "ValidationError",
            "1 validation error detected: Value at 'maxItems' failed to satisfy constraint:"
            " Member must have value less than or equal to 1000",
        )
    return int(marker), min(count, int(marker) + size)
