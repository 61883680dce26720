"""Match ARNs part by part, and action names, with wildcards."""

from __future__ import annotations

from ssmgate.gate.decision.wildcards import Pattern, Wildcard, like
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.errors import PolicyError
from ssmgate.policy_language.variables import Variable, Version, parse_template

_ARN_PARTS = 6


def split_arn(arn: str) -> list[str] | None:
    """Return the six parts of an ARN, the last with its colons; None for any other text.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    """
    parts = arn.split(":", _ARN_PARTS - 1)
    return parts if len(parts) == _ARN_PARTS and parts[0] == "arn" and parts[-1] else None


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
    return all(map(like, parts, arn.split(":", _ARN_PARTS - 1)))


def split_pattern(pattern: Pattern) -> list[Pattern] | None:
    """Return the six parts of a pattern, as `split_arn` does for an ARN; None if it has fewer."""
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

    A text with policy variables may get its parts from them, so only these are checked.
    """
    template = parse_template(text, version)
    if template.pieces == (Wildcard.ANY,) or template.variables:
        return
    if not text.startswith(("arn:", "*")) or text.count(":") < _ARN_PARTS - 1:
        raise PolicyError(f"{text!r} is not in ARN format")


def check_resource(text: str, version: Version) -> None:
    """Raise PolicyError unless `text` is valid in a Resource element: `*`, or an ARN pattern.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    template = parse_template(text, version)
    if template.pieces == (Wildcard.ANY,):
        return
    if template.pieces[:4] != tuple("arn:") or template.pieces.count(":") < _ARN_PARTS - 1:
        raise PolicyError(f"resource {text!r} must be in ARN format or '*'")


def resource_matches(text: str, version: Version, resource: str, context: Context) -> bool | None:
    """Return whether one string of a Resource element covers `resource`.

    Returns None if that is not known: a policy variable has no value, or is before the fifth
    colon, where AWS does not support variables. The resource `*`, which means no particular
    resource, is covered by `*` only.
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
    """Return whether one string of an Action element covers `action`, ignoring case."""
    if text == "*":
        return True
    pattern = parse_template(text.lower(), Version.V2008).pieces
    # Version 2008-10-17 has no variables, and actions have none in any version.
    plain = tuple(piece for piece in pattern if not isinstance(piece, Variable))
    return like(plain, action.lower())
