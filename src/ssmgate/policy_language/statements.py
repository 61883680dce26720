"""One statement against one request, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ssmgate.policy_language.conditions import ConditionMatch, Outcome, match_condition
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.document import Effect, Policy, Statement
from ssmgate.policy_language.patterns import action_matches, resource_matches, split_arn


@dataclass(frozen=True, slots=True)
class Request:
    """What IAM is asked: may this action be done to this resource, in this context?

    `resource` is an ARN, or `*` for none in particular. The principal is no part of it: its
    policies are found by others, and what policies test of it are context keys.

    Raises ValueError for an action without a service and a colon, and for a resource that is
    neither. Whether there is such an action is not checked, as IAM's simulator does not.
    """

    action: str
    resource: str = "*"
    context: Context = Context()  # noqa: RUF009 - immutable

    def __post_init__(self) -> None:
        service, colon, _ = self.action.partition(":")
        if not (service and colon):
            raise ValueError(f"{self.action!r} is no action")
        if self.resource != "*" and split_arn(self.resource) is None:
            raise ValueError(f"{self.resource!r} is not in a valid ARN format")


@dataclass(frozen=True, slots=True)
class ElementMatch:
    """How Action, NotAction, Resource or NotResource fared.

    `text` is the string of the element that covers what was asked about, if one does: with the
    plain elements that is why it matched, with the Not… elements why it did not.
    """

    element: str
    outcome: Outcome
    text: str | None = None


@dataclass(frozen=True, slots=True)
class StatementMatch:
    """How every element of a statement fared, whether or not an earlier one had decided it."""

    policy: Policy
    statement: Statement
    action: ElementMatch
    resource: ElementMatch
    conditions: tuple[ConditionMatch, ...]

    @property
    def outcome(self) -> Outcome:
        """MATCHED if every element is, NOT_MATCHED if one is not."""
        outcomes = {self.action.outcome, self.resource.outcome}
        outcomes |= {condition.outcome for condition in self.conditions}
        for outcome in (Outcome.NOT_MATCHED, Outcome.UNDEFINED):
            if outcome in outcomes:
                return outcome
        return Outcome.MATCHED

    @property
    def applies(self) -> bool:
        """Whether the statement has its effect."""
        if self.outcome is Outcome.UNDEFINED:
            return self.statement.effect is Effect.DENY
        return self.outcome is Outcome.MATCHED


def match_statement(policy: Policy, statement: Statement, request: Request) -> StatementMatch:
    """Hold one of `policy`'s statements against `request`.

    The effect and other statements play no part, nor which resources the action can have.
    """
    actions = {text: action_matches(text, request.action) for text in statement.actions}
    resources = {
        text: resource_matches(text, policy.version, request.resource, request.context)
        for text in statement.resources
    }
    return StatementMatch(
        policy,
        statement,
        _element("Action", statement.negated_action, actions),
        _element("Resource", statement.negated_resource, resources),
        tuple(
            match_condition(condition, policy.version, request.context)
            for condition in statement.conditions
        ),
    )


def _element(name: str, negated: bool, covers: Mapping[str, bool | None]) -> ElementMatch:
    element = f"Not{name}" if negated else name
    for text, covered in covers.items():
        if covered:
            return ElementMatch(element, Outcome.NOT_MATCHED if negated else Outcome.MATCHED, text)
    if not negated:
        return ElementMatch(element, Outcome.NOT_MATCHED)
    # A variable without a value equals nothing; what it does to a NotResource is not documented.
    unknown = any(covered is None for covered in covers.values())
    return ElementMatch(element, Outcome.UNDEFINED if unknown else Outcome.MATCHED)
