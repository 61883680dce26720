"""Check that changed policies decide nothing differently but what they were changed for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ssmgate.explain.arn_mistakes import is_document
from ssmgate.explain.changes import CHECK_KEY, Change, applied
from ssmgate.explain.narrow import Lister, kinds
from ssmgate.gate.decision.controls import control_arn
from ssmgate.policy_language import (
    Context,
    EvalDecision,
    Policies,
    PolicyError,
    Request,
    evaluate,
)


def allowed(request: Request, policies: Policies | None) -> bool:
    """Return whether `policies` allow `request`; None allows nothing."""
    if policies is None:
        return False
    return evaluate(request, policies).eval_decision is EvalDecision.ALLOWED


def attempt(policies: Policies, changes: Iterable[Change]) -> Policies | None:
    """Return `policies` after `changes`, None if these do not make valid policies."""
    try:
        return applied(policies, changes)
    except PolicyError:
        return None


@dataclass(frozen=True, slots=True)
class Control:
    """A request that no change may allow or, unless `may_be_denied`, deny."""

    request: Request
    may_be_denied: bool = False


def controls(requests: Sequence[Request], account: str) -> list[Control]:
    """Return controls for resources that cannot exist, and for those of this name elsewhere."""
    found = []
    for request in requests:
        _, partition, _, region, _, _ = request.resource.split(":", 5)
        here = f"{region}:{account}"
        documents = [
            f"arn:{partition}:ssm:{here}:document/NoSuchDocument-ssmgate",
            f"arn:{partition}:ssm:{region}::document/AWS-NoSuchDocument-ssmgate",
        ]
        if is_document(request.resource):
            documents.append(control_arn(request.resource))
        nodes = [
            f"arn:{partition}:ec2:{here}:instance/i-00000000000000000",
            f"arn:{partition}:ssm:{here}:managed-instance/mi-00000000000000000",
            f"arn:{partition}:ecs:{here}:task/none/00000000000000000000000000000000",
        ]
        for arn in (*documents, *nodes):
            variants = _variants(replace(request, resource=arn), {})
            # A narrowed deny may cover new documents until they are listed in it.
            found += [Control(r, may_be_denied=arn in documents) for r in variants]
        for at, key, value in (
            (3, "aws:RequestedRegion", "us-none-1"),
            (4, "aws:ResourceAccount", "999999999999"),
        ):
            fields = request.resource.split(":", 5)
            if fields[at]:
                other = replace(
                    request, resource=":".join((*fields[:at], value, *fields[at + 1 :]))
                )
                found += [Control(r, at == 4) for r in _variants(other, {key: value})]
    return found


def _variants(request: Request, added: Mapping[str, str]) -> Iterator[Request]:
    """Yield `request` with the key of the document check true, false and absent."""
    for value in ("true", "false", None):
        yield replace(request, context=_changed(request.context, {**added, CHECK_KEY: value}))


def _changed(context: Context, changes: Mapping[str, str | None]) -> Context:
    names = {name.lower() for name in changes}
    remaining: dict[str, Any] = {}
    for name in context:
        values = context.get(name)
        if values is not None and name.lower() not in names:
            remaining[name] = values.values if values.multivalued else values.values[0]
    return Context(
        remaining | {name: value for name, value in changes.items() if value is not None}
    )


def listed(requests: Sequence[Request], account: str, lister: Lister) -> Iterator[Control]:
    """Yield controls for the documents and nodes that exist, as far as they can be listed."""
    denied = {request.resource for request in requests}
    for request in requests:
        partition = request.resource.split(":", 2)[1]
        for kind in kinds(partition, account):
            for arn in lister(kind).arns:
                if arn not in denied:
                    yield Control(replace(request, resource=arn))


def unchanged(checks: Sequence[Control], before: Policies, changes: Sequence[Change]) -> bool:
    """Return whether no control is decided differently after `changes`, which have to be valid."""
    after = attempt(before, changes)
    if after is None:
        return False
    for control in checks:
        was, is_now = allowed(control.request, before), allowed(control.request, after)
        if is_now is not was and (is_now or not control.may_be_denied):
            return False
    return True
