"""Evaluation: explicit deny first, then every layer has to allow.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ssmgate.core.evaluation import EvalDecision
from ssmgate.policy.conditions import holds, validate
from ssmgate.policy.document import Condition, PolicyDocument, Statement, parse
from ssmgate.policy.patterns import (
    Context,
    fill,
    matches_action,
    matches_arn,
    variables_of,
)
from ssmgate.policy.resources import has_type


class Layer(enum.Enum):
    """The kind of policy that decided."""

    IDENTITY = "identity"
    BOUNDARY = "boundary"
    ORGANIZATIONS = "organizations"
    RESOURCE_TYPE = "resource-type"


@dataclass(frozen=True, slots=True)
class Policy:
    """A document with the name and the type under which IAM reports it."""

    source_id: str
    source_type: str
    document: PolicyDocument

    @classmethod
    def read(cls, text: str, source_id: str, source_type: str = "IAM Policy") -> Policy:
        """Parse `text`, its conditions included. Raises `PolicyError`."""
        return cls(source_id, source_type, parse(text, validate))


@dataclass(frozen=True, slots=True)
class Request:
    """One action on one resource. `context` keys are in lower case; see `request`."""

    action: str
    resource_arn: str
    context: Context


def request(action: str, resource_arn: str, context: Mapping[str, str | Sequence[str]]) -> Request:
    """A request whose condition keys may be written in any case, with one value or several.

    A key without a value is absent.
    """
    folded = {
        key.lower(): (value,) if isinstance(value, str) else tuple(value)
        for key, value in context.items()
    }
    return Request(action, resource_arn, {key: value for key, value in folded.items() if value})


@dataclass(frozen=True, slots=True)
class Layers:
    """The policies of a principal.

    `boundary` is None where there is none; an empty one allows nothing. `organizations` has the
    service control policies of each level, from the root down to the account: every level has to
    allow. Without an organization it is empty.
    """

    identity: tuple[Policy, ...]
    boundary: tuple[Policy, ...] | None = None
    organizations: tuple[tuple[Policy, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class StatementMatch:
    """How one statement compares with a request. It applies if all of it matches."""

    policy: Policy
    statement: Statement
    action: bool
    resource: bool
    conditions: tuple[tuple[Condition, bool], ...]

    @property
    def applies(self) -> bool:
        return self.action and self.resource and all(held for _, held in self.conditions)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the layers say together.

    `layer` is the one that decided: where it is not allowed, the outermost that keeps it from
    being. `matched` are the statements that decided: all that deny, or all that allow in the
    identity-based policies. `missing_context` are absent keys that policies mention, and only
    on an implicit deny. The two layers' own answers are None where there is no such layer.
    """

    eval_decision: EvalDecision
    layer: Layer
    matched: tuple[StatementMatch, ...]
    missing_context: tuple[str, ...] = ()
    allowed_by_permissions_boundary: bool | None = None
    allowed_by_organizations: bool | None = None


def evaluate(asked: Request, layers: Layers) -> Decision:
    """Decide `asked` by `layers` within one account. Resource-based policies have no part."""
    identity = compare(asked, layers.identity)
    boundary = None if layers.boundary is None else compare(asked, layers.boundary)
    levels = [compare(asked, level) for level in layers.organizations]
    by_boundary = None if boundary is None else _allowed(boundary)
    by_organizations = all(_allowed(level) for level in levels) if levels else None
    known_type = has_type(asked.action, asked.resource_arn)

    def decision(
        decided: EvalDecision, layer: Layer, matched: Iterable[StatementMatch] = ()
    ) -> Decision:
        implicit = decided is EvalDecision.IMPLICIT_DENY
        return Decision(
            decided,
            layer,
            tuple(matched),
            _missing(asked, (*layers.identity, *(layers.boundary or ()))) if implicit else (),
            by_boundary,
            by_organizations,
        )

    organizations = [match for level in levels for match in level]
    for layer, found in (
        (Layer.ORGANIZATIONS, organizations),
        (Layer.BOUNDARY, boundary or ()),
        (Layer.IDENTITY, identity),
    ):
        if denying := [m for m in found if m.applies and not m.statement.allows]:
            return decision(EvalDecision.EXPLICIT_DENY, layer, denying)
    if not known_type:
        return decision(EvalDecision.IMPLICIT_DENY, Layer.RESOURCE_TYPE)
    for layer, allowed in (
        (Layer.ORGANIZATIONS, by_organizations),
        (Layer.BOUNDARY, by_boundary),
    ):
        if allowed is False:
            return decision(EvalDecision.IMPLICIT_DENY, layer)
    allowing = [match for match in identity if match.applies]
    if not allowing:
        return decision(EvalDecision.IMPLICIT_DENY, Layer.IDENTITY)
    return decision(EvalDecision.ALLOWED, Layer.IDENTITY, allowing)


def compare(asked: Request, policies: Iterable[Policy]) -> tuple[StatementMatch, ...]:
    """Compare every statement of `policies` with `asked`, part by part."""
    return tuple(
        _compare(asked, policy, statement)
        for policy in policies
        for statement in policy.document.statements
    )


def _compare(asked: Request, policy: Policy, statement: Statement) -> StatementMatch:
    variables = policy.document.has_variables
    action = any(matches_action(pattern, asked.action) for pattern in statement.actions)
    filled = (fill(p, asked.context, variables=variables) for p in statement.resources)
    resource = any(text is not None and matches_arn(text, asked.resource_arn) for text in filled)
    return StatementMatch(
        policy,
        statement,
        action is not statement.negated_action,
        resource is not statement.negated_resource,
        tuple(
            (condition, holds(condition, asked.context, variables=variables))
            for condition in statement.conditions
        ),
    )


def _allowed(matches: Iterable[StatementMatch]) -> bool:
    applying = [match for match in matches if match.applies]
    return bool(applying) and all(match.statement.allows for match in applying)


def _missing(asked: Request, policies: Iterable[Policy]) -> tuple[str, ...]:
    """Keys that conditions and variables mention and the request lacks, each once.

    Of every statement, also those for other actions: that is how the simulator reports them.
    """
    mentioned: dict[str, str] = {}
    for policy in policies:
        for statement in policy.document.statements:
            texts = list(statement.resources)
            for condition in statement.conditions:
                mentioned.setdefault(condition.key.lower(), condition.key)
                texts += condition.values
            if policy.document.has_variables:
                for text in texts:
                    for key in variables_of(text):
                        mentioned.setdefault(key.lower(), key)
    return tuple(key for folded, key in mentioned.items() if folded not in asked.context)
