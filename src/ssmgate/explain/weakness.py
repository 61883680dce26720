"""Find weaknesses in policies that allow: implicit grants, and checks that can be bypassed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ssmgate.explain.advice import Advice
from ssmgate.explain.changes import (
    CHECK_CONDITION,
    CHECK_KEY,
    Change,
    Json,
    conditions_of,
    merge,
    written,
)
from ssmgate.explain.controls import allowed, attempt
from ssmgate.explain.near_miss import place
from ssmgate.gate.decision.controls import control_arn
from ssmgate.gate.decision.evaluation import EvalDecision
from ssmgate.gate.decision.grant import Grant
from ssmgate.policy_language.conditions import Outcome
from ssmgate.policy_language.context import Context
from ssmgate.policy_language.document import Effect, Statement
from ssmgate.policy_language.evaluate import Evaluation, Layer, Policies, evaluate
from ssmgate.policy_language.patterns import action_matches
from ssmgate.policy_language.statements import Request, StatementMatch


def grant(request: Request, policies: Policies) -> Grant:
    """Return how explicitly the document of `request` is allowed; UNKNOWN if it is not.

    The identity-based statements that allow it are also evaluated for a document that cannot
    exist, with the same form of ARN, and for another type of resource. A statement that allows
    those as well does not name the document.
    """
    matches = _allowing(evaluate(request, policies))
    if not matches:
        return Grant.UNKNOWN
    alone = Policies(identity=policies.identity)
    kinds = set()
    control = {id(m.statement) for m in _allowing(evaluate(control_of(request), alone))}
    parts = request.resource.split(":", 5)
    other = f"arn:{parts[1]}:ec2:{parts[3]}:{parts[4]}:instance/i-0no0such0instance0"
    anything = {
        (id(m.statement), m.resource.text)
        for m in _allowing(evaluate(replace(request, resource=other), alone))
    }
    for match in matches:
        if id(match.statement) not in control:
            kinds.add(Grant.NAMED)
        elif (id(match.statement), match.resource.text) in anything:
            kinds.add(Grant.ANY)
        else:
            kinds.add(Grant.WILDCARD)
    return next(kind for kind in (Grant.NAMED, Grant.WILDCARD, Grant.ANY) if kind in kinds)


def control_of(request: Request) -> Request:
    """Return the same request for a document that cannot exist, as its name is too long."""
    return replace(request, resource=control_arn(request.resource))


def without_check(target: Request) -> Request:
    """Return the request for the target as the service evaluates it if no document was checked."""
    context = {
        key: values.values if values.multivalued else values.values[0]
        for key in target.context
        if key.lower() != CHECK_KEY.lower() and (values := target.context.get(key))
    }
    return replace(target, context=Context({**context, CHECK_KEY: "false"}))


def enforced(target: Request, policies: Policies) -> bool:
    """Return whether the policies make the service check the document too.

    They do if they deny `target` when ssm:SessionDocumentAccessCheck is false.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-sessiondocumentaccesscheck.html
    """
    answer = evaluate(without_check(target), policies)
    return answer.eval_decision is not EvalDecision.ALLOWED


def weaknesses(document: Request, target: Request | None, policies: Policies) -> tuple[Advice, ...]:
    """Return the weaknesses of the policies, whether or not these requests are allowed.

    `check-not-enforced`, `condition-missing`: the target is allowed without the document check.
    `deny-by-enumeration`: every document is allowed that is not denied by name.
    `bool-not-if-exists`: a condition that prevents a statement's other actions from applying.
    """
    advice = [*_enumeration(document, policies), *_bool(policies)]
    if target is not None:
        advice = [*not_enforced(target, policies), *advice]
    return tuple(advice)


def _allowing(evaluation: Evaluation) -> tuple[StatementMatch, ...]:
    if evaluation.eval_decision is not EvalDecision.ALLOWED:
        return ()
    return next(layer for layer in evaluation.layers if layer.layer is Layer.IDENTITY).allows


def not_enforced(target: Request, policies: Policies) -> Iterator[Advice]:
    """Yield the statements that allow `target` without the document check.

    Each has the whole statement to write instead if all of them together make the service check
    the document and still allow `target`.
    """
    passing = _allowing(evaluate(without_check(target), policies))
    conditioned = any(
        _has_check(statement) and statement.effect is Effect.ALLOW
        for policy in policies.identity
        for statement in policy.statements
        if any(action_matches(text, target.action) for text in statement.actions)
    )
    checked = [(match, _with_check(match.statement)) for match in passing]
    changes = [Change(Layer.IDENTITY, (new,), None, match.statement) for match, new in checked]
    changed = attempt(policies, changes)
    proven = allowed(target, changed) and not allowed(without_check(target), changed)
    for match, statement in checked:
        if _has_check(match.statement):
            code, what = (
                "condition-differs",
                f"the condition of this statement on {CHECK_KEY} does not require true",
            )
        elif conditioned:
            code, what = (
                "condition-missing",
                f"this statement lacks the condition on {CHECK_KEY} that another has, so the check"
                " can be bypassed",
            )
        else:
            code, what = (
                "check-not-enforced",
                f"this statement has no condition on {CHECK_KEY}",
            )
        yield Advice(
            code,
            what,
            place=place(match.policy, match.statement),
            statement=statement if proven else None,
        )


def _with_check(statement: Statement) -> Json:
    """Return `statement` with the condition that requires the document check."""
    own = conditions_of(statement)
    remaining = {
        operator: {k: v for k, v in keys.items() if k.lower() != CHECK_KEY.lower()}
        for operator, keys in own.items()
    }
    condition = merge(
        {operator: keys for operator, keys in remaining.items() if keys}, CHECK_CONDITION
    )
    return written(statement, Condition=condition)


def _enumeration(document: Request, policies: Policies) -> Iterator[Advice]:
    if not _allowing(evaluate(control_of(document), policies)):
        return
    for layer in evaluate(document, policies).layers:
        for match in layer.statements:
            statement = match.statement
            named = [text for text in statement.resources if ":document/" in text]
            if (
                statement.effect is Effect.DENY
                and match.action.outcome is Outcome.MATCHED
                and named
                and not statement.negated_resource
            ):
                yield Advice(
                    "deny-by-enumeration",
                    f"this deny lists the documents to deny ({len(named)}): one that is created"
                    " later is allowed",
                    "allow the documents by name instead of denying some",
                    place(match.policy, match.statement),
                )


def _bool(policies: Policies) -> Iterator[Advice]:
    everything = (*policies.identity, *((policies.boundary,) if policies.boundary else ()))
    for policy in everything:
        for statement in policy.statements:
            others = [
                text for text in statement.actions if not action_matches(text, "ssm:StartSession")
            ]
            strict = any(
                c.key.lower() == CHECK_KEY.lower()
                and not c.operator.if_exists
                and c.operator.base != "Null"
                for c in statement.conditions
            )
            if strict and others and statement.effect is Effect.ALLOW:
                yield Advice(
                    "bool-not-if-exists",
                    f"only ssm:StartSession has the key {CHECK_KEY}: with this condition"
                    f" {', '.join(others)} is never allowed",
                    place=place(policy, statement),
                    statement=_with_check(statement),
                )


def _has_check(statement: Statement) -> bool:
    return any(c.key.lower() == CHECK_KEY.lower() for c in statement.conditions)
