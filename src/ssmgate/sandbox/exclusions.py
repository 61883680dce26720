"""Read PolicyExclusionList of SimulatePrincipalPolicy.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_PolicyIdentifier.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ssmgate.sandbox.attached import Attachment
from ssmgate.sandbox.faults import ServiceFault

_TYPES = ("inline", "aws-managed", "user-managed", "permission-boundary", "scp", "rcp")
_KINDS = ("user", "group", "role")
_MAX = 256
# Wildcards are allowed in the name only, not in the path.
_ARN = re.compile(r"arn:[a-z-]+:iam::(?:aws|[0-9]{12}):policy/(?:[\w+=,.@/-]+/)?[\w+=,.@*?-]+\Z")
_NAME = re.compile(r"[\w+=,.@-]{1,128}\Z")
_NAME_PATTERN = re.compile(r"[\w+=,.@*?-]{1,128}\Z")

Excluded = Callable[[Attachment], bool]


def exclusions(parameters: Mapping[str, Any]) -> Excluded:
    """Return a function that is true for the policies that PolicyExclusionList names.

    An identifier that names no policy has no effect, nor has one for resource control policies.

    Raises `ServiceFault`: InvalidInput for an identifier with none or several members, a malformed
    ARN or a wildcard where none is allowed; ValidationError for an unknown type and for more than
    256 identifiers. The texts of the messages are not IAM's.
    """
    identifiers = parameters.get("PolicyExclusionList") or ()
    if len(identifiers) > _MAX:
        raise ServiceFault(
            "ValidationError",
            "1 validation error detected: Value at 'policyExclusionList' failed to satisfy"
            f" constraint: Member must have length less than or equal to {_MAX}",
        )
    tests = [_test(identifier) for identifier in identifiers]
    return lambda attachment: any(test(attachment) for test in tests)


def _test(identifier: Mapping[str, Any]) -> Excluded:
    members = {name: value for name, value in identifier.items() if value not in (None, "", {})}
    if len(members) != 1:
        raise _invalid("a policy identifier has exactly one member")
    ((member, value),) = members.items()
    if member == "PolicyType":
        _one_of(value, _TYPES, "policyType")
        return lambda attachment: attachment.policy_type == value
    if member == "PolicyArn":
        if not _ARN.match(value):
            raise _invalid(f"{value} is not the ARN of a managed policy")
        matches = _wildcards(value)
        return lambda attachment: attachment.arn is not None and matches(attachment.arn)
    if member == "InlinePolicyIdentifier":
        return _inline(value)
    raise _invalid(f"{member} is not supported by the sandbox")


def _inline(value: Mapping[str, str]) -> Excluded:
    name, kind = value.get("PolicyName", ""), value.get("AttachmentType", "")
    entity = value.get("AttachmentName", "")
    _one_of(kind, _KINDS, "attachmentType")
    if not _NAME.match(name):
        raise _invalid(f"{name!r} is not the name of an inline policy")
    if not _NAME_PATTERN.match(entity):
        raise _invalid(f"{entity!r} is not the name of a user, group or role")
    matches = _wildcards(entity)

    def test(attachment: Attachment) -> bool:
        inline = attachment.inline
        return inline is not None and inline[:2] == (name, kind) and matches(inline[2])

    return test


def _wildcards(pattern: str) -> Callable[[str], bool]:
    """Return a test for `pattern`: at most one `*` for any text, and `?` for one character."""
    if pattern.count("*") > 1:
        raise _invalid(f"{pattern} has more than one *")
    expression = re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."))
    return lambda text: expression.fullmatch(text) is not None


def _one_of(value: str, words: tuple[str, ...], member: str) -> None:
    if value not in words:
        raise ServiceFault(
            "ValidationError",
            f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy"
            f" constraint: Member must satisfy enum value set: [{', '.join(words)}]",
        )


def _invalid(why: str) -> ServiceFault:
    return ServiceFault("InvalidInput", f"PolicyExclusionList: {why}.")
