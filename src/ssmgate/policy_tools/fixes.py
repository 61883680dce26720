"""Try a changed statement before it is proposed: it must parse, and do what it is for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from ssmgate.explain.target_questions import CHECK_KEY
from ssmgate.policy_language import (
    Context,
    Policies,
    Policy,
    PolicyError,
    Request,
    Statement,
    parse_policy,
)
from ssmgate.policy_language.compiled import CompiledPolicies, compile_policies
from ssmgate.policy_language.decide import Certainty
from ssmgate.policy_language.knowledge import Knowledge

_START = "ssm:StartSession"
_NODE = "arn:{}:ec2:{}:{}:instance/i-00000000000000000"

Json = dict[str, Any]


def _parsed(policy: Policy, statement: Json) -> Policy | None:
    text = json.dumps({"Version": policy.version.value, "Statement": [statement]})
    try:
        return parse_policy(text, kind=policy.kind)
    except PolicyError:
        return None


def _sample(text: str) -> str:
    """Return an ARN that a pattern matches: a wildcard stands for a zero, `*` for a node."""
    if text == "*":
        return _NODE.format("aws", "us-east-1", "0" * 12)
    parts = text.split(":", 5)
    parts += ["*"] * (6 - len(parts))
    parts[5] = _NODE.rpartition(":")[2] if parts[5] == "*" else parts[5]
    return ":".join(re.sub(r"[*?]", "0", part) for part in parts)


def _decide(policies: CompiledPolicies, resource: str, check: bool) -> Certainty:
    context = Context({CHECK_KEY: "true" if check else "false"})
    return policies.decide(Request(_START, resource, context), Knowledge()).certainty


def requires_check(policy: Policy, old: Statement, new: Json) -> Json | None:
    """Return `new` if it allows what `old` does where the check is made, and nothing where not.

    None if that cannot be shown.
    """
    parsed = _parsed(policy, new)
    if parsed is None or old.negated_resource or any("${" in text for text in old.resources):
        return None
    alone = compile_policies(Policies((Policy(policy.version, (old,), kind=policy.kind),)))
    changed = compile_policies(Policies((parsed,)))
    for resource in map(_sample, old.resources):
        if _decide(changed, resource, check=False) is not Certainty.DENIED:
            return None
        before = _decide(alone, resource, check=True)
        if before is not _decide(changed, resource, check=True):
            return None
    return new


def keeps_resources(
    policy: Policy,
    old: Statement,
    resources: Sequence[str],
    written: Callable[..., Json],
) -> Json | None:
    """Return `old` with `resources`, if it parses and covers what each of them names."""
    element = "NotResource" if old.negated_resource else "Resource"
    new = written(old, **{element: tuple(resources)})
    return None if _parsed(policy, new) is None else new
