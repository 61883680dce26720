"""Match a statement against a request, element by element."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ssmgate.policy_language.conditions import ConditionMatch, Outcome, match_condition
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.document import Effect, Policy, Statement
from ssmgate.policy_language.patterns import Cover, action_matches, resource_matches, split_arn


@dataclass(frozen=True, slots=True)
class Request:
    """The question whether an action on a resource is allowed, in a context.

    `resource` is an ARN, or `*` for no particular resource. The principal is not part of a
    Request: the caller supplies its policies, and the properties that policies test as keys.

    Raises ValueError for an action without a service and a colon, and for a resource that is
    neither. Whether the action exists is not checked; IAM's simulator does not check it either.
    """

    action: str
    resource: str = "*"
    context: Context = Context()  # noqa: RUF009 - immutable

    def __post_init__(self) -> None:
        service, colon, _ = self.action.partition(":")
        if not (service and colon):
            raise ValueError(f"{self.action!r} is not an action")
        if self.resource != "*" and split_arn(self.resource) is None:
            raise ValueError(f"{self.resource!r} is not in a valid ARN format")


@dataclass(frozen=True, slots=True)
class ElementMatch:
    """The result of Action, NotAction, Resource or NotResource.

    `text` is the string of the element that covers the request, if any: the reason why Action or
    Resource matched, and why NotAction or NotResource did not match.
    """

    element: str
    outcome: Outcome
    text: str | None = None


@dataclass(frozen=True, slots=True)
class StatementMatch:
    """The result of every element of a statement, even if an earlier element already decided."""

    policy: Policy
    statement: Statement
    action: ElementMatch
    resource: ElementMatch
    conditions: tuple[ConditionMatch, ...]

    @property
    def outcome(self) -> Outcome:
        """Return MATCHED if every element matched, NOT_MATCHED if any did not, else UNDEFINED."""
        outcomes = {self.action.outcome, self.resource.outcome}
        outcomes |= {condition.outcome for condition in self.conditions}
        for outcome in (Outcome.NOT_MATCHED, Outcome.UNDEFINED):
            if outcome in outcomes:
                return outcome
        return Outcome.MATCHED

    @property
    def applies(self) -> bool:
        """Return whether the statement has its effect."""
        if self.outcome is Outcome.UNDEFINED:
            return self.statement.effect is Effect.DENY
        return self.outcome is Outcome.MATCHED


def match_statement(policy: Policy, statement: Statement, request: Request) -> StatementMatch:
    """Match `statement`, a statement of `policy`, against `request`.

    The effect, other statements and the types of resource that the action has are not considered.
    """
    actions = {
        text: Cover.COVERED if action_matches(text, request.action) else Cover.NOT_COVERED
        for text in statement.actions
    }
    resources = {
        text: resource_matches(text, policy.version, request.resource, request.context, policy.kind)
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


def _element(name: str, negated: bool, covers: Mapping[str, Cover]) -> ElementMatch:
    element = f"Not{name}" if negated else name
    for text, cover in covers.items():
        if cover is Cover.COVERED:
            return ElementMatch(element, Outcome.NOT_MATCHED if negated else Outcome.MATCHED, text)
    return ElementMatch(element, uncovered(negated, covers.values()))


def uncovered(negated: bool, covers: Iterable[Cover]) -> Outcome:
    """Return the result of an element of which no string covers the request."""
    if Cover.AMBIGUOUS in (found := set(covers)):
        return Outcome.UNDEFINED
    if not negated:
        return Outcome.NOT_MATCHED
    # A variable without a value matches nothing; its effect in a NotResource is not documented.
    return Outcome.UNDEFINED if Cover.UNRESOLVED in found else Outcome.MATCHED
