"""Decide a request by all policies of a principal."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from ssmgate.gate.decision.evaluation import EvalDecision
from ssmgate.policy_language.document import Effect, Policy
from ssmgate.policy_language.resources import has_resource
from ssmgate.policy_language.statements import Request, StatementMatch, match_statement


class Layer(enum.Enum):
    """The layers that can decide, in the order in which IAM evaluates them."""

    RESOURCE_TYPE = "the action has no resource of this type"
    ORGANIZATIONS = "service control policies"
    IDENTITY = "identity-based policies"
    BOUNDARY = "permissions boundary"


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies that apply to one principal.

    `identity` are its own policies and those of its groups. `service_control` has one entry for
    each level from the organization's root to the account, with the policies attached there; it
    is empty for a principal outside an organization or in the management account.

    Session, resource-based, resource control and endpoint policies are not included: if there
    are any, the decision does not take them into account.
    """

    identity: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    service_control: tuple[tuple[Policy, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class LayerMatch:
    """All statements of one layer, and the decision of this layer alone.

    For ORGANIZATIONS there is one LayerMatch per level.
    """

    layer: Layer
    statements: tuple[StatementMatch, ...]

    @property
    def denies(self) -> tuple[StatementMatch, ...]:
        """Return the Deny statements that apply to the request."""
        return self._applying(Effect.DENY)

    @property
    def allows(self) -> tuple[StatementMatch, ...]:
        """Return the Allow statements that apply to the request."""
        return self._applying(Effect.ALLOW)

    @property
    def allowed(self) -> bool:
        """Return whether this layer allows the request: an Allow applies and no Deny does."""
        return bool(self.allows) and not self.denies

    def _applying(self, effect: Effect) -> tuple[StatementMatch, ...]:
        return tuple(
            match for match in self.statements if match.statement.effect is effect and match.applies
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The decision for one request, as iam:SimulatePrincipalPolicy would report it.

    `matched_statements` are the denying statements for an explicit deny, and the identity-based
    statements that allow for an allow. They are empty for an implicit deny, and never include
    statements of service control policies. `decided_by` is the layer that denied, else IDENTITY.
    `missing_context_values` are the keys that the identity-based policies and the boundary use,
    for any action, and the request lacks; empty unless the decision is an implicit deny. The two
    booleans are None if there is no such layer. `layers` has every statement with every element,
    for an explanation.

    An Evaluation never permits a session: only an answer from IAM does.
    """

    request: Request
    eval_decision: EvalDecision
    decided_by: Layer
    matched_statements: tuple[StatementMatch, ...]
    missing_context_values: tuple[str, ...]
    allowed_by_permissions_boundary: bool | None
    allowed_by_organizations: bool | None
    layers: tuple[LayerMatch, ...]

    def layer_of(self, match: StatementMatch) -> Layer:
        """Return the layer of `match`, a statement of this evaluation."""
        return next(
            layer.layer for layer in self.layers if any(m is match for m in layer.statements)
        )


def evaluate(request: Request, policies: Policies) -> Evaluation:
    """Decide `request` by `policies`.

    An explicit deny in any layer overrides every allow. Otherwise each level of service control
    policies, the identity-based policies and the boundary must all allow. Without any policy the
    decision is an implicit deny. If the action has no resources of the requested type, the
    request is implicitly denied by any policies.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    """
    organizations = tuple(
        _match(Layer.ORGANIZATIONS, level, request) for level in policies.service_control
    )
    identity = _match(Layer.IDENTITY, policies.identity, request)
    boundary = (
        ()
        if policies.boundary is None
        else (_match(Layer.BOUNDARY, (policies.boundary,), request),)
    )
    layers = (*organizations, identity, *boundary)

    decision, decided_by = _decide(request, layers)
    matched: tuple[StatementMatch, ...] = ()
    if decision is EvalDecision.EXPLICIT_DENY:
        matched = tuple(match for layer in (identity, *boundary) for match in layer.denies)
    elif decision is EvalDecision.ALLOWED:
        matched = identity.allows
    reported = policies.identity + ((policies.boundary,) if policies.boundary else ())
    return Evaluation(
        request=request,
        eval_decision=decision,
        decided_by=decided_by,
        matched_statements=matched,
        missing_context_values=(
            _missing(reported, request) if decision is EvalDecision.IMPLICIT_DENY else ()
        ),
        allowed_by_permissions_boundary=boundary[0].allowed if boundary else None,
        allowed_by_organizations=(
            all(level.allowed for level in organizations) if organizations else None
        ),
        layers=layers,
    )


def _match(layer: Layer, policies: Iterable[Policy], request: Request) -> LayerMatch:
    return LayerMatch(
        layer,
        tuple(
            match_statement(policy, statement, request)
            for policy in policies
            for statement in policy.statements
        ),
    )


def _decide(request: Request, layers: tuple[LayerMatch, ...]) -> tuple[EvalDecision, Layer]:
    if not has_resource(request.action, request.resource):
        return EvalDecision.IMPLICIT_DENY, Layer.RESOURCE_TYPE
    for layer in layers:
        if layer.denies:
            return EvalDecision.EXPLICIT_DENY, layer.layer
    for layer in layers:
        if not layer.allows:
            return EvalDecision.IMPLICIT_DENY, layer.layer
    return EvalDecision.ALLOWED, Layer.IDENTITY


def _missing(policies: tuple[Policy, ...], request: Request) -> tuple[str, ...]:
    missing: dict[str, str] = {}
    for policy in policies:
        for key in policy.context_keys():
            if key not in request.context:
                missing.setdefault(key.lower(), key)
    return tuple(missing.values())
