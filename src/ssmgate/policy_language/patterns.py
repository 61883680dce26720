"""Match ARNs part by part, and action names, with wildcards."""

from __future__ import annotations

import enum

from ssmgate.gate.decision.wildcards import Pattern, Wildcard, like
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.errors import PolicyError
from ssmgate.policy_language.variables import Template, Variable, Version, parse_template

ARN_PARTS = 6
"""Partition, service, Region, account and resource come after `arn`."""


def split_arn(arn: str) -> list[str] | None:
    """Return the six parts of an ARN, the last with its colons; None for any other text.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    """
    parts = arn.split(":", ARN_PARTS - 1)
    return parts if len(parts) == ARN_PARTS and parts[0] == "arn" and parts[-1] else None


def arn_like(pattern: Pattern, arn: str) -> bool | None:
    """Return whether `arn` matches part by part: no wildcard matches one of the first five colons.

    A single `*` matches every ARN. Returns None if the pattern has fewer than six parts: then
    neither an operator nor its negation matches. `arn` must be an ARN, which is not checked.
    """
    if pattern == (Wildcard.ANY,):
        return True
    parts = split_pattern(pattern)
    if parts is None:
        return None
    return all(map(like, parts, arn.split(":", ARN_PARTS - 1)))


def split_pattern(pattern: Pattern) -> list[Pattern] | None:
    """Return the six parts of a pattern, as `split_arn` does for an ARN; None if it has fewer."""
    parts: list[Pattern] = []
    start = 0
    for at, piece in enumerate(pattern):
        if piece == ":" and len(parts) < ARN_PARTS - 1:
            parts.append(pattern[start:at])
            start = at + 1
    parts.append(pattern[start:])
    return parts if len(parts) == ARN_PARTS else None


def check_arn_pattern(text: str, version: Version) -> None:
    """Raise PolicyError unless `text` is `*` or in ARN format (six parts).

    A text with policy variables may get its parts from them, so only these are checked.
    """
    template = parse_template(text, version)
    if template.pieces == (Wildcard.ANY,) or template.variables:
        return
    if not text.startswith(("arn:", "*")) or text.count(":") < ARN_PARTS - 1:
        raise PolicyError(f"{text!r} is not in ARN format")


class PolicyKind(enum.Enum):
    """The kinds of policies that differ in how an incomplete ARN is read.

    IDENTITY includes permissions boundaries. AWS documents the completion for identity-based
    policies, and that STS rejects an incomplete ARN in a session policy. For service control
    policies nothing is documented.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    """

    IDENTITY = "identity-based policy"
    SERVICE_CONTROL = "service control policy"
    SESSION = "session policy"


class Cover(enum.Enum):
    """Whether a string of a Resource element covers a resource."""

    COVERED = enum.auto()
    NOT_COVERED = enum.auto()
    # A policy variable has no value, or is before the fifth colon, where none is supported.
    UNRESOLVED = enum.auto()
    # An incomplete ARN, which AWS's documentation reads in two ways.
    AMBIGUOUS = enum.auto()


# `arn:aws:ssm` is the shortest: AWS does not allow a wildcard as the service.
_FEWEST_PARTS = 3


def check_resource(text: str, version: Version, kind: PolicyKind = PolicyKind.IDENTITY) -> None:
    """Raise PolicyError unless `text` is valid in a Resource element: `*`, or an ARN pattern.

    An incomplete ARN, with three to five of the six parts, is valid except in a session policy.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    template = parse_template(text, version)
    if template.pieces == (Wildcard.ANY,):
        return
    fewest = ARN_PARTS if kind is PolicyKind.SESSION else _FEWEST_PARTS
    parts = template.pieces.count(":") + 1
    if template.pieces[:4] != tuple("arn:") or parts < fewest:
        raise PolicyError(f"resource {text!r} must be in ARN format or '*'")


def is_incomplete(text: str, version: Version) -> bool:
    """Return whether `text`, a valid string of a Resource element, is an incomplete ARN."""
    template = parse_template(text, version)
    return template.pieces != (Wildcard.ANY,) and template.pieces.count(":") < ARN_PARTS - 1


def complete(pattern: Pattern) -> Pattern:
    """Return an ARN pattern with `*` for each missing part: `arn:aws:ssm` is `arn:aws:ssm:*:*:*`.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    """
    missing = ARN_PARTS - 1 - pattern.count(":")
    return pattern + (":", Wildcard.ANY) * max(missing, 0)


def variable_before_name(template: Template) -> bool:
    """Return whether a policy variable is before the fifth colon, where AWS supports none."""
    colons = 0
    for piece in template.pieces:
        if colons == ARN_PARTS - 1:
            return False
        if isinstance(piece, Variable):
            return True
        colons += piece == ":"
    return False


def pattern_covers(pattern: Pattern, resource: str, kind: PolicyKind) -> Cover:
    """Return whether a resolved pattern covers `resource`, an ARN.

    For an incomplete ARN there are two documented readings: missing parts are `*`, and a `*` at
    the end of a part may match beyond its colon. In a service control policy it is AMBIGUOUS where
    the two differ; elsewhere only if the completed one does not match.
    """
    completed = arn_like(complete(pattern), resource)
    if pattern.count(":") >= ARN_PARTS - 1 or pattern == (Wildcard.ANY,):
        return Cover.COVERED if completed else Cover.NOT_COVERED
    beyond = like(pattern, resource)
    if completed and (beyond or kind is not PolicyKind.SERVICE_CONTROL):
        return Cover.COVERED
    return Cover.AMBIGUOUS if completed or beyond else Cover.NOT_COVERED


def resource_matches(
    text: str,
    version: Version,
    resource: str,
    context: Context,
    kind: PolicyKind = PolicyKind.IDENTITY,
) -> Cover:
    """Return whether one string of a Resource element covers `resource`.

    The resource `*`, which means no particular resource, is covered by `*` only.
    """
    template = parse_template(text, version)
    if template.pieces == (Wildcard.ANY,):
        return Cover.COVERED
    if variable_before_name(template):
        return Cover.UNRESOLVED
    if resource == "*":
        return Cover.NOT_COVERED
    pattern = template.resolve(context)
    return Cover.UNRESOLVED if pattern is None else pattern_covers(pattern, resource, kind)


def check_action(text: str) -> None:
    """Raise PolicyError unless `text` is `*` or `service:name`, without wildcards in the service.

    IAM rejects those (observed): "Action vendors … must not contain wildcards".
    Whether the service has such an action is not checked: new ones appear daily.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
    """
    service, colon, name = text.partition(":")
    if text != "*" and not (colon and service and name and ":" not in name):
        raise PolicyError(f"action {text!r} must be '*' or a service, a colon and a name")
    if colon and ("*" in service or "?" in service):
        raise PolicyError(f"the service of action {text!r} must not contain wildcards")


def action_matches(text: str, action: str) -> bool:
    """Return whether one string of an Action element covers `action`, ignoring case."""
    if text == "*":
        return True
    pattern = parse_template(text.lower(), Version.V2008).pieces
    # Version 2008-10-17 has no variables, and actions have none in any version.
    plain = tuple(piece for piece in pattern if not isinstance(piece, Variable))
    return like(plain, action.lower())
