"""Wildcards, ARNs part by part, and action names."""

from __future__ import annotations

from ssmgate.gate.decision.wildcards import Pattern, Wildcard, like
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.errors import PolicyError
from ssmgate.policy_language.variables import Variable, Version, parse_template

_ARN_PARTS = 6


def split_arn(arn: str) -> list[str] | None:
    """The six parts of an ARN, the last with its colons; None for anything else.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    """
    parts = arn.split(":", _ARN_PARTS - 1)
    return parts if len(parts) == _ARN_PARTS and parts[0] == "arn" and parts[-1] else None


def arn_like(pattern: Pattern, arn: str) -> bool | None:
    """Whether `arn` matches, part by part: no wildcard reaches over one of the first five colons.

    A lone `*` matches everything. None if the pattern has fewer than six parts: that is neither
    a match nor a difference. `arn` must be an ARN.
    """
    if pattern == (Wildcard.ANY,):
        return True
    parts = split_pattern(pattern)
    if parts is None:
        return None
    return all(map(like, parts, arn.split(":", _ARN_PARTS - 1)))


def split_pattern(pattern: Pattern) -> list[Pattern] | None:
    """A pattern's six parts as `split_arn` has an ARN's; None if it has fewer."""
    parts: list[Pattern] = []
    start = 0
    for at, piece in enumerate(pattern):
        if piece == ":" and len(parts) < _ARN_PARTS - 1:
            parts.append(pattern[start:at])
            start = at + 1
    parts.append(pattern[start:])
    return parts if len(parts) == _ARN_PARTS else None


def check_arn_pattern(text: str, version: Version) -> None:
    """Raise PolicyError unless `text` is `*` or in ARN format (six parts).

    A text with variables may get its parts from them, so only its variables are checked.
    """
    template = parse_template(text, version)
    if template.pieces == (Wildcard.ANY,) or template.variables:
        return
    if not text.startswith(("arn:", "*")) or text.count(":") < _ARN_PARTS - 1:
        raise PolicyError(f"{text!r} is not in ARN format")


def check_resource(text: str, version: Version) -> None:
    """Raise PolicyError unless `text` can stand in a Resource element: `*`, or an ARN pattern.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    template = parse_template(text, version)
    if template.pieces == (Wildcard.ANY,):
        return
    if template.pieces[:4] != tuple("arn:") or template.pieces.count(":") < _ARN_PARTS - 1:
        raise PolicyError(f"resource {text!r} must be in ARN format or '*'")


def resource_matches(text: str, version: Version, resource: str, context: Context) -> bool | None:
    """Whether one string of a Resource element covers `resource`.

    None where it cannot be said: a variable without a value, or one before the fifth colon,
    where variables are not supported. The resource `*`, which stands for no resource in
    particular, is covered by `*` alone.
    """
    template = parse_template(text, version)
    if template.pieces == (Wildcard.ANY,):
        return True
    colons = 0
    for piece in template.pieces:
        if colons == _ARN_PARTS - 1:
            break
        if isinstance(piece, Variable):
            return None
        colons += piece == ":"
    if resource == "*":
        return False
    pattern = template.resolve(context)
    return None if pattern is None else arn_like(pattern, resource)


def check_action(text: str) -> None:
    """Raise PolicyError unless `text` is `*` or `service:name`.

    Whether the service has such an action is not checked: new ones appear daily.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
    """
    service, colon, name = text.partition(":")
    if text != "*" and not (colon and service and name and ":" not in name):
        raise PolicyError(f"action {text!r} must be '*' or a service, a colon and a name")


def action_matches(text: str, action: str) -> bool:
    """Whether one string of an Action element covers `action`, in any case of letters."""
    if text == "*":
        return True
    pattern = parse_template(text.lower(), Version.V2008).pieces
    # Version 2008-10-17 has no variables, and actions have none in any version.
    plain = tuple(piece for piece in pattern if not isinstance(piece, Variable))
    return like(plain, action.lower())
