"""Find condition keys that no request has, values that cannot match, and incomplete ARNs."""

from __future__ import annotations

from collections.abc import Iterator

from ssmgate.explain.advice import Advice
from ssmgate.explain.changes import CHECK_KEY
from ssmgate.explain.near_miss import likeness, place
from ssmgate.gate.decision.question import RESOURCE_TAG_PREFIXES, is_resource_tag
from ssmgate.gate.decision.wildcards import Wildcard
from ssmgate.policy_language import Policies, Policy, PolicyKind, Statement
from ssmgate.policy_language.conditions import Condition
from ssmgate.policy_language.patterns import action_matches, complete, is_incomplete
from ssmgate.policy_language.variables import parse_template

_ACTION = "ssm:StartSession"
_NEAR = 0.88
# The keys with a fixed name that a policy for sessions is likely to test.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
_KEYS = (
    CHECK_KEY,
    "ssm:AccessRequestId",
    "ssm:DocumentCategories",
    "ssm:DocumentType",
    "aws:MultiFactorAuthPresent",
    "aws:PrincipalArn",
    "aws:RequestedRegion",
    "aws:SourceIp",
)
_TAG_PREFIXES = (*RESOURCE_TAG_PREFIXES, "aws:PrincipalTag/", "aws:RequestTag/")


def right_key(key: str) -> str | None:
    """Return the key that is meant by `key`, a key that no request of StartSession has.

    The result is None for a key that is right, and for one that resembles none.
    """
    lowered = key.lower()
    prefix, slash, _ = lowered.partition("/")
    if lowered in {name.lower() for name in _KEYS} or f"{prefix}{slash}" in _lower(_TAG_PREFIXES):
        return None
    own = key[len(prefix) + 1 :] or "TAG"
    if prefix == "ec2:resourcetag":
        return f"aws:ResourceTag/{own}"
    for known in _TAG_PREFIXES:
        if prefix == known.lower().rstrip("/") or (slash and _is_near(f"{prefix}/", known)):
            return known + own
    return next((known for known in _KEYS if _is_near(key, known)), None)


def _lower(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.lower() for text in texts)


def _is_near(key: str, known: str) -> bool:
    """Return whether `key` is a misspelling of `known`, and no other service's key."""
    vendor, _, name = key.lower().partition(":")
    known_vendor, _, known_name = known.lower().partition(":")
    return vendor == known_vendor and name != known_name and likeness(name, known_name) >= _NEAR


def key_mistakes(policies: Policies) -> Iterator[Advice]:
    """Yield the mistakes in statements about StartSession, in the order of the policies.

    `no-such-key`: a key that no request has. `not-a-boolean`: a value that is neither true nor
    false, where one of these is compared. `incomplete-arn`: a Resource that AWS completes.
    """
    levels = [policy for level in policies.service_control for policy in level]
    bound = (policies.boundary,) if policies.boundary else ()
    for policy in (*policies.identity, *bound, *levels):
        for statement in policy.statements:
            if statement.negated_action or any(
                action_matches(text, _ACTION) for text in statement.actions
            ):
                yield from _of_statement(policy, statement)


def _of_statement(policy: Policy, statement: Statement) -> Iterator[Advice]:
    where = place(policy, statement)
    for condition in statement.conditions:
        key = condition.key
        if (right := right_key(key)) is not None:
            why = "a tag's key has to follow" if "/" not in key and is_resource_tag(right) else ""
            yield Advice(
                code="no-such-key",
                what=f"{_ACTION} has no condition key {key}{why and ': ' + why}",
                fix=f"write {right} in place of {key}",
                place=where,
            )
        for value in _not_boolean(condition):
            yield Advice(
                code="not-a-boolean",
                what=f"{key} is compared with {value!r}, which is neither true nor false",
                fix="write true or false",
                place=where,
            )
    for text in statement.resources:
        if is_incomplete(text, policy.version):
            yield Advice(
                code="incomplete-arn",
                what=_breadth(policy, statement, text),
                fix="write complete ARNs, with all six parts",
                place=where,
            )


def _not_boolean(condition: Condition) -> tuple[str, ...]:
    of_check = condition.key.lower() == CHECK_KEY.lower()
    compares = condition.operator.base in ("Bool", "Null") or (
        of_check and condition.operator.base.startswith("StringEquals")
    )
    if not compares:
        return ()
    return tuple(v for v in condition.values if "$" not in v and v.lower() not in ("true", "false"))


def _breadth(policy: Policy, statement: Statement, text: str) -> str:
    element = "NotResource" if statement.negated_resource else "Resource"
    pieces = complete(
        tuple(
            p for p in parse_template(text, policy.version).pieces if isinstance(p, str | Wildcard)
        )
    )
    completed = "".join(p.value if isinstance(p, Wildcard) else p for p in pieces)
    if policy.kind is PolicyKind.SERVICE_CONTROL:
        return (
            f"{element} {text!r} is an incomplete ARN; AWS documents that it means {completed}"
            " only for identity-based policies"
        )
    return (
        f"{element} {text!r} is an incomplete ARN, which means {completed}: each missing part"
        " matches everything"
    )
