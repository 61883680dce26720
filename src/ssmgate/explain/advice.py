"""Recognize the common mistakes in policies for Session Manager.

What to write instead is in `remedy`, which tries each change before it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssmgate.explain.arn_mistakes import NEAR, difference, is_document, principal_value, what_is
from ssmgate.explain.changes import CHECK_KEY
from ssmgate.explain.near_miss import (
    ActionMiss,
    ConditionMiss,
    DenyingStatement,
    Explanation,
    Miss,
    Place,
    ResourceMiss,
    compare,
    likeness,
    nearest,
)
from ssmgate.gate.decision.evaluation import EvalDecision
from ssmgate.gate.decision.messages import WITH_MFA
from ssmgate.gate.decision.question import MFA_KEY, is_resource_tag
from ssmgate.policy_language.conditions import Cause, Outcome
from ssmgate.policy_language.evaluate import Evaluation, Layer
from ssmgate.policy_language.patterns import Cover, resource_matches
from ssmgate.policy_language.statements import Request, StatementMatch

_MOST = 4
_OF_MFA = {MFA_KEY.lower(), "aws:multifactorauthage"}


@dataclass(frozen=True, slots=True)
class Advice:
    """A mistake in a policy: its code, what is wrong, and what to do apart from the policy.

    `code` is stable. `what` is a sentence, and `fix` another, or empty. `place` is the statement
    with the mistake, None if there is none. `statement` is the whole statement to write in its
    place, None if none was tried.
    """

    code: str
    what: str
    fix: str = ""
    place: Place | None = None
    statement: Mapping[str, Any] | None = None


def advise(evaluation: Evaluation, explanation: Explanation | None = None) -> tuple[Advice, ...]:
    """Return the probable mistakes behind a denial: at most four, of the nearest statement first.

    `explanation` is `nearest(evaluation)` if the caller has it already. The result is empty for
    an allowed request.
    """
    if evaluation.eval_decision is EvalDecision.ALLOWED:
        return ()
    request = evaluation.request
    if evaluation.decided_by is Layer.RESOURCE_TYPE:
        return (
            Advice(
                "no-such-resource",
                f"{request.action} has no resources like {request.resource}: no policy can allow"
                " it",
                "check the kind of the target or document",
            ),
        )
    explanation = explanation or nearest(evaluation)
    advice_by_code: dict[str, Advice] = {}
    for denial in explanation.denials:
        for advice in _of_denial(denial, request):
            advice_by_code.setdefault(advice.code, advice)
    advised_layers: set[Layer] = set()
    for miss in explanation.misses:
        for advice in _of_miss(miss, request):
            advice_by_code.setdefault(advice.code, advice)
            advised_layers.add(miss.layer)
    if evaluation.eval_decision is EvalDecision.IMPLICIT_DENY:
        for advice in _of_layers(evaluation, advised_layers):
            advice_by_code.setdefault(advice.code, advice)
    return tuple(advice_by_code.values())[:_MOST]


def _of_layers(evaluation: Evaluation, advised_layers: set[Layer]) -> Iterator[Advice]:
    request = evaluation.request
    what = what_is(request.resource)
    lacking = {layer.layer for layer in evaluation.layers if not layer.allows}
    if Layer.IDENTITY in lacking and Layer.IDENTITY not in advised_layers:
        code = "document-not-listed" if what == "document" else "resource-not-listed"
        yield Advice(
            code, f"no identity-based policy allows {request.action} on {request.resource}"
        )
    if Layer.BOUNDARY in lacking:
        yield Advice(
            f"boundary-without-{what}",
            f"the permissions boundary has to allow {request.action} on {request.resource} as well"
            " as the caller's own policies",
        )
    if Layer.ORGANIZATIONS in lacking:
        yield Advice(
            f"scp-without-{what}",
            f"the service control policies have to allow {request.action} on {request.resource}"
            " at each level of the organization",
        )


def _of_miss(miss: Miss, request: Request) -> Iterator[Advice]:
    for failure in miss.failures:
        match failure:
            case ActionMiss():
                advice = _action(miss, failure)
                if advice is None:
                    return  # the statement is about another action
                yield advice
            case ResourceMiss():
                resource_advice = [*_resource(miss, failure)]
                if not resource_advice:
                    return  # the statement is about other resources: its conditions do not matter
                yield from resource_advice
            case ConditionMiss():
                yield _condition(miss, failure, request)


def _action(miss: Miss, failure: ActionMiss) -> Advice | None:
    if failure.element == "NotAction":
        return Advice(
            "under-not-action",
            failure.sentence,
            place=miss.place,
        )
    service, _, name = failure.closest.partition(":")
    request_service, _, request_name = failure.request.partition(":")
    misspelt = "*" not in failure.closest and (
        (service.lower() == request_service.lower() and likeness(name, request_name) >= NEAR)
        or (name.lower() == request_name.lower())
    )
    if not misspelt:
        return None
    return Advice(
        "action-misspelt",
        failure.sentence,
        place=miss.place,
    )


def _resource(miss: Miss, failure: ResourceMiss) -> Iterator[Advice]:
    arn = failure.request
    if failure.element == "NotResource":
        if failure.closest is not None:
            yield Advice(
                "under-not-resource",
                f"the statement excludes {failure.closest}",
                place=miss.place,
            )
        return
    if failure.unresolved:
        yield Advice(
            "variable-without-value",
            f"a policy variable in {failure.closest} has no value in this request, or is before"
            " the ARN's fifth colon, where variables do not work",
            place=miss.place,
        )
        return
    mistake = difference(failure, arn)
    if mistake is not None:
        code, what = mistake
        yield Advice(code, what, place=miss.place)


def _condition(miss: Miss, failure: ConditionMiss, request: Request) -> Advice:
    key, lowered = failure.key, failure.key.lower()
    wanted = " or ".join(repr(value) for value in failure.wanted)
    untagged = failure.values is None  # otherwise the document has the tag with another value
    if untagged and is_resource_tag(key) and is_document(request.resource):
        return Advice(
            "tag-condition-on-document",
            f"the statement has a condition on {key}, and session documents do not have the node's"
            " tags: allow the document in a statement without that condition",
            place=miss.place,
        )
    if lowered == CHECK_KEY.lower() and failure.values is None:
        return Advice(
            "bool-not-if-exists",
            f"{failure.operator} on {CHECK_KEY} fails if the request lacks the key; BoolIfExists"
            " does not",
            place=miss.place,
        )
    if role := principal_value(key, failure.wanted, failure.values):
        return Advice(
            "sso-role-path",
            f"the condition on {key} requires {wanted}, without the path of the role: {role}",
            place=miss.place,
        )
    if failure.values is None:
        return Advice(
            "key-absent",
            failure.sentence,
            _with_mfa([key]),
            miss.place,
        )
    if failure.cause is Cause.NEEDS_SET_OPERATOR:
        return Advice(
            "needs-set-operator",
            f"{key} has several values, and {failure.operator} compares one: use"
            f" ForAnyValue:{failure.operator} or ForAllValues:{failure.operator}",
            place=miss.place,
        )
    return Advice("condition-differs", failure.sentence, place=miss.place)


def _of_denial(denial: DenyingStatement, request: Request) -> Iterator[Advice]:
    what = what_is(request.resource)
    for condition in denial.conditions:
        role = principal_value(
            condition.condition.key, condition.condition.values, condition.values
        )
        if condition.condition.operator.negated and role:
            yield Advice(
                "sso-role-path",
                f"the deny exempts {' or '.join(condition.condition.values)}, without the path of"
                f" the role: {role}",
                place=denial.place,
            )
            return
    absent = [
        c.condition.key
        for c in denial.conditions
        if c.cause is Cause.KEY_ABSENT and c.condition.operator.base != "Null"
    ]
    if absent:
        yield Advice(
            "deny-depends-on-key",
            f"the deny applies because the request lacks {', '.join(absent)}",
            _with_mfa(absent),
            denial.place,
        )
        return
    if denial.conditions:
        seen = " and ".join(
            f"{c.condition.key} is "
            + ("absent" if c.values is None else ", ".join(repr(v) for v in c.values))
            for c in denial.conditions
        )
        yield Advice("denied-by-condition", f"the deny applies because {seen}", place=denial.place)
        return
    if denial.match.statement.negated_resource:
        yield _of_not_resource(denial, request)
        return
    patterns = covering(denial.match, request)
    names = request.resource.split(":", 5)[5]
    by_name = all(text.split(":", 5)[-1] == names for text in patterns)
    yield Advice(
        "denied-by-name" if by_name else "denied-by-wildcard",
        f"a deny {'names' if by_name else 'covers'} the {what} with {' and '.join(patterns)}, and a"
        " deny overrides every allow",
        place=denial.place,
    )


def _with_mfa(absent: Sequence[str]) -> str:
    """Return how a request gets the `absent` keys, empty unless credentials with MFA have them."""
    return WITH_MFA if {key.lower() for key in absent} <= _OF_MFA else ""


def covering(match: StatementMatch, request: Request) -> tuple[str, ...]:
    """Return every string of the Resource element of `match` that covers the request."""
    return tuple(
        text
        for text in match.statement.resources
        if resource_matches(text, match.policy.version, request.resource, request.context)
        is Cover.COVERED
    )


def _of_not_resource(denial: DenyingStatement, request: Request) -> Advice:
    """Return the advice about a deny with NotResource: an entry with one mistake, or a new one."""
    resource = request.resource
    for text in denial.match.statement.resources:
        different, _ = compare(text, denial.match.policy.version, resource, request.context)
        if different:
            missed = ResourceMiss("NotResource", text, resource, different)
            if (found := difference(missed, resource)) is not None:
                code, what = found
                return Advice(code, what, place=denial.place)
    unknown = denial.match.resource.outcome is Outcome.UNDEFINED
    why = " (one of its variables has no value)" if unknown else ""
    return Advice(
        "denied-by-not-resource",
        f"the deny covers each resource that its NotResource does not list, and the"
        f" {what_is(resource)} {resource} is not listed{why}",
        place=denial.place,
    )
