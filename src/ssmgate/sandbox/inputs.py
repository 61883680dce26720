"""What a request of the policy simulator says: read, checked, or refused as IAM refuses it.

The words of its errors are those recorded of the real one, where they were recorded.
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
from ssmgate.sandbox.faults import ServiceFault

# Of any other member the answer could depend in a way that nobody here knows.
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

_ENTITY = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:(user|group|role)/(?:.*/)?([\w+=,.@-]+)\Z")

# ContextKeyType without `List` -> what its values must be, and how IAM calls that.
_TYPES: Mapping[str, tuple[Callable[[str], object], str]] = {
    "string": (str, ""),
    # Recorded: any text passes.
    "boolean": (str, ""),
    "numeric": (read_number, "numeric format"),
    "date": (read_date, "DateTime format"),
    "ip": (read_address, "IP address"),
    "binary": (read_binary, "base-64 encoded binary format"),
}


def refuse_unknown(asked: Mapping[str, Any]) -> None:
    """Raise `ServiceFault` InvalidInput for a member that the sandbox does not model.

    ResourcePolicy, ResourceHandlingOption, PolicyExclusionList and
    OrderedOrganizationPolicyInputList are among them.
    """
    for member, value in asked.items():
        if member not in _KNOWN and value not in (None, "", [], {}):
            raise ServiceFault("InvalidInput", f"{member} is not modelled by the sandbox.")


def entity(arn: str) -> tuple[str, str]:
    """The kind (`user`, `group` or `role`) and the name, without its path, of an IAM ARN.

    Raises `ServiceFault` InvalidInput for an ARN of another kind, assumed-role and root among
    them. The account is not checked.
    """
    match = _ENTITY.match(arn)
    if match is None:
        raise ServiceFault("InvalidInput", f"Invalid ARN provided in the request: {arn}")
    return match[1], match[2]


def keys_of(arn: str) -> dict[str, str]:
    """The condition keys that IAM fills in from the ARN of a user, group or role, as sent."""
    kind, name = entity(arn)
    return {
        "aws:PrincipalArn": arn,
        "aws:PrincipalAccount": account_of(arn),
        # Recorded: the value present is the ARN, not the unique id.
        "aws:userid": arn,
        **({"aws:username": name} if kind == "user" else {}),
    }


def caller_keys(
    asked: Mapping[str, Any], account: str, default: Mapping[str, str]
) -> Mapping[str, str]:
    """The keys of the simulated caller: CallerArn's, `default` without one.

    Whoever it is has the policies that are simulated, not its own, and need not exist.
    ResourceOwner may say what holds anyway, that the resources are the account's.

    Raises `ServiceFault` InvalidInput for a CallerArn that is no user, group or role, for a
    ResourceOwner that is no IAM ARN (a bare number was recorded as refused), and for another
    account in one of them: what crosses accounts is decided by resource policies, which the
    sandbox does not model.
    """
    owner, caller = str(asked.get("ResourceOwner") or ""), str(asked.get("CallerArn") or "")
    if owner and not re.match(r"arn:[a-z-]+:iam::[0-9]{12}:.+", owner):
        raise ServiceFault("InvalidInput", f"Invalid ARN provided in the request: {owner}")
    keys = keys_of(caller) if caller else default
    for member, arn in (("ResourceOwner", owner), ("CallerArn", caller)):
        if arn and account_of(arn) != account:
            raise ServiceFault(
                "InvalidInput", f"{member} of another account is not modelled by the sandbox."
            )
    return keys


def with_policies(asked: Mapping[str, Any], layers: Policies) -> Policies:
    """`layers` with the policies that the request brings along.

    PolicyInputList adds to the identity-based policies, PermissionsBoundaryPolicyInputList
    takes the boundary's place. Raises `ServiceFault` InvalidInput for one that does not parse,
    and for a second boundary.
    """
    added = _policies(asked, "PolicyInputList", "Policy input list")
    boundary = _policies(
        asked, "PermissionsBoundaryPolicyInputList", "Permissions boundary policy input list"
    )
    if len(boundary) > 1:
        raise ServiceFault(
            "InvalidInput", "The list of Permissions Boundary policies cannot exceed 1 items."
        )
    layers = replace(layers, identity=(*layers.identity, *added))
    return replace(layers, boundary=boundary[0]) if boundary else layers


def _policies(asked: Mapping[str, Any], member: str, what: str) -> tuple[Policy, ...]:
    found = []
    for number, text in enumerate(asked.get(member) or (), start=1):
        try:
            found.append(parse_policy(text, f"{member}.{number}"))
        except PolicyError as error:
            # IAM does not say what is wrong with it.
            raise ServiceFault(
                "InvalidInput", f"{what} item {number} has invalid content: {error}"
            ) from error
    return tuple(found)


def actions(asked: Mapping[str, Any]) -> list[str]:
    """ActionNames. Whether there are such actions is not checked, as IAM does not.

    Raises `ServiceFault` InvalidInput for none, and for one without a service.
    """
    names = [str(name) for name in asked.get("ActionNames") or ()]
    if not names:
        raise ServiceFault("InvalidInput", "ActionNames must not be empty.")
    for name in names:
        service, colon, _ = name.partition(":")
        if not (service and colon):
            raise ServiceFault("InvalidInput", "The action is invalid since it is missing names")
    return names


def resources(asked: Mapping[str, Any]) -> list[str]:
    """ResourceArns, empty where there are none. They need not exist.

    Raises `ServiceFault` InvalidInput for what is neither `*` nor in an ARN's form.
    """
    arns = [str(arn) for arn in asked.get("ResourceArns") or ()]
    for arn in arns:
        if arn != "*" and not (arn.startswith("arn:") and arn.count(":") >= 5):
            raise ServiceFault(
                "InvalidInput", f"ResourceNames are not in a valid ARN format: {arn}."
            )
    return arns


def entries(asked: Mapping[str, Any]) -> dict[str, str | Sequence[str]]:
    """ContextEntries by lower-case key: one text, or a list for a `…List` type.

    Raises `ServiceFault`: ValidationError for an unknown type, InvalidInput for a key that
    stands twice, several values of a plain type, and a value that is not of its type. Booleans
    are not checked, as recorded.
    """
    found: dict[str, str | Sequence[str]] = {}
    for number, entry in enumerate(asked.get("ContextEntries") or (), start=1):
        name = str(entry.get("ContextKeyName", ""))
        kind = str(entry.get("ContextKeyType", ""))
        values = [str(value) for value in entry.get("ContextKeyValues") or ()]
        plain = kind.removesuffix("List")
        if plain not in _TYPES:
            raise ServiceFault(
                "ValidationError",
                f"1 validation error detected: Value at 'contextEntries.{number}.member."
                "contextKeyType' failed to satisfy constraint: Member must satisfy enum value"
                f" set: [{', '.join(f'{one}, {one}List' for one in _TYPES)}]",
            )
        if plain == kind and len(values) != 1:
            raise ServiceFault(
                "InvalidInput",
                f"Context key {kind} expected a single value, but received {len(values)}.",
            )
        if name.lower() in found:
            raise ServiceFault("InvalidInput", f"Duplicate context key: {name}.")
        read, what = _TYPES[plain]
        if any(read(value) is None for value in values):
            raise ServiceFault(
                "InvalidInput", f"Invalid context value for key {name}: expected {what}."
            )
        found[name.lower()] = values[0] if plain == kind else values
    return found


def page(asked: Mapping[str, Any], count: int) -> tuple[int, int]:
    """Where this page of `count` actions begins and ends.

    MaxItems counts actions: one action is one page, however many resources it has.
    Raises `ServiceFault`: InvalidInput for a Marker that is none, ValidationError for more than
    1000 items.
    """
    marker = str(asked.get("Marker") or "0")
    if not marker.isdecimal() or int(marker) > count:
        raise ServiceFault("InvalidInput", "Invalid marker for pagination.")
    size = int(asked.get("MaxItems") or 100)
    if size > 1000:
        raise ServiceFault(
            "ValidationError",
            "1 validation error detected: Value at 'maxItems' failed to satisfy constraint:"
            " Member must have value less than or equal to 1000",
        )
    return int(marker), min(count, int(marker) + size)
